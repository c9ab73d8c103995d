"""How sure a fitted spot is: its standard errors, its width, what its fit leaves over, and how it looks."""

from __future__ import annotations

import math

import numpy as np
from numba import njit
from numpy.typing import NDArray

from exovision.numerics.psf import FAST, Floats, add_spot, fill_profile
from exovision.numerics.spot_fits import LEAST, Image, neighbours, solve

Y_SE, X_SE, TOTAL_SE, BACKGROUND_SE, WIDTH, WIDTH_SE, WIDTH_Z, LONG_Z = range(8)
"""Columns of the evidence: px, px, photons, photons per px, px, relative; standard errors by which the spot
is wider than the PSF, and by which it is longer than broad."""

COLUMNS = 8
LOOK_HALF, LOOK_PITCH = 6, 0.9
"""Grid on which a spot is looked at: points on each side of it, standard deviations of the PSF apart."""

LOOK_SIDE = 2 * LOOK_HALF + 1
MOST_NEIGHBOURS = 6
UNDETERMINED = 1e9
WIDTH_STEPS, WIDEST = 12, 0.9
"""Scoring steps of a fit of the width, and the largest change of its logarithm in one."""

LARGEST_STEP = 0.3
"""A last scoring step longer than this, in standard deviations of the PSF, is not taken."""


@njit(cache=True, fastmath=FAST, error_model="numpy")
def _own_slopes(spot: Floats, profile: Floats, i: int, j: int, slopes: Floats, first: int) -> None:
    """Write the derivatives of a spot's expected photons in one pixel by y, x and photons."""
    slopes[first] = spot[2] * profile[1, i] * profile[3, j]
    slopes[first + 1] = spot[2] * profile[0, i] * profile[4, j]
    slopes[first + 2] = profile[0, i] * profile[3, j]


@njit(cache=True, fastmath=FAST, error_model="numpy")
def fisher_matrix(
    photons: Image, others: Image, spots: Floats, around: NDArray[np.int64], noise: float, radius: int
) -> Floats:
    """Return the Fisher matrix of spot `around[0]`, its background and its neighbours over its own patch."""
    count = around.shape[0]
    size = 3 * count + 1
    fisher = np.zeros((size, size))
    slopes = np.empty(size)
    slopes[size - 1] = 1.0
    own = spots[around[0]]
    top, left = round(own[0]) - radius, round(own[1]) - radius
    profiles = np.empty((count, 6, 2 * radius + 1))
    for k in range(count):
        spot, profile = spots[around[k]], profiles[k]
        fill_profile(spot[0], spot[4], top, profile[0], profile[1], profile[2])
        fill_profile(spot[1], spot[4], left, profile[3], profile[4], profile[5])
    rows, columns = photons.shape
    for i in range(max(0, -top), min(2 * radius + 1, rows - top)):
        for j in range(max(0, -left), min(2 * radius + 1, columns - left)):
            if photons[top + i, left + j] <= -1e29:
                continue
            for k in range(count):
                _own_slopes(spots[around[k]], profiles[k], i, j, slopes, 3 * k)
            expected = own[2] * slopes[2] + own[3] + others[top + i, left + j] + noise
            weight = 1.0 / max(expected, 0.01)
            for p in range(size):
                for q in range(p + 1):
                    fisher[p, q] += weight * slopes[p] * slopes[q]
    return fisher


@njit(cache=True, fastmath=FAST, error_model="numpy")
def joint_errors(fisher: Floats, evidence: Floats) -> None:
    """Write the standard errors of y, x, photons and background of the first of several spots."""
    size = fisher.shape[0]
    for p in range(3, size - 1):
        fisher[p, p] += 1e-3 + 1e-6 * fisher[p, p]
    for column in range(4):
        p = column if column < 3 else size - 1
        matrix, unit = fisher.copy(), np.zeros(size)
        unit[p] = 1.0
        known = solve(matrix, unit, size) and unit[p] > 0
        evidence[column] = math.sqrt(unit[p]) if known else UNDETERMINED


