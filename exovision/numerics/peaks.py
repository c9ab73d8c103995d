"""Matched filtering and sparse local maxima: where spots may be."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache

import cv2
import numpy as np
from numba import njit
from numpy.typing import NDArray
from scipy.optimize import brentq

Image = NDArray[np.float32]

BACKGROUND_SIGMAS = 3.0
"""Width of the background that the matched filter takes away, in PSF standard deviations."""


@njit(cache=True, fastmath=True)
def stabilise(photons: Image, read_noise: float, stable: Image) -> None:
    r"""Transform photon counts so that their noise has a standard deviation of about 1 everywhere.

    .. math:: z = 2\sqrt{n + 3/8 + r^2}

    Parameters
    ----------
    photons : ndarray of shape (Y, X)
        Photons without camera offset; values below :math:`-3/8 - r^2` count as that.
    read_noise : float
        Photo-electrons, rms.
    stable : ndarray of shape (Y, X)
        Overwritten with the result.

    References
    ----------
    Anscombe 1948, doi:10.1093/biomet/35.3-4.246; with read noise Murtagh 1995.
    """
    shift = np.float32(0.375 + read_noise**2)
    for y in range(photons.shape[0]):
        for x in range(photons.shape[1]):
            stable[y, x] = np.float32(2) * np.sqrt(max(photons[y, x] + shift, np.float32(0)))


@njit(cache=True, fastmath=True)
def left_over(photons: Image, model: Image, stable_around: Image, model_error: float, rest: Image) -> None:
    """Write what spots do not explain, in standard deviations of its noise.

    Parameters
    ----------
    photons : ndarray of shape (Y, X)
        Values below -1e29 are unknown and count as explained.
    model : ndarray of shape (Y, X)
        Expected photons of the spots.
    stable_around : ndarray of shape (Y, X)
        Surroundings of each pixel, stabilised.
    model_error : float
        Part of a spot's own light that a real PSF may distribute otherwise.
    rest : ndarray of shape (Y, X)
        Overwritten.
    """
    error = np.float32(model_error * model_error)
    for y in range(photons.shape[0]):
        for x in range(photons.shape[1]):
            light, half = model[y, x], np.float32(0.5) * stable_around[y, x]
            variance = half * half + light + error * light * light
            clear = (photons[y, x] - light) / np.sqrt(max(variance, np.float32(0.1)))
            rest[y, x] = clear if photons[y, x] > np.float32(-1e29) else np.float32(0)


class MatchedFilter:
    """Filters images of unit white noise with the PSF less its surroundings, again to unit noise.

    Parameters
    ----------
    sigma_px : float
        Standard deviation of the PSF, px.
    shape : tuple of int
        (Y, X) of the images.
    scale : bool
        Whether to scale to unit noise.

    Attributes
    ----------
    plan : FilterPlan
        Kernels and margins.
    gain : float
        Standard deviations of the filtered noise per unit of the image.

    Notes
    -----
    The surroundings are the image blurred three times as widely, computed at reduced resolution. Memory is
    kept from image to image, which is several times faster than to ask for it anew. Within the filter's reach
    of the border, mirrored noise makes false alarms more frequent.
    """

    def __init__(self, sigma_px: float, shape: tuple[int, int], *, scale: bool = True) -> None:
        self.plan = filter_plan(sigma_px, shape)
        self.gain = np.float32(1 / noise_gain(sigma_px) if scale else 1.0)
        above, below, left, right = self.plan.margins
        whole = (shape[0] + above + below, shape[1] + left + right)
        small = (whole[0] // self.plan.shrink, whole[1] // self.plan.shrink)
        self._mirrored, self._near, self._around = np.empty((3, *whole), dtype=np.float32)
        self._small, self._blurred = np.empty((2, *small), dtype=np.float32)
        self._inner = slice(above, above + shape[0]), slice(left, left + shape[1])
        self._height = np.empty(shape, dtype=np.float32)

    def __call__(self, image: Image) -> Image:
        """Return how many standard deviations the best-fitting spot at each pixel rises above the noise.

        Parameters
        ----------
        image : ndarray of shape (Y, X)
            Noise of standard deviation 1, such as from `stabilise`.

        Returns
        -------
        ndarray of shape (Y, X)
            Valid until the next call.
        """
        plan, mirror = self.plan, cv2.BORDER_REFLECT_101
        cv2.copyMakeBorder(image, *plan.margins, mirror, dst=self._mirrored)
        _blur(self._mirrored, plan.narrow, self._near)
        cv2.resize(self._near, self._small.shape[::-1], dst=self._small, interpolation=cv2.INTER_AREA)
        _blur(self._small, plan.wide, self._blurred)
        cv2.resize(self._blurred, self._near.shape[::-1], dst=self._around, interpolation=cv2.INTER_LINEAR)
        np.subtract(self._near[self._inner], self._around[self._inner], out=self._height)
        self._height *= self.gain
        return self._height

    @property
    def near(self) -> Image:
        """The image blurred with the PSF, shape (Y, X); valid until the next call."""
        return self._near[self._inner]

    @property
    def surroundings(self) -> Image:
        """What was taken away at each pixel, shape (Y, X); valid until the next call."""
        return self._around[self._inner]


def _blur(image: Image, kernel: NDArray[np.float32], out: Image) -> None:
    cv2.sepFilter2D(image, cv2.CV_32F, kernel, kernel, dst=out, borderType=cv2.BORDER_REFLECT_101)


@dataclass(frozen=True)
class FilterPlan:
    """How the matched filter is computed; the same on every device.

    Attributes
    ----------
    margins : tuple of int
        Mirrored pixels added above, below, left and right; with them the sides are multiples of `shrink`.
    shrink : int
        The surroundings are averaged over squares of this many pixels.
    narrow, wide : ndarray of shape (K,)
        One-dimensional kernels: the PSF at full, what makes it the surroundings at reduced resolution.
    """

    margins: tuple[int, int, int, int]
    shrink: int
    narrow: NDArray[np.float32]
    wide: NDArray[np.float32]


def filter_plan(sigma_px: float, shape: tuple[int, ...]) -> FilterPlan:
    """Return kernels and margins of the matched filter for images of a (Y, X) shape."""
    wide_px = math.sqrt(BACKGROUND_SIGMAS**2 - 1) * sigma_px
    shrink = max(1, int(wide_px / 2))
    # Averaging over squares and interpolating between them blur as well.
    rest = math.sqrt(max(wide_px**2 - (shrink**2 - 1) / 4, 0.25)) / shrink
    margin = shrink * math.ceil(REACH * wide_px / shrink)
    margins = [part for size in shape[-2:] for part in (margin, margin + (-size) % shrink)]
    narrow, wide = (
        np.asarray(cv2.getGaussianKernel(2 * math.ceil(reach * sigma) + 1, sigma), dtype=np.float32)[:, 0]
        for reach, sigma in ((NARROW_REACH, sigma_px), (REACH, rest))
    )
    return FilterPlan((margins[0], margins[1], margins[2], margins[3]), shrink, narrow, wide)


REACH, NARROW_REACH = 2.5, 2.7
"""Half-width of the filter kernels in their own standard deviations."""


@lru_cache(maxsize=64)
def noise_gain(sigma_px: float) -> float:
    """Return the standard deviation that the matched filter gives to unit white noise before it scales it."""
    return float(np.sqrt(np.sum(_kernel(sigma_px) ** 2)))


def _kernel(sigma_px: float) -> NDArray[np.float64]:
    """Return the two-dimensional kernel of the matched filter, not scaled."""
    half = 2 * math.ceil(REACH * BACKGROUND_SIGMAS * sigma_px) + 4
    point = np.zeros((2 * half + 1, 2 * half + 1), dtype=np.float32)
    point[half, half] = 1.0
    unscaled = MatchedFilter(sigma_px, (2 * half + 1, 2 * half + 1), scale=False)
    return unscaled(point).astype(np.float64)


def noise_threshold(sigma_px: float, *, false_alarms: float, area_px: float) -> float:
    r"""Return the height that local maxima of filtered noise exceed as often as asked.

    .. math:: E = A\,\lambda\,(2\pi)^{-3/2}\,u\,e^{-u^2/2}

    where A is the area, u the height, and :math:`\lambda` the variance of the filtered noise's slope.

    Parameters
    ----------
    sigma_px : float
        PSF standard deviation that `matched_filter` is used with, px.
    false_alarms : float
        Expected number E of maxima above the threshold.
    area_px : float
        Area A, px².

    Returns
    -------
    float
        In standard deviations of the filtered noise, at least 3.

    References
    ----------
    Adler 1981, doi:10.1137/1.9780898718980 (expected Euler characteristic of an excursion set).
    """
    kernel = _kernel(sigma_px)
    slope = float(np.sum(np.diff(kernel, axis=0) ** 2) / np.sum(kernel**2))

    def excess(u: float) -> float:
        return math.log(area_px * slope * u / (2 * math.pi) ** 1.5) - u * u / 2 - math.log(false_alarms)

    return 3.0 if excess(3.0) <= 0 else float(brentq(excess, 3.0, 40.0))


def local_maxima(image: Image, threshold: float) -> NDArray[np.int64]:
    """Find the pixels above a threshold that no neighbour exceeds.

    Parameters
    ----------
    image : ndarray of shape (Y, X)
    threshold : float
        In the unit of the image.

    Returns
    -------
    ndarray of shape (M, 2)
        (y, x) in raster order, pixels on the border included; of equal neighbours the first counts.
    """
    peaks: NDArray[np.int64] = _peaks_among(image, np.flatnonzero(image > np.float32(threshold)))
    return peaks


@njit(cache=True)
def _peaks_among(image: Image, candidates: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return (y, x) of those candidates, indices into the raveled image, that no neighbour exceeds."""
    columns = image.shape[1]
    found = np.empty((candidates.shape[0], 2), dtype=np.int64)
    count = 0
    for candidate in candidates:
        y, x = candidate // columns, candidate % columns
        if _is_peak(image, y, x, image[y, x]):
            found[count, 0], found[count, 1] = y, x
            count += 1
    return found[:count].copy()


