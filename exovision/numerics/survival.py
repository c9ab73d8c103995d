"""Survival of units watched from an entry to an end: curves, incidence by cause, restricted means."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtri

Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]

Z95 = float(ndtri(0.975))
LARGEST = 30.0
"""Half-width of a limit on the log-log scale beyond which it is 0 or 1 anyway."""


class Survival(NamedTuple):
    """A product-limit curve.

    Attributes
    ----------
    time_s, survival, lo, hi : ndarray of shape (K,)
        Steps, in the order of time, with 95 % limits.
    at_risk, ended : ndarray of shape (K,)
        Numbers watched just before each step, and ending there.
    median_s, median_s_lo, median_s_hi : float
        NaN where the curve does not come down to one half.
    """

    time_s: Floats
    survival: Floats
    lo: Floats
    hi: Floats
    at_risk: Floats
    ended: Floats
    median_s: float
    median_s_lo: float
    median_s_hi: float


class Incidence(NamedTuple):
    """Cumulative incidence of one cause beside others.

    Attributes
    ----------
    time_s, incidence, lo, hi : ndarray of shape (K,)
        At every time at which something of any cause ended, with 95 % limits.
    """

    time_s: Floats
    incidence: Floats
    lo: Floats
    hi: Floats


def kaplan_meier(exit_s: Floats, ended: Bools, *, entry_s: Floats | None = None) -> Survival:
    """Estimate the survival of units of which some were still going on when last seen.

    Parameters
    ----------
    exit_s : ndarray of shape (N,)
        When each ended or was last seen.
    ended : ndarray of shape (N,)
        False where the end was not seen.
    entry_s : ndarray of shape (N,), optional
        Since when each was watched (left truncation); None: from the beginning.

    Returns
    -------
    Survival
        Limits from Greenwood's variance on the log-log scale; the median's by inverting them.

    Notes
    -----
    With late entries few may be watched at first: a curve that falls to 0 there stays at 0.

    References
    ----------
    Kaplan and Meier 1958, doi:10.1080/01621459.1958.10501452;
    Brookmeyer and Crowley 1982, doi:10.2307/2530286.
    """
    times, at_risk, died = _risk_table(exit_s, ended, entry_s)
    survival = np.cumprod(1 - died / at_risk).astype(np.float64)
    lo, hi = survival.copy(), survival.copy()
    alive = survival > 0
    if alive.any():
        variance = np.cumsum(died[alive] / (at_risk[alive] * (at_risk[alive] - died[alive])))
        reach = Z95 * np.sqrt(variance) / np.abs(np.log(survival[alive]))
        lo[alive] = survival[alive] ** np.exp(reach)
        hi[alive] = survival[alive] ** np.exp(-reach)
    median, early, late = (_first_below(times, curve) for curve in (survival, lo, hi))
    return Survival(times, survival, lo, hi, at_risk, died, median, early, late)


def _risk_table(exit_s: Floats, ended: Bools, entry_s: Floats | None) -> tuple[Floats, Floats, Floats]:
    """Return the times at which units ended, how many were watched then, and how many ended."""
    times, index = np.unique(exit_s[ended], return_inverse=True)
    died = np.bincount(index, minlength=len(times)).astype(np.float64)
    gone = np.searchsorted(np.sort(exit_s), times, side="left")
    come = len(exit_s) if entry_s is None else np.searchsorted(np.sort(entry_s), times, side="left")
    return times, (come - gone).astype(np.float64), died


def _first_below(times: Floats, curve: Floats) -> float:
    below = np.flatnonzero(curve <= 0.5)
    return float(times[below[0]]) if below.size else float("nan")


def survival_at(curve: Survival, time_s: float) -> float:
    """Return the survival at one time: 1 before the first step."""
    step = int(np.searchsorted(curve.time_s, time_s, side="right"))
    return float(curve.survival[step - 1]) if step else 1.0


def cumulative_incidence(
    exit_s: Floats, cause: NDArray[np.int64], wanted: int, *, entry_s: Floats | None = None
) -> Incidence:
    r"""Estimate how likely an end by one cause is, others competing.

    .. math:: F_c(t) = \sum_{t_k \le t} S(t_k^-)\, d_{ck} / n_k

    where d_ck is the number of ends of cause c at t_k, n_k that watched and S the survival of all causes.

    Parameters
    ----------
    exit_s : ndarray of shape (N,)
    cause : ndarray of shape (N,)
        0 where no end was seen, else the number of the cause.
    wanted : int
        The cause.
    entry_s : ndarray of shape (N,), optional
        Since when each was watched.

    Returns
    -------
    Incidence
        Limits on the log-log scale from Aalen's variance.

    References
    ----------
    Aalen and Johansen 1978, doi:10.2307/4615704; Marubini and Valsecchi 1995, ISBN 978-0471939870.
    """
    times, n, died = _risk_table(exit_s, cause > 0, entry_s)
    of_cause = np.bincount(np.searchsorted(times, exit_s[cause == wanted]), minlength=len(times)).astype(
        np.float64
    )
    survival = np.cumprod(1 - died / n).astype(np.float64)
    before = np.concatenate([[1.0], survival[:-1]]) if len(times) else survival
    incidence = np.cumsum(before * of_cause / n).astype(np.float64)
    spread = np.sqrt(_incidence_variance(incidence, before, n, died, of_cause))
    lo, hi = incidence.copy(), incidence.copy()
    inner = (incidence > 0) & (incidence < 1)
    log = np.log(incidence[inner])
    reach = np.minimum(Z95 * spread[inner] / (incidence[inner] * np.abs(log)), LARGEST)
    lo[inner] = np.exp(log * np.exp(reach))
    hi[inner] = np.exp(log * np.exp(-reach))
    return Incidence(times, incidence, lo, hi)


def _incidence_variance(
    incidence: Floats, before: Floats, n: Floats, died: Floats, of_cause: Floats
) -> Floats:
    """Return the variance of an incidence curve: sums over all earlier steps, shape (K,)."""
    left = n - died
    hazard_term = np.divide(died, n * left, out=np.zeros_like(n), where=left > 0)
    own_term = before**2 * (n - of_cause) * of_cause / n**3
    cross_term = before * of_cause / n**2
    # (F − F_k)² expanded, so that cumulative sums do
    square = (
        incidence**2 * np.cumsum(hazard_term)
        - 2 * incidence * np.cumsum(incidence * hazard_term)
        + np.cumsum(incidence**2 * hazard_term)
    )
    cross = incidence * np.cumsum(cross_term) - np.cumsum(incidence * cross_term)
    variance: Floats = np.maximum(square + np.cumsum(own_term) - 2 * cross, 0.0)
    return variance


def restricted_mean(curve: Survival, horizon_s: float, *, start_s: float = 0.0) -> tuple[float, float]:
    """Return the mean time alive from `start_s` up to a horizon, and its standard error, s.

    References
    ----------
    Royston and Parmar 2013, doi:10.1186/1471-2288-13-152.
    """
    kept = curve.time_s < horizon_s
    times = curve.time_s[kept]
    levels = np.concatenate([[1.0], curve.survival[kept]])
    areas = levels * np.diff(np.concatenate([[start_s], times, [horizon_s]]))
    ahead = np.cumsum(areas[::-1])[::-1][1:]
    n, died = curve.at_risk[kept], curve.ended[kept]
    inner = n > died
    variance = np.sum(ahead[inner] ** 2 * died[inner] / (n[inner] * (n[inner] - died[inner])))
    return float(areas.sum()), float(np.sqrt(variance))
