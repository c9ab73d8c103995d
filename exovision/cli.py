"""The command line. Each command translates its options, calls the library and sets the exit code."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from exovision.cli_models import models_app
from exovision.cli_samples import samples_app
from exovision.cli_train import train_app
from exovision.console import Device, Out, Seed, emit, say
from exovision.errors import Cancelled, ExovisionError, SettingsError
from exovision.progress import progress_bars

if TYPE_CHECKING:
    from collections.abc import Sequence

    from exovision.batch.jobs import Job, ReadingOptions
    from exovision.settings import Settings

app = typer.Typer(
    add_completion=False,
    pretty_exceptions_enable=False,
    help="Find, follow and place exosomes on living target cells.",
)
settings_app = typer.Typer(help="Write the default settings or their schema.")
app.add_typer(settings_app, name="settings")
app.add_typer(samples_app, name="samples")
app.add_typer(models_app, name="models")
app.add_typer(train_app, name="train")

INTERRUPTED = 130

Inputs = Annotated[list[Path], typer.Argument(help="Files or folders; every movie found is used.")]
Channels = Annotated[
    str | None, typer.Option(help="Roles and channel numbers, such as exosome=0,cell=1,nucleus=2.")
]
SettingsFile = Annotated[Path | None, typer.Option("--settings", help="YAML file; see `settings init`.")]
Samples = Annotated[Path | None, typer.Option(help="Sample sheet (CSV); see `samples init`.")]
Labels = Annotated[
    str | None, typer.Option(help="Label images instead of segmentation: a file, or a path with {name}.")
]
PixelSize = Annotated[float | None, typer.Option(help="µm; wins over the file's own.")]
FrameInterval = Annotated[float | None, typer.Option(help="Seconds; wins over the file's own.")]
Axes = Annotated[str | None, typer.Option(help="Axis order of files that do not say it, such as TYX.")]
Pattern = Annotated[
    str | None,
    typer.Option(
        help="For folders of single images: incucyte, micromanager, micromanager1, or a regular expression "
        "with named groups t c z p well."
    ),
]


def main() -> None:
    """Run the command line and exit with the contract's codes: 0, 1, 2 or 130."""
    sys.exit(run(sys.argv[1:]))


def run(arguments: list[str]) -> int:
    """Run one command and return its exit code; errors become one line on standard error."""
    try:
        code = app(arguments, standalone_mode=False)
    except (KeyboardInterrupt, typer.Abort, Cancelled):
        code = INTERRUPTED
    except ExovisionError as error:
        return _say_error(f"error: {' '.join(str(error).split())}", error.exit_code)
    except Exception as error:
        # Typer carries its own copy of click or uses the installed one, depending on its version.
        if not hasattr(error, "format_message"):
            raise
        return _say_error(f"error: {error.format_message() or 'a command is needed; see --help'}", 2)
    # Some versions of Typer turn Ctrl-C into this code themselves.
    if code == INTERRUPTED:
        return _say_error("interrupted: finished movies are kept; run the same command again to go on", code)
    return code if isinstance(code, int) else 0


def _say_error(text: str, code: int) -> int:
    typer.echo(text, err=True)
    return code


@app.command()
def demo(
    out: Out = Path("exovision_demo"),
    device: Device = "auto",
    overwrite: Annotated[bool, typer.Option(help="Analyse again even if complete.")] = False,
) -> int:
    """Run the main job on the bundled sample: no download, nothing to set."""
    from exovision_samples import path

    from exovision.batch.jobs import ReadingOptions

    sample = path("demo") / "movie.ome.tif"
    return _run([sample], out, ReadingOptions(), None, device=device, overwrite=overwrite)


