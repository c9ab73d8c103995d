"""Events and observations of many units over time: sums of what came before, and latest values."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numba import njit
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]


class Trains(NamedTuple):
    """Values at times, of many units.

    Attributes
    ----------
    start : ndarray of shape (N + 1,)
        Where each unit's entries begin; the last is the number of entries.
    time_s, value : ndarray of shape (E,)
        Sorted by unit, then by time.
    """

    start: Ints
    time_s: Floats
    value: Floats


def make_trains(unit: Ints, time_s: Floats, value: Floats, n_units: int) -> Trains:
    """Sort entries into trains.

    Parameters
    ----------
    unit : ndarray of shape (E,)
        0 to `n_units` − 1.
    time_s, value : ndarray of shape (E,)
    n_units : int
    """
    order = np.lexsort((time_s, unit))
    start = np.concatenate([[0], np.cumsum(np.bincount(unit, minlength=n_units))]).astype(np.int64)
    return Trains(start, time_s[order], value[order])


def sum_before(trains: Trains, unit: Ints, at_s: Floats, *, half_life_s: float = np.inf) -> Floats:
    r"""Sum what came strictly before a time, each entry fading with its age.

    .. math:: D(t) = \sum_{t_j < t} w_j\, 2^{-(t - t_j) / h}

    where w are the values, t_j their times and h the half-life.

    Parameters
    ----------
    trains : Trains
    unit, at_s : ndarray of shape (M,)
    half_life_s : float
        Infinite: nothing fades, the sum is a count.

    Returns
    -------
    ndarray of shape (M,)
    """
    rate = 0.0 if np.isinf(half_life_s) else np.log(2) / half_life_s
    sums: Floats = _sum_before(*trains, unit, at_s, rate)
    return sums


def latest(trains: Trains, unit: Ints, at_s: Floats) -> Floats:
    """Return the last value at or before a time, the first if none is earlier, NaN without any."""
    values: Floats = _latest(*trains, unit, at_s)
    return values


@njit(cache=True, nogil=True)
def _sum_before(start, time, value, unit, at, rate):  # type: ignore[no-untyped-def]
    sums = np.zeros(len(unit))
    for m in range(len(unit)):
        for j in range(start[unit[m]], start[unit[m] + 1]):
            age = at[m] - time[j]
            if age <= 0:
                break
            sums[m] += value[j] * np.exp(-rate * age) if rate > 0 else value[j]
    return sums


@njit(cache=True, nogil=True)
def _latest(start, time, value, unit, at):  # type: ignore[no-untyped-def]
    values = np.full(len(unit), np.nan)
    for m in range(len(unit)):
        first, stop = start[unit[m]], start[unit[m] + 1]
        if stop > first:
            values[m] = value[max(first, first + np.searchsorted(time[first:stop], at[m], side="right") - 1)]
    return values
