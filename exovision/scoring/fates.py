"""Fates of cells: divisions and deaths, matched by cell and frame."""

from __future__ import annotations

import numpy as np
import pandas as pd

from exovision.numerics.assignment import assign_pairs
from exovision.scoring.classifier import calibration_error
from exovision.scoring.scores import Metric, Value, average, detection_scores, median, proportion, rate

TOLERANCE_FRAMES = 3
NEAR_MITOSIS_S = 7200.0


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


def score_deaths(
    truth: pd.DataFrame, result: pd.DataFrame, cells: pd.DataFrame | None, *, exposure_h: float = np.nan
) -> dict[str, Value]:
    """Return the metrics of deaths; absent unless both tables carry deaths.

    Parameters
    ----------
    truth, result : DataFrame
        `cell_id parent_id first_frame last_frame death_mode death_probability onset_s onset_s_lo onset_s_hi
        permeable_s frame_interval_s`, truth also `optional`; a row with an onset is a death. Of several
        movies as one also `first_s last_s`: their frames are not counted from a movie's start.
    cells : DataFrame, optional
        `frame truth_cell result_cell` of matched cells.
    exposure_h : float
        Cell-hours watched.

    Returns
    -------
    dict of str to Metric or str
        `death.precision recall f1` (cell matched, onset within ±3 frames; optional deaths count neither way),
        `death.mode_right` (of the hits), `death.onset_error_frames_median _mean` (called − true, of the same
        cell at any time), `death.onset_covered` (true onset inside the interval),
        `death.permeable_error_frames_median`; whatever truth carries, `death.false_per_1000_cell_h` (calls on
        cells that do not die, per 1,000 cell-hours), `death.mitoses_called` (true divisions whose parent or
        daughter is called dead within two hours) and `death.calibration_error` (of `death_probability`, that
        a cell was dying by its last frame; optional deaths left out). What the tables do not carry at all is
        left out.
    """
    if cells is None:
        return {"death.f1": "there are no label images in both folders to pair the cells by"}
    truth, result = _timed(truth), _timed(result)
    same = cells.groupby(["truth_cell", "result_cell"], as_index=False).size().astype("Int64")
    always = _score_calls(truth, result, same, exposure_h)
    for side, table in (("truth", truth), ("result", result)):
        if "onset_s" not in table or table["onset_s"].isna().all():
            return {"death.f1": f"the {side} carries no deaths", **always}
    true, called = (t.loc[t["onset_s"].notna()].reset_index(drop=True) for t in (truth, result))
    pairs = (
        true.assign(t=true.index)
        .merge(same, left_on="cell_id", right_on="truth_cell")
        .merge(
            called.assign(r=called.index), left_on="result_cell", right_on="cell_id", suffixes=("", "_called")
        )
    )
    pairs["late"] = (pairs["onset_s_called"] - pairs["onset_s"]) / pairs["frame_interval_s"]
    optional = _flags(pairs, "optional")
    near = pairs[(pairs["late"].abs() <= TOLERANCE_FRAMES + 1e-9) & ~optional]
    hit = near.iloc[_nearest(near)]
    spared = set(pairs.loc[optional, "r"]) - set(hit["r"])
    hits, due = len(hit), int((~_flags(true, "optional")).sum())
    counted = pairs[~optional]
    return {
        **detection_scores("death", hits, due - hits, len(called) - len(spared) - hits, of="deaths"),
        **_score_hits(hit, counted.iloc[_nearest(counted)]),
        **always,
    }


def _score_hits(hit: pd.DataFrame, paired: pd.DataFrame) -> dict[str, Value]:
    """Return how right the called deaths of dying cells are: mode, onset, permeability."""
    modes = hit[["death_mode", "death_mode_called"]].dropna()
    bounded = paired.dropna(subset=["onset_s_lo_called", "onset_s_hi_called"])
    covered = bounded["onset_s"].between(bounded["onset_s_lo_called"], bounded["onset_s_hi_called"])
    leaky = ((paired["permeable_s_called"] - paired["permeable_s"]) / paired["frame_interval_s"]).dropna()
    spans = proportion(int(covered.sum()), len(bounded), of="deaths with an interval")
    leaks = median(leaky, of="deaths with permeability in both")
    return {
        "death.mode_right": proportion(
            int((modes["death_mode"] == modes["death_mode_called"]).sum()),
            len(modes),
            of="matched deaths with a mode",
        ),
        "death.onset_error_frames_median": median(paired["late"], of="deaths of matched cells"),
        "death.onset_error_frames_mean": average(paired["late"], of="deaths of matched cells"),
        **({"death.onset_covered": spans} if len(bounded) else {}),
        **({"death.permeable_error_frames_median": leaks} if len(leaky) else {}),
    }