@njit(cache=True, fastmath=FAST, error_model="numpy")
def _free_width_equations(
    photons: Image,
    others: Image,
    spot: Floats,
    top: int,
    left: int,
    noise: float,
    profile: Floats,
    fisher: Floats,
    score: Floats,
) -> float:
    """Fill Fisher matrix and score of y, x, photons, background and width; return the evidence of length.

    The width's slope along y less that along x, and the mixed second derivative, are orthogonal to the rest.
    """
    side, (rows, columns) = profile.shape[1], photons.shape
    fill_profile(spot[0], spot[4], top, profile[0], profile[1], profile[2])
    fill_profile(spot[1], spot[4], left, profile[3], profile[4], profile[5])
    base = spot[3] + noise
    fisher[:] = 0.0
    score[:] = 0.0
    c1 = c2 = i1 = i2 = 0.0
    for i in range(max(0, -top), min(side, rows - top)):
        g = profile[0, i]
        h, d, s = spot[2] * g, spot[2] * profile[1, i], spot[2] * profile[2, i]
        gg = gd = gs = dd = ds = ss = g1 = d1 = s1 = w1 = eg = ed = es = e1 = 0.0
        for j in range(max(0, -left), min(side, columns - left)):
            across, slope, spread = profile[3, j], profile[4, j], profile[5, j]
            seen = np.float64(photons[top + i, left + j])
            expected = max(h * across + base + np.float64(others[top + i, left + j]), LEAST)
            weight = 1.0 / expected if seen > -1e29 else 0.0
            excess = (seen + noise - expected) * weight
            wg, wd, ws = weight * across, weight * slope, weight * spread
            gg, gd, gs = gg + wg * across, gd + wg * slope, gs + wg * spread
            dd, ds, ss = dd + wd * slope, ds + wd * spread, ss + ws * spread
            g1, d1, s1, w1 = g1 + wg, d1 + wd, s1 + ws, w1 + weight
            eg, ed, es, e1 = eg + excess * across, ed + excess * slope, es + excess * spread, e1 + excess
        fisher[0, 0] += d * d * gg
        fisher[1, 0] += d * h * gd
        fisher[1, 1] += h * h * dd
        fisher[2, 0] += d * g * gg
        fisher[2, 1] += h * g * gd
        fisher[2, 2] += g * g * gg
        fisher[3, 0] += d * g1
        fisher[3, 1] += h * d1
        fisher[3, 2] += g * g1
        fisher[3, 3] += w1
        fisher[4, 0] += d * (s * gg + h * gs)
        fisher[4, 1] += h * (s * gd + h * ds)
        fisher[4, 2] += g * (s * gg + h * gs)
        fisher[4, 3] += s * g1 + h * s1
        fisher[4, 4] += s * s * gg + 2.0 * s * h * gs + h * h * ss
        score[0] += d * eg
        score[1] += h * ed
        score[2] += g * eg
        score[3] += e1
        score[4] += s * eg + h * es
        c1, i1 = c1 + s * eg - h * es, i1 + s * s * gg - 2.0 * s * h * gs + h * h * ss
        c2, i2 = c2 + d * ed, i2 + d * d * dd
    return math.sqrt(c1 * c1 / max(i1, 1e-30) + c2 * c2 / max(i2, 1e-30))


@njit(cache=True, fastmath=FAST, error_model="numpy")
def factor(matrix: Floats, vector: Floats) -> bool:
    """Turn a lower triangle into its Cholesky factor L and a vector v into L⁻¹v, in place.

    Parameters
    ----------
    matrix : ndarray of shape (P, P)
    vector : ndarray of shape (P,)

    Returns
    -------
    bool
        False if the matrix is not positive definite; both are then useless.
    """
    size = vector.shape[0]
    for i in range(size):
        for j in range(i + 1):
            total = matrix[i, j]
            for k in range(j):
                total -= matrix[i, k] * matrix[j, k]
            if i > j:
                matrix[i, j] = total / matrix[j, j]
            elif total > 1e-12 * abs(matrix[i, i]) and total > 0.0:
                matrix[i, i] = math.sqrt(total)
            else:
                return False
        for k in range(i):
            vector[i] -= matrix[i, k] * vector[k]
        vector[i] /= matrix[i, i]
    return True


@njit(cache=True, fastmath=FAST, error_model="numpy")
def _substitute_back(factor: Floats, vector: Floats, size: int) -> None:
    """Turn the first entries of L⁻¹v into the solution x of LLᵀx = v of that block, in place."""
    for i in range(size - 1, -1, -1):
        for k in range(i + 1, size):
            vector[i] -= factor[k, i] * vector[k]
        vector[i] /= factor[i, i]


