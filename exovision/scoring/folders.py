"""What a result folder and a truth folder hold, and which belong together."""

from __future__ import annotations

import re
from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pandas as pd
import tifffile
from numpy.typing import NDArray

from exovision import schema
from exovision.errors import InputError

TABLES: Mapping[str, tuple[str, Mapping[str, str], tuple[str, ...]]] = {
    "spots": ("spots.parquet", schema.TRUTH_SPOTS, ("frame", "y_px", "x_px")),
    "events": ("events.csv", schema.TRUTH_EVENTS, ("kind", "exosome_id", "start_frame", "end_frame")),
    "cells": ("cells.parquet", schema.CELLS, ("frame", "cell_id")),
    "fates": ("fates.csv", schema.TRUTH_FATES, ("cell_id", "first_frame")),
    "decoys": ("decoys.parquet", schema.DECOYS, ("frame", "y_px", "x_px", "kind")),
}
"""Table to file, the contract's columns, and those without which it is useless."""
LABELS = "cell_labels.ome.tif"
IDS = ("exosome_id", "cell_id", "parent_id")


class LabelFile:
    """Label images of an OME-TIFF, read one frame at a time.

    Attributes
    ----------
    path : Path
    pixel_size_um : float
        NaN if the file does not say it.

    Raises
    ------
    InputError
        If the file cannot be read as a stack of label images.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        try:
            with ExitStack() as opened:
                self._file = opened.enter_context(tifffile.TiffFile(path))
                self._frames = len(self._file.series[0])
                self._opened = opened.pop_all()
        except (OSError, ValueError, IndexError, tifffile.TiffFileError) as error:
            reason = str(error).splitlines()[0] if str(error) else type(error).__name__
            raise InputError(f"{path}: label images must be a readable TIFF stack, got: {reason}") from error
        size = re.search(r'PhysicalSizeX="([^"]+)"', self._file.ome_metadata or "")
        self.pixel_size_um = float(size.group(1)) if size else float("nan")

    def __len__(self) -> int:
        return self._frames

    def __getitem__(self, t: int) -> NDArray[np.int32]:
        """Return the labels of frame `t`, shape (Y, X); raises `InputError` if they cannot be read."""
        try:
            image = self._file.asarray(series=0, key=t)
        except (OSError, ValueError, IndexError) as error:
            raise InputError(f"{self.path}: frame {t} of the label images cannot be read: {error}") from error
        labels: NDArray[np.int32] = np.asarray(image, dtype=np.int32)
        return labels

    def __enter__(self) -> LabelFile:
        return self

    def __exit__(self, *error: object) -> None:
        self._opened.close()


@dataclass(frozen=True)
class Folder:
    """The tables of one movie.

    Attributes
    ----------
    path : Path
    tables : mapping of str to DataFrame
        Names as in `TABLES`; only columns that the files have, only files that exist. An id of 0 is null.
    labels_path : Path or None
    """

    path: Path
    tables: Mapping[str, pd.DataFrame] = field(default_factory=dict)
    labels_path: Path | None = None


def load(path: Path) -> Folder:
    """Read the tables of a folder.

    Raises
    ------
    InputError
        If it holds none of the contract's files, or one that is broken or lacks a needed column.
    """
    tables = {
        name: _read(path / file, columns, needed)
        for name, (file, columns, needed) in TABLES.items()
        if (path / file).is_file()
    }
    labels = path / LABELS
    if not tables and not labels.is_file():
        raise InputError(
            f"{path}: a folder with spots.parquet, events.csv or {LABELS} is needed, got none of these"
        )
    return Folder(path, tables, labels if labels.is_file() else None)


def _read(path: Path, columns: Mapping[str, str], needed: tuple[str, ...]) -> pd.DataFrame:
    try:
        table = pd.read_parquet(path) if path.suffix == ".parquet" else pd.read_csv(path)
        present = [name for name in table.columns if name in columns]
        table = schema.conform(table[present], {name: columns[name] for name in present})
    except (OSError, ValueError, TypeError) as error:
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise InputError(f"{path}: a table with the contract's columns is needed, got: {reason}") from error
    missing = [name for name in needed if name not in table]
    if missing:
        raise InputError(f"{path}: the columns {', '.join(needed)} are needed, {', '.join(missing)} missing")
    for name in IDS:
        if name in table:
            table[name] = table[name].mask(table[name] == 0)
    places = [name for name in ("frame", "y_px", "x_px") if name in needed]
    if places and not table[places].notna().all(axis=None):
        raise InputError(f"{path}: {', '.join(places)} must be known in every row, got nulls")
    return table


def pair_folders(result: Path, truth: Path) -> tuple[list[tuple[str, Path, Path]], tuple[str, ...]]:
    """Find which result belongs to which truth.

    Parameters
    ----------
    result : Path
        A movie's finished output folder, or one that holds several.
    truth : Path
        A truth folder, or its parent; for several movies, a folder that holds one per movie, by name.

    Returns
    -------
    list of (name, result folder, truth folder)
    tuple of str
        Notes on movies without a partner.

    Raises
    ------
    InputError
        If a folder is missing, nothing is finished, or nothing pairs.
    """
    for path in (result, truth):
        if not path.is_dir():
            raise InputError(f"{path}: a folder is needed, got {'a file' if path.exists() else 'nothing'}")
    movies = (
        [result] if _finished(result) else sorted(p for p in result.iterdir() if p.is_dir() and _finished(p))
    )
    if not movies:
        raise InputError(
            f"{result}: no finished output is here (run.json beside the tables); run `exovision run` first"
        )
    single = _truth_in(truth)
    if single is not None and len(movies) == 1:
        return [(movies[0].name, movies[0], single)], ()
    found = {movie: _truth_of(truth, movie.name) for movie in movies}
    pairs = [(movie.name, movie, folder) for movie, folder in found.items() if folder is not None]
    if not pairs:
        raise InputError(
            f"{truth}: a truth folder for {', '.join(m.name for m in movies[:3])} is needed "
            f"(with spots.parquet, events.csv or {LABELS}, in NAME, NAME/truth or truth), got none"
        )
    lone = [movie.name for movie, folder in found.items() if folder is None]
    unused = {p for p in map(_truth_in, (p for p in truth.iterdir() if p.is_dir())) if p} - {
        p for _, _, p in pairs
    }
    notes = (
        *((f"left out, no truth: {', '.join(lone)}",) if lone else ()),
        *(
            (f"truth without a finished result: {', '.join(sorted(_name(p) for p in unused))}",)
            if unused
            else ()
        ),
    )
    return pairs, notes


def _finished(path: Path) -> bool:
    return (path / "run.json").is_file() and any((path / file).is_file() for file, _, _ in TABLES.values())


def _truth_in(path: Path) -> Path | None:
    """Return the folder itself or its `truth`, whichever holds truth."""
    files = [file for file, _, _ in TABLES.values()] + [LABELS]
    places = (path / "truth", path)
    return next((p for p in places if any((p / file).is_file() for file in files)), None)


def _truth_of(truth: Path, name: str) -> Path | None:
    """Return the truth of a movie; `a__b` may be a file b in a folder a."""
    parts = name.split("__")
    places = [truth / name, *(truth.joinpath(*parts[:n]) for n in range(len(parts), 0, -1))]
    return next((found for found in map(_truth_in, places) if found), None)


def _name(path: Path) -> str:
    return path.parent.name if path.name == "truth" else path.name
