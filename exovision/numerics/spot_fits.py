"""Maximum-likelihood fits of spots to photon counts, neighbours included."""

from __future__ import annotations

import math

import numpy as np
from numba import njit
from numpy.typing import NDArray

from exovision.numerics.psf import Floats, add_spot, fill_profile

Image = NDArray[np.float32]

Y, X, TOTAL, BACKGROUND, SIGMA = range(5)
"""Columns of the parameter array: px, px, photons, photons per pixel, px."""

IGNORED = np.float32(-1e30)
"""Pixels of this value, such as saturated ones, are left out of fits."""

LEAST = 0.01
"""The least expected photons (with read-noise variance) of a pixel: keeps logarithms and weights finite."""


@njit(cache=True, fastmath=True)
def neighbours(parameters: Floats, reach: float) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """List which spots lie within `reach` of each other in both axes.

    Parameters
    ----------
    parameters : ndarray of shape (M, 5)
        Sorted by the first column, y.
    reach : float
        px.

    Returns
    -------
    starts : ndarray of shape (M + 1,)
        The neighbours of spot i are `members[starts[i]:starts[i + 1]]`.
    members : ndarray of shape (L,)
    """
    count = parameters.shape[0]
    starts = np.zeros(count + 1, dtype=np.int64)
    members = np.empty(0, dtype=np.int64)
    for write in range(2):
        filled = np.zeros(count, dtype=np.int64)
        for i in range(count):
            for j in range(i + 1, count):
                if parameters[j, 0] - parameters[i, 0] > reach:
                    break
                if abs(parameters[j, 1] - parameters[i, 1]) <= reach:
                    if write:
                        members[starts[i] + filled[i]] = j
                        members[starts[j] + filled[j]] = i
                    filled[i] += 1
                    filled[j] += 1
        if not write:
            starts[1:] = np.cumsum(filled)
            members = np.empty(starts[count], dtype=np.int64)
    return starts, members


@njit(cache=True, fastmath=True)
def solve(matrix: Floats, vector: Floats, size: int) -> bool:
    """Solve a small symmetric positive definite system in place by Cholesky's method.

    Parameters
    ----------
    matrix : ndarray of shape (P, P)
        The lower triangle of the leading (size, size) block is used and becomes the Cholesky factor.
    vector : ndarray of shape (P,)
        The right side; becomes the solution.
    size : int

    Returns
    -------
    bool
        False if the matrix is not positive definite; the vector is then useless.
    """
    for i in range(size):
        for j in range(i + 1):
            total = matrix[i, j]
            for k in range(j):
                total -= matrix[i, k] * matrix[j, k]
            if i == j:
                if total <= 1e-12 * abs(matrix[i, i]) or total <= 0.0:
                    return False
                matrix[i, i] = math.sqrt(total)
            else:
                matrix[i, j] = total / matrix[j, j]
    for i in range(size):
        for k in range(i):
            vector[i] -= matrix[i, k] * vector[k]
        vector[i] /= matrix[i, i]
    for i in range(size - 1, -1, -1):
        for k in range(i + 1, size):
            vector[i] -= matrix[k, i] * vector[k]
        vector[i] /= matrix[i, i]
    return True


@njit(cache=True, fastmath=True)
def _normal_equations(
    photons: Image,
    others: Image,
    corner: NDArray[np.int64],
    spot: Floats,
    noise: float,
    size: int,
    profile: Floats,
    fisher: Floats,
    score: Floats,
) -> float:
    """Fill Fisher matrix and score of one spot over its patch; return the log-likelihood up to a constant."""
    side = profile.shape[1]
    fill_profile(spot[0], spot[4], corner[0], profile[0], profile[1], profile[2])
    fill_profile(spot[1], spot[4], corner[1], profile[3], profile[4], profile[5])
    fisher[:size, :size] = 0.0
    score[:size] = 0.0
    slope = np.empty(5)
    slope[3] = 1.0
    likelihood = 0.0
    rows, columns = photons.shape
    total = spot[2]
    for i in range(max(0, -corner[0]), min(side, rows - corner[0])):
        for j in range(max(0, -corner[1]), min(side, columns - corner[1])):
            seen = photons[corner[0] + i, corner[1] + j]
            if seen <= -1e29:
                continue
            slope[2] = profile[0, i] * profile[3, j]
            expected = max(total * slope[2] + spot[3] + others[corner[0] + i, corner[1] + j] + noise, 0.01)
            slope[0] = total * profile[1, i] * profile[3, j]
            slope[1] = total * profile[0, i] * profile[4, j]
            slope[4] = total * (profile[2, i] * profile[3, j] + profile[0, i] * profile[5, j])
            weight = 1.0 / expected
            excess = (seen + noise - expected) * weight
            likelihood += max(seen + noise, 0.0) * math.log(expected) - expected
            for p in range(size):
                score[p] += slope[p] * excess
                scaled = slope[p] * weight
                for q in range(p + 1):
                    fisher[p, q] += scaled * slope[q]
    return likelihood


