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
    images: Annotated[
        str | None, typer.Option(help="The --pattern of `run`, for folders of single images.")
    ] = None,
) -> int:
    """Write a sample sheet: an example row, or a row per movie with facts from its folders and its plate."""
    from exovision.io.discovery import find_movies
    from exovision.io.samples import sheet_from_folders, template

    if not inputs and pattern is None:
        return emit(template(), out)
    if not inputs:
        raise SettingsError("INPUT and --pattern go together: the movies, and how their folders are named")
    found = list(dict.fromkeys((e.path, e.root, e.well) for e in find_movies(inputs, pattern=images)))
    beside = (out.parent if out else Path()).resolve()
    paths = [(path.resolve(), root.resolve()) for path, root, _ in found]
    wells = [well for _, _, well in found]
    if pattern is None and not any(wells):
        raise SettingsError("no movie's well is known: pass --pattern, which says how the folders are named")
    code = emit(sheet_from_folders(paths, pattern, beside=beside, wells=wells), out)
    return code if out is None else samples_check(out)


@samples_app.command("check")
def samples_check(sheet: Annotated[Path, typer.Argument(help="Sample sheet (CSV).")]) -> int:
    """Check a sample sheet and show its design: numbers, missing controls, what can be tested."""
    import pandas as pd

    from exovision.experiment.design import check_design
    from exovision.io.samples import read_samples
    from exovision.settings import ExperimentSettings

    facts = read_samples(sheet).facts
    movies = pd.DataFrame([{**row, "movie": f"{path} {well}".strip()} for (path, well), row in facts.items()])
    for line in check_design(movies, ExperimentSettings()).lines():
        typer.echo(line)
    return 0
