"""Exact distances: from points to closed outlines, and from every pixel to the edge of its own label."""

from __future__ import annotations

import numpy as np
from numba import njit
from numpy.typing import NDArray

from exovision.errors import InputError

_BLOCK = 32
"""Segments that share one bounding box when far ones are skipped."""
_FAR = 1 << 30
"""px that stand for no other label in a column."""


@njit(cache=True, nogil=True)
def _inside(vertices, start, stop, y, x):  # type: ignore[no-untyped-def]
    inside = False
    j = stop - 1
    for i in range(start, stop):
        if (vertices[i, 0] > y) != (vertices[j, 0] > y):
            slope = (vertices[j, 1] - vertices[i, 1]) / (vertices[j, 0] - vertices[i, 0])
            if x < vertices[i, 1] + slope * (y - vertices[i, 0]):
                inside = not inside
        j = i
    return inside


@njit(cache=True, nogil=True)
def _container(vertices, starts, boxes, areas, y, x):  # type: ignore[no-untyped-def]
    """Return the smallest outline that holds the point, or -1."""
    best = -1
    for k in range(len(starts) - 1):
        if boxes[k, 0] <= y <= boxes[k, 2] and boxes[k, 1] <= x <= boxes[k, 3]:
            smaller = best < 0 or areas[k] < areas[best]
            if smaller and _inside(vertices, starts[k], starts[k + 1], y, x):
                best = k
    return best


@njit(cache=True, nogil=True)
def _boxes(vertices, starts):  # type: ignore[no-untyped-def]
    boxes = np.empty((len(starts) - 1, 4))
    areas = np.zeros(len(starts) - 1)
    for k in range(len(starts) - 1):
        part = vertices[starts[k] : starts[k + 1]]
        boxes[k] = part[:, 0].min(), part[:, 1].min(), part[:, 0].max(), part[:, 1].max()
        for i in range(len(part)):
            areas[k] += 0.5 * (part[i - 1, 1] * part[i, 0] - part[i, 1] * part[i - 1, 0])
    return boxes, np.abs(areas)


@njit(cache=True, nogil=True)
def _blocks(vertices, starts):  # type: ignore[no-untyped-def]
    """Cut the outlines into runs of segments: (outline, first, stop) and their bounding boxes."""
    runs = [
        (k, first, min(first + _BLOCK, starts[k + 1]))
        for k in range(len(starts) - 1)
        for first in range(starts[k], starts[k + 1], _BLOCK)
    ]
    boxes = np.empty((len(runs), 4))
    for b in range(len(runs)):
        k, first, stop = runs[b]
        last = starts[k] if stop == starts[k + 1] else stop
        boxes[b] = vertices[last, 0], vertices[last, 1], vertices[last, 0], vertices[last, 1]
        for i in range(first, stop):
            for axis in range(2):
                boxes[b, axis] = min(boxes[b, axis], vertices[i, axis])
                boxes[b, axis + 2] = max(boxes[b, axis + 2], vertices[i, axis])
    return runs, boxes


@njit(cache=True, nogil=True)
def _nearest_in_run(vertices, starts, real, run, y, x):  # type: ignore[no-untyped-def]
    """Return the squared distance to the nearest real segment of a run, its index and the position on it."""
    k, first, stop = run
    best, at, part = np.inf, -1, 0.0
    for i in range(first, stop):
        if not real[i]:
            continue
        j = i + 1 if i + 1 < starts[k + 1] else starts[k]
        dy, dx = vertices[j, 0] - vertices[i, 0], vertices[j, 1] - vertices[i, 1]
        length2 = dy * dy + dx * dx
        t = 0.0
        if length2 > 0:
            t = ((y - vertices[i, 0]) * dy + (x - vertices[i, 1]) * dx) / length2
            t = min(1.0, max(0.0, t))
        ey, ex = y - vertices[i, 0] - t * dy, x - vertices[i, 1] - t * dx
        if ey * ey + ex * ex < best:
            best, at, part = ey * ey + ex * ex, i, t
    return best, at, part


