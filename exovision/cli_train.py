"""The commands that train networks."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Annotated

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
    training = replace(
        training,
        steps=training.steps if steps is None else steps,
        simulated=training.simulated if simulated is None else simulated,
        start=None if start is None else str(start),
    )
    make_folder(out)
    with progress_bars() as watch:
        bar = watch("cells")
        weights = train(out, data=data, training=training, hold_out=hold_out, device=device, progress=bar)
        unseen = data if hold_out else None
        figures = evaluate_cells(weights, data=unseen, device=device, progress=bar)
    for name, values in figures.items():
        typer.echo(f"{name}: " + ", ".join(f"{key} {value:.3f}" for key, value in values.items()))
    say(f"weights: {weights}; use them with the setting cells.weights")
    return 0


@train_app.command("death")
def train_death(
    out: Out,
    data: Annotated[
        Path | None,
        typer.Option(help="Labelled crops: an .npz, or a folder with a folder of TIFFs per label."),
    ] = None,
    steps: Annotated[int | None, typer.Option(min=1, help="Batches to learn from.")] = None,
    simulated: Annotated[int | None, typer.Option(min=0, help="Simulated movies to learn from.")] = None,
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
    training = replace(
        training,
        steps=training.steps if steps is None else steps,
        simulated=training.simulated if simulated is None else simulated,
    )
    make_folder(out)
    with progress_bars() as watch:
        bar = watch("death")
        weights = train(out, data=data, training=training, hold_out=hold_out, device=device, progress=bar)
        figures = evaluate_death(weights, data=data if hold_out else None, device=device, progress=bar)
    for name, values in figures.items():
        typer.echo(f"{name}: " + ", ".join(f"{key} {value:.3f}" for key, value in values.items()))
    say(f"weights: {weights}; use them with the setting death.weights")
    return 0
