"""Fates of cells: divisions and deaths, matched by cell and frame."""

from __future__ import annotations

import numpy as np
import pandas as pd

from exovision.numerics.assignment import assign_pairs
from exovision.scoring.scores import Value, average, detection_scores, median, proportion

TOLERANCE_FRAMES = 3


def score_divisions(
    truth: pd.DataFrame, result: pd.DataFrame, cells: pd.DataFrame | None
) -> dict[str, Value]:
    """Return precision, recall and F1 of divisions.

    Parameters
    ----------
    truth, result : DataFrame
        `cell_id parent_id first_frame`: cells that share a parent are one division, at their first frame.
    cells : DataFrame, optional
        `frame truth_cell result_cell` of matched cells.

    Returns
    -------
    dict of str to Metric or str
        `division.precision recall f1`: the parents must be matched in some frame and the births lie within
        ±3 frames.
    """
    if cells is None:
        return {"division.f1": "there are no label images in both folders to pair the cells by"}
    true, called = _divisions(truth), _divisions(result)
    if true.empty and called.empty:
        return {"division.f1": "neither truth nor result has divisions"}
    same = cells[["truth_cell", "result_cell"]].drop_duplicates().astype("Int64")
    pairs = (
        true.assign(t=true.index)
        .merge(same, left_on="parent_id", right_on="truth_cell")
        .merge(
            called.assign(r=called.index),
            left_on="result_cell",
            right_on="parent_id",
            suffixes=("", "_called"),
        )
    )
    apart = (pairs["first_frame"] - pairs["first_frame_called"]).abs().to_numpy(dtype=np.float64)
    near = apart <= TOLERANCE_FRAMES
    hits = len(assign_pairs(pairs["t"].to_numpy()[near], pairs["r"].to_numpy()[near], 100.0 - apart[near]))
    return detection_scores("division", hits, len(true) - hits, len(called) - hits, of="divisions")


def _divisions(fates: pd.DataFrame) -> pd.DataFrame:
    born = fates[["parent_id", "first_frame"]].dropna()
    return born.groupby("parent_id", as_index=False)[["first_frame"]].min()


def score_deaths(truth: pd.DataFrame, result: pd.DataFrame, cells: pd.DataFrame | None) -> dict[str, Value]:
    """Return the metrics of deaths; absent unless both tables carry deaths.

    Parameters
    ----------
    truth, result : DataFrame
        `cell_id death_mode onset_s frame_interval_s`; a row with an onset is a death.
    cells : DataFrame, optional
        `frame truth_cell result_cell` of matched cells.

    Returns
    -------
    dict of str to Metric or str
        `death.precision recall f1` (cell matched, onset within ±3 frames), `death.mode_right` (of the hits)
        and `death.onset_error_frames_median _mean` (called − true, of the same cell at any time).
    """
    for side, table in (("truth", truth), ("result", result)):
        if "onset_s" not in table or table["onset_s"].isna().all():
            return {"death.f1": f"the {side} carries no deaths"}
    if cells is None:
        return {"death.f1": "there are no label images in both folders to pair the cells by"}
    columns = ["cell_id", "death_mode", "onset_s", "frame_interval_s"]
    true, called = (t.loc[t["onset_s"].notna(), columns].reset_index(drop=True) for t in (truth, result))
    same = cells.groupby(["truth_cell", "result_cell"], as_index=False).size().astype("Int64")
    pairs = (
        true.assign(t=true.index)
        .merge(same, left_on="cell_id", right_on="truth_cell")
        .merge(
            called.assign(r=called.index), left_on="result_cell", right_on="cell_id", suffixes=("", "_called")
        )
    )
    pairs["late"] = (pairs["onset_s_called"] - pairs["onset_s"]) / pairs["frame_interval_s"]
    near = pairs[pairs["late"].abs() <= TOLERANCE_FRAMES + 1e-9]
    hit = near.iloc[_nearest(near)]
    late = pairs.iloc[_nearest(pairs)]["late"]
    modes = hit[["death_mode", "death_mode_called"]].dropna()
    hits = len(hit)
    return {
        **detection_scores("death", hits, len(true) - hits, len(called) - hits, of="deaths"),
        "death.mode_right": proportion(
            int((modes["death_mode"] == modes["death_mode_called"]).sum()),
            len(modes),
            of="matched deaths with a mode",
        ),
        "death.onset_error_frames_median": median(late, of="deaths of matched cells"),
        "death.onset_error_frames_mean": average(late, of="deaths of matched cells"),
    }


def _nearest(pairs: pd.DataFrame) -> np.typing.NDArray[np.intp]:
    benefit = 1.0 / (1.0 + pairs["late"].abs().to_numpy(dtype=np.float64))
    return assign_pairs(pairs["t"].to_numpy(), pairs["r"].to_numpy(), benefit + 1.0)