@njit(cache=True, fastmath=True)
def fit_spot(
    photons: Image,
    others: Image,
    spot: Floats,
    noise: float,
    radius: int,
    free_width: bool,
    profile: Floats,
    fisher: Floats,
    score: Floats,
) -> float:
    r"""Fit one spot on a constant background by Fisher scoring.

    Counts n plus the read noise's variance r² are taken as Poisson with mean μ + r²:

    .. math:: \log L = \sum (n + r^2)\log(\mu + r^2) - \mu

    Parameters
    ----------
    photons : ndarray of shape (Y, X)
        Photons without offset; `IGNORED` pixels are left out.
    others : ndarray of shape (Y, X)
        Expected photons of all other spots.
    spot : ndarray of shape (5,)
        Start; becomes the fit.
    noise : float
        Read-noise variance r², photons².
    radius : int
        Half-width of the patch around the start, px.
    free_width : bool
        Whether sigma is fitted too.
    profile, fisher, score : ndarray of shape (6, 2 * radius + 1), (5, 5), (5,)
        Working memory.

    Returns
    -------
    float
        Log-likelihood of the patch, up to a constant that depends only on the data.

    References
    ----------
    Huang et al. 2013, doi:10.1038/nmeth.2488.
    """
    size = 5 if free_width else 4
    corner = np.empty(2, dtype=np.int64)
    corner[0], corner[1] = round(spot[0]) - radius, round(spot[1]) - radius
    middle_y, middle_x = corner[0] + radius, corner[1] + radius
    for _ in range(25):
        _normal_equations(photons, others, corner, spot, noise, size, profile, fisher, score)
        if not solve(fisher, score, size):
            break
        longest = 0.5 * spot[4]
        spot[0] += min(max(score[0], -longest), longest)
        spot[1] += min(max(score[1], -longest), longest)
        spot[0] = min(max(spot[0], middle_y - radius), middle_y + radius)
        spot[1] = min(max(spot[1], middle_x - radius), middle_x + radius)
        before = spot[2]
        spot[2] = max(spot[2] + score[2], 0.2 * spot[2], 1e-3)
        spot[3] = max(spot[3] + score[3], 1e-3 - 0.9 * noise)
        if free_width:
            spot[4] = min(max(spot[4] * math.exp(score[4] / spot[4]), 0.8 * spot[4]), 1.25 * spot[4])
            spot[4] = min(max(spot[4], 0.2), 1.5 * radius)
        still = abs(score[0]) + abs(score[1]) < 1e-3 and abs(spot[2] - before) < 1e-3 * spot[2]
        if still and (not free_width or abs(score[4]) < 2e-3 * spot[4]):
            break
    return _normal_equations(photons, others, corner, spot, noise, size, profile, fisher, score)


@njit(cache=True, fastmath=True)
def _start(photons: Image, y: int, x: int, sigma: float, radius: int, spot: Floats) -> None:
    """Guess a spot from its peak pixel: background from the rim of its patch, photons from 3 × 3 px."""
    rows, columns = photons.shape
    rim, rim_count, core, core_count = 0.0, 0, 0.0, 0
    for i in range(max(0, y - radius), min(rows, y + radius + 1)):
        for j in range(max(0, x - radius), min(columns, x + radius + 1)):
            seen = photons[i, j]
            if seen <= -1e29:
                continue
            away = max(abs(i - y), abs(j - x))
            if away == radius:
                rim, rim_count = rim + seen, rim_count + 1
            elif away <= 1:
                core, core_count = core + seen, core_count + 1
    spot[0], spot[1], spot[4] = y, x, sigma
    spot[3] = max(rim / max(rim_count, 1), 0.1)
    spot[2] = max(core / max(core_count, 1) - spot[3], 1.0) * (2.0 * math.pi * sigma**2 + 2.0)


@njit(cache=True, fastmath=True)
def starts(photons: Image, peaks: NDArray[np.int64], sigma: float, radius: int) -> Floats:
    """Guess the parameters of spots from their peak pixels.

    Parameters
    ----------
    photons : ndarray of shape (Y, X)
    peaks : ndarray of shape (M, 2)
        (y, x), px.
    sigma : float
        PSF standard deviation, px.
    radius : int
        Half-width of a spot's patch, px.

    Returns
    -------
    ndarray of shape (M, 5)
        Columns Y, X, TOTAL, BACKGROUND, SIGMA.
    """
    spots = np.empty((peaks.shape[0], 5))
    for i in range(peaks.shape[0]):
        _start(photons, peaks[i, 0], peaks[i, 1], sigma, radius, spots[i])
    return spots


@njit(cache=True, fastmath=True)
def fit_all(
    photons: Image, model: Image, spots: Floats, dirty: NDArray[np.bool_], noise: float, radius: int
) -> None:
    """Fit all marked spots, each with its neighbours' light taken as known, until none moves any more.

    Parameters
    ----------
    photons : ndarray of shape (Y, X)
    model : ndarray of shape (Y, X)
        Expected photons of all spots; kept up to date in place.
    spots : ndarray of shape (M, 5)
        Sorted by y; fitted in place with fixed sigma.
    dirty : ndarray of shape (M,)
        Which spots to fit; neighbours of a spot that moved are fitted too. All false on return.
    noise : float
        Read-noise variance, photons².
    radius : int
        Half-width of a spot's patch, px.
    """
    first, members = neighbours(spots, 2.0 * radius)
    profile = np.empty((6, 2 * radius + 1))
    fisher, score, before = np.empty((5, 5)), np.empty(5), np.empty(5)
    for _ in range(20):
        if not dirty.any():
            break
        for i in range(spots.shape[0]):
            if not dirty[i]:
                continue
            dirty[i] = False
            before[:] = spots[i]
            add_spot(model, spots[i, 0], spots[i, 1], -spots[i, 2], spots[i, 4], radius, profile)
            fit_spot(photons, model, spots[i], noise, radius, False, profile, fisher, score)
            add_spot(model, spots[i, 0], spots[i, 1], spots[i, 2], spots[i, 4], radius, profile)
            moved = abs(spots[i, 0] - before[0]) + abs(spots[i, 1] - before[1])
            if moved > 0.01 or abs(spots[i, 2] - before[2]) > 0.01 * spots[i, 2]:
                for k in range(first[i], first[i + 1]):
                    dirty[members[k]] = True
    dirty[:] = False
