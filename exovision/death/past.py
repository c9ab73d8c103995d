"""What each nucleus usually was before, in size, brightness and outline."""

from __future__ import annotations

from bisect import insort

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

CHANGED = 0.25
"""A logarithm of area that fell, or of brightness that moved, by more is not the living cell's."""
SETTLED_S = 3600.0
"""What a cell is in the first hour that it is seen need not be its usual state: it may have been dividing."""
GROWN = 0.3
"""A logarithm of area that rose by more is that of a living cell, whatever its light."""
LONGEST_STEP_S = 900.0
"""Frames farther apart than this add no more than this to the time that a cell was seen."""
LEAST_BLEACHED, LEAST_CELLS = 0.75, 4
"""Of the cells' rates of fading the one at this quantile is bleaching: the dead may fade faster. Fewer cells
do not tell."""


def usual_before(seen: Floats, times_s: Floats, tracks: list[Ints]) -> tuple[Floats, Floats]:
    """Return what a nucleus is in each frame, and what it usually was before.

    Parameters
    ----------
    seen : ndarray of shape (N, 3)
        Area, light and solidity, a row per cell and frame; area and light that are not positive are missing.
    times_s : ndarray of shape (N,)
        Of every row, s.
    tracks : list of ndarray of int
        Row numbers of each cell, in order of time.

    Returns
    -------
    values : ndarray of shape (N, 3)
        Logarithms of area and light, and solidity; NaN where missing.
    usual : ndarray of shape (N, 3)
        Their median over the cell's frames before; NaN before any was seen.

    Notes
    -----
    Frames in which the nucleus was condensed, brighter or dimmer do not count as usual, so that what stays so
    is never taken for it. Bleaching that all cells share is taken away first.
    """
    values = np.array(seen)
    values[:, :2] = np.log(np.where(seen[:, :2] > 0, seen[:, :2], np.nan))
    values[:, 1] -= _bleaching(values[:, 1], times_s, tracks) * times_s
    usual = np.full(values.shape, np.nan)
    for rows in tracks:
        usual[rows] = _follow(values[rows], times_s[rows] - times_s[rows[0]])
    return values, usual


def _bleaching(light: Floats, times_s: Floats, tracks: list[Ints]) -> float:
    """Return the rate at which all cells fade, 1/s, at most 0."""
    rates = []
    for rows in tracks:
        seen = rows[np.isfinite(light[rows])]
        third = len(seen) // 3
        if third and times_s[seen[-1]] - times_s[seen[0]] >= SETTLED_S:
            early, late = seen[:third], seen[-third:]
            apart_s = times_s[late].mean() - times_s[early].mean()
            rates.append((np.median(light[late]) - np.median(light[early])) / apart_s)
    return min(float(np.quantile(rates, LEAST_BLEACHED)), 0.0) if len(rates) >= LEAST_CELLS else 0.0


def _follow(values: Floats, age_s: Floats) -> Floats:
    """Return what was usual of one cell before each of its frames, shape (T, 3)."""
    past: tuple[list[float], ...] = tuple([] for _ in values.T)
    usual = np.full(values.shape, np.nan)
    steps_s = np.minimum(np.diff(age_s, prepend=0.0), LONGEST_STEP_S)
    seen_s = np.cumsum(np.where(np.isfinite(values).all(axis=1), steps_s, 0.0))
    for k, now in enumerate(values):
        usual[k] = [_middle(one) for one in past]
        larger, brighter, _ = now - usual[k]
        changed = larger < -CHANGED or (abs(brighter) > CHANGED and seen_s[k] >= SETTLED_S)
        if changed and not larger > GROWN:
            continue
        for value, one in zip(now, past):
            if np.isfinite(value):
                insort(one, float(value))
    return usual


def _middle(ordered: list[float]) -> float:
    if not ordered:
        return np.nan
    half = len(ordered) // 2
    return ordered[half] if len(ordered) % 2 else (ordered[half - 1] + ordered[half]) / 2