@app.command(name="run")
def run_command(
    inputs: Inputs,
    out: Out,
    channels: Channels = None,
    settings: SettingsFile = None,
    samples: Samples = None,
    labels: Labels = None,
    pixel_size_um: PixelSize = None,
    frame_interval_s: FrameInterval = None,
    axes: Axes = None,
    pattern: Pattern = None,
    device: Device = "auto",
    workers: Annotated[int, typer.Option(min=1, help="Movies at once, each in its own process.")] = 1,
    shard: Annotated[
        str | None, typer.Option(help="I/N: only the I-th of N parts; auto: by the array task's variables.")
    ] = None,
    scheduler: Annotated[
        str | None, typer.Option(help="Address of a Dask scheduler whose workers do the work.")
    ] = None,
    overwrite: Annotated[bool, typer.Option(help="Analyse complete movies again.")] = False,
) -> int:
    """Analyse every movie found in files and folders."""
    if scheduler is not None and workers > 1:
        raise SettingsError("--workers and --scheduler exclude each other: the cluster has its own workers")
    options = _options(channels, pixel_size_um, frame_interval_s, axes, pattern, labels, samples)
    spread: dict[str, Any] = {"workers": workers, "shard": shard, "scheduler": scheduler}
    return _run(inputs, out, options, settings, device=device, overwrite=overwrite, **spread)


def _run(
    inputs: list[Path],
    out: Path,
    options: ReadingOptions,
    settings: Path | None,
    *,
    device: str,
    overwrite: bool,
    shard: str | None = None,
    **spread: Any,
) -> int:
    from exovision.batch.jobs import Shard, plan
    from exovision.batch.run import run_batch
    from exovision.nets.device import resolve_device

    part = None if shard is None else Shard.parse(shard, os.environ)
    if not spread.get("scheduler"):
        resolve_device(device)
    jobs = plan(inputs, options, _settings(settings))
    _show_design(jobs)
    with progress_bars() as watch:
        outcome = run_batch(
            jobs, out, device=device, overwrite=overwrite, shard=part, watch=watch, say=say, **spread
        )
    say(
        f"{len(outcome.done)} analysed, {len(outcome.skipped)} complete already, "
        f"{len(outcome.failures)} failed" + (f" (see {out / 'failures.csv'})" if outcome.failures else "")
    )
    if outcome.experiment is not None:
        say(f"experiment: {outcome.experiment}")
    if part is None:
        say(f"report: {outcome.report}")
    else:
        say(f"part {part.number} of {part.count}; when all are done: exovision merge {out} --out {out}")
    return outcome.exit_code


def _show_design(jobs: Sequence[Job]) -> None:
    """Say what the sample sheet allows before anything is analysed."""
    from exovision.batch.experiment import design_of

    design = design_of(jobs, jobs[0].settings.experiment)
    for line in design.lines() if design else []:
        say(f"design: {line}")


@app.command()
def validate(
    inputs: Inputs,
    channels: Channels = None,
    settings: SettingsFile = None,
    samples: Samples = None,
    labels: Labels = None,
    pixel_size_um: PixelSize = None,
    frame_interval_s: FrameInterval = None,
    axes: Axes = None,
    pattern: Pattern = None,
    device: Device = "auto",
) -> int:
    """Look at movies without analysing them: metadata, channels, what can be told, time and memory."""
    from exovision.batch.jobs import plan
    from exovision.batch.validate import validate_job

    options = _options(channels, pixel_size_um, frame_interval_s, axes, pattern, labels, samples)
    failures = 0
    jobs = plan(inputs, options, _settings(settings))
    for job in jobs:
        try:
            typer.echo("\n".join(validate_job(job, device=device)))
        except ExovisionError as error:
            failures += 1
            typer.echo(f"{job.entry.name}: {error}", err=True)
    _show_design(jobs)
    return 0 if not failures else 2 if failures == len(jobs) else 1


@app.command()
def simulate(
    out: Out,
    scene: Annotated[str, typer.Argument(help="A scene's name or YAML file.")] = "docking",
    seed: Seed = 0,
    onto: Annotated[Path | None, typer.Option(help="Spike exosomes into this real cell movie.")] = None,
    labels: Labels = None,
    upsample: Annotated[int, typer.Option(min=1, help="Enlarge the real movie by this factor first.")] = 1,
    slow: Annotated[int, typer.Option(min=1, help="Slow its cells down by this factor.")] = 1,
    channels: Channels = None,
    pixel_size_um: PixelSize = None,
    frame_interval_s: FrameInterval = None,
    axes: Axes = None,
) -> int:
    """Make a movie with known truth, or spike simulated exosomes into a real one."""
    from exovision.io.folders import make_folder
    from exovision.simulation.movie import simulate as simulate_scene
    from exovision.simulation.movie import write
    from exovision.simulation.scene import load_scene

    model = load_scene(scene)
    make_folder(out)
    if onto is None:
        simulation = simulate_scene(model, seed=seed)
    else:
        from exovision.io.labels_source import open_labels
        from exovision.io.movies import read
        from exovision.simulation.spike import spike

        if labels is None:
            raise SettingsError("--onto needs --labels: the label images of the real movie's cells")
        movie = read(
            onto,
            channels=_roles(channels),
            pixel_size_um=pixel_size_um,
            frame_interval_s=frame_interval_s,
            axes=axes,
        )
        simulation = spike(movie, open_labels(labels, movie), model, seed=seed, upsample=upsample, slow=slow)
    with progress_bars() as watch:
        write(simulation, out, progress=watch(scene))
    say(f"movie: {out / 'movie.ome.tif'}; truth: {out / 'truth'}")
    return 0


