"""Outlines moved onto a stained membrane: the brightest closed line near the outline that a network found."""

from __future__ import annotations

import cv2
import numpy as np
from numba import njit
from numpy.typing import NDArray

from exovision.numerics.contours import smooth_closed, trace_regions
from exovision.numerics.polygons import fill_polygon

Floats = NDArray[np.float64]

SPACING_PX = 2.0
"""Along the outline."""
OFFSET_PX = 0.5
"""Across it."""
RIDGE_SIGMAS = 2.5
"""How far beside the middle of a membrane its sides are sampled, PSF standard deviations."""
STIFFNESS = 0.15
"""Cost of one step sideways, in units of the ridge's usual height."""
MEMBRANE_RATIO = 2.0
"""How much more a bright line must stand out than the best dark line, which noise and edges have as well."""
HALO = 0.25
"""Darker by so much of its height on its inner side than on its outer, a bright line is the halo around a
cell in phase contrast; measured: 0 to .1 at stained membranes, .4 to .7 in phase."""
BORDER_PX = 1.5


def snap_to_membrane(
    labels: NDArray[np.int32], image: NDArray[np.float32], *, reach_px: float, sigma_px: float
) -> NDArray[np.int32]:
    """Move the outlines of cells onto the ridge of a membrane stain, where there is one.

    Parameters
    ----------
    labels : ndarray of shape (Y, X)
        0 is background.
    image : ndarray of shape (Y, X)
        Counts of the cell channel.
    reach_px : float
        How far an outline may move, px.
    sigma_px : float
        Standard deviation of the PSF, px.

    Returns
    -------
    ndarray of shape (Y, X)
        The same ids. A cell without a clear bright line around it (another stain) keeps its outline, and all
        do where the lines are halos of phase contrast; where moved outlines overlap, the smaller cell wins.

    Notes
    -----
    The line maximises the summed height above the brighter side, less a cost for steps
    sideways, by dynamic programming (Amini 1990, doi:10.1109/34.57681).
    """
    smooth = np.asarray(cv2.GaussianBlur(image, (0, 0), sigma_px), dtype=np.float32)
    areas = np.bincount(labels.ravel())
    moved = {}
    for cell, traced in trace_regions(np.pad(labels, 1)).items():
        outline = _even(smooth_closed(traced - 1, cutoff_px=reach_px))
        moved[cell] = _snap(outline, smooth, reach_px, RIDGE_SIGMAS * sigma_px)
    onto = [(cell, *found) for cell, found in moved.items() if found is not None]
    if onto and np.median([inwards for _, _, inwards in onto]) < -HALO:
        return labels.copy()
    snapped = np.where(np.isin(labels, [cell for cell, *_ in onto]), 0, labels).astype(np.int32)
    for cell, outline, _ in sorted(onto, key=lambda one: -areas[one[0]]):
        fill_polygon(snapped, outline, cell)
    return snapped


def _even(outline: Floats) -> Floats:
    """Return points about 2 px apart along a closed outline of shape (N, 2)."""
    closed = np.vstack([outline, outline[:1]])
    along = np.concatenate([[0.0], np.cumsum(np.hypot(*np.diff(closed, axis=0).T))])
    places = np.linspace(0, along[-1], max(16, round(along[-1] / SPACING_PX)), endpoint=False)
    return np.stack([np.interp(places, along, closed[:, axis]) for axis in (0, 1)], axis=1)


