"""A patch sequence: the light around a place on the membrane, some frames before and after a change."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter

from exovision.numerics.release import (
    LOG_D,
    LOG_N,
    LOG_TAU,
    PARAMETERS,
    SHARE,
    SPEED,
    START,
    draw_light,
)
from exovision.numerics.release_fits import log_likelihood

Floats = NDArray[np.float64]

FILL_PX = 2.5
"""Width over which the background's structure is smoothed, and filled in under the spot."""
SPOT_SIGMAS = 2.5
RIDGE_BINS = 26
"""Pixels across the membrane for which its own light is averaged along it."""
LEAST_WANDER = 0.05
"""Background changes from frame to frame by at least this share (P)."""
STILL = -30.0
"""Logarithm of a D, px²/s, or of a release time, s, that is as good as zero."""
DARK = -20.0
"""Logarithm of a gain that is as good as zero."""
NEVER_S = 1e9


@dataclass(frozen=True)
class PatchSequence:
    """What was recorded around one place.

    Attributes
    ----------
    photons : ndarray of shape (K, P, P)
        Photo-electrons above the camera's offset.
    mask : ndarray of shape (K, P, P)
        1 where a pixel counts, 0 at other spots and outside the image.
    frames, times_s : ndarray of shape (K,)
        Acquired frames only.
    centres_px : ndarray of shape (K, 2)
        Where the exosome is, or would be, from the middle of each patch.
    fade : ndarray of shape (K,)
        Light left of common bleaching, 1 at the change.
    normal : ndarray of shape (2,)
        Outward unit normal (y, x) of the membrane.
    sigma_px, sigma_z_px : float
        Widths of the PSF.
    read_noise : float
        Photo-electrons rms.
    exposure_s : float
    before : int
        So many first frames lie before any change.
    latest : int
        The change begins before this frame at the latest.
    at_once : bool
        Whether a gain is there at once, as with a change of pH.
    """

    photons: Floats
    mask: Floats
    frames: NDArray[np.int64]
    times_s: Floats
    centres_px: Floats
    fade: Floats
    normal: Floats
    sigma_px: float
    sigma_z_px: float
    read_noise: float
    exposure_s: float
    before: int
    latest: int
    at_once: bool = False

    @property
    def interval_s(self) -> float:
        """Median time between frames, s."""
        return float(np.median(np.diff(self.times_s)))

    def optics(self, level_precision: float = 1.0) -> Floats:
        """Return the numbers that `exovision.numerics.release` wants of microscope and camera."""
        psf = (self.sigma_px, self.sigma_z_px, *self.normal)
        return np.array([*psf, self.exposure_s, self.read_noise**2, level_precision, float(self.at_once)])


@dataclass(frozen=True)
class Scenery:
    """What the frames before a change say of the spot and of the background.

    Attributes
    ----------
    photons : ndarray of shape (K, P, P)
        Plus the variance of the read noise, not negative.
    base : ndarray of shape (P, P)
        Structure of the background, zero on average.
    levels : ndarray of shape (K,)
        Background expected in each frame.
    level_precision : float
    n : float
        Photons of the spot.
    log_n_error : float
        Standard error of ln n.
    """

    photons: Floats
    base: Floats
    levels: Floats
    level_precision: float
    n: float
    log_n_error: float


def resting() -> Floats:
    """Return parameters under which nothing ever happens."""
    theta = np.zeros(PARAMETERS)
    theta[[START, LOG_D, LOG_TAU]] = NEVER_S, STILL, STILL
    theta[[SHARE, SPEED, LOG_N]] = 0.0
    return theta


def survey(patch: PatchSequence) -> Scenery:
    """Measure spot and background in the frames before any change.

    Parameters
    ----------
    patch : PatchSequence

    Returns
    -------
    Scenery
    """
    noise = patch.read_noise**2
    shifted = np.maximum(patch.photons + noise, 0.0)
    k = max(patch.before, 1)
    light = np.zeros_like(patch.photons)
    draw_light(resting(), patch.times_s, patch.centres_px, patch.optics(), False, 0, light)
    n, levels = _spot_and_levels(patch, light, k, np.zeros(patch.photons.shape[1:]))
    base = _structure(patch, light, n, levels, k)
    n, levels = _spot_and_levels(patch, light, k, base)
    expected = np.maximum(levels[:k, None, None] + base + n * light[:k] + noise, 1e-3)
    information = n * np.sum(patch.mask[:k] * light[:k] ** 2 / expected)
    middle = float(np.mean(levels[:k]))
    wander = max(float(np.std(levels[:k])) if k > 2 else 0.0, LEAST_WANDER * max(middle, 1.0))
    return Scenery(
        photons=shifted,
        base=base,
        levels=np.where(np.arange(len(levels)) < k, levels, middle),
        level_precision=1 / wander**2,
        n=n,
        log_n_error=float(np.clip(1 / np.sqrt(max(n * information, 1e-9)), 0.02, 1.0)),
    )


