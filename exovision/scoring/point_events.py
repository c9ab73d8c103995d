"""Events that happen at a moment: matched by kind, exosome and frame; and the rates of all events."""

from __future__ import annotations

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from exovision.numerics.assignment import assign_pairs
from exovision.schema import EVENT_KINDS
from exovision.scoring.scores import Metric, Value, detection_scores, proportion, rate
from exovision.scoring.spots import SpotMatch, flag

TOLERANCE_FRAMES = 3
LINK_WINDOW_FRAMES = 10
"""How far from a true event a shared spot may lie that tells which exosome of the result is the true one."""
UNRESOLVED = "loss_unresolved"
FATES = ("detachment", "hemifusion", "fusion", "kiss_and_run", "uptake")
"""Kinds that can be mistaken for each other or for bleaching: `identifiable` decides what is asked."""
GRADUAL = ("detachment", UNRESOLVED)
FITTED = ("diffusion_um2_s", "dequench_gain", "release_tau_s", "spread_fraction")
NONE = "none"


def score_point_events(
    truth: pd.DataFrame, result: pd.DataFrame, spots: SpotMatch, exposure_h: float
) -> tuple[dict[str, Value], pd.DataFrame]:
    """Return precision, recall, F1 and rates of every kind but docking, and what each was called.

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
        `loss.unresolved_where_not_identifiable`: true losses that nobody could identify and that the program
        called `loss_unresolved`. A kind that neither table has is absent. Further
        `fusion.precision_at_1_to_4` and `_100`: at so many other events per identifiable fusion; and
        `coverage.diffusion_um2_s` and the like: true values inside the interval, of events called rightly.
    DataFrame
        Counts, truth in rows, called in columns, `none` where there was no call or no event. Events that
        truth does not call identifiable have rows of their own; optional ones are left out.

    Notes
    -----
    A call is right within ±3 frames of the event, or of the time that a detachment or loss takes, if a spot
    of its exosome, at most 10 frames from the true event, is matched to the true exosome. Optional rows do
    not count, nor do fates that truth does not call
    identifiable (no, or unscored): a call of the same kind on them is forgiven, and so is
    `loss_unresolved`.
    """
    true = truth[(truth["kind"] != "docking").fillna(False).to_numpy(dtype=bool)].reset_index(drop=True)
    called = result[(result["kind"] != "docking").fillna(False).to_numpy(dtype=bool)].reset_index(drop=True)
    near = near_events(true, called, spots)
    values: dict[str, Value] = {}
    for kind in EVENT_KINDS[1:]:
        values |= _score_kind(kind, true, called, near, exposure_h)
    values |= _precision_at(values, true, (4, 100), _mistimed(true, called, near, spots))
    values |= _coverage(true, called, near)
    return {**values, **_unresolved(true, called, near, spots)}, _confusion(true, called, near)


def counts_in_full(truth: pd.DataFrame) -> NDArray[np.bool_]:
    """Tell which true events must be called: not optional, no fate that cannot be identified; shape (N,)."""
    told = flag(truth, "identifiable", default="identifiable" not in truth)
    return ~flag(truth, "optional", default=False) & (told | ~truth["kind"].isin(FATES).to_numpy())


