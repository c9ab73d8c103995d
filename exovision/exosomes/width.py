"""The width of the PSF, measured from bright isolated spots of the movie itself."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import cKDTree

from exovision.exosomes.camera import Camera
from exovision.exosomes.halo import estimate_halo
from exovision.exosomes.spot_finder import Found, SpotFinder
from exovision.numerics.spot_evidence import LONG_Z, TOTAL_SE, WIDTH, WIDTH_SE
from exovision.numerics.spot_fits import TOTAL, X, Y

MAX_FRAMES = 4
MIN_SPOTS = 10
ROUNDS = 4
CONVERGED = 0.02
THRESHOLD = 6.0
"""Least height of a peak used here, standard deviations of the filtered noise."""

ISOLATION_SIGMAS = 6.0
LEAST_SIGNIFICANCE = 12.0
MOST_WIDTH_SE = 0.15
MOST_LONG = 0.25
"""How much longer than broad a spot may be, relative to its significance: pieces of a ridge are longer."""

LEAST_RATIO, MOST_RATIO, LEAST_SIGMA_PX = 0.4, 3.0, 0.55
"""Bounds of the estimate: multiples of the usual width, and px (narrower is a hot pixel)."""


def estimate_sigma_px(
    images: NDArray[np.float32], camera: Camera, usual_px: float
) -> tuple[float | None, int]:
    """Measure the standard deviation of the PSF.

    Parameters
    ----------
    images : ndarray of shape (N, Y, X)
        Counts; at most the first four frames are used.
    camera : Camera
        Turns counts into photons.
    usual_px : float
        Where the search starts, px.

    Returns
    -------
    sigma_px : float or None
        Median of the free widths of bright isolated spots; None with fewer than ten of them.
    spots : int
        How many were found.

    Notes
    -----
    Spots that are blurred by motion or focus widen the estimate; they are a minority among docked ones.
    """
    sigma = usual_px
    widths = np.empty(0)
    for _ in range(ROUNDS):
        halo = estimate_halo(images, camera, sigma)
        finder = SpotFinder(camera, sigma_px=sigma, threshold=THRESHOLD, shape=images.shape[1:], halo=halo)
        widths = np.concatenate([_widths(finder.find(image), usual_px) for image in images[:MAX_FRAMES]])
        if len(widths) < MIN_SPOTS:
            return None, len(widths)
        before, sigma = sigma, float(np.median(widths))
        if abs(sigma - before) < CONVERGED * before:
            break
    return sigma, len(widths)


def _widths(found: Found, usual_px: float) -> NDArray[np.float64]:
    """Return the free widths, px, of the bright isolated spots of a frame."""
    spots, evidence = found.spots, found.evidence
    if not len(spots):
        return np.empty(0)
    at = spots[:, [Y, X]]
    distance = np.asarray(cKDTree(at).query(at, k=2)[0])[:, 1]
    width = evidence[:, WIDTH]
    usable = (
        (distance > ISOLATION_SIGMAS * usual_px)
        & (spots[:, TOTAL] > LEAST_SIGNIFICANCE * evidence[:, TOTAL_SE])
        & (evidence[:, WIDTH_SE] < MOST_WIDTH_SE)
        & (evidence[:, LONG_Z] < MOST_LONG * spots[:, TOTAL] / evidence[:, TOTAL_SE])
        & (width > max(LEAST_RATIO * usual_px, LEAST_SIGMA_PX))
        & (width < MOST_RATIO * usual_px)
    )
    return width[usable]
