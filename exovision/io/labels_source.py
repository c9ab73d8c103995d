"""Ready-made label images: opened lazily, checked against the movie."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from exovision.errors import InputError
from exovision.io.formats import is_zarr, open_stack
from exovision.io.stack import PlaneReader, Stack
from exovision.records import LabelStack, Movie


class FileLabels:
    """The label images of a file, read one frame at a time.

    Parameters
    ----------
    path : Path
    planes : PlaneReader
        One plane per frame, or one for all.
    n_planes, n_frames : int
        Planes in the file, frames of the movie.
    """

    def __init__(self, path: Path, planes: PlaneReader, n_planes: int, n_frames: int) -> None:
        self._path, self._planes = path, planes
        self._n_planes, self._n_frames = n_planes, n_frames

    def __len__(self) -> int:
        return self._n_frames

    def __getitem__(self, t: int) -> NDArray[np.int32]:
        """Return the labels of frame `t`, shape (Y, X).

        Raises
        ------
        InputError
            If the plane is unreadable or holds numbers that are no ids.
        """
        k = t if self._n_planes > 1 else 0
        return check_ids(self._planes.read(k), f"{self._path}, frame {t}")


def check_ids(labels: NDArray[Any], where: str) -> NDArray[np.int32]:
    """Return label values as int32.

    Raises
    ------
    InputError
        If a value is negative, no whole number, or above 2,147,483,647.
    """
    if labels.dtype.kind == "f" and not (labels == np.floor(labels)).all():
        raise InputError(
            f"{where}: labels must be whole numbers, got fractions; give a label image, not a picture"
        )
    low, high = (labels.min(), labels.max()) if labels.size else (0, 0)
    if low < 0 or high > np.iinfo(np.int32).max:
        raise InputError(f"{where}: labels must lie in 0–2147483647, got {low} to {high}")
    return labels.astype(np.int32)


def labels_path(path_or_pattern: str, movie_name: str) -> Path:
    """Return the path with `{name}` replaced by the movie's name."""
    return Path(path_or_pattern.replace("{name}", movie_name))


def open_labels(path_or_pattern: str | Path, movie: Movie) -> LabelStack:
    """Open the label images of a movie.

    Parameters
    ----------
    path_or_pattern : str or Path
        A file with one label image per frame, or one for all frames; `{name}` stands for the movie's name.
        Of an OME-Zarr, a label image, or a folder whose group `labels` holds a single one.
    movie : Movie
        What the labels must fit.

    Returns
    -------
    LabelStack
        A value is the `cell_id`.

    Raises
    ------
    InputError
        If the file is missing, damaged, or does not fit the movie.
    """
    path = labels_path(str(path_or_pattern), movie.name)
    stack = _open(path)
    n_planes = int(np.prod([length for _, length in stack.axes]))
    if stack.image_shape != movie.image_shape or n_planes not in (1, movie.n_frames):
        stack.planes.close()
        raise InputError(
            f"{path}: labels must be {movie.n_frames} (or 1) images of {movie.image_shape}, "
            f"as {movie.name} is, got {n_planes} of {stack.image_shape}; give the labels of this movie"
        )
    return FileLabels(path, stack.planes, n_planes, movie.n_frames)


def _open(path: Path) -> Stack:
    if not is_zarr(path):
        return open_stack(path)
    from exovision.io.zarr_source import zarr_label_folder

    return open_stack(zarr_label_folder(path))
