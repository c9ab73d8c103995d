"""Spots: which were found, how precisely, and whether errors and probabilities are honest."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from exovision.scoring.classifier import calibration_error
from exovision.scoring.matching import GATE_PX, Index, match_points, near_pairs
from exovision.scoring.scores import Metric, Value, detection_scores, proportion

SNR_BINS = ((1.5, 3.0), (3.0, 5.0), (5.0, 8.0), (8.0, np.inf))
CALIBRATION_BINS = 10


@dataclass(frozen=True)
class SpotMatch:
    """Which detection belongs to which true spot.

    Attributes
    ----------
    truth, result : DataFrame
        The spots, N true and M detected, rows numbered from 0.
    scored : ndarray of shape (N,)
        False for true spots that are ignored.
    truth_row : ndarray of shape (M,)
        Row of the true spot that a detection belongs to, −1 if none.
    verdict : ndarray of shape (M,)
        "hit", "false", or "forgiven" for detections on ignored truth.
    decoy : ndarray of shape (M,)
        Kind of the decoy under a false detection, else "".
    """

    truth: pd.DataFrame
    result: pd.DataFrame
    scored: NDArray[np.bool_]
    truth_row: Index
    verdict: NDArray[np.str_]
    decoy: NDArray[np.object_]

    @property
    def pairs(self) -> pd.DataFrame:
        """Rows of matched truth and result, ignored truth included: columns `truth_row result_row`."""
        found = np.flatnonzero(self.truth_row >= 0)
        return pd.DataFrame({"truth_row": self.truth_row[found], "result_row": found})

    @property
    def result_row(self) -> Index:
        """Row of the detection that belongs to each true spot, shape (N,), −1 if none."""
        rows = np.full(len(self.truth), -1, dtype=np.intp)
        pairs = self.pairs
        rows[pairs["truth_row"].to_numpy()] = pairs["result_row"].to_numpy()
        return rows


def positions(spots: pd.DataFrame) -> NDArray[np.float64]:
    """Return frame, y in px, x in px of each spot, shape (N, 3)."""
    return spots[["frame", "y_px", "x_px"]].to_numpy(dtype=np.float64)


def flag(table: pd.DataFrame, name: str, *, default: bool) -> NDArray[np.bool_]:
    """Return a column of yes and no as booleans; null, or no such column, is `default`."""
    if name not in table:
        return np.full(len(table), default)
    return table[name].astype("boolean").fillna(default).to_numpy(dtype=bool)


def match_spots(
    truth: pd.DataFrame, result: pd.DataFrame, decoys: pd.DataFrame | None = None, *, gate_px: float = GATE_PX
) -> SpotMatch:
    """Match detected with true spots, frame by frame, one to one.

    Parameters
    ----------
    truth : DataFrame
        `frame y_px x_px` and, where some do not count, `ignore`.
    result : DataFrame
        `frame y_px x_px`.
    decoys : DataFrame, optional
        `frame y_px x_px kind`.
    gate_px : float
        Largest distance, px.

    Returns
    -------
    SpotMatch

    Notes
    -----
    True spots that count are served first; a detection left over is forgiven within the gate of an
    ignored one. A detection on a decoy is a false alarm, however bright the decoy is; but where truth
    lists a spot at the same place, scored or ignored, the spot decides.
    """
    truth, result = truth.reset_index(drop=True), result.reset_index(drop=True)
    true_points, points = positions(truth), positions(result)
    ignored = flag(truth, "ignore", default=False)
    truth_row = np.full(len(result), -1, dtype=np.intp)
    verdict = np.full(len(result), "false", dtype="<U8")
    for rows, name in ((np.flatnonzero(~ignored), "hit"), (np.flatnonzero(ignored), "forgiven")):
        free = np.flatnonzero(truth_row < 0)
        matched, found = match_points(true_points[rows], points[free], gate_px)
        truth_row[free[found]], verdict[free[found]] = rows[matched], name
    left = np.flatnonzero(truth_row < 0)
    verdict[left[np.unique(near_pairs(true_points[ignored], points[left], gate_px)[1])]] = "forgiven"
    decoy = _decoys_under(points, verdict == "false", decoys, gate_px)
    return SpotMatch(truth, result, ~ignored, truth_row, verdict, decoy)


def _decoys_under(
    points: NDArray[np.float64], false: NDArray[np.bool_], decoys: pd.DataFrame | None, gate_px: float
) -> NDArray[np.object_]:
    kinds = np.full(len(points), "", dtype=object)
    if decoys is not None and len(decoys):
        left = np.flatnonzero(false)
        matched, found = match_points(positions(decoys), points[left], gate_px)
        kinds[left[found]] = decoys["kind"].to_numpy(dtype=object)[matched]
    return kinds


def score_spots(match: SpotMatch, decoys: pd.DataFrame | None = None) -> dict[str, Value]:
    """Return every metric of spots.

    Parameters
    ----------
    match : SpotMatch
    decoys : DataFrame, optional
        `frame y_px x_px kind`; without it the decoy metrics are absent.

    Returns
    -------
    dict of str to Metric or str
        `spots.precision recall f1`, `rmse_px` (per coordinate, isolated matched spots), `rmse_over_crlb`
        (rmse over the root mean square of `crlb_px`), `z_rms` (1 if standard errors are right),
        `probability_ece`, `decoys_hit[.kind]` (fraction of decoys with a false detection on them);
        recall, rmse and its ratio also per bin of true SNR, `[1.5-3]` to `[>8]`.
    """
    hits = int((match.verdict == "hit").sum())
    missed, false = int(match.scored.sum()) - hits, int((match.verdict == "false").sum())
    errors = _errors(match)
    return {
        **detection_scores("spots", hits, missed, false, of="spots"),
        **_precision_of_position(errors, ""),
        "spots.z_rms": _z_rms(errors),
        **_by_snr(match, errors),
        "spots.probability_ece": _calibration_error(match),
        **_decoys_hit(match, decoys),
    }


def _errors(match: SpotMatch) -> pd.DataFrame:
    """Return errors of matched isolated spots: `snr crlb_px` of truth, `y x` in px, `y_z x_z` over the se."""
    rows = np.flatnonzero(match.verdict == "hit")
    truth, found = match.truth.iloc[match.truth_row[rows]], match.result.iloc[rows]
    table = pd.DataFrame(index=range(len(rows)))
    for name in ("snr", "crlb_px"):
        table[name] = truth[name].to_numpy(dtype=np.float64, na_value=np.nan) if name in truth else np.nan
    for axis in ("y", "x"):
        error = found[f"{axis}_px"].to_numpy(dtype=np.float64) - truth[f"{axis}_px"].to_numpy(
            dtype=np.float64
        )
        table[axis] = error
        se = f"{axis}_se_px"
        table[f"{axis}_z"] = error / found[se].to_numpy(dtype=np.float64) if se in found else np.nan
    return table[flag(truth, "isolated", default=False)]


def _rms(table: pd.DataFrame) -> float:
    return float(np.sqrt(np.mean(table.to_numpy(dtype=np.float64) ** 2)))


def _precision_of_position(errors: pd.DataFrame, suffix: str) -> dict[str, Value]:
    rmse, ratio = f"spots.rmse_px{suffix}", f"spots.rmse_over_crlb{suffix}"
    if errors.empty:
        reason = "no matched spot is `isolated` in truth"
        return {rmse: reason, ratio: reason}
    bounded = errors[errors["crlb_px"] > 0]
    if bounded.empty:
        return {rmse: _of_rms(_rms(errors[["y", "x"]]), 2 * len(errors)), ratio: "truth has no crlb_px"}
    over = _rms(bounded[["y", "x"]]) / _rms(bounded[["crlb_px"]])
    return {
        rmse: _of_rms(_rms(errors[["y", "x"]]), 2 * len(errors)),
        ratio: _of_rms(over, 2 * len(bounded)),
    }


def _of_rms(value: float, n: int) -> Metric:
    """Give a root mean square of `n` normal errors its interval: its relative error is 1/sqrt(2 n)."""
    half = 1.96 * value / np.sqrt(2 * n)
    return Metric(value, value - half, value + half, n)


def _z_rms(errors: pd.DataFrame) -> Value:
    z = errors[["y_z", "x_z"]].to_numpy(dtype=np.float64)
    z = z[np.isfinite(z)]
    if z.size == 0:
        return "no matched isolated spot has a standard error"
    return _of_rms(float(np.sqrt(np.mean(z**2))), int(z.size))


def _by_snr(match: SpotMatch, errors: pd.DataFrame) -> dict[str, Value]:
    if "snr" not in match.truth or match.truth["snr"].isna().all():
        return {"spots.recall[snr]": "truth has no snr"}
    snr = match.truth["snr"].to_numpy(dtype=np.float64, na_value=np.nan)
    found = match.result_row >= 0
    values: dict[str, Value] = {}
    for low, high in SNR_BINS:
        name = f"[snr {low:g}-{high:g}]" if np.isfinite(high) else f"[snr >{low:g}]"
        inside = match.scored & (snr >= low) & (snr < high)
        values[f"spots.recall{name}"] = proportion(
            int((found & inside).sum()), int(inside.sum()), of="true spots of this SNR"
        )
        values |= _precision_of_position(errors[(errors["snr"] >= low) & (errors["snr"] < high)], name)
    return values


def _calibration_error(match: SpotMatch) -> Value:
    """Return the expected calibration error of `probability` over detections that count."""
    if "probability" not in match.result:
        return "the result has no probability"
    probability = match.result["probability"].to_numpy(dtype=np.float64, na_value=np.nan)
    counts = (match.verdict != "forgiven") & np.isfinite(probability)
    if not counts.any():
        return "no detection that counts has a probability"
    probability, hit = probability[counts], (match.verdict == "hit")[counts]
    error = calibration_error(probability, hit, bins=CALIBRATION_BINS)
    return Metric(error, n=int(counts.sum()))


def _decoys_hit(match: SpotMatch, decoys: pd.DataFrame | None) -> dict[str, Value]:
    if decoys is None or decoys.empty:
        return {"spots.decoys_hit": "truth has no decoys"}
    on = pd.Series(match.decoy[match.decoy != ""], dtype=object).value_counts()
    values = {"spots.decoys_hit": proportion(int(on.sum()), len(decoys), of="decoys")}
    for kind, n in decoys["kind"].astype(str).value_counts().sort_index().items():
        values[f"spots.decoys_hit.{kind}"] = proportion(int(on.get(kind, 0)), int(n), of="decoys")
    return values
