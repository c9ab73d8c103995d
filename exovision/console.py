"""What commands share: common options; text to standard output or to a new file, remarks to standard error."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from exovision.errors import OutputError, SettingsError

Out = Annotated[Path, typer.Option("--out", help="Output folder.")]
Device = Annotated[str, typer.Option(help="auto, cpu, cuda, cuda:N or mps.")]
Seed = Annotated[int, typer.Option(help="Seed of all randomness.")]


def say(text: str) -> None:
    """Write a remark to standard error."""
    typer.echo(text, err=True)


def emit(text: str, out: Path | None) -> int:
    """Print a text, or write it to a file that does not exist yet; returns the exit code 0.

    Raises
    ------
    SettingsError
        If the file exists.
    OutputError
        If it cannot be written.
    """
    if out is None:
        typer.echo(text, nl=False)
        return 0
    if out.exists():
        raise SettingsError(f"{out}: exists already; remove it or choose another file with --out")
    try:
        out.parent.mkdir(parents=True, exist_ok=True)
        out.write_text(text, encoding="utf-8")
    except OSError as error:
        raise OutputError(
            f"{out}: the file must be writable, got: {error.strerror or error}; choose another with --out"
        ) from error
    say(f"wrote {out}")
    return 0
