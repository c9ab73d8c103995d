"""Outlines of labelled objects as light polygons, for drawing and for other programs."""

from __future__ import annotations

import cv2
import numpy as np
from numba import njit
from numpy.typing import NDArray

from exovision.numerics.contours import trace_regions

TOLERANCE_PX = 0.3
"""A third of the vertices, and still every pixel's centre on the right side of the outline of a disc."""


def label_polygons(
    labels: NDArray[np.int32], *, tolerance_px: float = TOLERANCE_PX
) -> dict[int, NDArray[np.float64]]:
    """Return the outer outline of every object of a label image.

    Parameters
    ----------
    labels : ndarray of shape (Y, X)
        0 is background.
    tolerance_px : float
        Vertices are left out as long as the outline moves by no more than this, px.

    Returns
    -------
    dict of int to ndarray of shape (N, 2)
        Id, ascending, to (y, x) in px, origin at the centre of pixel (0, 0), closed without repeating the
        first; the outline passes midway between the centres of inner and outer pixels.

    Notes
    -----
    Of an object in several parts the largest has an outline; holes have none.
    """
    traced = trace_regions(np.pad(labels, 1))
    return {label: _thin(points - 1, tolerance_px) for label, points in traced.items()}


def fill_polygon(labels: NDArray[np.int32], vertices: NDArray[np.float64], value: int) -> None:
    """Write a value into the pixels of an image whose centres lie inside a closed polygon.

    Parameters
    ----------
    labels : ndarray of shape (Y, X)
        Changed in place.
    vertices : ndarray of shape (N, 2)
        (y, x) in px, closed without repeating the first; may reach beyond the image. Where it crosses itself,
        what it goes around twice is outside.
    value : int
    """
    _fill(labels, np.ascontiguousarray(vertices, dtype=np.float64), value)


@njit(cache=True, nogil=True)
def _fill(labels, vertices, value):  # type: ignore[no-untyped-def]
    height, width = labels.shape
    first = int(np.ceil(vertices[:, 0].min()))
    starts = np.zeros(max(0, int(np.ceil(vertices[:, 0].max())) - first) + 2, dtype=np.int64)
    for i in range(len(vertices)):
        y0, y1 = vertices[i - 1, 0], vertices[i, 0]
        for y in range(int(np.ceil(min(y0, y1))), int(np.ceil(max(y0, y1)))):
            starts[y - first + 2] += 1
    starts = np.cumsum(starts)
    crossings = np.empty(starts[-1])
    for i in range(len(vertices)):
        y0, x0 = vertices[i - 1]
        y1, x1 = vertices[i]
        for y in range(int(np.ceil(min(y0, y1))), int(np.ceil(max(y0, y1)))):
            crossings[starts[y - first + 1]] = x0 + (y - y0) / (y1 - y0) * (x1 - x0)
            starts[y - first + 1] += 1
    for y in range(max(0, first), min(height, first + len(starts) - 2)):
        across = np.sort(crossings[starts[y - first] : starts[y - first + 1]])
        for k in range(0, len(across), 2):
            begin, end = max(0.0, np.ceil(across[k])), min(width - 1.0, np.floor(across[k + 1]))
            for x in range(int(begin), int(end) + 1):
                labels[y, x] = value


def centroid(vertices: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the centre of area (y, x) of a closed polygon of shape (N, 2), wherever its vertices crowd."""
    cross = _cross(vertices)
    both = vertices + np.roll(vertices, -1, axis=0)
    centre: NDArray[np.float64] = (both * cross[:, None]).sum(axis=0) / (3 * cross.sum())
    return centre


def signed_area(vertices: NDArray[np.float64]) -> float:
    """Return the area of a closed polygon of shape (N, 2), (y, x); positive if it runs from +x towards +y."""
    return float(_cross(vertices).sum()) / 2


def _cross(vertices: NDArray[np.float64]) -> NDArray[np.float64]:
    following = np.roll(vertices, -1, axis=0)
    return vertices[:, 1] * following[:, 0] - following[:, 1] * vertices[:, 0]


def _thin(points: NDArray[np.float64], tolerance_px: float) -> NDArray[np.float64]:
    thinned = cv2.approxPolyDP(points.astype(np.float32)[:, None, :], tolerance_px, closed=True)
    return np.asarray(thinned[:, 0, :], dtype=np.float64)
