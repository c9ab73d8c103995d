"""Output folders."""

from __future__ import annotations

from pathlib import Path

from exovision.errors import OutputError


def make_folder(folder: Path) -> Path:
    """Make a folder with its parents and return it.

    Raises
    ------
    OutputError
        If it cannot be made or a file cannot be created in it.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        probe = folder / ".exovision-write-test"
        probe.touch()
        probe.unlink()
    except OSError as error:
        raise OutputError(
            f"{folder}: the output folder must be writable, got: {error.strerror}; choose another with --out"
        ) from error
    return folder
