"""Several movies as one: tables and matched label images with frames and ids that never meet."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from exovision.scoring.cells import CellMatch, match_cells
from exovision.scoring.folders import IDS, Folder, LabelFile

FRAMES_APART = 1000
"""Frames between pooled movies: more than any window in which events are matched."""
FRAME_COLUMNS = ("frame", "first_frame", "last_frame", "start_frame", "end_frame", "alt_end_frame")


@dataclass(frozen=True)
class Pool:
    """Several movies as one: frames and ids are shifted so that they never meet.

    Attributes
    ----------
    result, truth : mapping of str to DataFrame
        Tables by name, only those that every movie has.
    cells : CellMatch or None
        Matched label images; None unless every movie has both.
    exposure_h : float
        Cell-hours watched; NaN if unknown.
    """

    result: Mapping[str, pd.DataFrame]
    truth: Mapping[str, pd.DataFrame]
    cells: CellMatch | None
    exposure_h: float


def pool(movies: Sequence[tuple[Folder, Folder]]) -> Pool:
    """Join the tables of several movies and match their label images, one frame at a time.

    Raises
    ------
    InputError
        If label images of one movie differ in length or shape, or cannot be read.
    """
    frame_shift, id_shift, exposure = 0, 0, 0.0
    sides: tuple[dict[str, list[pd.DataFrame]], dict[str, list[pd.DataFrame]]] = ({}, {})
    matches: list[CellMatch] = []
    for result, truth in movies:
        matched = _match_labels(result, truth)
        if matched is not None:
            matches.append(
                CellMatch(
                    *(_shift(table, frame_shift, id_shift) for table in (matched.frames, matched.pairs))
                )
            )
        for folder, side in zip((result, truth), sides):
            for name, table in _timed(folder).items():
                side.setdefault(name, []).append(_shift(table, frame_shift, id_shift))
        exposure += _exposure_h(truth, result)
        imaged = 0 if matched is None else len(matched.frames)
        frame_shift += max(_largest((result, truth), FRAME_COLUMNS), imaged) + FRAMES_APART
        id_shift += _largest((result, truth), IDS, matched)
    joined = [
        {
            name: pd.concat(tables, ignore_index=True)
            for name, tables in side.items()
            if len(tables) == len(movies)
        }
        for side in sides
    ]
    cells = _join(matches) if len(matches) == len(movies) else None
    return Pool(joined[0], joined[1], cells, exposure)


def _join(matches: Sequence[CellMatch]) -> CellMatch:
    return CellMatch(
        pd.concat([m.frames for m in matches], ignore_index=True),
        pd.concat([m.pairs for m in matches], ignore_index=True),
    )


def _match_labels(result: Folder, truth: Folder) -> CellMatch | None:
    if result.labels_path is None or truth.labels_path is None:
        return None
    with LabelFile(result.labels_path) as found, LabelFile(truth.labels_path) as true:
        matched = match_cells(found, true)
        sizes = [size for size in (true.pixel_size_um, found.pixel_size_um) if np.isfinite(size)]
    pairs = matched.pairs.assign(pixel_size_um=sizes[0]) if sizes else matched.pairs
    return CellMatch(matched.frames, pairs)


def _shift(table: pd.DataFrame, frames: int, ids: int) -> pd.DataFrame:
    moved = {name: table[name] + frames for name in FRAME_COLUMNS if name in table}
    moved |= {name: table[name] + ids for name in (*IDS, "truth_cell", "result_cell") if name in table}
    return table.assign(**moved)


def _largest(folders: Sequence[Folder], names: Sequence[str], matched: CellMatch | None = None) -> int:
    tables = [table for folder in folders for table in folder.tables.values()]
    columns = [table[name].dropna() for table in tables for name in names if name in table]
    if matched is not None:
        columns += [matched.pairs["truth_cell"], matched.pairs["result_cell"]]
    return max((int(column.max()) for column in columns if len(column)), default=0)


def _timed(folder: Folder) -> dict[str, pd.DataFrame]:
    """Return the tables, fates with the frame interval of the cell channel and the times of their frames."""
    tables = dict(folder.tables)
    if "fates" in tables:
        fates, interval_s = tables["fates"], _interval_s(tables.get("cells"))
        frames = {f"{end}_s": fates[f"{end}_frame"] * interval_s for end in ("first", "last")}
        tables["fates"] = fates.assign(frame_interval_s=interval_s, **frames)
    return tables


def _interval_s(cells: pd.DataFrame | None) -> float:
    if cells is None or "time_s" not in cells:
        return float("nan")
    times = np.unique(cells["time_s"].dropna().to_numpy(dtype=np.float64))
    return float(np.median(np.diff(times))) if times.size > 1 else float("nan")


def _exposure_h(*folders: Folder) -> float:
    """Return the cell-hours of the first folder whose cells have times; NaN if none has."""
    hours = (
        len(cells) * _interval_s(cells) / 3600
        for cells in (folder.tables.get("cells") for folder in folders)
        if cells is not None
    )
    return next((h for h in hours if np.isfinite(h)), float("nan"))
