"""Spots of one frame: peaks, fits alone and together, and the spots that hide beside brighter ones."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import cKDTree

from exovision.exosomes.camera import Camera
from exovision.exosomes.halo import rises_above_halo
from exovision.numerics.peaks import MatchedFilter, left_over, local_maxima, refine, stabilise
from exovision.numerics.psf import draw, fit_radius_px, patch_radius_px
from exovision.numerics.ridges import over_ridge, ridge_light
from exovision.numerics.spot_evidence import COLUMNS, LOOK_SIDE, TOTAL_SE, looks, weigh_alone, weigh_together
from exovision.numerics.spot_fits import (
    BACKGROUND,
    IGNORED,
    PARAMETERS,
    PEAK_X,
    PEAK_Y,
    SIGMA,
    TOTAL,
    X,
    Y,
    beside,
    fit_alone,
    fit_together,
    starts,
)

Image = NDArray[np.float32]
Floats = NDArray[np.float64]

FULL_SCALES = tuple(np.float32(2**bits - 1) for bits in (8, 10, 12, 14, 16))
"""A pixel at the brightest value of a usual camera is saturated if it is also the brightest of its frame."""

RIDGE_HEIGHT, RIDGE_RISE = 3.0, 2.5
"""Least height of a peak on a ridge, and least height above the ridge, standard deviations."""

HIDDEN_ROUNDS, HIDDEN_SHARE, HIDDEN_RISE = 2, 0.85, 2.5
"""How often spots are looked for in what the fits leave over, how high they must be, relative to other peaks,
and how far they must rise above a ridge there, standard deviations of the filtered noise."""

MODEL_ERROR, HALO_ERRORS = 0.15, 2.0
"""Part of a spot's own light that a real PSF may distribute otherwise than a Gaussian, and how much more it
is per brightness of a halo that was measured."""

SAME_SPOT_SIGMAS = 0.8
"""Two fits closer than this are one spot."""

ONE_AT_A_TIME_SIGMAS = 4.0
"""What a misfit leaves over has several peaks; only the best within this distance is added in one round."""

WANDER_SIGMAS = 2.0
"""A fit that ends further than this from its peak has run off to something else."""

WIDE_Z = 4.0
"""Standard errors that a spot must be wider than the PSF before its own width is used in its fit."""

LEAST_PROMISE = 0.03
"""Peaks of lower probability are not fitted together with their neighbours: they would explain them away."""

NO_HALO: Floats = np.empty(0)
NOWHERE: Floats = np.empty((0, 2))


@dataclass(frozen=True)
class Found:
    """Fitted spots of one frame.

    Attributes
    ----------
    spots : ndarray of shape (M, 7)
        Columns of `numerics.spot_fits`, photons and px.
    evidence : ndarray of shape (M, 8)
        Columns of `numerics.spot_evidence`.
    looks : ndarray of shape (M, K, S, S)
        The filtered image around each spot and, of spots fitted together, what the fits leave of it,
        standard deviations of the noise.
    promise : ndarray of shape (P, 4)
        Of every peak of the frame that was fitted by itself, y, x, significance and probability.
    """

    spots: Floats
    evidence: Floats
    looks: Image
    promise: Floats = field(default_factory=lambda: np.empty((0, 4)))

    @property
    def together(self) -> bool:
        """Whether the spots were fitted with their neighbours."""
        return bool(self.looks.shape[1] == 2)

    @classmethod
    def none(cls, *, together: bool) -> Found:
        """Return no spots."""
        looks = np.empty((0, 1 + together, LOOK_SIDE, LOOK_SIDE), dtype=np.float32)
        return cls(np.empty((0, PARAMETERS)), np.empty((0, COLUMNS)), looks)


Judge = Callable[[Found], Floats]
"""Gives the probability, shape (M,), of spots that were fitted each by itself."""


class SpotFinder:
    """Finds and fits the spots of frames of one movie.

    Parameters
    ----------
    camera : Camera
        Turns counts into photons.
    sigma_px : float
        Standard deviation of the PSF, px.
    threshold : float
        Least height of a peak, standard deviations of the filtered noise.
    shape : tuple of int
        (Y, X) of the frames.
    halo : ndarray of shape (R,)
        Light around a spot beyond the Gaussian, as from `halo.estimate_halo`; what it explains is no spot.
    together : bool
        Whether neighbours are fitted together, with hidden spots; else each spot by itself.
    judge : callable, optional
        Peaks that it finds unpromising are left out before neighbours are fitted together.

    Notes
    -----
    Keeps memory from frame to frame: not for use by several threads at once.
    """

    def __init__(
        self,
        camera: Camera,
        *,
        sigma_px: float,
        threshold: float,
        shape: tuple[int, int],
        halo: Floats = NO_HALO,
        together: bool = True,
        judge: Judge | None = None,
    ) -> None:
        self.camera, self.sigma_px, self.threshold, self.halo = camera, sigma_px, threshold, halo
        self.together, self.judge, self.shape = together, judge, shape
        self._noise = camera.read_noise_photons**2
        self._model_error = MODEL_ERROR + HALO_ERRORS * float(halo.max(initial=0.0))
        self._radius, self._fit_radius = patch_radius_px(sigma_px), fit_radius_px(sigma_px)
        self._filter = MatchedFilter(sigma_px, shape)
        self._photons, self._stable, self._height, self._around = np.empty((4, *shape), dtype=np.float32)
        self._ridges, self._model = np.zeros((2, *shape), dtype=np.float32)

    def find(self, image: Image, wanted: Floats = NOWHERE) -> Found:
        """Find and fit all spots of one frame.

        Parameters
        ----------
        image : ndarray of shape (Y, X)
            Counts.
        wanted : ndarray of shape (K, 2)
            Places (y, x) at which a spot is fitted in any case, px.

        Returns
        -------
        Found
            Every peak with its evidence, also improbable ones; those fitted together are sorted by y.
        """
        brightest = image.max()
        if image.min() == brightest:
            return Found.none(together=self.together)
        self.camera.to_photons(image, out=self._photons)
        stabilise(self._photons, self.camera.read_noise_photons, self._stable)
        if brightest in FULL_SCALES:
            self._photons[image == brightest] = IGNORED
        np.copyto(self._height, self._filter(self._stable))
        places = np.vstack([refine(self._height, self._peaks()), wanted])
        spots = starts(self._photons, places, self.sigma_px, self._fit_radius)
        spots = spots[self._real(spots)]
        fit_alone(self._photons, self._ridges, spots, self._noise, self._fit_radius)
        spots = spots[self._sound(spots)]
        if not self.together:
            return self._alone(spots)
        promise = np.empty((0, 4))
        if self.judge is not None:
            alone = self._alone(spots)
            likely = self.judge(alone)
            light = alone.spots[:, TOTAL] / alone.evidence[:, TOTAL_SE]
            promise = np.column_stack([alone.spots[:, [Y, X]], light, likely])
            near = _are_near(spots[:, [Y, X]], wanted, WANDER_SIGMAS * self.sigma_px)
            spots = spots[(likely >= LEAST_PROMISE) | near]
        np.copyto(self._around, self._filter.surroundings)
        return self._together(_by_y(spots), promise) if len(spots) else Found.none(together=True)

    def _peaks(self) -> NDArray[np.int64]:
        """Return the peaks of the filtered image and, to be fitted together, those on ridges of light."""
        peaks = local_maxima(self._height, self.threshold)
        if not self.together:
            return peaks
        bright = np.argwhere(self._height > RIDGE_HEIGHT)
        rise = over_ridge(self._height, bright.astype(np.float64), self.sigma_px)
        self._ridges = ridge_light(self._filter.near, bright, rise, self.sigma_px, float(self._filter.gain))
        above = np.zeros_like(self._height)
        above[bright[:, 0], bright[:, 1]] = rise[:, 0]
        return np.unique(np.vstack([peaks, local_maxima(above, RIDGE_RISE)]), axis=0)

    def _alone(self, spots: Floats) -> Found:
        """Weigh spots that were fitted each by itself."""
        evidence = weigh_alone(self._photons, self._ridges, spots, self._noise, self._fit_radius)
        return Found(spots, evidence, looks(self._height, spots, self.sigma_px)[:, None])

    def _together(self, spots: Floats, promise: Floats) -> Found:
        """Fit neighbours together, add what they hide, and weigh all."""
        self._draw(spots)
        self._fit(spots, np.ones(len(spots), dtype=np.bool_))
        for _ in range(HIDDEN_ROUNDS):
            hidden = self._hidden(spots)
            if not len(hidden):
                break
            draw(self._model, hidden, self._radius)
            fresh = np.arange(len(spots) + len(hidden)) >= len(spots)
            spots = self._fit_beside(np.vstack([spots, hidden]), fresh)
        spots = self._tidy(spots)
        evidence = weigh_together(self._photons, self._model, spots, self._noise, self._radius, WIDE_Z)
        order = np.argsort(spots[:, Y], kind="stable")
        spots, evidence = spots[order], evidence[order]
        y, x = np.clip(np.rint(spots[:, [Y, X]]).astype(np.int64), 0, np.array(self.shape) - 1).T
        spots[:, BACKGROUND] += self._ridges[y, x]
        seen = [looks(height, spots, self.sigma_px) for height in (self._height, self._left_over())]
        return Found(spots, evidence, np.stack(seen, axis=1), promise)

    def _draw(self, spots: Floats) -> None:
        self._model[:] = self._ridges
        draw(self._model, spots, self._radius)

    def _fit(self, spots: Floats, dirty: NDArray[np.bool_]) -> None:
        fit_together(self._photons, self._model, spots, dirty, self._noise, self._fit_radius, self._radius)

    def _left_over(self) -> Image:
        """Return what the fits leave of the picture, filtered; valid until the next call."""
        left_over(self._photons, self._model, self._around, self._model_error, self._stable)
        return self._filter(self._stable)

    def _hidden(self, spots: Floats) -> Floats:
        """Return spots in what the fits leave over, at most one in the neighbourhood of each other."""
        height = self._left_over()
        peaks = local_maxima(height, HIDDEN_SHARE * self.threshold)
        peaks = peaks[over_ridge(height, peaks.astype(np.float64), self.sigma_px)[:, 0] > HIDDEN_RISE]
        order = np.argsort(-height[peaks[:, 0], peaks[:, 1]], kind="stable")
        places = _apart(peaks[order], spots[:, [Y, X]], self.sigma_px).astype(np.float64)
        rest = np.where(self._photons == IGNORED, IGNORED, self._photons - self._model)
        new = starts(rest, places, self.sigma_px, self._fit_radius)
        return new[self._real(np.vstack([spots, new]))[len(spots) :]]

    def _fit_beside(self, spots: Floats, marked: NDArray[np.bool_]) -> Floats:
        """Fit the marked spots, which the model holds, with their neighbours."""
        order = np.argsort(spots[:, Y], kind="stable")
        spots = spots[order]
        self._fit(spots, beside(spots, marked[order], 2.0 * self._radius))
        return _by_y(spots)

    def _real(self, spots: Floats) -> NDArray[np.bool_]:
        """Return which spots are more than the halo of others."""
        if not len(self.halo):
            return np.ones(len(spots), dtype=np.bool_)
        places = np.ascontiguousarray(spots[:, [Y, X]])
        real: NDArray[np.bool_] = rises_above_halo(places, spots[:, TOTAL] / spots[:, SIGMA] ** 2, self.halo)
        return real

    def _sound(self, spots: Floats) -> NDArray[np.bool_]:
        """Return which fits did not run off or out, nor fall together with a brighter one, nor are halo."""
        places = spots[:, [Y, X]]
        strayed = np.hypot(*(places - spots[:, [PEAK_Y, PEAK_X]]).T) > WANDER_SIGMAS * self.sigma_px
        outside = ((places < -0.5) | (places > np.array(self.shape) - 0.5)).any(axis=1)
        dropped = strayed | outside | ~self._real(spots)
        twins = cKDTree(places).query_pairs(SAME_SPOT_SIGMAS * self.sigma_px, output_type="ndarray")
        weaker = np.where(spots[twins[:, 0], TOTAL] < spots[twins[:, 1], TOTAL], twins[:, 0], twins[:, 1])
        dropped[weaker] = True
        return np.asarray(~dropped, dtype=np.bool_)

    def _tidy(self, spots: Floats) -> Floats:
        """Drop unsound fits, fit their neighbours again, and leave the model in accord."""
        sound = self._sound(spots)
        if sound.all():
            return spots
        touched = beside(spots, ~sound, 2.0 * self._radius)[sound]
        spots = spots[sound]
        self._draw(spots)
        self._fit(spots, touched)
        return _by_y(spots)


def _apart(peaks: NDArray[np.int64], known: Floats, sigma_px: float) -> NDArray[np.int64]:
    """Return the peaks, best first, that are not on a known spot nor in reach of a better peak, by (y, x)."""
    if not len(peaks):
        return peaks
    free = cKDTree(known).query(peaks)[0] > SAME_SPOT_SIGMAS * sigma_px
    peaks = peaks[free]
    taken = np.zeros(len(peaks), dtype=bool)
    near = cKDTree(peaks).query_ball_point(peaks, ONE_AT_A_TIME_SIGMAS * sigma_px) if len(peaks) else []
    kept = []
    for row, others in enumerate(near):
        if not taken[row]:
            kept.append(row)
            taken[others] = True
    rows = peaks[kept]
    return rows[np.lexsort((rows[:, 1], rows[:, 0]))]


def _are_near(places: Floats, wanted: Floats, reach: float) -> NDArray[np.bool_]:
    """Tell which places are within `reach` of a wanted one."""
    gaps = np.hypot(*(places[:, None] - wanted[None]).transpose(2, 0, 1))
    return np.asarray((gaps <= reach).any(axis=1), dtype=np.bool_)


def _by_y(spots: Floats) -> Floats:
    return spots[np.argsort(spots[:, Y], kind="stable")]
