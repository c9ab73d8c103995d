"""Gated one-to-one matching: of points within a frame, and of anything that has a benefit per pair."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import linear_sum_assignment
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components
from scipy.spatial import cKDTree

GATE_PX = 3.0
"""A detection farther from a true spot is no detection of it (contract)."""

Index = NDArray[np.intp]


def near_pairs(
    truth: NDArray[np.float64], result: NDArray[np.float64], gate_px: float = GATE_PX
) -> tuple[Index, Index, NDArray[np.float64]]:
    """Find all pairs of points of the same frame within a distance.

    Parameters
    ----------
    truth, result : ndarray of shape (N, 3) and (M, 3)
        Frame, y in px, x in px.
    gate_px : float
        Largest distance, px.

    Returns
    -------
    rows, columns : ndarray of shape (P,)
        Indices into `truth` and `result`.
    distance_px : ndarray of shape (P,)
    """
    if len(truth) == 0 or len(result) == 0:
        none = np.zeros(0, dtype=np.intp)
        return none, none.copy(), np.zeros(0)
    # frames that differ lie farther apart than the gate, so one tree serves the whole movie
    stretch = np.array([4.0 * gate_px, 1.0, 1.0])
    found = cKDTree(truth * stretch).sparse_distance_matrix(
        cKDTree(result * stretch), gate_px, output_type="ndarray"
    )
    return found["i"].astype(np.intp), found["j"].astype(np.intp), found["v"].astype(np.float64)


def assign(rows: Index, columns: Index, benefit: NDArray[np.float64]) -> Index:
    """Choose pairs so that each row and column occurs at most once and the summed benefit is largest.

    Parameters
    ----------
    rows, columns : ndarray of shape (P,)
        The candidate pairs.
    benefit : ndarray of shape (P,)
        Positive; a pair without a place here is never chosen.

    Returns
    -------
    ndarray of shape (K,)
        Indices of the chosen pairs, ascending.

    Notes
    -----
    Exact: the connected groups of candidates are independent, and each is solved by the Hungarian method
    (doi:10.1109/TAES.2016.140952).
    """
    if rows.size == 0:
        return np.zeros(0, dtype=np.intp)
    n_rows, n_columns = int(rows.max()) + 1, int(columns.max()) + 1
    nodes = n_rows + n_columns
    graph = coo_array((np.ones(rows.size), (rows, columns + n_rows)), shape=(nodes, nodes))
    group = connected_components(graph.tocsr(), directed=False)[1][rows]
    order = np.argsort(group, kind="stable")
    starts = np.flatnonzero(np.diff(group[order], prepend=-1))
    sizes = np.diff(starts, append=rows.size)
    chosen = [order[starts[sizes == 1]]]
    for start, size in zip(starts[sizes > 1], sizes[sizes > 1]):
        members = order[start : start + size]
        chosen.append(members[_solve(rows[members], columns[members], benefit[members])])
    return np.sort(np.concatenate(chosen)).astype(np.intp)


def _solve(rows: Index, columns: Index, benefit: NDArray[np.float64]) -> Index:
    row_ids, r = np.unique(rows, return_inverse=True)
    column_ids, c = np.unique(columns, return_inverse=True)
    gain = np.zeros((row_ids.size, column_ids.size))
    pair = np.full(gain.shape, -1, dtype=np.intp)
    gain[r, c], pair[r, c] = benefit, np.arange(rows.size)
    best = pair[linear_sum_assignment(gain, maximize=True)]
    return best[best >= 0]


def match_points(
    truth: NDArray[np.float64], result: NDArray[np.float64], gate_px: float = GATE_PX
) -> tuple[Index, Index]:
    """Match points one to one within a distance: as many as possible, then the nearest (Hungarian).

    Parameters
    ----------
    truth, result : ndarray of shape (N, 3) and (M, 3)
        Frame, y in px, x in px.
    gate_px : float
        Largest distance, px.

    Returns
    -------
    tuple of two ndarray of shape (K,)
        Matched indices into `truth` and `result`.
    """
    rows, columns, distance = near_pairs(truth, result, gate_px)
    chosen = assign(rows, columns, 1000.0 * gate_px**2 - distance**2)
    return rows[chosen], columns[chosen]
