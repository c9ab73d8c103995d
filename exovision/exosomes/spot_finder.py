"""Spots of one frame: peaks, fits alone and together, the spots that hide beside brighter ones, and pairs."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import cKDTree

from exovision.exosomes.camera import Camera
from exovision.exosomes.halo import rises_above_halo
from exovision.numerics.peaks import MatchedFilter, left_over, local_maxima, refine, stabilise
from exovision.numerics.psf import draw, fit_radius_px, patch_radius_px
from exovision.numerics.spot_evidence import COLUMNS, LOOK_SIDE, looks, weigh_alone, weigh_together
from exovision.numerics.spot_fits import IGNORED, SIGMA, TOTAL, X, Y, beside, fit_alone, fit_together, starts
from exovision.numerics.spot_pairs import split

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

WIDE_Z = 4.0
"""Standard errors that a spot must be wider than the PSF before its own width is used in its fit."""

SUSPICIOUS_Z, PAIR_GAIN = 3.0, 20.0
"""When a pair is tried in place of a spot, and twice the log-likelihood that it must gain."""

LEAST_PROMISE = 0.01
"""Peaks of lower probability are not fitted together with their neighbours: they would explain them away."""

NO_HALO: Floats = np.empty(0)


@dataclass(frozen=True)
class Found:
    """Fitted spots of one frame.

    Attributes
    ----------
    spots : ndarray of shape (M, 5)
        Columns of `numerics.spot_fits`, photons and px, sorted by y.
    evidence : ndarray of shape (M, 10)
        Columns of `numerics.spot_evidence`.
    looks : ndarray of shape (M, 2, S, S)
        The surroundings of each spot and what the fits leave of them, as `numerics.spot_evidence.looks`.
    """

    spots: Floats
    evidence: Floats
    looks: Image

    @classmethod
    def none(cls) -> Found:
        """Return no spots."""
        looks = np.empty((0, 2, LOOK_SIDE, LOOK_SIDE), dtype=np.float32)
        return cls(np.empty((0, 5)), np.empty((0, COLUMNS)), looks)


Judge = Callable[[Found], NDArray[np.float32]]
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
        Whether neighbours are fitted together, with hidden spots and pairs; else each spot by itself.
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
        self._radius, self._fit_radius = patch_radius_px(sigma_px), fit_radius_px(sigma_px)
        self._filter = MatchedFilter(sigma_px, shape)
        self._photons, self._stable, self._around, self._model = np.empty((4, *shape), dtype=np.float32)
        self._dark = np.zeros(shape, dtype=np.float32)

    def find(self, image: Image) -> Found:
        """Find and fit all spots of one frame.

        Parameters
        ----------
        image : ndarray of shape (Y, X)
            Counts.

        Returns
        -------
        Found
            Every peak with its evidence, also improbable ones.
        """
        brightest = image.max()
        if image.min() == brightest:
            return Found.none()
        self.camera.to_photons(image, out=self._photons)
        stabilise(self._photons, self.camera.read_noise_photons, self._stable)
        if brightest in FULL_SCALES:
            self._photons[image == brightest] = IGNORED
        height = self._filter(self._stable)
        peaks = local_maxima(height, self.threshold)
        spots = starts(self._photons, refine(height, peaks), self.sigma_px, self._fit_radius)
        real = self._real(spots)
        spots, origin = spots[real], peaks[real].astype(np.float64)
        if not len(spots):
            return Found.none()
        fit_alone(self._photons, self._dark, spots, self._noise, self._fit_radius)
        if not self.together:
            return self._alone(spots[self._sound(spots, origin)])
        np.copyto(self._around, self._filter.surroundings)
        return self._together(spots, origin)

    def _alone(self, spots: Floats) -> Found:
        """Weigh spots that were fitted each by itself."""
        evidence = weigh_alone(self._photons, self._dark, spots, self._noise, self._fit_radius)
        return self._seen(spots, evidence)

    def _seen(self, spots: Floats, evidence: Floats) -> Found:
        """Add to fitted spots how they look."""
        self._draw(spots)
        picture = self._photons, self._model
        return Found(spots, evidence, looks(*picture, spots, self._noise, self.sigma_px))

    def _draw(self, spots: Floats) -> None:
        self._model[:] = 0.0
        draw(self._model, spots, self._radius)

    def _together(self, spots: Floats, origin: Floats) -> Found:
        """Fit neighbours together, add what they hide, split pairs, and weigh all."""
        if self.judge is not None:
            promising = self.judge(self._alone(spots)) >= LEAST_PROMISE
            spots, origin = spots[promising], origin[promising]
        if not len(spots):
            return Found.none()
        spots, origin = _by_y(spots, origin)
        self._draw(spots)
        self._fit(spots, np.ones(len(spots), dtype=np.bool_))
        for _ in range(HIDDEN_ROUNDS):
            hidden = self._hidden_peaks(spots)
            rest = np.where(self._photons == IGNORED, IGNORED, self._photons - self._model)
            new = starts(rest, hidden.astype(np.float64), self.sigma_px, self._fit_radius)
            real = self._real(np.vstack([spots, new]))[len(spots) :]
            if not real.any():
                break
            spots, origin = self._join(spots, origin, new[real], hidden[real].astype(np.float64))
        spots, origin = self._split(spots, origin)
        spots = self._tidy(spots, origin)
        evidence = weigh_together(self._photons, self._model, spots, self._noise, self._radius, WIDE_Z)
        order = np.argsort(spots[:, Y], kind="stable")
        return self._seen(spots[order], evidence[order])

    def _fit(self, spots: Floats, dirty: NDArray[np.bool_]) -> None:
        fit_together(self._photons, self._model, spots, dirty, self._noise, self._fit_radius, self._radius)

    def _hidden_peaks(self, spots: Floats) -> NDArray[np.int64]:
        """Return peaks of what the fits leave over, at most one in the neighbourhood of each other."""
        left_over(self._photons, self._model, self._around, MODEL_ERROR, self._stable)
        height = self._filter(self._stable)
        peaks = local_maxima(height, self.threshold)
        order = np.argsort(-height[peaks[:, 0], peaks[:, 1]], kind="stable")
        return _apart(peaks[order], spots[:, [Y, X]], self.sigma_px)

    def _join(self, spots: Floats, origin: Floats, new: Floats, places: Floats) -> tuple[Floats, Floats]:
        """Add spots to those of the model and fit them together with their neighbours."""
        draw(self._model, new, self._radius)
        return self._fit_new(np.vstack([spots, new]), np.vstack([origin, places]), len(new))

    def _fit_new(self, spots: Floats, origin: Floats, count: int) -> tuple[Floats, Floats]:
        """Fit the last `count` spots, which the model holds already, together with their neighbours."""
        order = np.argsort(spots[:, Y], kind="stable")
        spots, origin = spots[order], origin[order]
        self._fit(spots, beside(spots, order >= len(spots) - count, 2.0 * self._radius))
        return _by_y(spots, origin)

    def _split(self, spots: Floats, origin: Floats) -> tuple[Floats, Floats]:
        """Put pairs in the place of spots that they explain better."""
        picture = self._photons, self._model
        evidence = weigh_together(*picture, spots, self._noise, self._radius, np.inf)
        added, parents = split(*picture, spots, evidence, self._noise, self._radius, SUSPICIOUS_Z, PAIR_GAIN)
        if not len(added):
            return _by_y(spots, origin)
        origin[parents] = spots[parents][:, [Y, X]]
        both = np.vstack([spots, added]), np.vstack([origin, added[:, [Y, X]]])
        return self._fit_new(*both, len(added))

    def _real(self, spots: Floats) -> NDArray[np.bool_]:
        """Return which spots are more than the halo of others."""
        if not len(self.halo):
            return np.ones(len(spots), dtype=np.bool_)
        places = np.ascontiguousarray(spots[:, [Y, X]])
        real: NDArray[np.bool_] = rises_above_halo(places, spots[:, TOTAL] / spots[:, SIGMA] ** 2, self.halo)
        return real

    def _sound(self, spots: Floats, origin: Floats) -> NDArray[np.bool_]:
        """Return which fits did not run off or out, nor fall together with a brighter one, nor are halo."""
        places = spots[:, [Y, X]]
        strayed = np.hypot(*(places - origin).T) > WANDER_SIGMAS * self.sigma_px
        outside = ((places < -0.5) | (places > np.array(self.shape) - 0.5)).any(axis=1)
        dropped = strayed | outside | ~self._real(spots)
        twins = cKDTree(places).query_pairs(SAME_SPOT_SIGMAS * self.sigma_px, output_type="ndarray")
        weaker = np.where(spots[twins[:, 0], TOTAL] < spots[twins[:, 1], TOTAL], twins[:, 0], twins[:, 1])
        dropped[weaker] = True
        return np.asarray(~dropped, dtype=np.bool_)

    def _tidy(self, spots: Floats, origin: Floats) -> Floats:
        """Drop unsound fits, fit their neighbours again, and leave the model in accord."""
        sound = self._sound(spots, origin)
        if sound.all():
            return spots
        touched = beside(spots, ~sound, 2.0 * self._radius)[sound]
        spots = spots[sound]
        self._draw(spots)
        self._fit(spots, touched)
        return _by_y(spots, spots)[0]


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


def _by_y(spots: Floats, origin: Floats) -> tuple[Floats, Floats]:
    order = np.argsort(spots[:, Y], kind="stable")
    return spots[order], origin[order]
