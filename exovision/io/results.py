"""Finished results in: the folder of one movie as `exovision run` leaves it, opened to be looked at again."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from exovision import schema
from exovision.errors import ExovisionError, InputError
from exovision.io.formats import open_stack
from exovision.io.labels_source import FileLabels
from exovision.io.movies import read
from exovision.io.tables import read_table
from exovision.records import LabelStack, Movie
from exovision.settings import Settings

TABLES = {
    "spots": ("spots.parquet", schema.SPOTS),
    "exosomes": ("exosomes.csv", schema.EXOSOMES),
    "events": ("events.csv", schema.EVENTS),
    "cells": ("cells.parquet", schema.CELLS),
    "fates": ("fates.csv", schema.FATES),
}
RECORD, SUMMARY, LABELS, REPORT = "run.json", "summary.json", "cell_labels.ome.tif", "report.html"


@dataclass(frozen=True)
class StoredResult:
    """The results of one movie as they lie in a folder.

    Attributes
    ----------
    folder : Path
    spots, exosomes, events, cells, fates : DataFrame
        Columns as in `exovision.schema`.
    labels : LabelStack
        One (Y, X) label image per frame, read when asked for.
    summary, record : mapping
        `summary.json` and `run.json`.
    settings : Settings
    movie : Movie or None
        None if the file can no longer be opened.
    problem : str
        Why there is no movie, or empty.
    """

    folder: Path
    spots: pd.DataFrame
    exosomes: pd.DataFrame
    events: pd.DataFrame
    cells: pd.DataFrame
    fates: pd.DataFrame
    labels: LabelStack
    summary: Mapping[str, Any]
    record: Mapping[str, Any]
    settings: Settings
    movie: Movie | None
    problem: str = ""

    @property
    def name(self) -> str:
        """The movie's name."""
        return str(self.record["movie"])

    @property
    def pixel_size_um(self) -> float:
        """Edge of a pixel, µm."""
        return float(self.record["pixel_size_um"])

    @property
    def n_frames(self) -> int:
        """The number of frames T."""
        return int(self.record["shape"]["T"])


def movie_folders(out: Path) -> list[Path]:
    """Return the finished movie folders in a folder, by name: itself if it is one.

    Raises
    ------
    InputError
        If there is none.
    """
    if (out / TABLES["events"][0]).is_file():
        return [out]
    found = sorted(path.parent for path in out.glob(f"*/{RECORD}"))
    if not found:
        raise InputError(
            f"{out}: the output folder of `exovision run` was wanted, or one movie's folder in it, got a "
            f"folder without {RECORD} of a movie; choose another folder or run the analysis first"
        )
    return found


def open_result(folder: Path, *, movie: Movie | None = None) -> StoredResult:
    """Open the finished folder of one movie.

    Parameters
    ----------
    folder : Path
    movie : Movie, optional
        The movie if it is open already; else it is opened as `run.json` says, if it is still there.

    Returns
    -------
    StoredResult

    Raises
    ------
    InputError
        If the folder is not finished, or a file in it is missing or damaged.
    """
    record, summary = (_read_json(folder / name) for name in (RECORD, SUMMARY))
    try:
        settings = Settings.from_mapping(record["settings"], where=str(folder / RECORD))
        n_frames, *shape = (int(record["shape"][axis]) for axis in "TYX")
        float(record["pixel_size_um"]), str(record["movie"])
    except (KeyError, TypeError, ValueError) as error:
        raise InputError(
            f"{folder / RECORD}: the record of a finished movie was wanted, it lacks {error}; run it again"
        ) from error
    tables = {name: read_table(folder / file, columns) for name, (file, columns) in TABLES.items()}
    problem = ""
    if movie is None:
        try:
            movie = _movie(record)
        except ExovisionError as error:
            problem = str(error)
    return StoredResult(
        folder=folder,
        labels=_labels(folder / LABELS, n_frames, (shape[0], shape[1])),
        summary=summary,
        record=record,
        settings=settings,
        movie=movie,
        problem=problem,
        **tables,
    )


def _read_json(path: Path) -> dict[str, Any]:
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise InputError(
            f"{path}: a finished movie folder holds this file, got: {error.strerror or error}; run it again"
        ) from error
    except ValueError as error:
        raise InputError(f"{path}: JSON was wanted, it is damaged ({error}); run the movie again") from error
    if not isinstance(content, dict):
        raise InputError(
            f"{path}: a JSON object was wanted, got {type(content).__name__}; run the movie again"
        )
    return content


def _labels(path: Path, n_frames: int, shape: tuple[int, int]) -> LabelStack:
    stack = open_stack(path)
    found = 1
    for _, length in stack.axes:
        found *= length
    if stack.image_shape != shape or found != n_frames:
        stack.planes.close()
        raise InputError(
            f"{path}: {n_frames} label images of {shape} were wanted, got {found} of {stack.image_shape}; "
            "run the movie again"
        )
    return FileLabels(path, stack.planes, found, n_frames)


def _movie(record: Mapping[str, Any]) -> Movie:
    known = {name: value for name, value in record.get("reading", {}).items() if value is not None}
    path = known.pop("path", record.get("input", {}).get("path"))
    if not path:
        raise InputError("the results come from an array, not from a file; only tables and cells are shown")
    movie = read(path, **known)
    wanted = tuple(int(record["shape"][axis]) for axis in "TCZYX")
    if movie.shape != wanted:
        movie.source.close()
        raise InputError(f"{path}: the movie of these results has shape {wanted}, the file now {movie.shape}")
    return movie
