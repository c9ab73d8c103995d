"""Movies in napari: opened as the command line opens them; what a file does not say is asked for."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from exovision.errors import MissingFactError, SettingsError
from exovision.io.discovery import find_movies
from exovision.io.movies import read
from exovision.records import Movie

PLACEHOLDERS: Mapping[str, float] = {"pixel_size_um": 1.0, "frame_interval_s": 1.0}
"""Stand in for what a file does not say, so that it can be looked at; no analysis takes them."""


@dataclass(frozen=True)
class Opened:
    """A movie that can be looked at.

    Attributes
    ----------
    movie : Movie
        With placeholders for what is missing.
    missing : tuple of str
        What must be given before an analysis: `pixel_size_um`, `frame_interval_s`, `channels`.
    """

    movie: Movie
    missing: tuple[str, ...] = ()


def open_movie(path: Path, **given: Any) -> Opened:
    """Open a movie for looking.

    Parameters
    ----------
    path : Path
    **given
        Arguments of `exovision.read`.

    Raises
    ------
    InputError, SettingsError
        As `exovision.read` does, but for facts that can be given later.
    """
    known = {name: value for name, value in given.items() if value is not None}
    missing: list[str] = []
    while True:
        try:
            movie = read(path, **known)
        except MissingFactError as error:
            known[error.fact] = PLACEHOLDERS[error.fact]
            missing.append(error.fact)
        except SettingsError:
            if "channels" in known:
                raise
            known["channels"] = _every_channel(path, known)
            missing.append("channels")
        else:
            return Opened(movie, tuple(missing))


def _every_channel(path: Path, known: Mapping[str, Any]) -> dict[str, int]:
    """Return a neutral role for every channel, so that all can be shown."""
    probe = read(path, **{**PLACEHOLDERS, **known, "channels": {"marker:0": 0}})
    try:
        return {f"marker:{c}": c for c in range(probe.shape[1])}
    finally:
        probe.source.close()


def open_movies(path: Path, **given: Any) -> list[Opened]:
    """Open every movie of a file or folder of images; empty arguments are left to the file.

    Raises
    ------
    InputError, SettingsError
        If there is none, or one cannot be opened.
    """
    known = {name: value for name, value in given.items() if value}
    entries = find_movies([path], pattern=known.get("pattern"))
    return [open_movie(one.path, position=one.position, name=one.name, **known) for one in entries]


@dataclass(frozen=True)
class LayerSource:
    """The pixels of napari layers, one channel each, as a movie's source.

    Attributes
    ----------
    channels : tuple of array
        Each of shape (T, Y, X).
    """

    channels: tuple[Any, ...]

    def plane(self, t: int, c: int, z: int) -> Any:
        """Return one plane of shape (Y, X)."""
        return np.asarray(self.channels[c][t])

    def close(self) -> None:
        """Do nothing: the layers hold the pixels."""
