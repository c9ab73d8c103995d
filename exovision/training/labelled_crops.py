"""Crops of cells with the state or class that a person or the simulator gave them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import tifffile
from numpy.typing import NDArray

from exovision.death.crops import CROP_PX, DEATH_STAINS, ROLES, finish, in_noise
from exovision.errors import InputError, OutputError
from exovision.nets.cell_judge import STATES

MITOCHECK: Mapping[str, str | None] = {
    "ADCCM": "mitotic",
    "Anaphase": "mitotic",
    "Apoptosis": "apoptotic",
    "Binuclear": "live",
    "Elongated": "live",
    "Folded": "live",
    "Grape": "live",
    "Hole": "live",
    "Interphase": "live",
    "Large": "live",
    "Metaphase": "mitotic",
    "MetaphaseAlignment": "mitotic",
    "OutOfFocus": None,
    "Polylobed": "live",
    "Prometaphase": "mitotic",
    "SmallIrregular": "live",
}
"""State of each class of the MitoCheck nuclei (doi:10.1038/nature08869); None: cannot be told."""
KNOWN: Mapping[str, str | None] = {**MITOCHECK, **{state: state for state in STATES}}
"""State of each label that training understands."""
MOVIE_END = "__"
"""In a folder of crops, what stands before this in a file's name is its movie."""


@dataclass(frozen=True)
class LabelledCrops:
    """Crops with labels.

    Attributes
    ----------
    crops : ndarray of shape (N, R, 64, 64)
        Float16, in the order of `exovision.death.crops.ROLES`, as the network sees them; NaN where missing.
    labels : ndarray of shape (N,)
        A state, or a class that stands for one (`KNOWN`).
    movies : ndarray of shape (N,)
        Where each crop comes from; crops of one movie are never split between learning and testing.
    """

    crops: NDArray[np.float16]
    labels: NDArray[np.str_]
    movies: NDArray[np.str_]

    def __len__(self) -> int:
        return len(self.labels)

    def chosen(self, which: NDArray[np.bool_]) -> LabelledCrops:
        """Return the crops where `which`, of shape (N,), is true."""
        return LabelledCrops(self.crops[which], self.labels[which], self.movies[which])


def join(sets: Sequence[LabelledCrops]) -> LabelledCrops:
    """Return all crops of several sets as one."""
    return LabelledCrops(
        np.concatenate([one.crops for one in sets]),
        np.concatenate([one.labels for one in sets]),
        np.concatenate([one.movies for one in sets]),
    )


def write_labelled(crops: LabelledCrops, path: Path) -> None:
    """Write crops, as the network sees them, to an archive that `read_labelled` reads.

    Raises
    ------
    OutputError
        If the file cannot be written.
    """
    try:
        np.savez_compressed(path, crops=crops.crops, label=crops.labels, movie=crops.movies)
    except OSError as error:
        raise OutputError(f"{path}: labelled crops must go to a writable folder: {error.strerror}") from error


def read_labelled(path: Path) -> LabelledCrops:
    """Read labelled crops from an archive or a folder.

    Parameters
    ----------
    path : Path
        What `write_labelled` wrote, or a folder of such files. Or an `.npz` with `images` (N, Y, X) or
        (N, C, Y, X), `label` (N,), `movie` (N,), and `channels` (C,), the role of each channel, where it is
        not `nucleus` alone. Or a folder with one folder per label that holds crops as TIFF (Y, X) or
        (C, Y, X), named `MOVIE__ANYTHING.tif`, and `channels.txt` with the roles.
        A crop shows its cell in the middle; the typical cell (nucleus) is 0.42 of its side.

    Returns
    -------
    LabelledCrops
        Resampled to 64 x 64 px.

    Raises
    ------
    InputError
        If nothing can be read, a label is unknown, or images and labels do not fit.
    """
    path = Path(path)
    written = _read_written(path)
    if written is not None:
        return written
    images, labels, movies, channels = _read_folder(path) if path.is_dir() else _read_archive(path)
    unknown = sorted({str(label) for label in labels} - set(KNOWN))
    if unknown:
        raise InputError(f"{path}: unknown label {unknown[0]!r}; known: {', '.join(sorted(KNOWN))}")
    wrong = [role for role in channels if role not in ROLES]
    if wrong or len(channels) != images.shape[1]:
        raise InputError(
            f"{path}: channels must name one of {', '.join(ROLES)} for each of {images.shape[1]} channel(s), "
            f"got {', '.join(channels)}"
        )
    return LabelledCrops(_as_seen(images, channels), labels, movies)


