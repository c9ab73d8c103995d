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
    owner = np.asarray(rows, dtype=np.int64)[order]
    first = np.searchsorted(owner, np.arange(owner[-1] + 2))
    to = np.asarray(columns, dtype=np.int64)[order]
    chosen = _match(first, owner, to, -np.asarray(gains, dtype=np.float64)[order], int(to.max()) + 1)
    result: Ints = np.sort(order[chosen[chosen >= 0]])
    return result


@njit(cache=True)
def _match(first: Ints, owner: Ints, to: Ints, cost: Floats, n_columns: int) -> Ints:
    """Return the edge of every row in the cheapest matching, −1 for rows left alone at no cost.

    Row r has the edges `first[r]` to `first[r + 1]`; edge e leads from row `owner[e]` to column `to[e]`.
    """
    n_rows = len(first) - 1
    edge_of = np.full(n_rows, -1, dtype=np.int64)
    row_of = np.full(n_columns, -1, dtype=np.int64)
    u, v = np.zeros(n_rows), np.zeros(n_columns)
    distance = np.full(n_columns, np.inf)
    through = np.full(n_columns, -1, dtype=np.int64)
    done = np.zeros(n_columns, dtype=np.bool_)
    reached = np.empty(n_columns, dtype=np.int64)
    for row in range(n_rows):
        if first[row] == first[row + 1]:
            continue
        count, length, alone, last = _search(
            row, first, to, cost, row_of, u, v, distance, through, done, reached
        )
        u[row] += length
        for column in reached[:count]:
            if done[column] and column != last:
                u[row_of[column]] += length - distance[column]
                v[column] -= length - distance[column]
        if last < 0 and alone != row:
            last = to[edge_of[alone]]
            edge_of[alone] = -1
        _flip(row, last, owner, to, through, edge_of, row_of)
        for column in reached[:count]:
            distance[column], through[column], done[column] = np.inf, -1, False
    return edge_of


@njit(cache=True)
def _search(
    start: int,
    first: Ints,
    to: Ints,
    cost: Floats,
    row_of: Ints,
    u: Floats,
    v: Floats,
    distance: Floats,
    through: Ints,
    done: NDArray[np.bool_],
    reached: Ints,
) -> tuple[int, float, int, int]:
    """Find the shortest path from a row to a free column, or to a row that is best left alone.

    Returns the number of columns reached, the path's length, that row, and the column (−1 for none).
    """
    count, row, here = 0, start, 0.0
    alone, alone_row = np.inf, start
    while True:
        if here - u[row] < alone:
            alone, alone_row = here - u[row], row
        for edge in range(first[row], first[row + 1]):
            column = to[edge]
            length = here + cost[edge] - u[row] - v[column]
            if not done[column] and length < distance[column]:
                if through[column] < 0:
                    reached[count] = column
                    count += 1
                distance[column], through[column] = length, edge
        nearest = -1
        for column in reached[:count]:
            if not done[column] and (nearest < 0 or distance[column] < distance[nearest]):
                nearest = column
        if nearest < 0 or alone <= distance[nearest]:
            return count, alone, alone_row, -1
        here, done[nearest] = distance[nearest], True
        if row_of[nearest] < 0:
            return count, here, alone_row, nearest
        row = row_of[nearest]


@njit(cache=True)
def _flip(start: int, last: int, owner: Ints, to: Ints, through: Ints, edge_of: Ints, row_of: Ints) -> None:
    """Give every row on the path that ends at column `last` the edge by which the path came, in place."""
    while last >= 0:
        edge = through[last]
        row = owner[edge]
        before = to[edge_of[row]] if edge_of[row] >= 0 else -1
        edge_of[row], row_of[last] = edge, row
        last = before if row != start else -1
