"""The comparison of finished output with truth: every metric, over one movie or several together."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from exovision import schema
from exovision.scoring.cells import CellMatch, match_cells, score_cells
from exovision.scoring.dockings import match_dockings, score_dockings
from exovision.scoring.fates import score_deaths, score_divisions
from exovision.scoring.folders import IDS, Folder, LabelFile, load, pair_folders
from exovision.scoring.linking import score_linking
from exovision.scoring.point_events import score_point_events
from exovision.scoring.scores import Metric, Scores, Value, rate
from exovision.scoring.spots import SpotMatch, match_spots, score_spots
from exovision.scoring.states import score_states

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


def score(result_dir: Path, truth_dir: Path) -> Scores:
    """Compare finished output with truth.

    Parameters
    ----------
    result_dir : Path
        A movie's output folder, or one that holds several movies: these are pooled.
    truth_dir : Path
        The truth folder or its parent; for several movies, a folder that holds one of these per movie, by name.

    Returns
    -------
    Scores
        See `score_spots`, `score_linking`, `score_states`, `score_dockings`, `score_point_events`,
        `score_cells`, `score_divisions` and `score_deaths` for the names; the rates of dockings are
        `docking.rate_per_cell_h true_rate_per_cell_h false_per_cell_h`, over `exposure.cell_h`.

    Raises
    ------
    InputError
        If a folder or file is missing, broken, or does not belong to the other.
    """
    pairs, notes = pair_folders(Path(result_dir), Path(truth_dir))
    return score_pool(pool([(load(result), load(truth)) for _, result, truth in pairs]), notes=notes)


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
        frame_shift += _largest((result, truth), FRAME_COLUMNS) + FRAMES_APART
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
    found, true = LabelFile(result.labels_path), LabelFile(truth.labels_path)
    try:
        matched = match_cells(found, true)
        sizes = [size for size in (true.pixel_size_um, found.pixel_size_um) if np.isfinite(size)]
    finally:
        found.close()
        true.close()
    pairs = matched.pairs.assign(pixel_size_um=sizes[0]) if sizes else matched.pairs
    return CellMatch(matched.frames, pairs)


def _shift(table: pd.DataFrame, frames: int, ids: int) -> pd.DataFrame:
    moved = {name: table[name] + frames for name in FRAME_COLUMNS if name in table}
    moved |= {name: table[name] + ids for name in (*IDS, "truth_cell", "result_cell") if name in table}
    return table.assign(**moved)


def _largest(folders: Sequence[Folder], names: Sequence[str], matched: CellMatch | None = None) -> int:
    tables = [table for folder in folders for table in folder.tables.values()]
    tables += [matched.pairs.rename(columns={"truth_cell": "cell_id"})] if matched else []
    columns = [table[name].dropna() for table in tables for name in names if name in table]
    return max((int(column.max()) for column in columns if len(column)), default=0)


def _timed(folder: Folder) -> dict[str, pd.DataFrame]:
    """Return the tables, fates with the frame interval of the cell channel."""
    tables = dict(folder.tables)
    if "fates" in tables:
        tables["fates"] = tables["fates"].assign(frame_interval_s=_interval_s(tables.get("cells")))
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


def score_pool(pooled: Pool, *, notes: tuple[str, ...] = ()) -> Scores:
    """Return every metric that the tables allow, and a reason for each group that they do not."""
    result, truth = pooled.result, pooled.truth
    cells = None if pooled.cells is None else pooled.cells.pairs
    values: dict[str, Value] = {}
    tables: dict[str, pd.DataFrame] = {}
    spots = _spots(result, truth)
    if isinstance(spots, str):
        values |= dict.fromkeys(("spots.f1", "linking.pairs", "states.accuracy", "docking.f1"), spots)
    else:
        values |= score_spots(spots, truth.get("decoys")) | score_linking(spots)
        states, tables["states_confusion"] = score_states(spots)
        values |= states | _score_events(pooled, spots)
    if pooled.cells is None:
        values["cells.ap50"] = "cell_labels.ome.tif is not in both folders of every movie"
        notes = (*notes, "without label images in both folders the cell of an event is not checked")
    else:
        values |= score_cells(pooled.cells)
    values |= _score_fates(result, truth, cells)
    return Scores.of(values, tables=tables, notes=notes)


def _spots(result: Mapping[str, pd.DataFrame], truth: Mapping[str, pd.DataFrame]) -> SpotMatch | str:
    for side, tables in (("truth", truth), ("result", result)):
        if "spots" not in tables:
            return f"spots.parquet is not in the {side} folder of every movie"
    return match_spots(truth["spots"], result["spots"], truth.get("decoys"))


def _score_events(pooled: Pool, spots: SpotMatch) -> dict[str, Value]:
    for side, tables in (("truth", pooled.truth), ("result", pooled.result)):
        if "events" not in tables:
            return {"docking.f1": f"events.csv is not in the {side} folder of every movie"}
        if "exosome_id" not in tables["spots"]:
            return {"docking.f1": f"the spots of the {side} have no exosome_id"}
    cells = None if pooled.cells is None else pooled.cells.pairs
    true, called = (
        schema.conform(t["events"], {"cell_id": schema.INT, **_types(t["events"])})
        for t in (pooled.truth, pooled.result)
    )
    match = match_dockings(true, called, spots, cells)
    false = int((match.result["verdict"] == "false").sum())
    hours = pooled.exposure_h
    return {
        **score_dockings(match, cells),
        "docking.rate_per_cell_h": rate(len(match.result), hours),
        "docking.true_rate_per_cell_h": rate(len(match.truth), hours),
        "docking.false_per_cell_h": rate(false, hours),
        "exposure.cell_h": Metric(hours) if hours > 0 else "no cells with two or more frame times",
        **score_point_events(true, called, spots, hours),
    }


def _types(table: pd.DataFrame) -> dict[str, str]:
    return {name: schema.TRUTH_EVENTS[name] for name in table.columns if name in schema.TRUTH_EVENTS}


def _score_fates(
    result: Mapping[str, pd.DataFrame], truth: Mapping[str, pd.DataFrame], cells: pd.DataFrame | None
) -> dict[str, Value]:
    if "fates" not in truth or "fates" not in result:
        reason = "fates.csv is not in both folders of every movie"
        return {"division.f1": reason, "death.f1": reason}
    wanted = {**schema.FATES, "frame_interval_s": schema.FLOAT}
    true, called = (schema.conform(tables["fates"], wanted) for tables in (truth, result))
    return {**score_divisions(true, called, cells), **score_deaths(true, called, cells)}
