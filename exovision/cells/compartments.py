"""Cells cut by the border, filled up to their stained membranes: the side of a bright line decides."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray
from skimage.measure import label
from skimage.segmentation import watershed

Image = NDArray[np.float32]
Labels = NDArray[np.int32]

SHRINK = 2
"""Compartments are found in the image reduced by this factor, for speed."""
RIDGE_SIGMA_PX = 1.5
"""Scale of the ridge filter, px of the reduced image: bridges noise, not the gap between two membranes."""
CLOSED = 0.15
"""Part of a membrane's usual height that closes a compartment."""
CLEAR = 6.0
"""How many times higher than the peaks of noise inside cells a membrane must be, or nothing is filled."""
LINE_RATIO = 1.5
"""A line is this much more a ridge than a groove: 2.2 for a thin one, where an edge is as much of both."""
LEAST_PX = 30
"""Least area of a compartment, px of the reduced image."""
CELL_SHARE = 0.25
"""A cell that covers so much of a compartment wins it: background fills its compartments."""
LARGEST = 1.5
"""A compartment this many times larger than the usual cell is more than one."""
OWN_SHARE = 0.5
"""A cell with less of its area in compartments that it won keeps its shape: its membrane is not closed."""


def fill_compartments(labels: Labels, image: Image) -> Labels:
    """Give what membranes enclose at the border of the image to the cell that covers much of it, or to none.

    Parameters
    ----------
    labels : ndarray of shape (Y, X)
        0 is background.
    image : ndarray of shape (Y, X)
        Counts of the cell channel.

    Returns
    -------
    ndarray of shape (Y, X)
        The same ids. Unchanged where no bright line encloses a cell (other stains, phase contrast). Cells
        that are whole keep their shapes, and so does one that wins no compartment of its own, such as one of
        two that a faint membrane parts.

    Notes
    -----
    A network sees too little of a cell that is cut by the border of the image; its membrane shows where it
    ends all the same. Compartments are the catchment basins of a ridge filter (Meyer 1994,
    doi:10.1016/0165-1684(94)90060-4).
    """
    ridges = _ridges(image)
    small = _reduce(labels, ridges.shape)
    height = _membrane_height(small, ridges, grooves=_ridges(-image))
    if height is None:
        return labels
    seeds = label(ridges < CLOSED * height, connectivity=1)
    areas = np.bincount(seeds.ravel())
    seeds[areas[seeds] < LEAST_PX] = 0
    compartments = watershed(ridges, seeds)
    won = _filled(small, compartments, seeds)
    changed = np.where(won == small, -1, won)
    there = cv2.resize(changed, labels.shape[::-1], interpolation=cv2.INTER_NEAREST)
    return np.where(there < 0, labels, there).astype(np.int32)


def _ridges(image: Image) -> Image:
    """Return how much each pixel of the reduced image is a bright line: minus the least curvature, or 0."""
    shape = tuple(max(1, side // SHRINK) for side in image.shape)
    small = cv2.resize(image, shape[::-1], interpolation=cv2.INTER_AREA)
    smooth = cv2.GaussianBlur(small, (0, 0), RIDGE_SIGMA_PX)
    yy, xx, yx = (cv2.Sobel(smooth, cv2.CV_32F, x, y, ksize=3) for x, y in ((0, 2), (2, 0), (1, 1)))
    least = (yy + xx) / 2 - np.sqrt(((yy - xx) / 2) ** 2 + yx**2)
    return np.asarray(np.maximum(-least, 0), dtype=np.float32)


def _reduce(labels: Labels, shape: tuple[int, ...]) -> Labels:
    return np.asarray(cv2.resize(labels, shape[::-1], interpolation=cv2.INTER_NEAREST), dtype=np.int32)


def _membrane_height(labels: Labels, ridges: Image, grooves: Image) -> float | None:
    """Return the usual height of the ridge along outlines, None if it is an edge or lost in the noise."""
    kernel = np.ones((3, 3), dtype=np.uint8)
    inside = (labels > 0).astype(np.uint8)
    core = cv2.erode(inside, kernel, iterations=5) > 0
    rim = (cv2.dilate(inside, kernel, iterations=2) > 0) & (cv2.erode(inside, kernel, iterations=2) == 0)
    if not core.any() or not rim.any():
        return None
    highest, deepest = (cv2.dilate(lines, kernel, iterations=2) for lines in (ridges, grooves))
    height, noise = float(np.median(highest[rim])), float(np.median(highest[core]))
    clear = height > max(CLEAR * noise, LINE_RATIO * float(np.median(deepest[rim])))
    return height if clear else None


def _filled(labels: Labels, compartments: NDArray[np.int32], seeds: NDArray[np.int32]) -> Labels:
    """Return the labels in which compartments at the border belong to the cells there that won them."""
    count = np.zeros((int(compartments.max()) + 1, int(labels.max()) + 1), dtype=np.int64)
    inside = seeds > 0
    np.add.at(count, (seeds[inside], labels[inside]), 1)
    at_border = np.isin(np.arange(count.shape[1]), border_values(labels))
    largest = 1 + count[:, 1:].argmax(axis=1)
    covered = count[np.arange(len(count)), largest]
    size = count.sum(axis=1)
    area = count.sum(axis=0)
    whole = area[(area > 0) & ~at_border]
    largest_px = LARGEST * np.median(whole) if whole.size else np.inf
    winner = np.where((covered >= CELL_SHARE * size) & (size <= largest_px), largest, 0)
    won = np.bincount(winner, weights=covered, minlength=count.shape[1])
    owns = (won >= OWN_SHARE * area) & at_border
    owns[0] = True
    taken = owns[labels] & owns[winner[compartments]]
    return np.where(taken, winner[compartments], labels).astype(np.int32)


def border_values(labels: Labels) -> NDArray[np.int32]:
    """Return the values along the four sides of an image (Y, X), sorted."""
    return np.unique(np.concatenate([labels[0], labels[-1], labels[:, 0], labels[:, -1]]))
