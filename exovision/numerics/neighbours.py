"""Points near points, each within a reach of its own."""

from __future__ import annotations

import numpy as np
from numba import njit
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

BINS_PER_POINT = 16
"""At most so many bins per point, so that memory does not depend on how far apart points lie."""


def pairs_within(points: Floats, others: Floats, reach: Floats) -> tuple[Ints, Ints]:
    """Find all pairs of a point and another within that point's reach.

    Parameters
    ----------
    points : ndarray of shape (N, 2)
    others : ndarray of shape (M, 2)
    reach : ndarray of shape (N,)
        Same unit, positive.

    Returns
    -------
    rows, columns : ndarray of shape (P,)
        Indices into `points` and `others`, by row.
    """
    if not len(points) or not len(others):
        return np.empty(0, dtype=np.int64), np.empty(0, dtype=np.int64)
    low = others.min(axis=0)
    span = others.max(axis=0) - low
    least = np.sqrt(span[0] * span[1] / (BINS_PER_POINT * len(others)))
    size = max(float(np.median(reach)), float(least), float(span.max()) / (BINS_PER_POINT * len(others)))
    bins = (span // size).astype(np.int64) + 1
    row, column = ((others - low) // size).astype(np.int64).T
    number = row * bins[1] + column
    order = np.argsort(number, kind="stable")
    first = np.concatenate([[0], np.cumsum(np.bincount(number, minlength=int(bins[0] * bins[1])))])
    return _collect(points - low, others - low, reach, size, bins, order, first)


@njit(cache=True)
def _collect(
    points: Floats, others: Floats, reach: Floats, size: float, bins: Ints, order: Ints, first: Ints
) -> tuple[Ints, Ints]:
    """Return the pairs, looking into the bins that each reach touches; `first` is where a bin starts."""
    rows, columns = [], []
    for i in range(len(points)):
        y, x, r = points[i, 0], points[i, 1], reach[i]
        left, right = max(int((x - r) // size), 0), min(int((x + r) // size), bins[1] - 1)
        if right < left:
            continue
        for row in range(max(int((y - r) // size), 0), min(int((y + r) // size), bins[0] - 1) + 1):
            for k in range(first[row * bins[1] + left], first[row * bins[1] + right + 1]):
                j = order[k]
                if (others[j, 0] - y) ** 2 + (others[j, 1] - x) ** 2 <= r * r:
                    rows.append(i)
                    columns.append(j)
    return np.array(rows, dtype=np.int64), np.array(columns, dtype=np.int64)