def _score_calls(
    truth: pd.DataFrame, result: pd.DataFrame, same: pd.DataFrame, exposure_h: float
) -> dict[str, Value]:
    """Return false deaths, mitoses called deaths, and the calibration of the probability."""
    if "onset_s" not in truth or "onset_s" not in result:
        return {}
    dying = truth[truth["onset_s"].notna()].set_index("cell_id")
    main = same.sort_values("size").drop_duplicates("result_cell", keep="last")
    is_of = result["cell_id"].map(main.set_index("result_cell")["truth_cell"])
    dies = is_of.isin(dying.index).to_numpy(dtype=bool)
    called = result["onset_s"].notna().to_numpy(dtype=bool)
    unclear = is_of.isin(dying.index[_flags(dying, "optional")]).to_numpy(dtype=bool)
    judged = result["death_probability"].notna().to_numpy(dtype=bool) & is_of.notna().to_numpy(dtype=bool)
    judged &= ~unclear
    onset_s = is_of.map(dying["onset_s"]).to_numpy(dtype=np.float64)
    dead = (onset_s <= result["last_s"].to_numpy(dtype=np.float64))[judged]
    chance = result.loc[judged, "death_probability"].to_numpy(dtype=np.float64)
    error = calibration_error(chance, dead)
    false = rate(int((called & ~dies).sum()), exposure_h / 1000)
    return {
        "death.false_per_1000_cell_h": false,
        **_mitoses_called(truth, result[called & ~dies], same),
        **({"death.calibration_error": Metric(error, n=len(chance))} if len(chance) else {}),
    }


def _mitoses_called(truth: pd.DataFrame, false: pd.DataFrame, same: pd.DataFrame) -> dict[str, Value]:
    """Return the share of true divisions with a false death of the parent or a daughter near them."""
    born = truth.dropna(subset=["parent_id"])
    family = pd.concat(
        [
            born.assign(member=born["parent_id"].astype("Int64"), mother=born["parent_id"]),
            born.assign(member=born["cell_id"].astype("Int64"), mother=born["parent_id"]),
        ]
    )
    found = family.merge(same, left_on="member", right_on="truth_cell").merge(
        false, left_on="result_cell", right_on="cell_id", suffixes=("", "_called")
    )
    near = (found["onset_s_called"] - found["first_s"]).abs() <= NEAR_MITOSIS_S
    divisions = born["parent_id"].nunique()
    share = proportion(found.loc[near, "mother"].nunique(), divisions, of="true divisions")
    return {"death.mitoses_called": share} if divisions else {}


def _timed(table: pd.DataFrame) -> pd.DataFrame:
    """Return fates with the times of their first and last frames, s."""
    missing = [end for end in ("first", "last") if f"{end}_s" not in table]
    interval_s = table["frame_interval_s"]
    return table.assign(
        **{f"{end}_s": table[f"{end}_frame"].astype("float64") * interval_s for end in missing}
    )


def _flags(table: pd.DataFrame, column: str) -> np.typing.NDArray[np.bool_]:
    if column not in table:
        return np.zeros(len(table), dtype=bool)
    return np.asarray(table[column].fillna(False).to_numpy(dtype=bool))


def _nearest(pairs: pd.DataFrame) -> np.typing.NDArray[np.intp]:
    benefit = 1.0 / (1.0 + pairs["late"].abs().to_numpy(dtype=np.float64))
    return assign_pairs(pairs["t"].to_numpy(), pairs["r"].to_numpy(), benefit + 1.0)
