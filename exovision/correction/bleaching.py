"""Bleaching that all exosomes share, estimated from their own tracks."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy import stats

MIN_TRACKS = 5
MIN_SPOTS = 8
BOOTSTRAPS = 400
MOST_POINTS = 400
"""Of one track; the pairs that Theil and Sen compare grow with their square."""


@dataclass(frozen=True)
class Bleaching:
    """The common decay of brightness.

    Attributes
    ----------
    tau_s, tau_lo_s, tau_hi_s : float
        Time constant of the mono-exponential decay with its 95 % interval, s; NaN if it was not measured,
        infinite limits where the data allow no decay.
    factor : ndarray of shape (T,)
        Share of the first frame's brightness that is left; all 1 if nothing is corrected.
    used : bool
        Whether counts are corrected.
    note : str
        What was found, for the user.
    """

    tau_s: float
    tau_lo_s: float
    tau_hi_s: float
    factor: NDArray[np.float64]
    used: bool
    note: str


def estimate_bleaching(
    spots: pd.DataFrame, times_s: NDArray[np.float64], *, enabled: bool = True
) -> Bleaching:
    r"""Fit one decay rate to the brightness of all tracks.

    .. math:: \log I_{i}(t) = a_i - t/\tau

    where each track i has its own :math:`a_i`. The rate is the median over tracks of Theil–Sen slopes (of
    the medians of `MOST_POINTS` stretches where a track is longer), its interval a bootstrap over tracks.

    Parameters
    ----------
    spots : DataFrame
        `exosome_id frame counts`.
    times_s : ndarray of shape (T,)
        Seconds, NaN where not acquired.
    enabled : bool
        False: measure nothing and correct nothing.

    Returns
    -------
    Bleaching
        Not used with fewer than 5 tracks of 8 spots, or if the decay cannot be told from none.
    """
    ones = np.ones(len(times_s))
    nan = float("nan")
    if not enabled:
        return Bleaching(nan, nan, nan, ones, False, "bleaching correction is off")
    slopes = _slopes(spots, times_s)
    if slopes.size < MIN_TRACKS:
        return Bleaching(
            nan,
            nan,
            nan,
            ones,
            False,
            f"bleaching not estimated: {slopes.size} long tracks, {MIN_TRACKS} needed",
        )
    rng = np.random.default_rng(0)
    medians = [np.median(rng.choice(slopes, slopes.size)) for _ in range(BOOTSTRAPS)]
    low, high = np.percentile(medians, [2.5, 97.5])
    rate = -float(np.median(slopes))
    tau, tau_lo, tau_hi = (1 / value if value > 0 else float("inf") for value in (rate, -low, -high))
    if high >= 0:
        note = "no bleaching that could be told from none; brightness is not corrected"
        return Bleaching(tau, tau_lo, tau_hi, ones, False, note)
    start = float(np.nanmin(times_s))
    factor = np.exp(-rate * (np.nan_to_num(times_s, nan=start) - start))
    interval = f"{tau:.0f} s ({tau_lo:.0f}–{tau_hi:.0f} s)"
    note = f"brightness corrected for bleaching with a time constant of {interval}"
    return Bleaching(tau, tau_lo, tau_hi, factor, True, note)


def _slopes(spots: pd.DataFrame, times_s: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the slope of log counts of every long track, 1/s."""
    usable = spots[spots["exosome_id"].notna() & (spots["counts"] > 0)]
    found = []
    for _, track in usable.groupby("exosome_id", sort=True):
        times = times_s[track["frame"].to_numpy(dtype=np.int64)]
        if np.isfinite(times).sum() >= MIN_SPOTS:
            logs = np.log(track["counts"].to_numpy(dtype=np.float64))
            found.append(stats.theilslopes(_thinned(logs), _thinned(times)).slope)
    return np.array(found, dtype=np.float64)


def _thinned(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return at most `MOST_POINTS` medians of as many values each."""
    if len(values) <= MOST_POINTS:
        return values
    return np.array([np.median(group) for group in np.array_split(values, MOST_POINTS)])
