"""The reader: movies with scale, units, channel names and times, and finished output folders."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from exovision.io.formats import is_movie
from exovision.io.results import RECORD, movie_folders
from napari_exovision.layers import image_layers, result_layers
from napari_exovision.opening import open_movies
from napari_exovision.session import Session

LayerData = tuple[Any, dict[str, Any], str]
Reader = Callable[[str | Sequence[str]], list[LayerData]]


def get_reader(path: str | Sequence[str]) -> Reader | None:
    """Return the reader for a movie or a finished output folder, None for anything else."""
    paths = [Path(one) for one in ([path] if isinstance(path, str) else path)]
    if all(is_movie(one) for one in paths):
        return read_movies
    if len(paths) == 1 and paths[0].is_dir() and (paths[0] / RECORD).is_file():
        return read_results
    return None


def read_movies(path: str | Sequence[str]) -> list[LayerData]:
    """Open movies: one image layer per channel, read frame by frame.

    Raises
    ------
    InputError
        If a file cannot be read, or its axes have more than one reading.
    """
    paths = [path] if isinstance(path, str) else path
    return [layer for one in paths for opened in open_movies(Path(one)) for layer in image_layers(opened)]


def read_results(path: str | Sequence[str]) -> list[LayerData]:
    """Open the first finished movie of an output folder with its movie, cells, spots, tracks and events.

    Raises
    ------
    InputError
        If the folder is not finished, or a file in it is damaged.
    """
    folder = Path(path if isinstance(path, str) else path[0])
    session = Session.open(movie_folders(folder)[0])
    movie = session.stored.movie
    images = [] if movie is None else image_layers(movie)
    return [*images, *result_layers(session)]