@njit(cache=True, fastmath=FAST, error_model="numpy")
def _errors(factor: Floats, inverse: Floats, evidence: Floats) -> None:
    """Write the standard errors of y, x, photons and background: the diagonal of (LLᵀ)⁻¹ of that block."""
    for j in range(4):
        inverse[j, j] = 1.0 / factor[j, j]
        total = inverse[j, j] ** 2
        for i in range(j + 1, 4):
            part = 0.0
            for k in range(j, i):
                part -= factor[i, k] * inverse[k, j]
            inverse[i, j] = part / factor[i, i]
            total += inverse[i, j] ** 2
        evidence[j] = math.sqrt(total)


@njit(cache=True, fastmath=FAST, error_model="numpy")
def _last_step(spot: Floats, factor: Floats, step: Floats) -> None:
    """Take the scoring step of y, x, photons and background that remains, if it is a small one."""
    _substitute_back(factor, step, 4)
    light = spot[2] + step[2]
    if abs(step[0]) + abs(step[1]) < LARGEST_STEP * spot[4] and light > 0.2 * spot[2]:
        spot[0], spot[1], spot[2] = spot[0] + step[0], spot[1] + step[1], light
        spot[3] = spot[3] + step[3]


@njit(cache=True, fastmath=FAST, error_model="numpy")
def weigh(
    photons: Image,
    others: Image,
    spot: Floats,
    noise: float,
    profile: Floats,
    fisher: Floats,
    score: Floats,
    evidence: Floats,
) -> None:
    """Write the evidence of one spot and take its last step; `others` is the light of all the rest."""
    radius = profile.shape[1] // 2
    top, left = round(spot[0]) - radius, round(spot[1]) - radius
    evidence[:6] = UNDETERMINED
    evidence[4], evidence[6] = spot[4], 0.0
    evidence[7] = _free_width_equations(photons, others, spot, top, left, noise, profile, fisher, score)
    if not factor(fisher, score):
        return
    _errors(fisher, np.empty((4, 4)), evidence)
    # The last row of the factor holds what the width adds when all else is free as well.
    evidence[6] = score[4]
    change = score[4] / (fisher[4, 4] * spot[4])
    evidence[4] = spot[4] * math.exp(min(max(change, -WIDEST), WIDEST))
    evidence[5] = 1.0 / (fisher[4, 4] * spot[4])
    _last_step(spot, fisher, score)


@njit(cache=True, fastmath=FAST, error_model="numpy")
def weigh_alone(photons: Image, others: Image, spots: Floats, noise: float, radius: int) -> Floats:
    """Weigh spots that were fitted each by itself, and take the last step of their fits.

    Parameters
    ----------
    photons : ndarray of shape (Y, X)
    others : ndarray of shape (Y, X)
        Light that is known, such as none.
    spots : ndarray of shape (M, 7)
        Changed in place by one small scoring step.
    noise : float
        Read-noise variance, photons².
    radius : int
        Half-width of a spot's patch, px.

    Returns
    -------
    ndarray of shape (M, 8)
        Columns of the evidence. The width and its error are those of one scoring step from the PSF's.
    """
    evidence = np.empty((spots.shape[0], COLUMNS))
    profile, fisher, score = np.empty((6, 2 * radius + 1)), np.empty((5, 5)), np.empty(5)
    for i in range(spots.shape[0]):
        weigh(photons, others, spots[i], noise, profile, fisher, score, evidence[i])
    return evidence


