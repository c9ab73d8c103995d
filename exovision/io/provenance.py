"""What was done to which input with which software: the content of `run.json`."""

from __future__ import annotations

import errno
import hashlib
import json
import platform
import stat
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import lru_cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from exovision.errors import InputError
from exovision.records import Movie
from exovision.settings import Settings

PACKAGES = (
    "exovision",
    "numpy",
    "scipy",
    "scikit-image",
    "numba",
    "opencv-python-headless",
    "torch",
    "cellpose",
    "tifffile",
    "zarr",
    "pandas",
    "pyarrow",
)
BLOCK_BYTES = 1 << 20


def provenance(
    movie: Movie,
    settings: Settings,
    *,
    device: str,
    seconds: float,
    corrections: Mapping[str, Any] | None = None,
    weights: Mapping[str, str] | None = None,
    key: str | None = None,
) -> dict[str, Any]:
    """Return what is needed to repeat an analysis.

    Parameters
    ----------
    movie : Movie
    settings : Settings
    device : str
        Where the networks ran.
    seconds : float
        Wall time of the analysis, s.
    corrections : mapping, optional
        What the corrections found and did.
    weights : mapping of str to str, optional
        Name of each network used to the hash of its weights.
    key : str, optional
        Hash of everything that decides the results; see `fingerprint`.

    Returns
    -------
    dict
        Ready for `write_json`; `status` is "complete".

    Raises
    ------
    InputError
        If the input can no longer be read.
    """
    t, c, z, y, x = movie.shape
    return {
        "status": "complete",
        "key": key,
        "movie": movie.name,
        "input": _describe_input(movie.path),
        "shape": {"T": t, "C": c, "Z": z, "Y": y, "X": x},
        "pixel_size_um": movie.pixel_size_um,
        "frame_interval_s": {role: movie.interval_s(role) for role in movie.roles},
        "channels": {
            role: {"index": index, "name": movie.channel_names[index]} for role, index in movie.roles.items()
        },
        "projection": movie.projection,
        "reading": dict(movie.reading),
        "facts": dict(movie.facts),
        "notes": list(movie.notes),
        "settings": settings.model_dump(mode="json"),
        "corrections": dict(corrections or {}),
        "weights": dict(weights or {}),
        "device": device,
        "seconds": round(seconds, 3),
        "versions": versions(),
        "platform": platform.platform(),
    }


def versions() -> dict[str, str | None]:
    """Return the versions of Python and of the packages that decide results, without importing them."""
    return {"python": platform.python_version(), **{name: _version(name) for name in PACKAGES}}


def _version(name: str) -> str | None:
    try:
        return version(name)
    except PackageNotFoundError:
        return None


def fingerprint(paths: Sequence[Path], extra: Any = None) -> str:
    """Return a BLAKE2b hash of the contents of files and folders, read in blocks, and of extra facts.

    Parameters
    ----------
    paths : sequence of Path
        Of a folder, every file counts with its name below the folder; where they lie does not matter.
    extra : any, optional
        Anything that JSON can hold; the order of keys does not matter.

    Returns
    -------
    str
        32 hexadecimal digits.

    Raises
    ------
    InputError
        If a path is missing or cannot be read.

    Notes
    -----
    Within one process a file is read again only if its size or modification time has changed.
    """
    whole = hashlib.blake2b(digest_size=16)
    for path in paths:
        with _readable(path):
            for file in _files(path):
                status = file.stat()
                name = file.relative_to(path).as_posix()
                whole.update(f"{name}\0{_digest(file, status.st_size, status.st_mtime_ns)}\n".encode())
    whole.update(json.dumps(extra, sort_keys=True, default=str).encode())
    return whole.hexdigest()


@lru_cache(maxsize=100_000)
def _digest(file: Path, size: int, modified_ns: int) -> str:
    content = hashlib.blake2b(digest_size=16)
    with file.open("rb") as stream:
        while block := stream.read(BLOCK_BYTES):
            content.update(block)
    return content.hexdigest()


def _files(path: Path) -> Iterator[Path]:
    """Yield a file, or every file below a folder in a fixed order; raises `OSError` if it is neither."""
    if path.is_dir():
        yield from sorted(file for file in path.rglob("*") if file.is_file())
        return
    if not stat.S_ISREG(path.stat().st_mode):
        raise OSError(errno.EINVAL, "neither a file nor a folder")
    yield path


@contextmanager
def _readable(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise InputError(
            f"{path}: the input must be readable, got: {error.strerror or error}; check the path"
        ) from error


def _describe_input(path: str) -> dict[str, Any]:
    if not path:
        return {"path": None, "bytes": None, "blake2b": None}
    place = Path(path)
    digest = fingerprint([place])
    return {"path": path, "bytes": sum(file.stat().st_size for file in _files(place)), "blake2b": digest}
