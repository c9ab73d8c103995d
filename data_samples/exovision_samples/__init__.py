"""Small movies made by the project's own simulator, with their truth; imports nothing of ours."""

from __future__ import annotations

from importlib.resources import files
from pathlib import Path


class SampleNotFoundError(LookupError):
    """No bundled sample has this name."""


def names() -> list[str]:
    """Return the names of the bundled samples."""
    return sorted(entry.name for entry in files(__name__).iterdir() if (entry / "movie.ome.tif").is_file())


def path(name: str) -> Path:
    """Return the folder of a sample: `movie.ome.tif`, its `truth/` and `truth/scene.yaml`.

    Raises
    ------
    SampleNotFoundError
        If there is no such sample; the message lists the known ones.
    """
    if name not in names():
        raise SampleNotFoundError(f"unknown sample {name!r}; known: {', '.join(names())}")
    return Path(str(files(__name__) / name))