@njit(cache=True, fastmath=FAST, error_model="numpy")
def fit_width(
    photons: Image,
    others: Image,
    spot: Floats,
    noise: float,
    profile: Floats,
    fisher: Floats,
    score: Floats,
    evidence: Floats,
) -> None:
    """Fit one spot with its own width, in place, and write its standard errors."""
    radius = profile.shape[1] // 2
    top, left = round(spot[0]) - radius, round(spot[1]) - radius
    free, before = spot.copy(), spot[4]
    for _ in range(WIDTH_STEPS):
        long = _free_width_equations(photons, others, free, top, left, noise, profile, fisher, score)
        if not factor(fisher, score):
            return
        narrower, change = 1.0 / (fisher[4, 4] * free[4]), score[4] / (fisher[4, 4] * free[4])
        _substitute_back(fisher, score, 5)
        free[4] *= math.exp(min(max(change, -0.25), 0.25))
        free[4] = min(max(free[4], 0.5 * before), 1.5 * radius)
        for p in range(2):
            free[p] = free[p] + min(max(score[p], -0.5 * before), 0.5 * before)
        free[2] = max(free[2] + score[2], 0.2 * free[2])
        free[3] = max(free[3] + score[3], 1e-3 - 0.9 * noise)
        if abs(change) < 2e-3 and abs(score[0]) + abs(score[1]) < 1e-2:
            break
    if abs(free[0] - spot[0]) + abs(free[1] - spot[1]) > before:
        return
    _errors(fisher, np.empty((4, 4)), evidence)
    evidence[4], evidence[5] = free[4], narrower
    evidence[6], evidence[7] = math.log(free[4] / before) / narrower, long
    spot[:] = free


@njit(cache=True, fastmath=FAST, error_model="numpy")
def weigh_together(
    photons: Image, model: Image, spots: Floats, noise: float, radius: int, wide_z: float
) -> Floats:
    """Weigh spots that were fitted together, one by one, the light of all others taken as known.

    Parameters
    ----------
    photons : ndarray of shape (Y, X)
    model : ndarray of shape (Y, X)
        Expected photons of all spots; kept up to date in place.
    spots : ndarray of shape (M, 7)
        Sorted by y, fitted with the PSF's sigma; changed in place by one small scoring step.
    noise : float
        Read-noise variance, photons².
    radius : int
        Half-width of a spot's patch, px.
    wide_z : float
        A spot that is wider than the PSF by more standard errors is fitted again with its own width.

    Returns
    -------
    ndarray of shape (M, 8)
        Columns of the evidence; standard errors are those beside up to six neighbours of unknown place and
        brightness.
    """
    first, members = neighbours(spots, float(radius) + 1.0)
    evidence = np.zeros((spots.shape[0], COLUMNS))
    profile, fisher, score = np.empty((6, 2 * radius + 1)), np.empty((5, 5)), np.empty(5)
    for i in range(spots.shape[0]):
        spot = spots[i]
        add_spot(model, spot[0], spot[1], -spot[2], spot[4], radius, profile)
        weigh(photons, model, spot, noise, profile, fisher, score, evidence[i])
        if evidence[i, WIDTH_Z] > wide_z:
            fit_width(photons, model, spot, noise, profile, fisher, score, evidence[i])
        count = min(first[i + 1] - first[i], MOST_NEIGHBOURS)
        if count:
            around = np.empty(1 + count, dtype=np.int64)
            around[0] = i
            around[1:] = members[first[i] : first[i] + count]
            joint_errors(fisher_matrix(photons, model, spots, around, noise, radius), evidence[i])
        add_spot(model, spot[0], spot[1], spot[2], spot[4], radius, profile)
    return evidence


@njit(cache=True, fastmath=FAST, error_model="numpy")
def looks(image: Image, spots: Floats, sigma: float) -> NDArray[np.float32]:
    """Sample the surroundings of spots on a grid that scales with the PSF.

    Parameters
    ----------
    image : ndarray of shape (Y, X)
    spots : ndarray of shape (M, 7)
    sigma : float
        Standard deviation of the PSF, px.

    Returns
    -------
    ndarray of shape (M, LOOK_SIDE, LOOK_SIDE)
        Interpolated linearly; 0 outside the image.
    """
    side, half, step = LOOK_SIDE, LOOK_HALF, LOOK_PITCH * sigma
    rows, columns = image.shape
    seen = np.zeros((spots.shape[0], side, side), dtype=np.float32)
    for m in range(spots.shape[0]):
        for p in range(side):
            y = spots[m, 0] + (p - half) * step
            i = math.floor(y)
            if i < 0 or i + 1 >= rows:
                continue
            v = y - i
            for q in range(side):
                x = spots[m, 1] + (q - half) * step
                j = math.floor(x)
                if j < 0 or j + 1 >= columns:
                    continue
                u = x - j
                above = image[i, j] * (1 - u) + image[i, j + 1] * u
                below = image[i + 1, j] * (1 - u) + image[i + 1, j + 1] * u
                seen[m, p, q] = above * (1 - v) + below * v
    return seen
