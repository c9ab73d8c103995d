"""The commands about weights of networks."""

from __future__ import annotations

from typing import Annotated

import typer

from exovision.console import say
from exovision.errors import InputError
from exovision.progress import progress_bars

models_app = typer.Typer(help="Network weights: those that come with exovision, and Cellpose's.")


@models_app.command("list")
def models_list() -> int:
    """List the weights that come with exovision and the Cellpose models that are here or can be fetched."""
    import exovision_models

    from exovision.nets.cellpose_files import KNOWN, models_folder, present

    for name in exovision_models.names():
        typer.echo(f"{name}  {exovision_models.weights(name).stat().st_size / 1e6:.1f} MB")
    here = present()
    for name, model in KNOWN.items():
        where = f"in {models_folder()}" if name in here else f"not here; exovision models fetch {name}"
        typer.echo(f"{name}  {model.megabytes} MB  Cellpose, {where}")
    return 0


@models_app.command("fetch")
def models_fetch(
    name: Annotated[str, typer.Argument(help="A Cellpose model; see `models list`.")],
) -> int:
    """Download a Cellpose model into Cellpose's folder; an analysis never does so by itself."""
    from exovision.nets.cellpose_files import fetch

    with progress_bars() as bars:
        typer.echo(fetch(name, say=say, progress=bars(name)))
    return 0


@models_app.command("verify")
def models_verify() -> int:
    """Compare every weights file with its recorded SHA-256."""
    import exovision_models

    try:
        for name in exovision_models.names():
            exovision_models.weights(name)
            typer.echo(f"{name}  intact")
    except exovision_models.WeightsError as error:
        raise InputError(str(error)) from error
    return 0
