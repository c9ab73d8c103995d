"""The commands about sample sheets."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from exovision.console import emit
from exovision.errors import SettingsError

samples_app = typer.Typer(help="Write or check a sample sheet.")


@samples_app.command("init")
def samples_init(
    inputs: Annotated[
        list[Path] | None, typer.Argument(help="Movies to list; default: an example row.")
    ] = None,
    out: Annotated[Path | None, typer.Option(help="File; default: print.")] = None,
    pattern: Annotated[
        str | None,
        typer.Option(help="Folder names with columns in braces, such as {condition}/{donor}_{well}."),
    ] = None,
) -> int:
    """Write a sample sheet: an example row, or a row per movie with facts from its folders' names."""
    from exovision.io.discovery import find_movies
    from exovision.io.samples import sheet_from_folders, template

    if not inputs and pattern is None:
        return emit(template(), out)
    if not inputs or pattern is None:
        raise SettingsError("INPUT and --pattern go together: the movies, and how their folders are named")
    found = list(dict.fromkeys((entry.path, entry.root) for entry in find_movies(inputs)))
    beside = (out.parent if out else Path()).resolve()
    paths = [(path.resolve(), root.resolve()) for path, root in found]
    code = emit(sheet_from_folders(paths, pattern, beside=beside), out)
    return code if out is None else samples_check(out)


@samples_app.command("check")
def samples_check(sheet: Annotated[Path, typer.Argument(help="Sample sheet (CSV).")]) -> int:
    """Check a sample sheet and show its design: numbers, missing controls, what can be tested."""
    import pandas as pd

    from exovision.experiment.design import check_design
    from exovision.io.samples import read_samples
    from exovision.settings import ExperimentSettings

    facts = read_samples(sheet).facts
    movies = pd.DataFrame([{**row, "movie": str(path)} for path, row in facts.items()])
    for line in check_design(movies, ExperimentSettings()).lines():
        typer.echo(line)
    return 0
