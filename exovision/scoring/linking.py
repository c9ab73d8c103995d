"""Tracks of exosomes: links that are right, purity, the Particle Tracking Challenge's measures."""

from __future__ import annotations

import numpy as np
import pandas as pd

from exovision.numerics.assignment import assign_pairs
from exovision.scoring.matching import near_pairs
from exovision.scoring.scores import Metric, Value, proportion
from exovision.scoring.spots import SpotMatch, flag, positions

CHALLENGE_GATE_PX = 5.0
"""Distance beyond which a position counts as missed in the challenge (doi:10.1038/nmeth.2808)."""


def score_linking(match: SpotMatch) -> dict[str, Value]:
    """Return every metric of linking.

    Parameters
    ----------
    match : SpotMatch
        Tables with `frame y_px x_px exosome_id` and, in truth, `linkable` (null: linkable).

    Returns
    -------
    dict of str to Metric or str
        `linking.pairs`: fraction of pairs of linkable true spots in consecutive frames whose detections
        carry one `exosome_id`; `linking.pairs_where_found`: the same where both were detected;
        `linking.purity`: spots of the result's tracks that belong to the true track that is most frequent
        in theirs; `linking.alpha beta jsc` of the Particle Tracking Challenge.
    """
    missing = next((n for n in ("truth", "result") if "exosome_id" not in getattr(match, n)), None)
    if missing:
        return {"linking.pairs": f"the {missing} has no exosome_id"}
    return {**_pairs(match), "linking.purity": _purity(match), **_challenge(match)}


def _linkable(match: SpotMatch) -> pd.DataFrame:
    truth = match.truth.assign(found=match.result_row)
    keep = flag(truth, "linkable", default=True) & match.scored & truth["exosome_id"].notna().to_numpy()
    return truth[keep]


def _pairs(match: SpotMatch) -> dict[str, Value]:
    truth = _linkable(match).sort_values(["exosome_id", "frame"])
    track = match.result["exosome_id"].astype("Float64").to_numpy(dtype=np.float64, na_value=np.nan)
    found = truth["found"].to_numpy()
    track_of = np.where(found >= 0, np.append(track, np.nan)[found], np.nan)
    ids, frames = truth["exosome_id"].to_numpy(dtype=np.int64), truth["frame"].to_numpy(dtype=np.int64)
    consecutive = (np.diff(ids) == 0) & (np.diff(frames) == 1)
    both = consecutive & (found[:-1] >= 0) & (found[1:] >= 0)
    linked = consecutive & (track_of[:-1] == track_of[1:])
    of = "consecutive linkable spots in truth"
    return {
        "linking.pairs": proportion(int(linked.sum()), int(consecutive.sum()), of=of),
        "linking.pairs_where_found": proportion(int(linked.sum()), int(both.sum()), of=f"detected {of}"),
    }


def _purity(match: SpotMatch) -> Value:
    tracked = match.result["exosome_id"].notna().to_numpy() & (match.verdict != "forgiven")
    true_id = (
        match.truth["exosome_id"].reindex(match.truth_row[tracked]).to_numpy(dtype=np.float64, na_value=-1)
    )
    table = pd.DataFrame({"track": match.result["exosome_id"].to_numpy()[tracked], "true": true_id})
    counts = table[table["true"] > 0].groupby(["track", "true"]).size()
    return proportion(
        int(counts.groupby("track").max().sum()), len(table), of="spots in tracks of the result"
    )


def _challenge(match: SpotMatch, gate_px: float = CHALLENGE_GATE_PX) -> dict[str, Value]:
    r"""Return alpha, beta and the Jaccard index of positions.

    Notes
    -----
    .. math:: \alpha = 1 - d(X, Y)/d(X, \emptyset), \quad
              \beta = (d(X, \emptyset) - d(X, Y))/(d(X, \emptyset) + d(\bar Y, \emptyset))

    where X are the true and Y the result's tracks, d sums distances cut at the gate over the best pairing of
    tracks, and Ȳ are the result's tracks without a partner (doi:10.1038/nmeth.2808). A pair of tracks gains
    gate − distance in each frame that they share within the gate and loses the gate in each frame that only
    the result's track has. Detections of spots that are not linkable do not count.
    """
    truth = _linkable(match)
    beside = (match.truth_row >= 0) & ~np.isin(match.truth_row, truth.index)
    tracked = match.result["exosome_id"].notna().to_numpy() & (match.verdict != "forgiven")
    result = match.result[tracked & ~beside]
    if truth.empty:
        return dict.fromkeys(("linking.alpha", "linking.beta", "linking.jsc"), "truth has no linkable spots")
    x, true_ids = pd.factorize(truth["exosome_id"])
    y, _ = pd.factorize(result["exosome_id"])
    rows, columns, distance = near_pairs(positions(truth), positions(result), gate_px)
    shared = pd.DataFrame({"x": x[rows], "y": y[columns], "near": 1, "gain": gate_px - distance})
    pairs = shared.groupby(["x", "y"], as_index=False).sum()
    length = np.bincount(y, minlength=1)
    pairs["benefit"] = pairs["gain"] - gate_px * _frames_outside(
        truth.assign(x=x), result.assign(y=y), pairs, length
    )
    pairs = pairs[pairs["benefit"] > 0]
    best = pairs.iloc[assign_pairs(pairs["x"].to_numpy(), pairs["y"].to_numpy(), pairs["benefit"].to_numpy())]
    largest, gained = gate_px * len(truth), float(best["benefit"].sum())
    spurious = gate_px * (len(result) - int(length[best["y"]].sum()))
    near, n = int(best["near"].sum()), len(true_ids)
    return {
        "linking.alpha": Metric(gained / largest, n=n),
        "linking.beta": Metric(gained / (largest + spurious), n=n),
        "linking.jsc": proportion(near, len(truth) + len(result) - near, of="positions in tracks"),
    }


def _frames_outside(
    truth: pd.DataFrame, result: pd.DataFrame, pairs: pd.DataFrame, length: np.typing.NDArray[np.int64]
) -> np.typing.NDArray[np.int64]:
    """Count, for each pair of tracks, the frames in which only the result's track exists."""
    together = (
        pairs[["x", "y"]]
        .merge(truth[["x", "frame"]], on="x")
        .merge(result[["y", "frame"]], on=["y", "frame"])
        .groupby(["x", "y"])
        .size()
    )
    common = together.reindex(pd.MultiIndex.from_frame(pairs[["x", "y"]]), fill_value=0).to_numpy()
    outside: np.typing.NDArray[np.int64] = length[pairs["y"].to_numpy()] - common
    return outside
