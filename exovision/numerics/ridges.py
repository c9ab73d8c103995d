"""Ridges of light such as membranes: what rises above them, and the picture without it."""

from __future__ import annotations

import math

import cv2
import numpy as np
from numba import njit
from numpy.typing import NDArray

Image = NDArray[np.float32]
Floats = NDArray[np.float64]

DIRECTIONS, SIDES_SIGMAS, NEAR_SIDES = 16, (2.2, 3.2, 4.4), 2
"""Directions that are tried; where the sides of a place are looked at, widths of the PSF; and how many of
these make up the height of a side."""

LEAST_RIDGE, LEAST_SHARE, DEEPEST = 4.0, 0.6, 1.0
"""All looks along a ridge are higher than so many standard deviations of the filtered noise, and than this
share of the height of the place itself; which is at most so much lower than the ridge, or it is the gap
between bright spots."""

MARGIN_SIGMAS, FLOOR_SIGMAS = 1.5, 4.0
"""How far the light of a ridge reaches beyond where it is sure, and within what distance it falls to the
level of its surroundings, widths of the PSF."""


@njit(cache=True, fastmath=True)
def over_ridge(height: Image, places: Floats, sigma_px: float) -> Floats:
    """Return how far places rise above a ridge that runs through them in any direction, and how sure that is.

    Parameters
    ----------
    height : ndarray of shape (Y, X)
        Such as from `peaks.MatchedFilter`.
    places : ndarray of shape (M, 2)
        (y, x), px.
    sigma_px : float
        Standard deviation of the PSF, px.

    Returns
    -------
    ndarray of shape (M, 3)
        Height less that of the ridge; the largest, over directions, of the least height at either side; and
        the height of the ridge: the largest, over directions, of the lower of the two sides, or 0.
    """
    result = np.empty((places.shape[0], 3))
    for m in range(places.shape[0]):
        y, x, most, surest = places[m, 0], places[m, 1], 0.0, 0.0
        for k in range(DIRECTIONS):
            angle = math.pi * k / DIRECTIONS
            lower = least = 1e30
            for side in (-1.0, 1.0):
                mean = 0.0
                for n in range(len(SIDES_SIGMAS)):
                    step = side * SIDES_SIGMAS[n] * sigma_px
                    light = _between(height, y + step * math.sin(angle), x + step * math.cos(angle))
                    least = min(least, light)
                    mean += light if n < NEAR_SIDES else 0.0
                lower = min(lower, mean / NEAR_SIDES)
            most, surest = max(most, lower), max(surest, least)
        result[m, 0], result[m, 1], result[m, 2] = _between(height, y, x) - most, surest, most
    return result


@njit(cache=True, fastmath=True)
def _between(image: Image, y: float, x: float) -> float:
    """Return the value at a place between pixels, that of the nearest place inside beyond the border."""
    y, x = min(max(y, 0.0), image.shape[0] - 1.001), min(max(x, 0.0), image.shape[1] - 1.001)
    i, j = int(y), int(x)
    v, u = y - i, x - j
    above = image[i, j] * (1 - u) + image[i, j + 1] * u
    below = image[i + 1, j] * (1 - u) + image[i + 1, j + 1] * u
    return float(above * (1 - v) + below * v)


def ridge_light(near: Image, pixels: NDArray[np.int64], rise: Floats, sigma_px: float, gain: float) -> Image:
    """Return the light of ridges without the spots on them, above that of their surroundings.

    Parameters
    ----------
    near : ndarray of shape (Y, X)
        The stabilised image blurred with the PSF, as `peaks.MatchedFilter.near`.
    pixels : ndarray of shape (M, 2)
        (y, x) of all pixels that may hold a spot.
    rise : ndarray of shape (M, 3)
        Of these, as from `over_ridge`.
    sigma_px : float
        Standard deviation of the PSF, px.
    gain : float
        Height per unit of `near`.

    Returns
    -------
    ndarray of shape (Y, X)
        Photons per pixel; 0 where there is no ridge.

    Notes
    -----
    It is as blurred as the PSF makes it, so that crests come out a little low.
    """
    at = pixels[:, 0], pixels[:, 1]
    sure = np.zeros(near.shape, dtype=np.float32)
    height = rise[:, 0] + rise[:, 2]
    sure[at] = (rise[:, 1] > np.maximum(LEAST_RIDGE, LEAST_SHARE * height)) & (rise[:, 0] > -DEEPEST)
    if not sure.any():
        return sure
    level = near.copy()
    level[at] -= (np.maximum(rise[:, 0], 0) / gain).astype(np.float32)
    light = level * level / 4
    margin, floor = (np.ones((2 * math.ceil(k * sigma_px) + 1,) * 2) for k in (MARGIN_SIGMAS, FLOOR_SIGMAS))
    weight = cv2.GaussianBlur(cv2.dilate(sure, margin.astype(np.uint8)), (0, 0), sigma_px)
    low = cv2.GaussianBlur(cv2.erode(light, floor.astype(np.uint8)), (0, 0), 3 * sigma_px)
    return np.asarray(weight * np.maximum(light - low, 0), dtype=np.float32)
