"""The image of a point: a Gaussian integrated over pixels, and how well it can be localised at best."""

from __future__ import annotations

import math

import numpy as np
from numba import njit
from numpy.typing import NDArray

Floats = NDArray[np.float64]

REACH_SIGMAS, FIT_SIGMAS = 3.0, 2.5
"""Half-width of the patch that holds a spot, and of the one that suffices to place it, PSF widths."""

FAST = {"reassoc", "contract", "arcp", "nsz", "afn"}
"""Licences given to compiled floating-point code: all but to take for granted that nothing is NaN."""


def patch_radius_px(sigma_px: float) -> int:
    """Return the half-width of the square patch that holds a spot, px."""
    return max(2, math.ceil(REACH_SIGMAS * sigma_px))


def fit_radius_px(sigma_px: float) -> int:
    """Return the half-width of the square patch that a spot is fitted in, px: the rim adds only time."""
    return max(2, math.ceil(FIT_SIGMAS * sigma_px))


@njit(cache=True, fastmath=True)
def fill_profile(
    centre: float, sigma: float, first: int, value: Floats, by_centre: Floats, by_sigma: Floats
) -> None:
    """Write the pixel integrals of a one-dimensional Gaussian and their derivatives.

    Parameters
    ----------
    centre, sigma : float
        px.
    first : int
        Coordinate of the first pixel.
    value, by_centre, by_sigma : ndarray of shape (N,)
        Overwritten: the integral over each pixel, and its derivatives by centre and by sigma, 1/px.
    """
    scale = 1.0 / (sigma * math.sqrt(2.0))
    height = 1.0 / (sigma * math.sqrt(2.0 * math.pi))
    u = first - 0.5 - centre
    cumulated = 0.5 * math.erf(u * scale)
    density = height * math.exp(-((u * scale) ** 2))
    for i in range(value.shape[0]):
        v = u + 1.0
        next_cumulated = 0.5 * math.erf(v * scale)
        next_density = height * math.exp(-((v * scale) ** 2))
        value[i] = next_cumulated - cumulated
        by_centre[i] = density - next_density
        by_sigma[i] = (u * density - v * next_density) / sigma
        u, cumulated, density = v, next_cumulated, next_density


@njit(cache=True, fastmath=True)
def add_spot(
    image: NDArray[np.float32], y: float, x: float, total: float, sigma: float, radius: int, scratch: Floats
) -> None:
    """Add one spot to an image, inside the square patch of half-width `radius` around its centre.

    Parameters
    ----------
    image : ndarray of shape (Y, X)
        Changed in place.
    y, x, sigma : float
        px.
    total : float
        Integral of the spot in the unit of the image; negative takes a spot away.
    radius : int
        px.
    scratch : ndarray of shape (6, 2 * radius + 1)
        Working memory.
    """
    rows, columns = image.shape
    top, left = round(y) - radius, round(x) - radius
    fill_profile(y, sigma, top, scratch[0], scratch[1], scratch[2])
    fill_profile(x, sigma, left, scratch[3], scratch[4], scratch[5])
    for i in range(max(0, -top), min(2 * radius + 1, rows - top)):
        height = total * scratch[0, i]
        for j in range(max(0, -left), min(2 * radius + 1, columns - left)):
            image[top + i, left + j] += height * scratch[3, j]


@njit(cache=True, fastmath=True)
def draw(image: NDArray[np.float32], spots: Floats, radius: int) -> None:
    """Add spots to an image in place.

    Parameters
    ----------
    image : ndarray of shape (Y, X)
    spots : ndarray of shape (M, 5)
        Columns as in `numerics.spot_fits`: y, x in px, total, background (not drawn), sigma in px.
    radius : int
        Half-width of the patch that each is drawn in, px.
    """
    scratch = np.empty((6, 2 * radius + 1))
    for i in range(spots.shape[0]):
        add_spot(image, spots[i, 0], spots[i, 1], spots[i, 2], spots[i, 4], radius, scratch)


def render(
    shape: tuple[int, int], y_px: Floats, x_px: Floats, totals: Floats, sigma_px: float
) -> NDArray[np.float32]:
    """Draw pixel-integrated Gaussian spots on a black image.

    Parameters
    ----------
    shape : tuple of int
        (Y, X).
    y_px, x_px : ndarray of shape (M,)
        Centres, px.
    totals : ndarray of shape (M,)
        Integral of each spot.
    sigma_px : float
        Standard deviation of the PSF, px.

    Returns
    -------
    ndarray of shape (Y, X)
        Float32, in the unit of `totals`; spots are cut off at five standard deviations.
    """
    image = np.zeros(shape, dtype=np.float32)
    radius = math.ceil(5 * sigma_px)
    scratch = np.empty((6, 2 * radius + 1))
    for y, x, total in zip(y_px, x_px, totals):
        add_spot(image, float(y), float(x), float(total), sigma_px, radius, scratch)
    return image


def localisation_bound_px(
    photons: float, *, sigma_px: float, background: float, read_noise: float = 0.0, phase: float = 0.0
) -> float:
    r"""Return the Cramér–Rao bound of one coordinate of an isolated spot.

    .. math:: \mathrm{Var}(y) \ge \Big(\sum J_y^2/(\mu + r^2)\Big)^{-1}

    where :math:`\mu` are the expected photons of a pixel, :math:`J_y` their derivative by the coordinate and
    r the read noise.

    Parameters
    ----------
    photons : float
        Photons of the spot.
    sigma_px : float
        Standard deviation of the PSF, px.
    background : float
        Photons per pixel.
    read_noise : float
        Photo-electrons, rms.
    phase : float
        Position of the centre inside its pixel, px, in both axes.

    Returns
    -------
    float
        Standard error, px.

    References
    ----------
    Mortensen et al. 2010, doi:10.1038/nmeth.1447.
    """
    radius = math.ceil(5 * sigma_px)
    value, by_centre, by_sigma = np.empty((3, 2 * radius + 1))
    fill_profile(phase, sigma_px, -radius, value, by_centre, by_sigma)
    expected = photons * np.outer(value, value) + background + read_noise**2
    return float(1 / np.sqrt(np.sum((photons * np.outer(by_centre, value)) ** 2 / expected)))
