"""The formats of movies, by the ending of the name; each reader is imported when it is first used."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any

from exovision.io.stack import Part, Stack


@dataclass(frozen=True)
class Format:
    """One format of movies.

    Attributes
    ----------
    suffixes : tuple of str
        Endings of names, longest first.
    opener, lister : str
        `module:function` that opens one movie, and that lists the movies of a file.
    """

    suffixes: tuple[str, ...]
    opener: str
    lister: str


TIFF = Format(
    (".ome.tiff", ".ome.tif", ".ome.btf", ".tiff", ".tif", ".btf"),
    "exovision.io.tiff_source:open_tiff",
    "exovision.io.tiff_source:tiff_parts",
)
ZARR = Format(
    (".ome.zarr", ".zarr"), "exovision.io.zarr_source:open_zarr", "exovision.io.zarr_source:zarr_parts"
)
VENDORS = (
    Format((".nd2",), "exovision.io.nd2_source:open_nd2", "exovision.io.nd2_source:nd2_parts"),
    Format((".czi",), "exovision.io.czi_source:open_czi", "exovision.io.czi_source:czi_parts"),
    Format((".lif",), "exovision.io.lif_source:open_lif", "exovision.io.lif_source:lif_parts"),
)
FILES = (TIFF, *VENDORS)
SUFFIXES = tuple(suffix for one in (*FILES, ZARR) for suffix in one.suffixes)
"""The endings of movies, of each format the longest first."""
_ZARR_MARKS = ("zarr.json", ".zattrs", ".zgroup", ".zarray")


def stem(path: Path) -> str:
    """Return a file's name without the suffix of a movie, or a folder's name."""
    lower = path.name.lower()
    suffix = next((s for s in SUFFIXES if lower.endswith(s) and len(s) < len(lower)), "")
    return path.name[: -len(suffix) or None]


def is_zarr(path: Path) -> bool:
    """Tell whether a path is a Zarr folder, or a folder inside one."""
    return path.is_dir() and (
        path.name.lower().endswith(ZARR.suffixes) or any((path / mark).is_file() for mark in _ZARR_MARKS)
    )


def is_movie_file(name: str) -> bool:
    """Tell whether a name is that of a movie file, and not hidden."""
    return name.lower().endswith(tuple(s for one in FILES for s in one.suffixes)) and not name.startswith(".")


def is_movie(path: Path) -> bool:
    """Tell whether a path looks like a movie that exovision reads."""
    return is_zarr(path) or (path.is_file() and is_movie_file(path.name))


def open_stack(path: Path, *, position: str | None = None) -> Stack:
    """Open one movie of a file or OME-Zarr folder.

    Raises
    ------
    InputError
        If it cannot be read, or the position is missing or unknown.
    """
    stack: Stack = _function(_format(path).opener)(path, position=position)
    return stack


def parts_of(path: Path) -> list[Part]:
    """Return the movies of a file or OME-Zarr folder.

    Raises
    ------
    InputError
        If it cannot be read.
    """
    parts: list[Part] = _function(_format(path).lister)(path)
    return parts


def content_of(path: Path) -> list[Path]:
    """Return the files and folders that hold a movie's pixels and description, not labels beside them."""
    if not is_zarr(path):
        return [path]
    return [child for child in sorted(path.iterdir()) if child.name != "labels"]


def _format(path: Path) -> Format:
    """Return the format of a path; without a known ending it is TIFF, whose reader looks inside."""
    if is_zarr(path):
        return ZARR
    lower = path.name.lower()
    return next((one for one in (ZARR, *FILES) if lower.endswith(one.suffixes)), TIFF)


def _function(place: str) -> Callable[..., Any]:
    module, name = place.split(":")
    function: Callable[..., Any] = getattr(import_module(module), name)
    return function
