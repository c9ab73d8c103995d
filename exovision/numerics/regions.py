"""Size, place and shape of the labelled regions of an image, as `skimage.measure.regionprops` has them."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numba import njit
from numpy.typing import NDArray

Labels = NDArray[np.int32]
Floats = NDArray[np.float64]

_NOWHERE = -(1 << 40)
"""Where a row of a region ends that has no pixel in it."""


class Regions(NamedTuple):
    """The labelled regions of one image.

    Attributes
    ----------
    ids : ndarray of shape (K,)
        Labels, ascending.
    area_px : ndarray of shape (K,)
        Pixels of each.
    centre_px : ndarray of shape (K, 2)
        Mean (y, x) of their pixels.
    boxes : ndarray of shape (K, 4)
        First row and column, and those after the last.
    """

    ids: NDArray[np.int64]
    area_px: NDArray[np.int64]
    centre_px: Floats
    boxes: NDArray[np.int64]

    def box(self, k: int) -> tuple[slice, slice]:
        """Return the part of the image that holds region k."""
        top, left, bottom, right = self.boxes[k]
        return slice(top, bottom), slice(left, right)

    def touches_border(self, shape: tuple[int, ...]) -> NDArray[np.bool_]:
        """Tell which regions reach the border of an image of shape (Y, X)."""
        return np.asarray((self.boxes[:, :2] == 0).any(axis=1) | (self.boxes[:, 2:] == shape).any(axis=1))


class Shapes(NamedTuple):
    """The shapes of regions, each of shape (K,).

    Attributes
    ----------
    perimeter_px : ndarray
    eccentricity : ndarray
        Of the ellipse with the same second moments, 0 to 1.
    solidity : ndarray
        Area over that of the convex hull.
    """

    perimeter_px: Floats
    eccentricity: Floats
    solidity: Floats


def find_regions(labels: Labels) -> Regions:
    """Find the labelled regions of an image.

    Parameters
    ----------
    labels : ndarray of shape (Y, X)
        0 is background.
    """
    labels = np.ascontiguousarray(labels, dtype=np.int32)
    area, sums, boxes = _count(labels, int(labels.max(initial=0)) + 1)
    ids = np.flatnonzero(area)
    return Regions(ids, area[ids], sums[ids] / area[ids, None], boxes[ids])


def measure_shapes(labels: Labels, regions: Regions) -> Shapes:
    """Measure how the regions of an image are shaped.

    Parameters
    ----------
    labels : ndarray of shape (Y, X)
    regions : Regions
        Those of this image.

    Notes
    -----
    The perimeter is that of Benkrid and Crookes, the line through the centres of the border's pixels. The
    hull holds the middles of the pixels' sides; a pixel counts if its centre lies in it or on its edge.
    """
    labels = np.ascontiguousarray(labels, dtype=np.int32)
    lengths = _border_lengths(labels, int(labels.max(initial=0)) + 1)[regions.ids]
    moments, hulls = _spread(labels, regions.ids, regions.boxes)
    half, gap = (moments[:, 0] + moments[:, 1]) / 2, (moments[:, 0] - moments[:, 1]) / 2
    root = np.hypot(gap, moments[:, 2])
    longest, shortest = half + root, np.maximum(half - root, 0)
    share = np.divide(shortest, longest, out=np.ones_like(longest), where=longest > 0)
    perimeter = lengths @ np.array([1, np.sqrt(2), (1 + np.sqrt(2)) / 2])
    return Shapes(perimeter, np.sqrt(1 - share), regions.area_px / hulls)


def mean_by_region(labels: Labels, image: NDArray[np.float32], regions: Regions) -> Floats:
    """Return the mean of an image of shape (Y, X) over each of its regions, shape (K,)."""
    sums = _sums(np.ascontiguousarray(labels, dtype=np.int32), image, int(labels.max(initial=0)) + 1)
    means: Floats = sums[regions.ids] / regions.area_px
    return means


@njit(cache=True, nogil=True)
def _count(labels, n):  # type: ignore[no-untyped-def]
    area = np.zeros(n, dtype=np.int64)
    sums = np.zeros((n, 2), dtype=np.int64)
    boxes = np.zeros((n, 4), dtype=np.int64)
    for y in range(labels.shape[0]):
        for x in range(labels.shape[1]):
            k = labels[y, x]
            if k > 0:
                if area[k] == 0:
                    boxes[k] = y, x, y + 1, x + 1
                area[k] += 1
                sums[k, 0] += y
                sums[k, 1] += x
                boxes[k, 1] = min(boxes[k, 1], x)
                boxes[k, 2] = y + 1
                boxes[k, 3] = max(boxes[k, 3], x + 1)
    return area, sums, boxes


@njit(cache=True, nogil=True)
def _sums(labels, image, n):  # type: ignore[no-untyped-def]
    sums = np.zeros(n)
    for y in range(labels.shape[0]):
        for x in range(labels.shape[1]):
            if labels[y, x] > 0:
                sums[labels[y, x]] += image[y, x]
    return sums


@njit(cache=True, nogil=True)
def _is_border(labels, y, x):  # type: ignore[no-untyped-def]
    height, width = labels.shape
    k = labels[y, x]
    if y == 0 or x == 0 or y == height - 1 or x == width - 1:
        return True
    return labels[y - 1, x] != k or labels[y + 1, x] != k or labels[y, x - 1] != k or labels[y, x + 1] != k


@njit(cache=True, nogil=True)
def _border_lengths(labels, n):  # type: ignore[no-untyped-def]
    """Count for each label the pixels of its border that stand for a length of 1, √2 and (1 + √2)/2."""
    height, width = labels.shape
    counts = np.zeros((n, 3), dtype=np.int64)
    for y in range(height):
        for x in range(width):
            k = labels[y, x]
            if k <= 0 or not _is_border(labels, y, x):
                continue
            beside, diagonal = 0, 0
            for v in range(max(y - 1, 0), min(y + 2, height)):
                for u in range(max(x - 1, 0), min(x + 2, width)):
                    if labels[v, u] == k and (v != y or u != x) and _is_border(labels, v, u):
                        beside += v == y or u == x
                        diagonal += v != y and u != x
            if 2 <= beside <= 3 and diagonal <= 2:
                counts[k, 0] += 1
            elif (beside == 0 and diagonal == 2) or (beside == 1 and diagonal == 3):
                counts[k, 1] += 1
            elif beside == 1 and 1 <= diagonal <= 2:
                counts[k, 2] += 1
    return counts


@njit(cache=True, nogil=True)
def _spread(labels, ids, boxes):  # type: ignore[no-untyped-def]
    """Return the variance along y, along x and their covariance, px², and the pixels in the convex hull."""
    moments = np.empty((len(ids), 3))
    hulls = np.empty(len(ids), dtype=np.int64)
    for r in range(len(ids)):
        top, left, bottom, right = boxes[r]
        # Twice the columns of the outermost sides and, in the odd rows, of the corners between two rows.
        first = np.full(2 * (bottom - top) + 1, -_NOWHERE)
        last = np.full(2 * (bottom - top) + 1, _NOWHERE)
        n, sy, sx, syy, sxx, sxy = 0, 0, 0, 0, 0, 0
        for y in range(bottom - top):
            lowest, highest = right, -1
            for x in range(right - left):
                if labels[top + y, left + x] == ids[r]:
                    n, sy, sx = n + 1, sy + y, sx + x
                    syy, sxx, sxy = syy + y * y, sxx + x * x, sxy + x * y
                    lowest, highest = min(lowest, x), x
            if highest >= 0:
                first[2 * y + 1], last[2 * y + 1] = 2 * lowest - 1, 2 * highest + 1
                for row in (2 * y, 2 * y + 2):
                    first[row], last[row] = min(first[row], 2 * lowest), max(last[row], 2 * highest)
        moments[r] = syy / n - (sy / n) ** 2, sxx / n - (sx / n) ** 2, sxy / n - (sy / n) * (sx / n)
        hulls[r] = np.sum(_hull_ends(-first) + _hull_ends(last) + 1)
    return moments, hulls


@njit(cache=True, nogil=True)
def _hull_ends(ends):  # type: ignore[no-untyped-def]
    """Return the last pixel of each row that is inside the upper hull of (row, end), both doubled."""
    corners = np.empty(len(ends), dtype=np.int64)
    m = 0
    for row in range(len(ends)):
        if ends[row] == _NOWHERE:
            continue
        while m > 1:
            a, b = corners[m - 2], corners[m - 1]
            if (b - a) * (ends[row] - ends[a]) - (ends[b] - ends[a]) * (row - a) < 0:
                break
            m -= 1
        corners[m] = row
        m += 1
    inside = np.empty(len(ends) // 2, dtype=np.int64)
    k = 0
    for y in range(len(inside)):
        row = 2 * y + 1
        while corners[k + 1] < row:
            k += 1
        a, b = corners[k], corners[k + 1]
        inside[y] = (ends[a] * (b - a) + (ends[b] - ends[a]) * (row - a)) // (2 * (b - a))
    return inside