def near_events(true: pd.DataFrame, called: pd.DataFrame, spots: SpotMatch) -> pd.DataFrame:
    """Pair events on one exosome at about the same frame.

    Parameters
    ----------
    true, called : DataFrame
        Events, rows numbered from 0.
    spots : SpotMatch
        Matched spots, both tables with `exosome_id`.

    Returns
    -------
    DataFrame
        `truth_row result_row apart`: every pair at most 3 frames apart; an event may be in several. A loss
        or a detachment takes time: it goes on until the exosome was last seen near the membrane.
    """
    matched = spots.pairs
    shared = pd.DataFrame(
        {
            "exosome_id": spots.truth["exosome_id"].to_numpy()[matched["truth_row"]],
            "called_id": spots.result["exosome_id"].to_numpy()[matched["result_row"]],
            "frame": spots.truth["frame"].to_numpy()[matched["truth_row"]],
        }
    ).dropna()
    asked = true[["exosome_id", "start_frame"]].assign(truth_row=true.index).dropna()
    asked["until_frame"] = _until(true).reindex(asked.index)
    partners = asked.merge(shared, on="exosome_id")
    partners = partners[(partners["frame"] - partners["start_frame"]).abs() <= LINK_WINDOW_FRAMES]
    partners = partners[["truth_row", "start_frame", "until_frame", "called_id"]].drop_duplicates()
    calls = called[["exosome_id", "start_frame"]].assign(result_row=called.index).dropna()
    pairs = partners.merge(calls, left_on="called_id", right_on="exosome_id", suffixes=("", "_called"))
    early = pairs["start_frame"] - pairs["start_frame_called"]
    late = pairs["start_frame_called"] - pairs["until_frame"]
    pairs["apart"] = early.where(early > late, late).clip(lower=0).astype(float)
    return pairs.loc[pairs["apart"] <= TOLERANCE_FRAMES, ["truth_row", "result_row", "apart"]]


def _until(true: pd.DataFrame) -> pd.Series[int]:
    """Return the frame up to which each event goes on: that in which a gradual loss is last seen."""
    gradual = true["kind"].isin(GRADUAL).to_numpy()
    last = true["alt_end_frame"] if "alt_end_frame" in true else pd.Series(pd.NA, true.index, dtype="Int64")
    return last.where(gradual & (last > true["start_frame"]).fillna(False), true["start_frame"])


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


def _unresolved(
    true: pd.DataFrame, called: pd.DataFrame, near: pd.DataFrame, spots: SpotMatch
) -> dict[str, Value]:
    hidden = ~flag(true, "identifiable", default=True) & true["kind"].isin((*FATES, UNRESOLVED)).to_numpy()
    hidden &= ~flag(true, "optional", default=False) & _lost(true, spots)
    admitted = near[(called["kind"] == UNRESOLVED).to_numpy(dtype=bool)[near["result_row"]]]
    count = int(hidden[admitted["truth_row"].unique()].sum())
    return {
        "loss.unresolved_where_not_identifiable": proportion(
            count, int(hidden.sum()), of="losses that are not identifiable"
        )
    }


def _lost(true: pd.DataFrame, spots: SpotMatch) -> NDArray[np.bool_]:
    """Tell after which events nothing that counts is left of the exosome, shape (N,)."""
    seen = spots.truth[spots.scored][["exosome_id", "frame"]].dropna()
    after = true[["exosome_id", "start_frame"]].assign(truth_row=true.index).merge(seen, on="exosome_id")
    later = after["frame"] - after["start_frame"]
    still = after.loc[later.between(1, TOLERANCE_FRAMES), "truth_row"].unique()
    return ~np.isin(np.arange(len(true)), still)


def _mistimed(true: pd.DataFrame, called: pd.DataFrame, near: pd.DataFrame, spots: SpotMatch) -> int:
    """Return how many fusion calls are on exosomes that fuse, but at another time."""
    fused = true.loc[(true["kind"] == "fusion").to_numpy(dtype=bool), "exosome_id"].dropna()
    on_fused = spots.truth["exosome_id"].to_numpy()[spots.pairs["truth_row"]]
    partners = spots.result["exosome_id"].to_numpy()[spots.pairs["result_row"]][np.isin(on_fused, fused)]
    calls = called[(called["kind"] == "fusion").to_numpy(dtype=bool)]
    timely = near.loc[(true["kind"] == "fusion").to_numpy(dtype=bool)[near["truth_row"]], "result_row"]
    return int((calls["exosome_id"].isin(partners) & ~calls.index.isin(timely)).sum())


