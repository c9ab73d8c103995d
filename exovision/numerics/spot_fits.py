"""Maximum-likelihood fits of spots to photon counts, neighbours included."""

from __future__ import annotations

import math

import numpy as np
from numba import njit
from numpy.typing import NDArray

from exovision.numerics.psf import FAST, Floats, add_spot, fill_profile

Image = NDArray[np.float32]

Y, X, TOTAL, BACKGROUND, SIGMA, PEAK_Y, PEAK_X = range(7)
"""Columns of the parameter array: px, px, photons, photons per pixel, px, and where the search for the spot
started, px."""

PARAMETERS = 7
IGNORED = np.float32(-1e30)
"""Pixels of this value, such as saturated ones, are left out of fits."""

LEAST = 0.01
"""The least expected photons (with read-noise variance) of a pixel: keeps logarithms and weights finite."""

MOST_STEPS, MOST_ROUNDS = 15, 12
STILL_PX, STILL_PART = 0.05, 0.03
"""A step shorter than this, and a smaller change of the photons, end a fit: the rest is their square."""

NUDGED_PX, NUDGED_PART = 0.03, 0.02
"""A spot that moved or changed by more makes its neighbours be fitted again."""


@njit(cache=True, fastmath=True)
def neighbours(parameters: Floats, reach: float) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """List which spots lie within `reach` of each other in both axes.

    Parameters
    ----------
    parameters : ndarray of shape (M, 7)
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


@njit(cache=True, fastmath=FAST, error_model="numpy")
def _fixed_width_step(
    photons: Image, others: Image, spot: Floats, top: int, left: int, noise: float, profile: Floats
) -> tuple[float, float, float, float]:
    """Return the scoring step of y, x, photons and background; the sums run over rows, then columns."""
    side, (rows, columns) = profile.shape[1], photons.shape
    fill_profile(spot[0], spot[4], top, profile[0], profile[1], profile[2])
    fill_profile(spot[1], spot[4], left, profile[3], profile[4], profile[5])
    base = spot[3] + noise
    f00 = f10 = f11 = f20 = f21 = f22 = f30 = f31 = f32 = f33 = 0.0
    s0 = s1 = s2 = s3 = 0.0
    for i in range(max(0, -top), min(side, rows - top)):
        g = profile[0, i]
        h, d = spot[2] * g, spot[2] * profile[1, i]
        gg = gd = dd = g1 = d1 = w1 = eg = ed = e1 = 0.0
        for j in range(max(0, -left), min(side, columns - left)):
            across, slope = profile[3, j], profile[4, j]
            seen = np.float64(photons[top + i, left + j])
            expected = max(h * across + base + np.float64(others[top + i, left + j]), LEAST)
            weight = 1.0 / expected if seen > -1e29 else 0.0
            excess = (seen + noise - expected) * weight
            wg, wd = weight * across, weight * slope
            gg, gd, dd = gg + wg * across, gd + wg * slope, dd + wd * slope
            g1, d1, w1 = g1 + wg, d1 + wd, w1 + weight
            eg, ed, e1 = eg + excess * across, ed + excess * slope, e1 + excess
        f00, f10, f11 = f00 + d * d * gg, f10 + d * h * gd, f11 + h * h * dd
        f20, f21, f22 = f20 + d * g * gg, f21 + h * g * gd, f22 + g * g * gg
        f30, f31, f32, f33 = f30 + d * g1, f31 + h * d1, f32 + g * g1, f33 + w1
        s0, s1, s2, s3 = s0 + d * eg, s1 + h * ed, s2 + g * eg, s3 + e1
    # Cholesky's method, written out: this is the innermost loop of all.
    l00 = math.sqrt(f00)
    l10, l20, l30 = f10 / l00, f20 / l00, f30 / l00
    l11 = math.sqrt(f11 - l10 * l10)
    l21, l31 = (f21 - l20 * l10) / l11, (f31 - l30 * l10) / l11
    l22 = math.sqrt(f22 - l20 * l20 - l21 * l21)
    l32 = (f32 - l30 * l20 - l31 * l21) / l22
    l33 = math.sqrt(f33 - l30 * l30 - l31 * l31 - l32 * l32)
    s0 /= l00
    s1 = (s1 - l10 * s0) / l11
    s2 = (s2 - l20 * s0 - l21 * s1) / l22
    s3 = (s3 - l30 * s0 - l31 * s1 - l32 * s2) / (l33 * l33)
    s2 = (s2 - l32 * s3) / l22
    s1 = (s1 - l21 * s2 - l31 * s3) / l11
    s0 = (s0 - l10 * s1 - l20 * s2 - l30 * s3) / l00
    return s0, s1, s2, s3


@njit(cache=True, fastmath=FAST, error_model="numpy")
def fit_fixed(
    photons: Image, others: Image, spot: Floats, noise: float, radius: int, profile: Floats
) -> bool:
    r"""Fit place, photons and background of one spot of known width by Fisher scoring.

    Counts n plus the read noise's variance r² are taken as Poisson with mean μ + r²:

    .. math:: \log L = \sum (n + r^2)\log(\mu + r^2) - \mu

    Parameters
    ----------
    photons : ndarray of shape (Y, X)
        Photons without offset; `IGNORED` pixels are left out.
    others : ndarray of shape (Y, X)
        Expected photons of all other spots.
    spot : ndarray of shape (7,)
        Start; becomes the fit. It stays within `radius` of the start.
    noise : float
        Read-noise variance r², photons².
    radius : int
        Half-width of the patch around the start, px.
    profile : ndarray of shape (6, 2 * radius + 1)
        Working memory.

    Returns
    -------
    bool
        False if the patch cannot determine the parameters; the spot is then where the last step left it.

    References
    ----------
    Huang et al. 2013, doi:10.1038/nmeth.2488.
    """
    top, left = round(spot[0]) - radius, round(spot[1]) - radius
    longest = 0.5 * spot[4]
    for _ in range(MOST_STEPS):
        dy, dx, light, level = _fixed_width_step(photons, others, spot, top, left, noise, profile)
        if not (abs(dy) < 1e9 and abs(dx) < 1e9 and abs(light) < 1e30 and abs(level) < 1e30):
            return False
        spot[0] = min(max(spot[0] + min(max(dy, -longest), longest), top), top + 2.0 * radius)
        spot[1] = min(max(spot[1] + min(max(dx, -longest), longest), left), left + 2.0 * radius)
        before = spot[2]
        spot[2] = max(before + light, 0.2 * before, 1e-3)
        spot[3] = max(spot[3] + level, 1e-3 - 0.9 * noise)
        if abs(dy) + abs(dx) < STILL_PX and abs(spot[2] - before) < STILL_PART * before:
            return True
    return True


@njit(cache=True, fastmath=True)
def _start(photons: Image, place: Floats, sigma: float, radius: int, spot: Floats) -> None:
    """Guess a spot from its place: background from the rim of its patch, photons from 3 × 3 px."""
    rows, columns = photons.shape
    y, x = round(place[0]), round(place[1])
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
    spot[0], spot[1], spot[4] = place[0], place[1], sigma
    spot[PEAK_Y], spot[PEAK_X] = place[0], place[1]
    spot[3] = max(rim / max(rim_count, 1), 0.1)
    spot[2] = max(core / max(core_count, 1) - spot[3], 1.0) * (2.0 * math.pi * sigma**2 + 2.0)


@njit(cache=True, fastmath=True)
def starts(photons: Image, places: Floats, sigma: float, radius: int) -> Floats:
    """Guess the parameters of spots from where they are.

    Parameters
    ----------
    photons : ndarray of shape (Y, X)
    places : ndarray of shape (M, 2)
        (y, x), px.
    sigma : float
        PSF standard deviation, px.
    radius : int
        Half-width of a spot's patch, px.

    Returns
    -------
    ndarray of shape (M, 7)
    """
    spots = np.zeros((places.shape[0], PARAMETERS))
    for i in range(places.shape[0]):
        _start(photons, places[i], sigma, radius, spots[i])
    return spots


@njit(cache=True, fastmath=FAST, error_model="numpy")
def fit_alone(photons: Image, others: Image, spots: Floats, noise: float, radius: int) -> None:
    """Fit each spot by itself, in place.

    Parameters
    ----------
    photons : ndarray of shape (Y, X)
    others : ndarray of shape (Y, X)
        Light that is known, such as none.
    spots : ndarray of shape (M, 7)
    noise : float
        Read-noise variance, photons².
    radius : int
        Half-width of a spot's patch, px.
    """
    profile = np.empty((6, 2 * radius + 1))
    for i in range(spots.shape[0]):
        fit_fixed(photons, others, spots[i], noise, radius, profile)


@njit(cache=True, fastmath=FAST, error_model="numpy")
def fit_together(
    photons: Image,
    model: Image,
    spots: Floats,
    dirty: NDArray[np.bool_],
    noise: float,
    radius: int,
    reach: int,
) -> None:
    """Fit all marked spots, each with its neighbours' light taken as known, until none moves any more.

    Parameters
    ----------
    photons : ndarray of shape (Y, X)
    model : ndarray of shape (Y, X)
        Expected photons of all spots; kept up to date in place.
    spots : ndarray of shape (M, 7)
        Sorted by y; fitted in place with fixed sigma.
    dirty : ndarray of shape (M,)
        Which spots to fit; neighbours of a spot that moved are fitted too. All false on return.
    noise : float
        Read-noise variance, photons².
    radius, reach : int
        Half-width of a spot's patch, and of the square in which its light counts, px.
    """
    first, members = neighbours(spots, float(radius + reach))
    profile, scratch = np.empty((6, 2 * radius + 1)), np.empty((6, 2 * reach + 1))
    before = np.empty(PARAMETERS)
    for _ in range(MOST_ROUNDS):
        if not dirty.any():
            break
        for i in range(spots.shape[0]):
            if not dirty[i]:
                continue
            dirty[i] = False
            before[:] = spots[i]
            add_spot(model, spots[i, 0], spots[i, 1], -spots[i, 2], spots[i, 4], reach, scratch)
            fit_fixed(photons, model, spots[i], noise, radius, profile)
            add_spot(model, spots[i, 0], spots[i, 1], spots[i, 2], spots[i, 4], reach, scratch)
            moved = abs(spots[i, 0] - before[0]) + abs(spots[i, 1] - before[1])
            if moved > NUDGED_PX or abs(spots[i, 2] - before[2]) > NUDGED_PART * spots[i, 2]:
                for k in range(first[i], first[i + 1]):
                    dirty[members[k]] = True
    dirty[:] = False


@njit(cache=True)
def beside(spots: Floats, marked: NDArray[np.bool_], reach: float) -> NDArray[np.bool_]:
    """Tell which spots are marked or within `reach` px, in both axes, of a marked one.

    Parameters
    ----------
    spots : ndarray of shape (M, 7)
        Sorted by y.
    marked : ndarray of shape (M,)
    reach : float
        px.

    Returns
    -------
    ndarray of shape (M,)
    """
    found = marked.copy()
    for i in range(spots.shape[0]):
        for j in range(i + 1, spots.shape[0]):
            if spots[j, 0] - spots[i, 0] > reach:
                break
            if (marked[i] or marked[j]) and abs(spots[j, 1] - spots[i, 1]) <= reach:
                found[i] = found[j] = True
    return found
