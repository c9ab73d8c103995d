"""Events that happen at a moment: matched by kind, exosome and frame; and the rates of all events."""

from __future__ import annotations

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from exovision.numerics.assignment import assign_pairs
from exovision.schema import EVENT_KINDS
from exovision.scoring.scores import Value, detection_scores, proportion, rate
from exovision.scoring.spots import SpotMatch, flag

TOLERANCE_FRAMES = 3
LINK_WINDOW_FRAMES = 10
"""How far from a true event a shared spot may lie that tells which exosome of the result is the true one."""
UNRESOLVED = "loss_unresolved"
FATES = ("detachment", "hemifusion", "fusion", "kiss_and_run", "uptake")
"""Kinds that can be mistaken for each other or for bleaching: `identifiable` decides what is asked."""


def score_point_events(
    truth: pd.DataFrame, result: pd.DataFrame, spots: SpotMatch, exposure_h: float
) -> dict[str, Value]:
    """Return precision, recall, F1 and rates of every kind but docking.

    Parameters
    ----------
    truth, result : DataFrame
        Events.
    spots : SpotMatch
        Matched spots, both tables with `exosome_id`.
    exposure_h : float
        Cell-hours watched; NaN if unknown.

    Returns
    -------
    dict of str to Metric or str
        Per kind `<kind>.precision recall f1 rate_per_cell_h true_rate_per_cell_h false_per_cell_h`, and
        `loss.unresolved_where_not_identifiable`: true events that nobody could identify and that the program
        called `loss_unresolved`. A kind that neither table has is absent.

    Notes
    -----
    A call is right within ±3 frames if a spot of its exosome, at most 10 frames from the true event, is
    matched to the true exosome. Optional rows do not count, nor do fates that truth does not call
    identifiable (no, or unscored): a call of the same kind on them is forgiven, and so is
    `loss_unresolved`.
    """
    true = truth[(truth["kind"] != "docking").fillna(False).to_numpy(dtype=bool)].reset_index(drop=True)
    called = result[(result["kind"] != "docking").fillna(False).to_numpy(dtype=bool)].reset_index(drop=True)
    near = _near(true, called, spots)
    values: dict[str, Value] = {}
    for kind in EVENT_KINDS[1:]:
        values |= _score_kind(kind, true, called, near, exposure_h)
    return {**values, **_unresolved(true, called, near)}


def counts_in_full(truth: pd.DataFrame) -> NDArray[np.bool_]:
    """Tell which true events must be called: not optional, no fate that cannot be identified; shape (N,)."""
    told = flag(truth, "identifiable", default="identifiable" not in truth)
    return ~flag(truth, "optional", default=False) & (told | ~truth["kind"].isin(FATES).to_numpy())


def _near(true: pd.DataFrame, called: pd.DataFrame, spots: SpotMatch) -> pd.DataFrame:
    """Return the pairs of events on one exosome at about the same frame: `truth_row result_row apart`."""
    matched = spots.pairs
    shared = pd.DataFrame(
        {
            "exosome_id": spots.truth["exosome_id"].to_numpy()[matched["truth_row"]],
            "called_id": spots.result["exosome_id"].to_numpy()[matched["result_row"]],
            "frame": spots.truth["frame"].to_numpy()[matched["truth_row"]],
        }
    ).dropna()
    asked = true[["exosome_id", "start_frame"]].assign(truth_row=true.index).dropna()
    partners = asked.merge(shared, on="exosome_id")
    partners = partners[(partners["frame"] - partners["start_frame"]).abs() <= LINK_WINDOW_FRAMES]
    partners = partners[["truth_row", "start_frame", "called_id"]].drop_duplicates()
    calls = called[["exosome_id", "start_frame"]].assign(result_row=called.index).dropna()
    pairs = partners.merge(calls, left_on="called_id", right_on="exosome_id", suffixes=("", "_called"))
    pairs["apart"] = (pairs["start_frame_called"] - pairs["start_frame"]).abs().astype(float)
    return pairs.loc[pairs["apart"] <= TOLERANCE_FRAMES, ["truth_row", "result_row", "apart"]]


def _score_kind(
    kind: str, true: pd.DataFrame, called: pd.DataFrame, near: pd.DataFrame, exposure_h: float
) -> dict[str, Value]:
    is_true, is_called = ((table["kind"] == kind).to_numpy(dtype=bool) for table in (true, called))
    if not is_true.any() and not is_called.any():
        return {f"{kind}.f1": f"neither truth nor result has any {kind}"}
    full = counts_in_full(true)
    mine = near[is_called[near["result_row"]]]
    pairs = mine[(is_true & full)[mine["truth_row"]]]
    chosen = pairs.iloc[
        assign_pairs(
            pairs["truth_row"].to_numpy(), pairs["result_row"].to_numpy(), 100.0 - pairs["apart"].to_numpy()
        )
    ]
    excusing = ~full & (is_true | (kind == UNRESOLVED))
    excused = set(mine.loc[excusing[mine["truth_row"]], "result_row"]) - set(chosen["result_row"])
    hits, missed = len(chosen), int((is_true & full).sum()) - len(chosen)
    false = int(is_called.sum()) - len(excused) - hits
    return {
        **detection_scores(kind, hits, missed, false, of=f"{kind} events that count"),
        f"{kind}.rate_per_cell_h": rate(int(is_called.sum()), exposure_h),
        f"{kind}.true_rate_per_cell_h": rate(int(is_true.sum()), exposure_h),
        f"{kind}.false_per_cell_h": rate(false, exposure_h),
    }


def _unresolved(true: pd.DataFrame, called: pd.DataFrame, near: pd.DataFrame) -> dict[str, Value]:
    hidden = ~flag(true, "identifiable", default=True) & true["kind"].isin((*FATES, UNRESOLVED)).to_numpy()
    hidden &= ~flag(true, "optional", default=False)
    admitted = near[(called["kind"] == UNRESOLVED).to_numpy(dtype=bool)[near["result_row"]]]
    count = int(hidden[admitted["truth_row"].unique()].sum())
    return {
        "loss.unresolved_where_not_identifiable": proportion(
            count, int(hidden.sum()), of="losses that are not identifiable"
        )
    }
