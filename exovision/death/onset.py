"""When dying began: change-points of a cell's signals before the call, and when a stain came to stay."""

from __future__ import annotations

from collections.abc import Mapping
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
DELAYS_S = {
    "annexin": (0.0, 1200.0),
    "caspase": (0.0, 480.0),
    "morphology": (-120.0, 1200.0),
    "nucleus": (-300.0, 900.0),
    "area": (-300.0, 1200.0),
}
"""How long after the onset each signal begins to change, with what the fit adds for slow changes (annexin: R;
caspase: V, minutes after the first signal in cells that killers attack)."""
STRAYS = {"annexin": 0.05, "caspase": 0.05, "morphology": 0.2, "nucleus": 0.3, "area": 0.4}
"""How often the change-point of each signal is another one's."""
BEFORE_CALL_S = 2400.0
"""Mean time from onset to call, where nothing else tells."""

LASTING_SHARE = 0.9
"""Of the frames from a stain's first on, in which it must be seen to have come to stay."""


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
    return np.asarray(np.interp(index, np.arange(len(times_s)), times_s), dtype=np.float64)


def _residual(shapes: Floats, y: Floats) -> Floats:
    """Return the residual sum of squares of y on a constant and each row of the shapes."""
    centred = shapes - shapes.mean(axis=1, keepdims=True)
    power = (centred**2).sum(axis=1)
    slope = centred @ (y - y.mean()) / np.maximum(power, 1e-12)
    return np.asarray(((y - y.mean()) ** 2).sum() - slope**2 * power, dtype=np.float64)


def combine(changes: Mapping[str, tuple[Floats, Floats]], times_s: Floats, call_s: float) -> Moment:
    r"""Return the onset that best explains when each signal began to change, as an interval of frame times.

    Parameters
    ----------
    changes : mapping of str to (ndarray, ndarray)
        From `find_change`, by signal.
    times_s : ndarray of shape (T,)
        Of the frames before and around the call, increasing, s; the limits are among them.
    call_s : float
        When the cell was more likely dying than not.

    Notes
    -----
    .. math:: p(t) \propto e^{-(c - t)_+/\tau} \prod_j \left[(1 - s_j) P(a_j \le T_j - t \le b_j)/(b_j - a_j)
              + s_j/W\right]

    where T_j is the change-point of signal j, a_j to b_j its delay after the onset, s_j the chance that it is
    another change, c the call and W the length of the window.
    """
    grid = _grid(np.concatenate([times_s[:1], times_s, times_s[-1:]]))
    window = max(float(np.ptp(grid)), 1.0)
    log_chance = -np.abs(call_s - grid) / np.where(grid < call_s, BEFORE_CALL_S, BEFORE_CALL_S / 8)
    for name, (starts, weight) in changes.items():
        first, last = DELAYS_S[name]
        mass = np.cumsum(weight)
        inside = _upto(grid + last, starts, mass) - _upto(grid + first, starts, mass)
        log_chance += np.log((1 - STRAYS[name]) * inside / (last - first) + STRAYS[name] / window)
    weight = np.exp(log_chance - log_chance.max())
    middle, lo, hi = _span(grid, weight / weight.sum())
    down, up = times_s[times_s <= lo], times_s[times_s >= hi]
    return Moment(middle, float(down[-1] if down.size else lo), float(up[0] if up.size else hi))


def _upto(times_s: Floats, starts: Floats, mass: Floats) -> Floats:
    """Return the probability that a change lies before each time."""
    return np.asarray(np.interp(times_s, starts, mass, left=0.0, right=1.0), dtype=np.float64)


def _span(starts: Floats, weight: Floats) -> tuple[float, float, float]:
    found = np.searchsorted(np.cumsum(weight), (0.5, 0.025, 0.975))
    middle, lo, hi = starts[np.minimum(found, len(starts) - 1)].tolist()
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
    if not len(stained) or (not stained[-1] and stained[-3:].sum() < 2):
        return NOWHEN
    share = np.cumsum(stained[::-1])[::-1] / np.arange(len(stained), 0, -1)
    lasting = np.flatnonzero(stained & (share >= LASTING_SHARE))
    if not lasting.size:
        return NOWHEN
    first = int(lasting[0])
    lo = float(times_s[first - 1]) if first else float(times_s[0])
    return Moment((lo + float(times_s[first])) / 2, lo, float(times_s[first]))
