"""Closed outlines of labelled regions: traced along the cracks between pixels, smoothed without shrinking."""

from __future__ import annotations

import numpy as np
from numba import njit
from numpy.typing import NDArray

# Sides of a pixel in walking order (top, right, bottom, left): the step along each and the way out.
_ALONG = np.array([[0, 1], [1, 0], [0, -1], [-1, 0]])
_OUT = np.array([[-1, 0], [0, 1], [1, 0], [0, -1]])


@njit(cache=True, nogil=True)
def _count_cracks(labels):  # type: ignore[no-untyped-def]
    count = 0
    for y in range(1, labels.shape[0]):
        for x in range(1, labels.shape[1]):
            here = labels[y, x]
            for other in (labels[y - 1, x], labels[y, x - 1]):
                if other != here:
                    count += (here != 0) + (other != 0)
    return count


@njit(cache=True, nogil=True)
def _walk(labels, y, x, seen, points, n):  # type: ignore[no-untyped-def]
    label, side, row, column, area = labels[y, x], 3, y, x, 0.0
    first = n
    while True:
        if side == 3:
            seen[row, column] = True
        points[n, 0] = row + 0.5 * _OUT[side, 0]
        points[n, 1] = column + 0.5 * _OUT[side, 1]
        if n > first:
            area += points[n - 1, 1] * points[n, 0] - points[n, 1] * points[n - 1, 0]
        n += 1
        ahead_y, ahead_x = row + _ALONG[side, 0], column + _ALONG[side, 1]
        if labels[ahead_y, ahead_x] != label:
            side = (side + 1) % 4
        else:
            row, column = ahead_y, ahead_x
            out_y, out_x = row + _OUT[side, 0], column + _OUT[side, 1]
            if labels[out_y, out_x] == label:
                row, column, side = out_y, out_x, (side + 3) % 4
        if row == y and column == x and side == 3:
            area += points[n - 1, 1] * points[first, 0] - points[first, 1] * points[n - 1, 0]
            return n, 0.5 * area


@njit(cache=True, nogil=True)
def _trace(labels):  # type: ignore[no-untyped-def]
    points = np.empty((_count_cracks(labels), 2))
    seen = np.zeros(labels.shape, dtype=np.bool_)
    loops = [(0, 0, 0, 0.0) for _ in range(0)]
    n = 0
    for y in range(1, labels.shape[0] - 1):
        for x in range(1, labels.shape[1] - 1):
            if labels[y, x] != 0 and labels[y, x - 1] != labels[y, x] and not seen[y, x]:
                stop, area = _walk(labels, y, x, seen, points, n)
                loops.append((labels[y, x], n, stop, area))
                n = stop
    return points, loops


def trace_regions(labels: NDArray[np.int32]) -> dict[int, NDArray[np.float64]]:
    """Trace the outer boundary of each label along the cracks between pixels.

    Parameters
    ----------
    labels : ndarray of shape (Y, X)
        0 is background. The outermost ring of pixels must be 0.

    Returns
    -------
    dict of int to ndarray of shape (N, 2)
        Label, ascending, to the (y, x) midpoints in px of the cracks around its largest 4-connected part,
        closed without repeating the first, running from +x towards +y (clockwise on a screen whose y points
        down). Holes are passed over.
    """
    points, loops = _trace(np.ascontiguousarray(labels, dtype=np.int32))
    largest: dict[int, tuple[float, int, int]] = {}
    for label, start, stop, area in loops:
        if area > largest.get(label, (0.0, 0, 0))[0]:
            largest[label] = (area, start, stop)
    return {int(label): points[start:stop] for label, (_, start, stop) in sorted(largest.items())}


@njit(cache=True, nogil=True)
def _resample(points, n):  # type: ignore[no-untyped-def]
    m = len(points)
    length = 0.0
    for i in range(m):
        j = (i + 1) % m
        length += np.hypot(points[j, 0] - points[i, 0], points[j, 1] - points[i, 1])
    even = np.empty((n, 2))
    passed, i, step = 0.0, 0, 0.0
    for k in range(n):
        target = k * length / n
        while True:
            j = (i + 1) % m
            step = np.hypot(points[j, 0] - points[i, 0], points[j, 1] - points[i, 1])
            if passed + step >= target or i == m - 1:
                break
            passed += step
            i += 1
        part = (target - passed) / step
        even[k] = points[i] + part * (points[j] - points[i])
    return even


def smooth_closed(points: NDArray[np.float64], *, cutoff_px: float) -> NDArray[np.float64]:
    r"""Smooth a closed polyline along its length, with next to no shrinking.

    The Fourier coefficients of y + ix along the length are multiplied by a Butterworth low-pass,

    .. math:: h = 1 / (1 + (c/\lambda)^6)

    where lambda is the wavelength along the outline and c the cutoff. A circle of radius r shrinks by
    r (c/2πr)^6, a Gaussian of the same strength takes off r (c/2πr)^2 / 2.

    Parameters
    ----------
    points : ndarray of shape (N, 2)
        Vertices (y, x) in px, closed without repeating the first.
    cutoff_px : float
        Wavelength that keeps half of its amplitude, px along the outline.

    Returns
    -------
    ndarray of shape (M, 2)
        Vertices about 1 px apart, same direction; at least 8.

    Notes
    -----
    Corners are rounded, and the straight lines beside them ripple: at the length s from a right angle by at
    most :math:`c/(6\pi)\,e^{-\pi s/c}` (the slowest poles of the filter).
    """
    steps = np.roll(points, -1, axis=0) - points
    n = max(8, round(float(np.hypot(steps[:, 0], steps[:, 1]).sum())))
    even = _resample(np.ascontiguousarray(points), n)
    response = 1 / (1 + (cutoff_px * np.fft.fftfreq(n)) ** 6)
    smooth = np.fft.ifft(np.fft.fft(even[:, 0] + 1j * even[:, 1]) * response)
    return np.stack([smooth.real, smooth.imag], axis=1)