def _snap(
    outline: Floats, image: NDArray[np.float32], reach_px: float, side_px: float
) -> tuple[Floats, float] | None:
    """Return the outline of shape (N, 2) on the ridge, None if there is no ridge.

    Besides, how much brighter its inner side is than its outer one, in units of the ridge's height.
    """
    along = np.roll(outline, -1, axis=0) - np.roll(outline, 1, axis=0)
    normals = np.stack([-along[:, 1], along[:, 0]], axis=1) / np.maximum(np.hypot(*along.T), 1e-9)[:, None]
    offsets = np.arange(-np.ceil(reach_px / OFFSET_PX), np.ceil(reach_px / OFFSET_PX) + 1) * OFFSET_PX
    ridge, groove, inwards = _relief(image, outline, normals, offsets, side_px)
    last = np.array(image.shape) - 1.0
    at_border = ((outline < BORDER_PX) | (outline > last - BORDER_PX)).any(axis=1)
    ridge[at_border] = groove[at_border] = 0.0
    usual = float(np.median(np.abs(ridge[~at_border]))) if (~at_border).any() else 0.0
    if usual == 0:
        return None
    home = 0.02 * usual * (offsets / reach_px) ** 2
    path, dark = (_best_path(gain - home, STIFFNESS * usual) for gain in (ridge, groove))
    rows = np.flatnonzero(~at_border)
    bright_gain, dark_gain = float(ridge[rows, path[rows]].mean()), float(groove[rows, dark[rows]].mean())
    if bright_gain <= MEMBRANE_RATIO * max(dark_gain, 0.0):
        return None
    brighter = float(inwards[rows, path[rows]].mean()) / bright_gain
    path = np.where(at_border, len(offsets) // 2, path)
    return outline + normals * offsets[path][:, None], brighter


@njit(cache=True, nogil=True)
def _relief(image, outline, normals, offsets, side_px):  # type: ignore[no-untyped-def]
    """Return how far places beside the outline are above and below both their sides, and inner above outer.

    All have shape (N, M).
    """
    shape = (len(outline), len(offsets))
    ridge, groove, inwards = np.empty(shape), np.empty(shape), np.empty(shape)
    for i in range(len(outline)):
        for j in range(len(offsets)):
            middle = _sample(image, outline[i], normals[i], offsets[j])
            inner = _sample(image, outline[i], normals[i], offsets[j] - side_px)
            outer = _sample(image, outline[i], normals[i], offsets[j] + side_px)
            ridge[i, j], groove[i, j] = middle - max(inner, outer), min(inner, outer) - middle
            inwards[i, j] = inner - outer
    return ridge, groove, inwards


@njit(cache=True, nogil=True)
def _sample(image, place, normal, offset):  # type: ignore[no-untyped-def]
    """Return the brightness at an offset along the normal; beyond the image, that of its border."""
    bottom, right = image.shape[0] - 1, image.shape[1] - 1
    y = min(max(place[0] + offset * normal[0], 0.0), float(bottom))
    x = min(max(place[1] + offset * normal[1], 0.0), float(right))
    row, column = min(int(y), max(bottom - 1, 0)), min(int(x), max(right - 1, 0))
    below, beside = y - row, x - column
    next_row, next_column = min(row + 1, bottom), min(column + 1, right)
    upper = (1 - beside) * image[row, column] + beside * image[row, next_column]
    lower = (1 - beside) * image[next_row, column] + beside * image[next_row, next_column]
    return (1 - below) * upper + below * lower


@njit(cache=True, nogil=True)
def _best_path(gain: Floats, stiffness: float) -> NDArray[np.int64]:
    """Return the closed path of largest gain, one column per row of (N, M), steps of at most one column."""
    rows, columns = gain.shape
    total = np.zeros(columns)
    came = np.zeros((2 * rows, columns), dtype=np.int64)
    for k in range(2 * rows):
        fresh = np.empty(columns)
        for j in range(columns):
            best, at = total[j], j
            for i in (j - 1, j + 1):
                if 0 <= i < columns and total[i] - stiffness > best:
                    best, at = total[i] - stiffness, i
            fresh[j] = best + gain[k % rows, j]
            came[k, j] = at
        total = fresh
    path = np.empty(rows, dtype=np.int64)
    column = np.argmax(total)
    for k in range(2 * rows - 1, -1, -1):
        # The second turn, first half, and the end of the first turn know their neighbours on both sides.
        if rows // 2 <= k < rows + rows // 2:
            path[k % rows] = column
        column = came[k, column]
    return path
