"""The best one-to-one choice among weighted pairs, by shortest augmenting paths on the sparse graph."""

from __future__ import annotations

import numpy as np
from numba import njit
from numpy.typing import NDArray

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]


def assign_pairs(rows: Ints, columns: Ints, gains: Floats) -> Ints:
    """Choose pairs so that each row and column occurs at most once and the summed gain is largest.

    Parameters
    ----------
    rows, columns : ndarray of shape (P,)
        The candidate pairs, each at most once.
    gains : ndarray of shape (P,)
        Finite; a pair that is not positive is never chosen.

    Returns
    -------
    ndarray of shape (K,)
        Indices of the chosen pairs, ascending.

    Notes
    -----
    Exact. Each row searches only its own neighbourhood, so that time and memory grow with the pairs and not
    with rows times columns.

    References
    ----------
    Jonker and Volgenant 1987, doi:10.1007/BF02278710; Crouse 2016, doi:10.1109/TAES.2016.140952.
    """
    useful = np.flatnonzero(gains > 0)
    if not useful.size:
        return np.empty(0, dtype=np.int64)
    order = useful[np.argsort(rows[useful], kind="stable")]
    by_row = np.asarray(rows, dtype=np.int64)[order]
    first = np.searchsorted(by_row, np.arange(by_row[-1] + 2))
    to = np.asarray(columns, dtype=np.int64)[order]
    chosen = _augment(first, to, -np.asarray(gains, dtype=np.float64)[order], int(to.max()) + 1)
    return np.sort(order[chosen[chosen >= 0]])


@njit(cache=True)
def _augment(first: Ints, to: Ints, cost: Floats, n_columns: int) -> Ints:
    """Return the edge of every row in the cheapest matching, −1 for rows left alone at no cost."""
    n_rows = len(first) - 1
    edge_of = np.full(n_rows, -1, dtype=np.int64)
    row_of = np.full(n_columns, -1, dtype=np.int64)
    u, v = np.zeros(n_rows), np.zeros(n_columns)
    distance = np.full(n_columns, np.inf)
    through = np.full(n_columns, -1, dtype=np.int64)
    done = np.zeros(n_columns, dtype=np.bool_)
    frontier = np.empty(n_columns, dtype=np.int64)
    for start in range(n_rows):
        if first[start] == first[start + 1]:
            continue
        reached, row, here = 0, start, 0.0
        alone, alone_row, last = np.inf, -1, -1
        while True:
            if here - u[row] < alone:
                alone, alone_row = here - u[row], row
            for edge in range(first[row], first[row + 1]):
                column = to[edge]
                if done[column]:
                    continue
                length = here + cost[edge] - u[row] - v[column]
                if length < distance[column]:
                    if through[column] < 0:
                        frontier[reached] = column
                        reached += 1
                    distance[column], through[column] = length, edge
            nearest = -1
            for k in range(reached):
                column = frontier[k]
                if not done[column] and (nearest < 0 or distance[column] < distance[nearest]):
                    nearest = column
            if nearest < 0 or alone <= distance[nearest]:
                here = alone
                break
            here, done[nearest] = distance[nearest], True
            if row_of[nearest] < 0:
                last = nearest
                break
            row = row_of[nearest]
        u[start] += here
        for k in range(reached):
            column = frontier[k]
            if done[column] and column != last:
                u[row_of[column]] += here - distance[column]
                v[column] -= here - distance[column]
        if last < 0 and alone_row != start:
            last = to[edge_of[alone_row]]
            edge_of[alone_row] = -1
        elif last < 0:
            last = -1
        while last >= 0:
            edge = through[last]
            row = np.searchsorted(first, edge, side="right") - 1
            before = to[edge_of[row]] if edge_of[row] >= 0 else -1
            edge_of[row], row_of[last] = edge, row
            last = before if row != start else -1
        for k in range(reached):
            column = frontier[k]
            distance[column], through[column], done[column] = np.inf, -1, False
    return edge_of