@app.command()
def score(
    result: Annotated[Path, typer.Argument(help="A movie's output folder.")],
    truth: Annotated[Path, typer.Argument(help="A truth folder, or the folder that holds `truth/`.")],
    out: Annotated[Path | None, typer.Option(help="Write the metrics as JSON to this file.")] = None,
) -> int:
    """Compare a result with the truth: every metric, as a table and as JSON."""
    from exovision.io.folders import make_folder
    from exovision.io.tables import write_json
    from exovision.scoring.score import score as score_folders

    scores = score_folders(result, truth)
    typer.echo(scores.to_table().to_string(index=False))
    if out is not None:
        make_folder(out.parent)
        write_json(scores.to_dict(), out)
        say(f"metrics: {out}")
    return 0


@app.command()
def report(
    out: Annotated[Path, typer.Argument(help="The output folder of a run.")],
    samples: Samples = None,
    settings: SettingsFile = None,
) -> int:
    """Make the overview and the experiment's tables and report again, from the tables alone."""
    from exovision.batch.experiment import rebuild

    written = rebuild(out, samples=samples, settings=_settings(settings).experiment, say=say)
    say(f"report: {written}")
    return 0


@app.command(name="merge")
def merge_command(
    outs: Annotated[list[Path], typer.Argument(metavar="OUT...", help="Output folders of runs or parts.")],
    out: Out,
    settings: SettingsFile = None,
) -> int:
    """Bring outputs of parts or of several runs together, with one overview and one experiment."""
    from exovision.batch.merge import merge

    say(f"report: {merge(outs, out, settings=_settings(settings).experiment, say=say)}")
    return 0


@app.command()
def doctor() -> int:
    """Check the installation: versions, device, weights, bundled sample."""
    from exovision.batch.doctor import examine

    checks = examine()
    for check in checks:
        typer.echo(f"{'ok ' if check.passed else 'BAD'}  {check.name}: {check.found}")
    return 0 if all(check.passed for check in checks) else 2


@settings_app.command("init")
def settings_init(out: Annotated[Path | None, typer.Option(help="File; default: print.")] = None) -> int:
    """Write all settings with their defaults and meanings as YAML."""
    from exovision.settings import annotated_yaml

    return emit(annotated_yaml(), out)


@settings_app.command("schema")
def settings_schema(out: Annotated[Path | None, typer.Option(help="File; default: print.")] = None) -> int:
    """Write the JSON schema of the settings."""
    import json

    from exovision.settings import Settings

    return emit(json.dumps(Settings.model_json_schema(), indent=2) + "\n", out)


def _options(
    channels: str | None,
    pixel_size_um: float | None,
    frame_interval_s: float | None,
    axes: str | None,
    pattern: str | None,
    labels: str | None,
    samples: Path | None,
) -> ReadingOptions:
    from exovision.batch.jobs import ReadingOptions

    return ReadingOptions(
        channels=_roles(channels),
        pixel_size_um=pixel_size_um,
        frame_interval_s=frame_interval_s,
        axes=axes,
        pattern=pattern,
        labels=labels,
        samples=samples,
    )


def _settings(path: Path | None) -> Settings:
    from exovision.settings import Settings

    return Settings() if path is None else Settings.from_yaml(path)


def _roles(text: str | None) -> dict[str, int] | None:
    from exovision.io.roles import parse_channels

    return None if text is None else parse_channels(text)