def _precision_at(
    values: dict[str, Value], true: pd.DataFrame, ratios: tuple[int, ...], mistimed: int
) -> dict[str, Value]:
    """Return the precision of fusion calls at set numbers of other events per fusion.

    With the recall R, m mistimed calls per fusion and f false fusion calls per other event, it is
    R/(R + m + ratio · f).
    """
    recall, false = values.get("fusion.recall"), values.get("fusion.false_per_cell_h")
    names = [f"fusion.precision_at_1_to_{ratio}" for ratio in ratios]
    if "fusion.recall" not in values:
        return dict.fromkeys(names, "neither truth nor result has any fusion")
    if not isinstance(recall, Metric) or not isinstance(false, Metric):
        return dict.fromkeys(names, "truth has no fusion events that count, or the exposure is unknown")
    counted = ~flag(true, "optional", default=False)
    others = int(((true["kind"] != "fusion").to_numpy(dtype=bool) & counted).sum())
    mistimed = min(mistimed, false.n)
    spread = proportion(min(false.n - mistimed, others), others, of="other events")
    if isinstance(spread, str):
        return dict.fromkeys(names, spread)
    late = mistimed / recall.n
    return {
        name: Metric(
            _weighted(recall.value, late + ratio * spread.value),
            _weighted(recall.lo, late + ratio * spread.hi),
            _weighted(recall.hi, late + ratio * spread.lo),
            recall.n + others,
        )
        for name, ratio in zip(names, ratios)
    }


def _weighted(right: float, wrong: float) -> float:
    return right / (right + wrong) if right + wrong > 0 else 0.0


def _coverage(true: pd.DataFrame, called: pd.DataFrame, near: pd.DataFrame) -> dict[str, Value]:
    """Return how often the truth lies in the interval, over events called by their true kind."""
    same = true["kind"].to_numpy()[near["truth_row"]] == called["kind"].to_numpy()[near["result_row"]]
    pairs = near[same].sort_values("apart").drop_duplicates("truth_row")
    values: dict[str, Value] = {}
    for name in FITTED:
        ends = [f"{name}_{end}" for end in ("lo", "hi")]
        if not ({name, *ends} <= {*true.dropna(axis=1, how="all"), *called.dropna(axis=1, how="all")}):
            values[f"coverage.{name}"] = f"neither truth nor result has any {name}, or only one of them"
            continue
        of = f"events called rightly with an interval of {name}"
        real = true[name].to_numpy(dtype=np.float64)[pairs["truth_row"]]
        low, high = (called[end].to_numpy(dtype=np.float64)[pairs["result_row"]] for end in ends)
        known = np.isfinite(real) & np.isfinite(low) & np.isfinite(high)
        inside = known & (low <= real) & (real <= high)
        values[f"coverage.{name}"] = proportion(int(inside.sum()), int(known.sum()), of=of)
    return values


def _confusion(true: pd.DataFrame, called: pd.DataFrame, near: pd.DataFrame) -> pd.DataFrame:
    kinds = true["kind"].to_numpy(dtype=object), called["kind"].to_numpy(dtype=object)
    pairs = near.assign(other=kinds[0][near["truth_row"]] != kinds[1][near["result_row"]])
    best = pairs.sort_values(["other", "apart"]).drop_duplicates("truth_row").set_index("truth_row")
    told = counts_in_full(true.assign(optional=False))
    rows = pd.DataFrame(
        {
            "truth": [kind if sure else f"{kind}, not identifiable" for kind, sure in zip(kinds[0], told)],
            "called": NONE,
        }
    )
    rows.loc[best.index, "called"] = kinds[1][best["result_row"]]
    alone = called[~called.index.isin(near["result_row"])]
    unasked = pd.DataFrame({"truth": NONE, "called": alone["kind"].to_numpy(dtype=object)})
    rows = pd.concat([rows[~flag(true, "optional", default=False)], unasked], ignore_index=True)
    return pd.crosstab(rows["truth"], rows["called"])
