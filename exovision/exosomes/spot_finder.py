"""Spots of one frame: peaks, joint fits, and the spots that hide beside brighter ones."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray
from scipy.spatial import cKDTree

from exovision.exosomes.camera import Camera
from exovision.exosomes.halo import rises_above_halo
from exovision.numerics.peaks import BACKGROUND_SIGMAS, local_maxima, matched_filter, stabilise
from exovision.numerics.psf import add_spot, patch_radius_px
from exovision.numerics.spot_evidence import weigh_all
from exovision.numerics.spot_fits import IGNORED, SIGMA, TOTAL, X, Y, fit_all, starts

Image = NDArray[np.float32]
Floats = NDArray[np.float64]

FULL_SCALES = tuple(np.float32(2**bits - 1) for bits in (8, 10, 12, 14, 16))
"""A pixel at the brightest value of a usual camera is saturated if it is also the brightest of its frame."""

HIDDEN_ROUNDS = 2
MODEL_ERROR = 0.15
"""Part of a spot's own light that a real PSF may distribute otherwise than a Gaussian."""

SAME_SPOT_SIGMAS = 0.8
"""Two fits closer than this are one spot."""

ONE_AT_A_TIME_SIGMAS = 4.0
"""What a misfit leaves over has several peaks; only the best within this distance is added in one round."""

WANDER_SIGMAS = 2.0
"""A fit that ends further than this from its peak has run off to something else."""

WIDTH_GAIN = 15.0
"""Twice the log-likelihood a free width must gain before position and brightness are taken from that fit."""


NO_HALO: Floats = np.empty(0)
NOWHERE: NDArray[np.int64] = np.empty((0, 2), dtype=np.int64)


@dataclass(frozen=True)
class Found:
    """Fitted spots of one frame.

    Attributes
    ----------
    spots : ndarray of shape (M, 5)
        Columns of `numerics.spot_fits`, photons and px, sorted by y.
    evidence : ndarray of shape (M, 7)
        Columns of `numerics.spot_evidence`.
    """

    spots: Floats
    evidence: Floats

    @classmethod
    def none(cls) -> Found:
        """Return no spots."""
        return cls(np.empty((0, 5)), np.empty((0, 7)))


def find_spots(
    image: Image,
    camera: Camera,
    *,
    sigma_px: float,
    threshold: float,
    halo: Floats = NO_HALO,
    wanted: NDArray[np.int64] = NOWHERE,
) -> Found:
    """Find and fit all spots of one frame.

    Parameters
    ----------
    image : ndarray of shape (Y, X)
        Counts.
    camera : Camera
        Turns counts into photons.
    sigma_px : float
        Standard deviation of the PSF, px.
    threshold : float
        Least height of a peak, standard deviations of the filtered noise.
    halo : ndarray of shape (R,)
        Light around a spot beyond the Gaussian, as from `halo.estimate_halo`; what it explains is no spot.
    wanted : ndarray of shape (M, 2)
        Pixels (y, x) at which a spot is fitted in any case, in view of its neighbours.

    Returns
    -------
    Found
        Every peak with its evidence, also improbable ones.
    """
    if image.min() == image.max():
        return Found.none()
    photons, usable = _photons(image, camera)
    peaks = local_maxima(matched_filter(stabilise(usable, camera.read_noise_photons), sigma_px), threshold)
    if len(wanted):
        both = np.vstack([peaks, wanted]).astype(np.int64)
        peaks = np.unique(both, axis=0)
    if not len(peaks):
        return Found.none()
    noise, radius = camera.read_noise_photons**2, patch_radius_px(sigma_px)
    spots = starts(photons, peaks, sigma_px, radius)
    real = _real(spots, halo)
    spots, origin = spots[real], peaks[real].astype(np.float64)
    model = _model(photons.shape, spots, radius)
    fit_all(photons, model, spots, np.ones(len(spots), dtype=np.bool_), noise, radius)
    for _ in range(HIDDEN_ROUNDS):
        hidden = _hidden_peaks(usable, model, spots, noise, sigma_px, threshold)
        rest = np.where(photons == IGNORED, IGNORED, photons - model)
        new = starts(rest, hidden, sigma_px, radius)
        real = _real(np.vstack([spots, new]), halo)[len(spots) :]
        if not real.any():
            break
        origin = np.vstack([origin, hidden[real].astype(np.float64)])
        spots, origin = _join(photons, model, spots, origin, new[real], noise, radius)
    spots, model = _tidy(photons, model, spots, origin, noise, radius, halo)
    return Found(spots, weigh_all(photons, model, spots, noise, radius, WIDTH_GAIN))


def _photons(image: Image, camera: Camera) -> tuple[Image, Image]:
    """Return photons with saturated pixels marked as ignored, and photons for filtering."""
    usable = camera.to_photons(image)
    brightest = image.max()
    if brightest not in FULL_SCALES:
        return usable, usable
    return np.where(image == brightest, IGNORED, usable), usable


