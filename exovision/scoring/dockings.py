"""Dockings: which true ones were called, which calls are false, and what went wrong with the others."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from exovision.numerics.assignment import assign_pairs
from exovision.scoring.scores import Metric, Value, average, detection_scores, f1_score, median
from exovision.scoring.spots import SpotMatch, flag

END_TOLERANCE_FRAMES = 3
END_TOLERANCE_FRACTION = 0.1
LEAST_SHARE = 0.5
FAILURES = ("missed", "merged", "split", "ends_off", "wrong_cell")


@dataclass(frozen=True)
class DockingMatch:
    """Which docking of the result belongs to which true one.

    Attributes
    ----------
    truth : DataFrame
        True dockings, rows numbered from 0, with `scored` and `failure`: "" for those that were called
        rightly, else one of `FAILURES`; null for those that do not count.
    result : DataFrame
        Called dockings, with `verdict` ("hit", "forgiven", "false") and `on`: what most spots of the call
        were, a kind of decoy, a true state, "exosome" (without a state) or "noise".
    pairs : DataFrame
        `truth_row result_row` of the hits.
    loose : DataFrame
        `truth_row result_row` of the pairs by exosome and cell alone, whatever the ends.
    """

    truth: pd.DataFrame
    result: pd.DataFrame
    pairs: pd.DataFrame
    loose: pd.DataFrame


def match_dockings(
    truth: pd.DataFrame, result: pd.DataFrame, spots: SpotMatch, cells: pd.DataFrame | None
) -> DockingMatch:
    """Match dockings by exosome, cell and both ends.

    Parameters
    ----------
    truth, result : DataFrame
        Events; only rows of kind `docking` are used.
    spots : SpotMatch
        Matched spots, both tables with `exosome_id`.
    cells : DataFrame, optional
        `frame truth_cell result_cell` of matched cells; without it the cell is not checked.

    Returns
    -------
    DockingMatch

    Notes
    -----
    The exosome is right if at least half of the docking's true spots that count belong to the call; the cell
    is right if the called cell is matched to the true one in a frame of both; an end is right within
    max(3 frames, 10 % of the true duration) of `end_frame` or `alt_end_frame`, and is not checked where
    truth is censored. A true docking that is optional, or has no spot that counts, does not count; a call
    with at least half of its spots on such dockings is forgiven.
    """
    true, called = _dockings(truth), _dockings(result)
    candidates = _candidates(true, called, spots, cells)
    visible = _members(true, spots.truth[spots.scored])["event"].value_counts()
    true["scored"] = ~flag(true, "optional", default=False) & (visible.reindex(true.index, fill_value=0) > 0)
    candidates["scored"] = true["scored"].to_numpy()[candidates["truth_row"]]
    right = candidates[candidates["scored"] & (candidates["share"] >= LEAST_SHARE) & candidates["cell_right"]]
    pairs, loose = _one_to_one(right[right["ends_right"]]), _one_to_one(right)
    true["failure"] = _failures(true, candidates, set(pairs["truth_row"]))
    called["verdict"] = _verdicts(called, candidates, pairs)
    called["on"] = _what_lies_under(called, spots)
    return DockingMatch(true, called, pairs, loose)


def _dockings(events: pd.DataFrame) -> pd.DataFrame:
    return events[(events["kind"] == "docking").fillna(False).to_numpy(dtype=bool)].reset_index(drop=True)


def _members(events: pd.DataFrame, spots: pd.DataFrame) -> pd.DataFrame:
    """Return the spots of each event: columns `event` (row) and `spot` (index label)."""
    intervals = events[["exosome_id", "start_frame", "end_frame"]].assign(event=events.index).dropna()
    linked = spots[["exosome_id", "frame"]].assign(spot=spots.index).dropna()
    joined = intervals.merge(linked, on="exosome_id")
    return joined.loc[joined["frame"].between(joined["start_frame"], joined["end_frame"]), ["event", "spot"]]


def _candidates(
    true: pd.DataFrame, called: pd.DataFrame, spots: SpotMatch, cells: pd.DataFrame | None
) -> pd.DataFrame:
    """Return the pairs of dockings that share spots, with the criteria of each."""
    of_true = _members(true, spots.truth).rename(columns={"event": "truth_row", "spot": "true_spot"})
    of_called = _members(called, spots.result).rename(columns={"event": "result_row", "spot": "spot"})
    of_true["counts"] = spots.scored[of_true["true_spot"]].astype(int)
    linked = of_true.merge(spots.pairs.set_axis(["true_spot", "spot"], axis=1), on="true_spot").merge(
        of_called, on="spot"
    )
    pairs = linked.groupby(["truth_row", "result_row"], as_index=False).agg(
        counted=("counts", "sum"), shared=("counts", "size")
    )
    visible = (
        of_true.groupby("truth_row")["counts"].sum().reindex(pairs["truth_row"]).to_numpy(dtype=np.float64)
    )
    length = of_called["result_row"].value_counts().reindex(pairs["result_row"]).to_numpy(dtype=np.float64)
    pairs["share"] = pairs["counted"] / np.maximum(visible, 1)
    pairs["share_of_call"] = pairs["shared"] / length
    t = true.loc[pairs["truth_row"]].reset_index(drop=True)
    r = called.loc[pairs["result_row"]].reset_index(drop=True)
    return pairs.assign(ends_right=_ends_right(t, r), cell_right=_cell_right(t, r, cells))


def _ends_right(truth: pd.DataFrame, result: pd.DataFrame) -> NDArray[np.bool_]:
    """Compare the ends of paired dockings, row by row."""
    start, end, called_start, called_end = (
        table[name].to_numpy(dtype=np.float64, na_value=np.nan)
        for table in (truth, result)
        for name in ("start_frame", "end_frame")
    )
    tolerance = np.maximum(END_TOLERANCE_FRAMES, END_TOLERANCE_FRACTION * (end - start + 1))
    censored = _censored(truth)
    near_end = np.abs(called_end - end) <= tolerance
    if "alt_end_frame" in truth:
        other = truth["alt_end_frame"].to_numpy(dtype=np.float64, na_value=np.nan)
        near_end |= np.abs(called_end - other) <= tolerance
    right: NDArray[np.bool_] = (
        np.isin(censored, ("left", "both")) | (np.abs(called_start - start) <= tolerance)
    ) & (np.isin(censored, ("right", "both")) | near_end)
    return right


def _censored(events: pd.DataFrame) -> NDArray[np.object_]:
    if "censored" not in events:
        return np.full(len(events), "none", dtype=object)
    return events["censored"].fillna("none").to_numpy(dtype=object)


def _cell_right(truth: pd.DataFrame, result: pd.DataFrame, cells: pd.DataFrame | None) -> NDArray[np.bool_]:
    """Tell whether the called cell is the true one in a frame that both of a pair of dockings have."""
    if cells is None:
        return np.ones(len(truth), dtype=bool)
    asked = pd.DataFrame(
        {
            "pair": np.arange(len(truth)),
            "truth_cell": truth["cell_id"].astype("Int64"),
            "result_cell": result["cell_id"].astype("Int64"),
            "first": np.maximum(truth["start_frame"].to_numpy(), result["start_frame"].to_numpy()),
            "last": np.minimum(truth["end_frame"].to_numpy(), result["end_frame"].to_numpy()),
        }
    ).dropna()
    known = cells[["frame", "truth_cell", "result_cell"]].astype("Int64")
    met = asked.merge(known, on=["truth_cell", "result_cell"])
    return np.isin(np.arange(len(truth)), met.loc[met["frame"].between(met["first"], met["last"]), "pair"])


def _one_to_one(candidates: pd.DataFrame) -> pd.DataFrame:
    rows, columns, shared = (candidates[c].to_numpy() for c in ("truth_row", "result_row", "counted"))
    # as many pairs as possible, then those that share most
    chosen = assign_pairs(rows, columns, shared + 1.0 + float(shared.sum() if shared.size else 0))
    return candidates.iloc[chosen][["truth_row", "result_row"]].reset_index(drop=True)


def _failures(true: pd.DataFrame, candidates: pd.DataFrame, hits: set[int]) -> list[str | None]:
    enough = candidates[candidates["share"] >= LEAST_SHARE]
    shared_calls = enough["result_row"].value_counts()
    reasons: list[str | None] = []
    for row in true.index:
        mine = candidates[candidates["truth_row"] == row]
        main = enough[enough["truth_row"] == row]
        if not true.at[row, "scored"]:
            reasons.append(None)
        elif row in hits:
            reasons.append("")
        elif mine["share"].sum() < LEAST_SHARE:
            reasons.append("missed")
        elif (shared_calls.reindex(main["result_row"]) > 1).any():
            reasons.append("merged")
        elif len(mine) > 1:
            reasons.append("split")
        else:
            reasons.append("ends_off" if main["cell_right"].any() else "wrong_cell")
    return reasons


def _verdicts(called: pd.DataFrame, candidates: pd.DataFrame, pairs: pd.DataFrame) -> NDArray[np.str_]:
    verdict = np.full(len(called), "false", dtype="<U8")
    excused = candidates[~candidates["scored"]].groupby("result_row")["share_of_call"].sum()
    verdict[excused.index[excused >= LEAST_SHARE].to_numpy(dtype=np.intp)] = "forgiven"
    verdict[pairs["result_row"].to_numpy(dtype=np.intp)] = "hit"
    return verdict


def _what_lies_under(called: pd.DataFrame, spots: SpotMatch) -> pd.Series[str]:
    """Return what most spots of each call were."""
    kind = np.where(spots.decoy == "", "noise", spots.decoy)
    found = spots.truth_row >= 0
    state = spots.truth["state"] if "state" in spots.truth else pd.Series(pd.NA, index=spots.truth.index)
    kind[found] = state.astype(object).fillna("exosome").to_numpy()[spots.truth_row[found]]
    members = _members(called, spots.result)
    most = (
        members.assign(kind=kind[members["spot"]])
        .groupby("event")["kind"]
        .agg(lambda k: str(k.mode().iloc[0]))
    )
    return most.reindex(called.index, fill_value="noise")


def score_dockings(match: DockingMatch, cells: pd.DataFrame | None) -> dict[str, Value]:
    """Return every metric of dockings but the rates.

    Parameters
    ----------
    match : DockingMatch
    cells : DataFrame, optional
        `frame truth_cell result_cell` of matched cells; without it hits per cell are absent.

    Returns
    -------
    dict of str to Metric or str
        `docking.precision recall f1`; `f1_without_ends` (diagnostic: exosome and cell only);
        `dwell_bias_median dwell_bias_mean`: (called − true)/true duration in frames, over pairs by exosome
        and cell that are uncensored in both; `hits_per_cell_slope`: calls per cell on true dockings per cell,
        a line through the origin; counts `failure.<reason>` of true and `false_on.<what>` of called dockings.
    """
    hits, scored = len(match.pairs), int(match.truth["scored"].sum())
    counted = int((match.result["verdict"] != "forgiven").sum())
    loose = set(match.loose["result_row"])
    excused = (match.result["verdict"] == "forgiven") & ~match.result.index.isin(loose)
    without_ends = f1_score(
        len(loose), scored - len(loose), int((~excused).sum()) - len(loose), of="dockings"
    )
    bias = _dwell_bias(match)
    of = "pairs of dockings uncensored in both"
    return {
        **detection_scores("docking", hits, scored - hits, counted - hits, of="dockings"),
        "docking.f1_without_ends": without_ends if scored else "truth has no dockings",
        "docking.dwell_bias_median": median(bias, of=of),
        "docking.dwell_bias_mean": average(bias, of=of),
        "docking.hits_per_cell_slope": _hits_per_cell(match, cells),
        **_reasons(match, scored, counted),
    }


def _dwell_bias(match: DockingMatch) -> NDArray[np.float64]:
    t = match.truth.loc[match.loose["truth_row"]].reset_index(drop=True)
    r = match.result.loc[match.loose["result_row"]].reset_index(drop=True)
    true, called = ((e["end_frame"] - e["start_frame"] + 1).to_numpy(dtype=np.float64) for e in (t, r))
    bias: NDArray[np.float64] = (called / true - 1)[(_censored(t) == "none") & (_censored(r) == "none")]
    return bias


def _hits_per_cell(match: DockingMatch, cells: pd.DataFrame | None) -> Value:
    if cells is None:
        return "there are no label images in both folders to pair the cells by"
    true = match.truth.loc[match.truth["scored"], "cell_id"].dropna().astype(int).value_counts()
    if true.empty:
        return "truth has no dockings that count"
    called = match.result[match.result["verdict"] != "forgiven"]
    joined = called.assign(call=called.index).merge(
        cells[["frame", "truth_cell", "result_cell"]], left_on="cell_id", right_on="result_cell"
    )
    joined = joined[joined["frame"].between(joined["start_frame"], joined["end_frame"])]
    owner = joined.groupby("call")["truth_cell"].agg(lambda c: int(c.mode().iloc[0]))
    everyone = pd.Index(cells["truth_cell"].astype(int).unique()).union(true.index)
    x = true.reindex(everyone, fill_value=0).to_numpy(dtype=np.float64)
    y = owner.value_counts().reindex(everyone, fill_value=0).to_numpy(dtype=np.float64)
    slope = float(x @ y / (x @ x))
    spread = float(((y - slope * x) ** 2).sum()) / max(len(x) - 1, 1)
    half = 1.96 * np.sqrt(spread / float(x @ x))
    return Metric(slope, slope - half, slope + half, len(x))


def _reasons(match: DockingMatch, scored: int, counted: int) -> Mapping[str, Value]:
    failed = match.truth["failure"].value_counts()
    on = match.result.loc[match.result["verdict"] == "false", "on"].value_counts().sort_index()
    return {
        **{
            f"docking.failure.{name}": Metric(float(failed.get(name, 0)), n=scored)
            for name in FAILURES
            if scored
        },
        **{f"docking.false_on.{name}": Metric(float(n), n=counted) for name, n in on.items()},
    }