@njit(cache=True, nogil=True)
def _place(points, vertices, starts, real, barred):  # type: ignore[no-untyped-def]
    boxes, areas = _boxes(vertices, starts)
    runs, run_boxes = _blocks(vertices, starts)
    owner = np.full(len(points), -1, dtype=np.int64)
    distance = np.full(len(points), np.nan)
    segment = np.full(len(points), -1, dtype=np.int64)
    part = np.zeros(len(points))
    bound = np.empty(len(runs))
    for p in range(len(points)):
        y, x = points[p, 0], points[p, 1]
        holder = -1 if barred[p] >= 0 else _container(vertices, starts, boxes, areas, y, x)
        owner[p] = holder
        for b in range(len(runs)):
            ey = max(run_boxes[b, 0] - y, y - run_boxes[b, 2], 0.0)
            ex = max(run_boxes[b, 1] - x, x - run_boxes[b, 3], 0.0)
            skip = runs[b][0] == barred[p] or (holder >= 0 and runs[b][0] != holder)
            bound[b] = np.inf if skip else ey * ey + ex * ex
        best = np.inf
        if len(runs) == 0:
            continue
        nearest = int(np.argmin(bound))
        for c in range(-1, len(runs)):
            b = nearest if c < 0 else c
            if (c >= 0 and b == nearest) or bound[b] >= best:
                continue
            d2, at, t = _nearest_in_run(vertices, starts, real, runs[b], y, x)
            if d2 < best:
                best, owner[p], segment[p], part[p] = d2, runs[b][0], at, t
        if best < np.inf:
            distance[p] = np.sqrt(best) if holder < 0 else -np.sqrt(best)
    return owner, distance, segment, part


def outline_distance(
    points: NDArray[np.float64],
    vertices: NDArray[np.float64],
    starts: NDArray[np.int64],
    real: NDArray[np.bool_],
    *,
    barred: NDArray[np.int64] | None = None,
) -> tuple[NDArray[np.int64], NDArray[np.float64], NDArray[np.int64], NDArray[np.float64]]:
    """Find the signed distance of points to closed outlines, exactly.

    A point inside an outline belongs to it (to the smallest, where outlines overlap) and is measured to that
    outline alone; any other point is measured to the nearest outline.

    Parameters
    ----------
    points : ndarray of shape (M, 2)
        (y, x) in px.
    vertices : ndarray of shape (N, 2)
        The outlines one after the other, each closed without repeating its first vertex.
    starts : ndarray of shape (K + 1,)
        Outline k is `vertices[starts[k]:starts[k + 1]]`.
    real : ndarray of shape (N,)
        Whether the segment that begins at this vertex counts for the distance; all decide what is inside.
    barred : ndarray of shape (M,), optional
        An outline that is left out for each point, which then counts as outside all others; -1 for none.

    Returns
    -------
    owner : ndarray of shape (M,)
        Index of the outline; -1 where there is none.
    distance : ndarray of shape (M,)
        px, negative inside; NaN where there is no real segment.
    segment : ndarray of shape (M,)
        Index of the nearest segment's first vertex; -1 where there is none.
    part : ndarray of shape (M,)
        Position on that segment, 0 to 1.

    Raises
    ------
    InputError
        If the points are not (M, 2) or not finite.
    """
    points = np.ascontiguousarray(points, dtype=np.float64)
    if points.ndim != 2 or points.shape[1] != 2 or not np.isfinite(points).all():
        raise InputError(
            f"points must be finite (y, x) pairs of shape (M, 2), got shape {points.shape}; drop missing ones"
        )
    found: tuple[NDArray[np.int64], NDArray[np.float64], NDArray[np.int64], NDArray[np.float64]]
    barred = np.full(len(points), -1, dtype=np.int64) if barred is None else barred
    found = _place(points, np.ascontiguousarray(vertices, dtype=np.float64), starts, real, barred)
    return found


