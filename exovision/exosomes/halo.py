"""The light around a spot that a Gaussian does not explain: diffraction rings and haze."""

from __future__ import annotations

import math

import numpy as np
from numba import njit
from numpy.typing import NDArray
from scipy.spatial import cKDTree

from exovision.exosomes.camera import Camera
from exovision.numerics.peaks import MatchedFilter, local_maxima, stabilise

Image = NDArray[np.float32]
Floats = NDArray[np.float64]

MAX_FRAMES = 4
MIN_SPOTS = 10
REACH_SIGMAS = 7.0
"""How far a halo may reach, PSF standard deviations; nothing brighter is this near to the spots measured."""

LEAST_HEIGHT = 30.0
"""Least height of the spots measured, standard deviations of the filtered noise."""

LEAST_HALO = 0.05
"""A halo that is nowhere this bright, relative to the peak, is none."""

CORE_SIGMAS = 1.5
"""What the Gaussian misses nearer to the middle is its own misfit."""

NOT_HALO = 5.0
"""A peak this many times brighter than the halo of its neighbours is a spot: rings have lobes."""


def estimate_halo(images: Image, camera: Camera, sigma_px: float) -> Floats:
    """Measure the mean light around bright spots beyond the Gaussian.

    Parameters
    ----------
    images : ndarray of shape (N, Y, X)
        Counts; at most the first four frames are used.
    camera : Camera
        Turns counts into photons.
    sigma_px : float
        Standard deviation of the PSF, px.

    Returns
    -------
    ndarray of shape (R,)
        Brightness at 0, 1, 2 … px from a spot relative to its peak; empty if there is no halo, or fewer than
        ten bright spots to see it.
    """
    profiles = [profile for image in images[:MAX_FRAMES] for profile in _profiles(image, camera, sigma_px)]
    if len(profiles) < MIN_SPOTS:
        return np.empty(0)
    halo = np.maximum(np.median(profiles, axis=0), 0.0)
    return halo if halo.max() > LEAST_HALO else np.empty(0)


def _profiles(image: Image, camera: Camera, sigma_px: float) -> list[Floats]:
    """Return the radial profiles of the bright peaks of a frame that have nothing brighter near."""
    reach = math.ceil(REACH_SIGMAS * sigma_px)
    if image.min() == image.max() or min(image.shape) <= 2 * reach:
        return []
    photons = camera.to_photons(image)
    stable = np.empty_like(photons)
    stabilise(photons, camera.read_noise_photons, stable)
    height = MatchedFilter(sigma_px, (image.shape[0], image.shape[1]))(stable)
    peaks = local_maxima(height, LEAST_HEIGHT)
    inner = ((peaks >= reach) & (peaks < np.array(image.shape) - reach)).all(axis=1)
    level = height[peaks[:, 0], peaks[:, 1]]
    near = cKDTree(peaks).query_ball_point(peaks, reach)
    chosen = [i for i in np.flatnonzero(inner) if level[i] >= level[near[i]].max()]
    return [
        _profile(photons[y - reach : y + reach + 1, x - reach : x + reach + 1], sigma_px)
        for y, x in peaks[chosen]
    ]


def _profile(patch: Image, sigma_px: float) -> Floats:
    """Return the mean light by distance from the middle, without background and Gaussian, over the peak."""
    reach = len(patch) // 2
    dy, dx = np.indices(patch.shape) - reach
    distance = np.hypot(dy, dx)
    ring = distance.round().astype(np.int64)
    background = float(np.median(patch[ring == reach]))
    peak = float(patch[reach, reach]) - background
    rest = (patch - background) / peak - np.exp(-0.5 * (distance / sigma_px) ** 2)
    rest[distance < CORE_SIGMAS * sigma_px] = 0.0
    inside = ring <= reach
    profile: Floats = np.bincount(ring[inside], rest[inside]) / np.bincount(ring[inside])
    return profile


@njit(cache=True)
def rises_above_halo(places: Floats, heights: Floats, halo: Floats) -> NDArray[np.bool_]:
    """Tell which spots are more than the halo of brighter ones.

    Parameters
    ----------
    places : ndarray of shape (M, 2)
        (y, x), px.
    heights : ndarray of shape (M,)
        Peak brightness above the background.
    halo : ndarray of shape (R,)
        As from `estimate_halo`.

    Returns
    -------
    ndarray of shape (M,)
        Decided from the brightest down; what is taken for halo has none itself.
    """
    real = np.ones(len(heights), dtype=np.bool_)
    last = len(halo) - 1
    order = np.argsort(-heights)
    for k in range(len(order)):
        i, light = order[k], 0.0
        for m in range(k):
            j = order[m]
            if not real[j]:
                continue
            dy, dx = abs(places[i, 0] - places[j, 0]), abs(places[i, 1] - places[j, 1])
            distance = math.sqrt(dy * dy + dx * dx)
            if distance < last:
                low = int(distance)
                part = distance - low
                light += heights[j] * ((1 - part) * halo[low] + part * halo[low + 1])
        real[i] = heights[i] > NOT_HALO * light
    return real
