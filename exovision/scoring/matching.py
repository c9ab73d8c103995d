"""Gated one-to-one matching of points within a frame."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import cKDTree

from exovision.numerics.assignment import assign_pairs

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
    chosen = assign_pairs(rows, columns, 1000.0 * gate_px**2 - distance**2)
    return rows[chosen], columns[chosen]