def _read_written(path: Path) -> LabelledCrops | None:
    """Return what `write_labelled` wrote, None if it is something else."""
    files = sorted(path.glob("*.npz")) if path.is_dir() else [path] if path.suffix == ".npz" else []
    sets = []
    for file in files:
        try:
            with np.load(file, allow_pickle=False) as archive:
                if "crops" not in archive:
                    return None
                parts = archive["crops"], archive["label"].astype(str), archive["movie"].astype(str)
        except (OSError, ValueError, KeyError) as error:
            raise InputError(
                f"{file}: labelled crops must be a folder or an .npz with images, label and movie: {error}"
            ) from error
        sets.append(LabelledCrops(*parts))
    return join(sets) if sets else None


Raw = tuple[NDArray[np.float32], NDArray[np.str_], NDArray[np.str_], list[str]]


def _read_archive(path: Path) -> Raw:
    try:
        with np.load(path, allow_pickle=False) as archive:
            images = np.asarray(archive["images"], dtype=np.float32)
            labels, movies = archive["label"].astype(str), archive["movie"].astype(str)
            channels = archive["channels"].astype(str).tolist() if "channels" in archive else ["nucleus"]
    except (OSError, ValueError, KeyError) as error:
        raise InputError(
            f"{path}: labelled crops must be a folder or an .npz with images, label and movie: {error}"
        ) from error
    images = images[:, None] if images.ndim == 3 else images
    if images.ndim != 4 or not len(images) == len(labels) == len(movies) or not len(images):
        raise InputError(
            f"{path}: images must be (N, Y, X) or (N, C, Y, X) with N labels and movies, "
            f"got {images.shape}, {labels.shape} and {movies.shape}"
        )
    return images, labels, movies, channels


def _read_folder(folder: Path) -> Raw:
    files = sorted(folder.glob("*/*.tif")) + sorted(folder.glob("*/*.tiff"))
    if not files:
        raise InputError(f"{folder}: labelled crops must be TIFF files in a folder per label, found none")
    images: list[NDArray[np.float32]] = []
    for file in files:
        try:
            image = np.asarray(tifffile.imread(file), dtype=np.float32)
        except (OSError, ValueError, tifffile.TiffFileError) as error:
            raise InputError(f"{file}: a crop must be a readable TIFF: {error}") from error
        image = image[None] if image.ndim == 2 else image
        if image.ndim != 3 or (images and len(image) != len(images[0])):
            raise InputError(f"{file}: crops must all be (Y, X) or (C, Y, X), got {image.shape}")
        images.append(_resampled(image[None])[0])
    named = folder / "channels.txt"
    channels = named.read_text(encoding="utf-8").split() if named.is_file() else ["nucleus"]
    labels = np.array([file.parent.name for file in files])
    return np.stack(images), labels, np.array([file.stem.split(MOVIE_END)[0] for file in files]), channels


def _as_seen(images: NDArray[np.float32], channels: Sequence[str]) -> NDArray[np.float16]:
    crops = np.full((len(images), len(ROLES), CROP_PX, CROP_PX), np.nan, dtype=np.float32)
    for k, role in enumerate(channels):
        seen = [in_noise(image) for image in images[:, k]] if role in DEATH_STAINS else images[:, k]
        crops[:, ROLES.index(role)] = _resampled(np.asarray(seen)[:, None])[:, 0]
    return finish(crops).astype(np.float16)


def _resampled(images: NDArray[np.float32]) -> NDArray[np.float32]:
    if images.shape[2:] == (CROP_PX, CROP_PX):
        return images
    size, method = (CROP_PX, CROP_PX), cv2.INTER_AREA if images.shape[2] > CROP_PX else cv2.INTER_CUBIC
    return np.array([[cv2.resize(one, size, interpolation=method) for one in image] for image in images])


def folds_by_movie(crops: LabelledCrops, count: int = 5) -> NDArray[np.int64]:
    """Deal whole movies into folds of about equally many crops whose state is known.

    Parameters
    ----------
    crops : LabelledCrops
    count : int
        Folds.

    Returns
    -------
    ndarray of shape (N,)
        The fold of each crop, from 0; the largest movies are dealt first, each to the smallest fold.
    """
    known = np.array([KNOWN[str(label)] is not None for label in crops.labels])
    names, index = np.unique(crops.movies, return_inverse=True)
    sizes = np.bincount(index, weights=known, minlength=names.size)
    fold, load = np.zeros(names.size, dtype=np.int64), np.zeros(count)
    for movie in np.argsort(-sizes, kind="stable"):
        fold[movie] = int(load.argmin())
        load[fold[movie]] += sizes[movie]
    return fold[index]