@njit(cache=True)
def _is_peak(image: Image, y: int, x: int, height: float) -> bool:
    rows, columns = image.shape
    for i in range(max(0, y - 1), min(rows, y + 2)):
        for j in range(max(0, x - 1), min(columns, x + 2)):
            before = i < y or (i == y and j < x)
            if image[i, j] > height or (before and image[i, j] == height):
                return False
    return True


@njit(cache=True, fastmath=True)
def refine(height: Image, peaks: NDArray[np.int64]) -> NDArray[np.float64]:
    """Place peaks between the pixels by a parabola along each axis.

    Parameters
    ----------
    height : ndarray of shape (Y, X)
    peaks : ndarray of shape (M, 2)
        (y, x) of local maxima.

    Returns
    -------
    ndarray of shape (M, 2)
        (y, x), px; within half a pixel of the peak, on it at the border.
    """
    places = np.empty((peaks.shape[0], 2))
    for k in range(peaks.shape[0]):
        y, x = peaks[k, 0], peaks[k, 1]
        places[k, 0], places[k, 1] = y, x
        if 0 < y < height.shape[0] - 1:
            places[k, 0] += _vertex(height[y - 1, x], height[y, x], height[y + 1, x])
        if 0 < x < height.shape[1] - 1:
            places[k, 1] += _vertex(height[y, x - 1], height[y, x], height[y, x + 1])
    return places


@njit(cache=True, fastmath=True)
def _vertex(before: float, middle: float, after: float) -> float:
    bend = 2.0 * middle - before - after
    return min(max(0.5 * (after - before) / bend, -0.5), 0.5) if bend > 0.0 else 0.0