def _model(shape: tuple[int, ...], spots: Floats, radius: int) -> Image:
    model = np.zeros(shape, dtype=np.float32)
    scratch = np.empty((6, 2 * radius + 1))
    for spot in spots:
        add_spot(model, spot[Y], spot[X], spot[TOTAL], spot[SIGMA], radius, scratch)
    return model


def _hidden_peaks(
    photons: Image, model: Image, spots: Floats, noise: float, sigma_px: float, threshold: float
) -> NDArray[np.int64]:
    """Return peaks of what the fits leave over, at most one in the neighbourhood of each other."""
    rest = photons - model
    wide = BACKGROUND_SIGMAS * sigma_px
    blurred = cv2.GaussianBlur(rest, (0, 0), wide, borderType=cv2.BORDER_REFLECT)
    background = np.asarray(blurred, dtype=np.float32)
    variance = np.maximum(background, 0) + model + np.float32(noise) + (np.float32(MODEL_ERROR) * model) ** 2
    clear = (rest - background) / np.sqrt(variance + np.float32(0.1))
    height = matched_filter(np.asarray(clear, dtype=np.float32), sigma_px)
    peaks = local_maxima(height, threshold)
    order = np.argsort(-height[peaks[:, 0], peaks[:, 1]], kind="stable")
    return _apart(peaks[order], spots[:, [Y, X]], sigma_px)


def _apart(peaks: NDArray[np.int64], known: Floats, sigma_px: float) -> NDArray[np.int64]:
    """Return the peaks, best first, that are not on a known spot nor in reach of a better peak, by (y, x)."""
    kept: list[NDArray[np.int64]] = []
    for peak in peaks:
        from_known = np.hypot(*(known - peak).T)
        clear = all(np.hypot(*(peak - other)) > ONE_AT_A_TIME_SIGMAS * sigma_px for other in kept)
        if clear and (from_known > SAME_SPOT_SIGMAS * sigma_px).all():
            kept.append(peak)
    rows = np.array(kept, dtype=np.int64).reshape(-1, 2)
    return rows[np.lexsort((rows[:, 1], rows[:, 0]))]


def _real(spots: Floats, halo: Floats) -> NDArray[np.bool_]:
    """Return which spots are more than the halo of others."""
    if not len(halo):
        return np.ones(len(spots), dtype=np.bool_)
    real: NDArray[np.bool_] = rises_above_halo(
        np.ascontiguousarray(spots[:, [Y, X]]), spots[:, TOTAL] / spots[:, SIGMA] ** 2, halo
    )
    return real


def _join(
    photons: Image, model: Image, spots: Floats, origin: Floats, new: Floats, noise: float, radius: int
) -> tuple[Floats, Floats]:
    """Add hidden spots and fit them together with their neighbours; `model` is kept up to date."""
    model += _model(model.shape, new, radius)
    spots = np.vstack([spots, new])
    is_new = np.arange(len(spots)) >= len(spots) - len(new)
    order = np.argsort(spots[:, Y], kind="stable")
    spots, origin, is_new = spots[order], origin[order], is_new[order]
    fit_all(photons, model, spots, _beside(spots, is_new, 2 * radius), noise, radius)
    return _by_y(spots, origin)


def _beside(spots: Floats, marked: NDArray[np.bool_], reach: float) -> NDArray[np.bool_]:
    """Return which spots are marked or within `reach` px of a marked one."""
    gaps = np.abs(spots[:, None, [Y, X]] - spots[None, marked][:, :, [Y, X]]).max(axis=2)
    return np.asarray((gaps <= reach).any(axis=1), dtype=np.bool_)


def _by_y(spots: Floats, origin: Floats) -> tuple[Floats, Floats]:
    order = np.argsort(spots[:, Y], kind="stable")
    return spots[order], origin[order]


def _tidy(
    photons: Image,
    model: Image,
    spots: Floats,
    origin: Floats,
    noise: float,
    radius: int,
    halo: Floats,
) -> tuple[Floats, Image]:
    """Drop fits that ran off or out, fell together or are halo, and fit their neighbours again."""
    spots, origin = _by_y(spots, origin)
    sigma = spots[0, SIGMA]
    strayed = np.hypot(*(spots[:, [Y, X]] - origin).T) > WANDER_SIGMAS * sigma
    twins = cKDTree(spots[:, [Y, X]]).query_pairs(SAME_SPOT_SIGMAS * sigma, output_type="ndarray")
    weaker = np.where(spots[twins[:, 0], TOTAL] < spots[twins[:, 1], TOTAL], twins[:, 0], twins[:, 1])
    outside = ((spots[:, [Y, X]] < -0.5) | (spots[:, [Y, X]] > np.array(photons.shape) - 0.5)).any(axis=1)
    dropped = strayed | outside | ~_real(spots, halo)
    dropped[weaker] = True
    if not dropped.any():
        return spots, model
    touched = _beside(spots, dropped, 2 * radius)[~dropped]
    spots = spots[~dropped]
    model = _model(model.shape, spots, radius)
    fit_all(photons, model, spots, touched, noise, radius)
    return _by_y(spots, spots)[0], model
