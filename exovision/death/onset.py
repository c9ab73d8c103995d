"""When dying began: change-points of a cell's signals before the call, and when a stain came to stay."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

RISE_S = (120.0, 600.0, 1500.0, 3600.0)
"""Time constants of a signal that changes towards a new level."""
STEPS_PER_FRAME = 4
LEAST_GAIN = 8.0
"""A change counts if it raises the log-likelihood by this much."""
LEAST_RESIDUAL = 0.5
"""Residuals smaller than this, in standard deviations of a live cell's signal, are not believed."""
CORRELATED = 2.0
"""Neighbouring frames that share their noise: the log-likelihood is divided by this."""
PRUDENCE = 0.5
"""Of two signals that disagree, the earlier counts if it ends before the other begins."""


class Moment(NamedTuple):
    """A time with its 95 % interval, s; NaN where there is none."""

    time_s: float
    lo_s: float
    hi_s: float


NOWHEN = Moment(np.nan, np.nan, np.nan)


def find_change(signal: Floats, times_s: Floats) -> tuple[Floats, Floats] | None:
    r"""Return the posterior of the time at which a signal begins to leave its level.

    Parameters
    ----------
    signal : ndarray of shape (T,)
        In standard deviations of a live cell's; NaN where it was not seen.
    times_s : ndarray of shape (T,)
        Increasing, s.

    Returns
    -------
    (ndarray of shape (M,), ndarray of shape (M,)) or None
        Times, s, and their probabilities; None if no change stands out.

    Notes
    -----
    Least squares of :math:`b + A (1 - e^{-(t - t_0)_+/\tau})` over a grid of onsets t0 and time constants τ;
    the likelihood of t0 is :math:`RSS^{-n/2}`, as for a change-point in regression with unknown variance
    (doi:10.2307/2334932).
    """
    known = np.isfinite(signal)
    y, t = signal[known], times_s[known]
    if len(y) < 5:
        return None
    starts = _grid(t)
    flat = ((y - y.mean()) ** 2).sum()
    score = np.full(len(starts), -np.inf)
    for rise in RISE_S:
        shape = 1 - np.exp(-np.maximum(t[None] - starts[:, None], 0) / rise)
        score = np.maximum(score, -_residual(shape, y))
    floor = LEAST_RESIDUAL**2 * len(y)
    log_likelihood = -len(y) / 2 / CORRELATED * np.log(np.maximum(-score, 0) + floor)
    if log_likelihood.max() + len(y) / 2 / CORRELATED * np.log(flat + floor) < LEAST_GAIN / CORRELATED:
        return None
    weight = np.exp(log_likelihood - log_likelihood.max())
    return starts, weight / weight.sum()


def _grid(times_s: Floats) -> Floats:
    """Return times between the second frame and the last but one, several per frame."""
    index = np.arange(1, len(times_s) - 1, 1 / STEPS_PER_FRAME)
    return np.interp(index, np.arange(len(times_s)), times_s)


def _residual(shapes: Floats, y: Floats) -> Floats:
    """Return the residual sum of squares of y on a constant and each row of the shapes."""
    centred = shapes - shapes.mean(axis=1, keepdims=True)
    power = (centred**2).sum(axis=1)
    slope = centred @ (y - y.mean()) / np.maximum(power, 1e-12)
    return np.asarray(((y - y.mean()) ** 2).sum() - slope**2 * power, dtype=np.float64)


def earliest(changes: list[tuple[Floats, Floats]], times_s: Floats, call_s: float) -> Moment:
    """Return the earliest sign among the change-points of several signals, as an interval of frame times.

    Parameters
    ----------
    changes : list of (ndarray, ndarray)
        From `find_change`.
    times_s : ndarray of shape (T,)
        Of the frames; the limits are among them.
    call_s : float
        The onset without any change-point.
    """
    spans = sorted(_span(*change) for change in changes)
    if not spans:
        before = times_s[times_s < call_s]
        lo = float(before[-1]) if before.size else call_s
        return Moment((lo + call_s) / 2, lo, call_s)
    middle, lo, hi = spans[0]
    for other, other_lo, other_hi in spans[1:]:
        if other_lo < hi and other_hi - other_lo < PRUDENCE * (hi - lo):
            middle, lo, hi = other, other_lo, other_hi
    down = times_s[times_s <= lo]
    up = times_s[times_s >= hi]
    return Moment(middle, float(down[-1] if down.size else lo), float(up[0] if up.size else hi))


def _span(starts: Floats, weight: Floats) -> tuple[float, float, float]:
    mass = np.cumsum(weight)
    middle, lo, hi = (float(starts[min(np.searchsorted(mass, q), len(mass) - 1)]) for q in (0.5, 0.025, 0.975))
    return middle, lo, hi


def first_lasting(stained: NDArray[np.bool_], times_s: Floats) -> Moment:
    """Return when a stain came to stay: between the last frame without and the first of those with it.

    Parameters
    ----------
    stained : ndarray of shape (T,)
        Of the frames in which the channel was acquired.
    times_s : ndarray of shape (T,)
        Increasing, s.
    """
    if not len(stained) or not stained[-1] and stained[-3:].sum() < 2:
        return NOWHEN
    share = np.cumsum(stained[::-1])[::-1] / np.arange(len(stained), 0, -1)
    lasting = np.flatnonzero(stained & (share >= 0.7))
    if not lasting.size:
        return NOWHEN
    first = int(lasting[0])
    lo = float(times_s[first - 1]) if first else float(times_s[0])
    return Moment((lo + float(times_s[first])) / 2, lo, float(times_s[first]))
