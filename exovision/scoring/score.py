"""The comparison of finished output with truth: every metric, over one movie or several together."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import pandas as pd

from exovision import schema
from exovision.scoring.cells import score_cells
from exovision.scoring.dockings import match_dockings, score_dockings
from exovision.scoring.fates import score_deaths, score_divisions
from exovision.scoring.folders import load, pair_folders
from exovision.scoring.linking import score_linking
from exovision.scoring.point_events import score_point_events
from exovision.scoring.pooling import Pool, pool
from exovision.scoring.scores import Metric, Scores, Value, rate
from exovision.scoring.spots import SpotMatch, match_spots, score_spots
from exovision.scoring.states import score_states


def score(result_dir: Path, truth_dir: Path) -> Scores:
    """Compare finished output with truth.

    Parameters
    ----------
    result_dir : Path
        A movie's output folder, or one that holds several movies: these are pooled.
    truth_dir : Path
        The truth folder or its parent; for several movies, a folder that holds one per movie, by name.

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
        events, confusion = _score_events(pooled, spots)
        values |= states | events
        tables |= {} if confusion is None else {"events_confusion": confusion}
    if pooled.cells is None:
        values["cells.ap50"] = "cell_labels.ome.tif is not in both folders of every movie"
        notes = (*notes, "without label images in both folders the cell of an event is not checked")
    else:
        values |= score_cells(pooled.cells)
    values |= _score_fates(result, truth, cells, pooled.exposure_h)
    return Scores.of(values, tables=tables, notes=notes)


def _spots(result: Mapping[str, pd.DataFrame], truth: Mapping[str, pd.DataFrame]) -> SpotMatch | str:
    for side, tables in (("truth", truth), ("result", result)):
        if "spots" not in tables:
            return f"spots.parquet is not in the {side} folder of every movie"
    return match_spots(truth["spots"], result["spots"], truth.get("decoys"))


def _score_events(pooled: Pool, spots: SpotMatch) -> tuple[dict[str, Value], pd.DataFrame | None]:
    for side, tables in (("truth", pooled.truth), ("result", pooled.result)):
        if "events" not in tables:
            return {"docking.f1": f"events.csv is not in the {side} folder of every movie"}, None
        if "exosome_id" not in tables["spots"]:
            return {"docking.f1": f"the spots of the {side} have no exosome_id"}, None
    cells = None if pooled.cells is None else pooled.cells.pairs
    true, called = (
        schema.conform(t["events"], {"cell_id": schema.INT, **_types(t["events"])})
        for t in (pooled.truth, pooled.result)
    )
    match = match_dockings(true, called, spots, cells)
    false = int((match.result["verdict"] == "false").sum())
    hours = pooled.exposure_h
    points, confusion = score_point_events(true, called, spots, hours)
    values = {
        **score_dockings(match, cells),
        "docking.rate_per_cell_h": rate(len(match.result), hours),
        "docking.true_rate_per_cell_h": rate(len(match.truth), hours),
        "docking.false_per_cell_h": rate(false, hours),
        "exposure.cell_h": Metric(hours) if hours > 0 else "no cells with two or more frame times",
        **points,
    }
    return values, confusion


def _types(table: pd.DataFrame) -> dict[str, str]:
    return {name: schema.TRUTH_EVENTS[name] for name in table.columns if name in schema.TRUTH_EVENTS}


def _score_fates(
    result: Mapping[str, pd.DataFrame],
    truth: Mapping[str, pd.DataFrame],
    cells: pd.DataFrame | None,
    exposure_h: float,
) -> dict[str, Value]:
    if "fates" not in truth or "fates" not in result:
        reason = "fates.csv is not in both folders of every movie"
        return {"division.f1": reason, "death.f1": reason}
    wanted = {**schema.TRUTH_FATES, "frame_interval_s": schema.FLOAT}
    true, called = (schema.conform(tables["fates"], wanted) for tables in (truth, result))
    deaths = score_deaths(true, called, cells, exposure_h=exposure_h)
    return {**score_divisions(true, called, cells), **deaths}
