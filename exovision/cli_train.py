"""The commands that train networks."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any

import typer

from exovision.console import Device, Out, Seed, say
from exovision.progress import progress_bars

train_app = typer.Typer(help="Train the networks.")


@train_app.command("cells")
def train_cells(
    out: Out,
    data: Annotated[
        Path | None,
        typer.Option(help="Pictures X.tif with corrected labels X_labels.tif, beside simulation."),
    ] = None,
    steps: Annotated[int | None, typer.Option(min=1, help="Batches to learn from.")] = None,
    simulated: Annotated[int | None, typer.Option(min=0, help="Simulated frames to learn from.")] = None,
    start: Annotated[Path | None, typer.Option(help="Weights to go on from; fresh ones if omitted.")] = None,
    learning_rate: Annotated[
        float | None, typer.Option(min=1e-6, max=1.0, help="Largest of the cycle; less to go on.")
    ] = None,
    hold_out: Annotated[bool, typer.Option(help="Keep two in five pictures for the figures.")] = True,
    seed: Seed = 0,
    device: Device = "auto",
) -> int:
    """Train the cell network, fresh or from known weights, and print its figures on what it never saw."""
    from exovision.io.folders import make_folder
    from exovision.training.cells import CellTraining
    from exovision.training.cells import train_cells as train
    from exovision.training.evaluation import evaluate_cells

    training = CellTraining(seed=seed)
    changes = {
        "steps": steps,
        "simulated": simulated,
        "learning_rate": learning_rate,
        "start": None if start is None else str(start),
    }
    training = replace(training, **_given(changes))
    make_folder(out)
    with progress_bars() as watch:
        bar = watch("cells")
        weights = train(out, data=data, training=training, hold_out=hold_out, device=device, progress=bar)
        unseen = data if hold_out else None
        figures = evaluate_cells(weights, data=unseen, device=device, progress=bar)
    return _tell(weights, figures, "cells.weights")


@train_app.command("death")
def train_death(
    out: Out,
    data: Annotated[
        Path | None,
        typer.Option(help="Labelled crops: an .npz, or a folder with a folder of TIFFs per label."),
    ] = None,
    steps: Annotated[int | None, typer.Option(min=1, help="Batches to learn from.")] = None,
    simulated: Annotated[int | None, typer.Option(min=0, help="Simulated movies to learn from.")] = None,
    start: Annotated[Path | None, typer.Option(help="Weights to go on from; fresh ones if omitted.")] = None,
    hold_out: Annotated[bool, typer.Option(help="Keep one in five movies for the figures.")] = True,
    seed: Seed = 0,
    device: Device = "auto",
) -> int:
    """Train the network that judges what cells look like, and print its figures on movies it never saw."""
    from exovision.io.folders import make_folder
    from exovision.training.death import DeathTraining
    from exovision.training.death import train_death as train
    from exovision.training.death_evaluation import evaluate_death

    training = DeathTraining(seed=seed)
    changes = {"steps": steps, "simulated": simulated, "start": None if start is None else str(start)}
    training = replace(training, **_given(changes))
    make_folder(out)
    with progress_bars() as watch:
        bar = watch("death")
        weights = train(out, data=data, training=training, hold_out=hold_out, device=device, progress=bar)
        figures = evaluate_death(weights, data=data if hold_out else None, device=device, progress=bar)
    return _tell(weights, figures, "death.weights, with death.morphology: embedded")


@train_app.command("events")
def train_events(
    out: Out,
    data: Annotated[
        Path | None,
        typer.Option(help="Output folder of `run` with events reviewed in the plugin, beside simulation."),
    ] = None,
    start: Annotated[Path | None, typer.Option(help="Weights to go on from; else fresh ones.")] = None,
    steps: Annotated[int | None, typer.Option(min=1, help="Batches to learn from.")] = None,
    movies: Annotated[int | None, typer.Option(min=0, help="Simulated movies to learn from.")] = None,
    sets: Annotated[int | None, typer.Option(min=0, help="Sets of 40 simulated single events.")] = None,
    test_movies: Annotated[int, typer.Option(min=0, help="Other movies, for the figures.")] = 20,
    test_sets: Annotated[int, typer.Option(min=0, help="Other sets, for the figures.")] = 20,
    seed: Seed = 0,
    device: Device = "auto",
) -> int:
    """Train the network that weighs fates of exosomes, and print its figures on moments it never saw."""
    from exovision.io.results import movie_folders
    from exovision.training.event_evaluation import evaluate_events
    from exovision.training.events import EventTraining
    from exovision.training.events import train_events as train
    from exovision.training.reviewed_moments import reviewed_moments

    training = EventTraining(seed=seed)
    changes = {"steps": steps, "movies": movies, "sets": sets, "start": None if start is None else str(start)}
    training = replace(training, **_given(changes))
    with progress_bars() as watch:
        bar = watch("events")
        reviewed = None if data is None else reviewed_moments(movie_folders(data), bar)
        weights = train(out, reviewed=reviewed, training=training, device=device, progress=bar)
        figures = evaluate_events(
            weights, out, reviewed=reviewed, movies=test_movies, sets=test_sets, seed=seed, device=device,
            progress=bar,
        )  # fmt: skip
    return _tell(weights, figures, "events.weights, with events.network: embedded")


@train_app.command("spots")
def train_spots(
    out: Out,
    data: Annotated[
        Path | None,
        typer.Option(help="Scenes with truth, or frames taught in the plugin; else a network is trained."),
    ] = None,
    start: Annotated[Path | None, typer.Option(help="Model to go on from; else the shipped one.")] = None,
    hold_out: Annotated[bool, typer.Option(help="Keep two in five frames or scenes for the figures.")] = True,
    simulated: Annotated[int | None, typer.Option(min=1, help="Simulated pictures, without --data.")] = None,
    steps: Annotated[int | None, typer.Option(min=1, help="Batches to learn from, without --data.")] = None,
    seed: Seed = 0,
    device: Device = "auto",
) -> int:
    """Fit what makes a peak of light a spot to known ones, or train its network on simulated pictures."""
    from exovision.io.folders import make_folder
    from exovision.training.spot_network import SpotTraining, evaluate_network, train_network
    from exovision.training.spots import evaluate_spots, read_examples
    from exovision.training.spots import train_spots as train

    make_folder(out)
    if data is None:
        changes = _given({"simulated": simulated, "steps": steps})
        training = replace(SpotTraining(seed=seed), **changes)
        with progress_bars() as watch:
            weights = train_network(out, training, device=device, progress=watch("spots"))
        return _tell(weights, {"unseen pictures": evaluate_network(weights, training)}, "exosomes.weights")
    with progress_bars() as watch:
        examples = read_examples(data, progress=watch("spots"))
    weights = train(out, examples, start=start, hold_out=hold_out)
    sets = {"before": start, "after": weights} if hold_out else {}
    figures = {name: evaluate_spots(examples, path) for name, path in sets.items()}
    return _tell(weights, figures, "exosomes.weights")


def _given(options: Mapping[str, Any]) -> dict[str, Any]:
    """Return the options that were given."""
    return {name: value for name, value in options.items() if value is not None}


def _tell(weights: Path, figures: Mapping[str, Mapping[str, float]], setting: str) -> int:
    """Print the figures and where the weights are."""
    for name, values in figures.items():
        typer.echo(f"{name}: " + ", ".join(f"{key} {value:.3f}" for key, value in values.items()))
    say(f"weights: {weights}; use them with the setting {setting}")
    return 0