@njit(cache=True, nogil=True)
def _down_pass(labels):  # type: ignore[no-untyped-def]
    """For each pixel: px to the nearest other label in its column (`_FAR` or more if none) and that label."""
    height, width = labels.shape
    distance = np.full((height, width), _FAR, dtype=np.int32)
    other = np.zeros((height, width), dtype=np.int32)
    for y in range(1, height):
        for x in range(width):
            changed = labels[y, x] != labels[y - 1, x]
            distance[y, x] = 1 if changed else distance[y - 1, x] + 1
            other[y, x] = labels[y - 1, x] if changed else other[y - 1, x]
    below, beyond = np.full(width, _FAR, dtype=np.int32), np.zeros(width, dtype=np.int32)
    for y in range(height - 2, -1, -1):
        for x in range(width):
            changed = labels[y, x] != labels[y + 1, x]
            below[x] = 1 if changed else below[x] + 1
            beyond[x] = labels[y + 1, x] if changed else beyond[x]
            nearer = below[x] < distance[y, x]
            distance[y, x] = below[x] if nearer else distance[y, x]
            other[y, x] = beyond[x] if nearer else other[y, x]
    return distance, other


@njit(cache=True, nogil=True)
def _across_pass(labels, downs, others):  # type: ignore[no-untyped-def]
    """Write the lower envelope of the parabolas downs² + (x - site)² into each run of one label in a row.

    A parabola is kept as its site and the sum of downs² and site², all whole numbers, so that nothing rounds.
    """
    height, width = labels.shape
    distance = np.full((height, width), np.inf, dtype=np.float32)
    nearest = np.zeros((height, width), dtype=np.int32)
    sites, sums = np.empty(width + 2, dtype=np.int64), np.empty(width + 2, dtype=np.int64)
    ids = np.empty(width + 2, dtype=np.int32)
    for y in range(height):
        first = 0
        while first < width:
            stop = first + 1
            while stop < width and labels[y, stop] == labels[y, first]:
                stop += 1
            n = 0
            for x in range(max(first - 1, 0), min(stop + 1, width)):
                beyond = x < first or x >= stop
                if beyond or downs[y, x] < _FAR:
                    down = 0 if beyond else np.int64(downs[y, x])
                    n = _push(sites, sums, n, x, down * down + x * x)
                    ids[n - 1] = labels[y, x] if beyond else others[y, x]
            k = 0
            for x in range(first, stop if n else first):
                while k + 1 < n and sums[k + 1] - sums[k] < 2 * x * (sites[k + 1] - sites[k]):
                    k += 1
                distance[y, x] = np.sqrt(float(sums[k] - 2 * x * sites[k] + x * x))
                nearest[y, x] = ids[k]
            first = stop
    return distance, nearest


@njit(cache=True, nogil=True)
def _push(sites, sums, n, site, total):  # type: ignore[no-untyped-def]
    """Add a parabola to the right of the first n of an envelope and return how many are left."""
    while n > 1:
        before = (sums[n - 1] - sums[n - 2]) * (site - sites[n - 1])
        if (total - sums[n - 1]) * (sites[n - 1] - sites[n - 2]) > before:
            break
        n -= 1
    sites[n], sums[n] = site, total
    return n + 1


def label_distance(labels: NDArray[np.int32]) -> tuple[NDArray[np.float32], NDArray[np.int32]]:
    """Measure each pixel's distance to the nearest pixel of another label, exactly, for all labels at once.

    Parameters
    ----------
    labels : ndarray of shape (Y, X)
        0 is background and counts as a label. The image edge is no boundary.

    Returns
    -------
    distance : ndarray of shape (Y, X)
        px between pixel centres; infinite where the image holds one label only.
    other : ndarray of shape (Y, X)
        The label of that nearest pixel; meaningless where the distance is infinite.

    Notes
    -----
    Separable squared distance transform by lower envelopes of parabolas [1]_, cut at label changes.

    References
    ----------
    .. [1] Felzenszwalb P., Huttenlocher D., Theory of Computing 8, 415 (2012). DOI:10.4086/toc.2012.v008a019
    """
    labels = np.ascontiguousarray(labels, dtype=np.int32)
    found: tuple[NDArray[np.float32], NDArray[np.int32]] = _across_pass(labels, *_down_pass(labels))
    return found