def _spot_and_levels(patch: PatchSequence, light: Floats, k: int, base: Floats) -> tuple[float, Floats]:
    """Return the photons of the spot and the background per frame, by weighted least squares."""
    levels = np.array(
        [np.median(image[mask > 0]) if (mask > 0).any() else 0.0
         for image, mask in zip(patch.photons - base, patch.mask)]
    )  # fmt: skip
    n = 100.0
    for _ in range(4):
        expected = levels[:k, None, None] + base + max(n, 0.0) * light[:k] + patch.read_noise**2
        weight = patch.mask[:k] / np.maximum(expected, 0.5)
        left = patch.photons[:k] - base
        s_l, s_ll = np.sum(weight * light[:k], (1, 2)), np.sum(weight * light[:k] ** 2)
        s_1, s_y = np.sum(weight, (1, 2)), np.sum(weight * left, (1, 2))
        s_1 = np.maximum(s_1, 1e-9)
        n = float(
            (np.sum(weight * light[:k] * left) - np.sum(s_l * s_y / s_1))
            / max(s_ll - np.sum(s_l**2 / s_1), 1e-9)
        )
        levels[:k] = (s_y - n * s_l) / s_1
    return max(n, 1.0), levels


def _structure(patch: PatchSequence, light: Floats, n: float, levels: Floats, k: int) -> Floats:
    """Return the structure of the background, told from where the spot is not.

    A membrane's own light runs along it, also under the spot; what is left is smooth.
    """
    size = patch.photons.shape[1]
    grid = np.arange(size) - size // 2
    away = np.hypot(
        grid[None, :, None] - patch.centres_px[:k, 0, None, None],
        grid[None, None, :] - patch.centres_px[:k, 1, None, None],
    )
    weight = patch.mask[:k] * (away > SPOT_SIGMAS * patch.sigma_px)
    left = patch.photons[:k] - levels[:k, None, None] - n * light[:k]
    total, counted = np.sum(weight * left, axis=0), np.sum(weight, axis=0)
    across = grid[:, None] * patch.normal[0] + grid[None, :] * patch.normal[1]
    ridge = _along_membrane(total, counted, across)
    smooth = gaussian_filter(total - counted * ridge, FILL_PX, mode="nearest")
    base = ridge + smooth / (gaussian_filter(counted, FILL_PX, mode="nearest") + 1.0)
    centred: Floats = base - base.mean()
    return centred


def _along_membrane(total: Floats, counted: Floats, across: Floats) -> Floats:
    """Return the mean by distance across the membrane, (P, P), from sums and numbers per pixel."""
    place = across + RIDGE_BINS / 2
    low = np.clip(place.astype(np.int64), 0, RIDGE_BINS - 2)
    part = np.clip(place - low, 0.0, 1.0)
    sums, numbers = np.zeros(RIDGE_BINS), np.full(RIDGE_BINS, 1.0)
    for index, share in ((low, 1 - part), (low + 1, part)):
        sums += np.bincount(index.ravel(), (share * total).ravel(), RIDGE_BINS)
        numbers += np.bincount(index.ravel(), (share * counted).ravel(), RIDGE_BINS)
    profile = sums / numbers
    found: Floats = (1 - part) * profile[low] + part * profile[low + 1]
    return found


def sequence_likelihood(
    patch: PatchSequence, scenery: Scenery, theta: Floats, *, edge: bool, first: int = 0
) -> tuple[float, Floats]:
    """Return the log-likelihood of parameters from frame `first` on, and that of every frame, shape (K,)."""
    light = np.zeros_like(patch.photons)
    optics = patch.optics(scenery.level_precision)
    draw_light(theta, patch.times_s, patch.centres_px, optics, edge, first, light)
    by_frame = np.zeros(len(patch.times_s))
    total = log_likelihood(
        scenery.photons, patch.mask, scenery.base, patch.fade, light, float(np.exp(theta[LOG_N])),
        scenery.levels.copy(), scenery.levels, optics, first, by_frame,
    )  # fmt: skip
    return float(total), by_frame
