"""Matched filtering and sparse local maxima: where spots may be."""

from __future__ import annotations

import math

import cv2
import numpy as np
from numba import njit
from numpy.typing import NDArray
from scipy.optimize import brentq

Image = NDArray[np.float32]

BACKGROUND_SIGMAS = 3.0
"""Width of the background that the matched filter takes away, in PSF standard deviations."""


def stabilise(photons: Image, read_noise: float) -> Image:
    r"""Transform photon counts so that their noise has a standard deviation of about 1 everywhere.

    .. math:: z = 2\sqrt{n + 3/8 + r^2}

    Parameters
    ----------
    photons : ndarray of shape (Y, X)
        Photons without camera offset; values below :math:`-3/8 - r^2` count as that.
    read_noise : float
        Photo-electrons, rms.

    Returns
    -------
    ndarray of shape (Y, X)

    References
    ----------
    Anscombe 1948, doi:10.1093/biomet/35.3-4.246; with read noise Murtagh 1995.
    """
    shifted = np.maximum(photons + np.float32(0.375 + read_noise**2), 0)
    result: Image = np.sqrt(shifted, out=shifted)
    result *= 2
    return result


def matched_filter(image: Image, sigma_px: float) -> Image:
    """Filter an image of unit white noise with the PSF less its surroundings, again to unit noise.

    Parameters
    ----------
    image : ndarray of shape (Y, X)
        Noise of standard deviation 1, such as from `stabilise`.
    sigma_px : float
        Standard deviation of the PSF, px.

    Returns
    -------
    ndarray of shape (Y, X)
        How many standard deviations the best-fitting spot at each pixel rises above the noise.

    Notes
    -----
    Within the filter's reach of the border, mirrored noise makes false alarms more frequent.
    """
    narrow, wide = _blur_kernels(sigma_px)
    near = cv2.sepFilter2D(image, cv2.CV_32F, narrow, narrow, borderType=cv2.BORDER_REFLECT)
    around = cv2.sepFilter2D(image, cv2.CV_32F, wide, wide, borderType=cv2.BORDER_REFLECT)
    response = np.asarray(cv2.subtract(near, around, dst=near), dtype=np.float32)
    response /= np.float32(np.sqrt(np.sum(_kernel(sigma_px) ** 2)))
    return response


def _blur_kernels(sigma_px: float) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    narrow = 2 * math.ceil(REACH * sigma_px) + 1
    wide = 2 * math.ceil(REACH * BACKGROUND_SIGMAS * sigma_px) + 1
    return (
        np.asarray(cv2.getGaussianKernel(narrow, sigma_px), dtype=np.float64),
        np.asarray(cv2.getGaussianKernel(wide, BACKGROUND_SIGMAS * sigma_px), dtype=np.float64),
    )


REACH = 2.5
"""Half-width of the filter kernels in their own standard deviations."""


def _kernel(sigma_px: float) -> NDArray[np.float64]:
    """Return the two-dimensional kernel of `matched_filter`, not normalised."""
    narrow, wide = _blur_kernels(sigma_px)
    pad = (len(wide) - len(narrow)) // 2
    kernel: NDArray[np.float64] = np.pad(narrow @ narrow.T, pad) - wide @ wide.T
    return kernel


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


@njit(cache=True)
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
    rows, columns = image.shape
    found = np.empty((256, 2), dtype=np.int64)
    count = 0
    for y in range(rows):
        for x in range(columns):
            height = image[y, x]
            if height <= threshold or not _is_peak(image, y, x, height):
                continue
            if count == found.shape[0]:
                found = np.concatenate((found, np.empty_like(found)))
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
