"""How bright other channels are where exosomes are."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

INNER_SIGMAS, RING_SIGMAS, OUTER_SIGMAS = 2.5, 3.0, 5.0


def measure_at_spots(image: NDArray[np.float32], places_px: Floats, sigma_px: float) -> Floats:
    """Return the light of a PSF-shaped spot at each place, above the median of a ring around it.

    Parameters
    ----------
    image : ndarray of shape (Y, X)
        Counts.
    places_px : ndarray of shape (M, 2)
        (y, x).
    sigma_px : float
        Standard deviation of the PSF.

    Returns
    -------
    ndarray of shape (M,)
        Counts, integrated over the spot; NaN where the spot leaves the image.
    """
    reach = math.ceil(OUTER_SIGMAS * sigma_px)
    grid = np.arange(-reach, reach + 1)
    corner = np.rint(places_px).astype(np.int64)
    rows, columns = corner[:, 0, None, None] + grid[:, None], corner[:, 1, None, None] + grid[None, :]
    centred = [axis - places_px[:, i, None, None] for i, axis in enumerate((rows, columns))]
    squared = centred[0] ** 2 + centred[1] ** 2
    values = image[np.clip(rows, 0, image.shape[0] - 1), np.clip(columns, 0, image.shape[1] - 1)]
    ring = (squared >= (RING_SIGMAS * sigma_px) ** 2) & (squared <= (OUTER_SIGMAS * sigma_px) ** 2)
    level = np.array([np.median(patch[inner]) for patch, inner in zip(values, ring)])
    profile = np.exp(-squared / (2 * sigma_px**2)) * (squared <= (INNER_SIGMAS * sigma_px) ** 2)
    above = profile * (values - np.reshape(level, (-1, 1, 1)))
    light = above.sum(axis=(1, 2)) / np.maximum((profile**2).sum(axis=(1, 2)), 1e-9)
    inside = ((corner >= reach // 2) & (corner < np.array(image.shape) - reach // 2)).all(axis=1)
    total: Floats = np.where(inside, 2 * math.pi * sigma_px**2 * light, np.nan)
    return total
