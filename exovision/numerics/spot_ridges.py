"""Spots on a ridge of light, such as a stained membrane: fits in which the background may be one."""

from __future__ import annotations

import math

import numpy as np
from numba import njit

from exovision.numerics.psf import FAST, Floats, fill_profile
from exovision.numerics.spot_evidence import COLUMNS, LONG_ANGLE, LONG_Z, RIDGE_Z, factor, weigh
from exovision.numerics.spot_fits import LEAST, LIGHT, PARAMETERS, RIDGE_X, RIDGE_Y, Image

TERMS = 10
"""y, x, photons; level, slope along y and x; ridge of free profile: three terms; and last the width."""

RIDGE_SIGMAS = 1.3
"""Standard deviation of the ridge's profile before its free terms change it, standard deviations of the PSF."""

REACH_SIGMAS = 4.0
"""Half-width of the patch: a ridge shows in its length."""

DIRECTIONS = 5
FAN = 0.6
"""Directions tried around the long axis of what a plain fit leaves over, and their span, radians."""

NOTHING = 1e-3
"""Photons of a spot that a ridge explains altogether."""

STEPS = 10
LARGEST_STEP, FARTHEST = 0.5, 1.5
"""Of the place in one step, and from where it started, standard deviations of the PSF."""


@njit(cache=True, fastmath=FAST, error_model="numpy")
def _equations(
    photons: Image,
    others: Image,
    spot: Floats,
    noise: float,
    profile: Floats,
    fisher: Floats,
    score: Floats,
) -> tuple[float, float]:
    """Fill Fisher matrix and score of all terms; return the log-likelihood and the mean squared residual."""
    side, (rows, columns) = profile.shape[1], photons.shape
    radius = side // 2
    top, left = round(spot[RIDGE_Y]) - radius, round(spot[RIDGE_X]) - radius
    light = spot[LIGHT:]
    fill_profile(spot[0], spot[4], top, profile[0], profile[1], profile[2])
    fill_profile(spot[1], spot[4], left, profile[3], profile[4], profile[5])
    sine, cosine, broad = math.sin(spot[5]), math.cos(spot[5]), RIDGE_SIGMAS * spot[4]
    fisher[:] = 0.0
    score[:] = 0.0
    slope = np.empty(TERMS)
    slope[3] = 1.0
    likelihood, chi2, count = 0.0, 0.0, 0
    for i in range(max(0, -top), min(side, rows - top)):
        dy = top + i - spot[RIDGE_Y]
        slope[4] = dy / radius
        for j in range(max(0, -left), min(side, columns - left)):
            seen = np.float64(photons[top + i, left + j])
            if seen <= -1e29:
                continue
            dx = left + j - spot[RIDGE_X]
            across = (cosine * dx - sine * dy) / broad
            slope[0] = spot[2] * profile[1, i] * profile[3, j]
            slope[1] = spot[2] * profile[0, i] * profile[4, j]
            slope[2] = profile[0, i] * profile[3, j]
            slope[5] = dx / radius
            slope[6] = math.exp(-0.5 * across * across)
            slope[7] = slope[6] * across
            slope[8] = slope[7] * across
            slope[9] = spot[2] * (profile[2, i] * profile[3, j] + profile[0, i] * profile[5, j])
            expected = noise + np.float64(others[top + i, left + j]) + spot[2] * slope[2]
            for p in range(6):
                expected += light[p] * slope[3 + p]
            expected = max(expected, LEAST)
            weight = 1.0 / expected
            excess = (seen + noise - expected) * weight
            likelihood += max(seen + noise, 0.0) * math.log(expected) - expected
            chi2 += excess * excess * expected
            count += 1
            for p in range(TERMS):
                score[p] += slope[p] * excess
                scaled = slope[p] * weight
                for q in range(p + 1):
                    fisher[p, q] += scaled * slope[q]
    for p in range(TERMS):
        fisher[p, p] = fisher[p, p] * (1.0 + 1e-6) + 1e-9
    return likelihood, chi2 / max(count, 1)


@njit(cache=True, fastmath=FAST, error_model="numpy")
def _back(matrix: Floats, vector: Floats, size: int) -> None:
    """Solve Lᵀx = v for the leading block, in place."""
    for i in range(size - 1, -1, -1):
        for k in range(i + 1, size):
            vector[i] -= matrix[k, i] * vector[k]
        vector[i] /= matrix[i, i]


@njit(cache=True, fastmath=FAST, error_model="numpy")
def _fit(
    photons: Image,
    others: Image,
    spot: Floats,
    noise: float,
    steps: int,
    profile: Floats,
    fisher: Floats,
    score: Floats,
) -> bool:
    """Fit spot and background in place, at most `steps` scoring steps; false if they are undetermined."""
    for _ in range(steps):
        _equations(photons, others, spot, noise, profile, fisher, score)
        if not factor(fisher, score):
            return False
        _back(fisher, score, TERMS - 1)
        longest, moved = LARGEST_STEP * spot[4], 0.0
        for p in range(2):
            step = min(max(score[p], -longest), longest)
            spot[p], moved = spot[p] + step, moved + abs(step)
        spot[2] = max(spot[2] + score[2], 0.2 * spot[2], 1e-3)
        for p in range(6):
            spot[LIGHT + p] += score[3 + p]
        if moved < 0.01 and abs(score[2]) < 0.01 * spot[2]:
            break
    return math.hypot(spot[0] - spot[RIDGE_Y], spot[1] - spot[RIDGE_X]) < FARTHEST * spot[4]


@njit(cache=True, fastmath=FAST, error_model="numpy")
def fit_ridge(
    photons: Image, others: Image, spot: Floats, noise: float, fisher: Floats, score: Floats
) -> bool:
    r"""Fit a spot on a background that may slope and holds a straight ridge of known direction, in place.

    .. math:: b(\mathbf r) = b_0 + \mathbf b\cdot\mathbf r + e^{-u^2/2s^2}(r_0 + r_1 u/s + r_2 u^2/s^2)

    where u is the distance from the ridge's axis and s its width.

    Parameters
    ----------
    photons, others : ndarray of shape (Y, X)
        Photons, and the expected light of all other spots.
    spot : ndarray of shape (14,)
        Start; becomes the fit. The background is that beneath the spot, ridge included.
    noise : float
        Read-noise variance, photons².
    fisher, score : ndarray of shape (TERMS, TERMS), (TERMS,)
        Working memory.

    Returns
    -------
    bool
        False if the fit failed or ran away; the spot is then what it was.
    """
    fitted, profile = spot.copy(), np.empty((6, 2 * reach_px(spot[4]) + 1))
    if not _fit(photons, others, fitted, noise, STEPS, profile, fisher, score):
        return False
    spot[:] = fitted
    spot[3] = spot[LIGHT] + spot[LIGHT + 3]
    return True


@njit(cache=True)
def reach_px(sigma: float) -> int:
    """Return the half-width of the patch in which a ridge is fitted, px."""
    return int(math.ceil(REACH_SIGMAS * sigma))


@njit(cache=True, fastmath=FAST, error_model="numpy")
def weigh_ridge(
    photons: Image, others: Image, spot: Floats, noise: float, fisher: Floats, score: Floats, evidence: Floats
) -> None:
    """Write the evidence of a spot that was fitted on a ridge; parameters as of `fit_ridge`.

    The standard errors, the width and the misfit are those with the ridge as free as the spot.
    """
    profile = np.empty((6, 2 * reach_px(spot[4]) + 1))
    _, chi2 = _equations(photons, others, spot, noise, profile, fisher, score)
    if not factor(fisher, score):
        return
    last = TERMS - 1
    change = score[last] / (fisher[last, last] * spot[4])
    evidence[4] = spot[4] * math.exp(min(max(change, -0.9), 0.9))
    evidence[5] = 1.0 / (fisher[last, last] * spot[4])
    evidence[6], evidence[7] = score[last], chi2
    unit = np.empty(last)
    for column in range(4):
        unit[:] = 0.0
        unit[column] = 1.0
        unit[6] = 1.0 if column == 3 else 0.0
        total = 0.0
        for i in range(last):
            for k in range(i):
                unit[i] -= fisher[i, k] * unit[k]
            unit[i] /= fisher[i, i]
            total += unit[i] ** 2
        evidence[column] = math.sqrt(total)
    evidence[RIDGE_Z] = abs(spot[LIGHT + 3]) / max(_ridge_error(fisher), 1e-9)


@njit(cache=True, fastmath=FAST, error_model="numpy")
def _ridge_error(lower: Floats) -> float:
    """Return the standard error of the ridge's height from the Cholesky factor."""
    unit = np.zeros(TERMS - 1)
    unit[6] = 1.0
    total = 0.0
    for i in range(6, TERMS - 1):
        for k in range(6, i):
            unit[i] -= lower[i, k] * unit[k]
        unit[i] /= lower[i, i]
        total += unit[i] ** 2
    return math.sqrt(total)


@njit(cache=True, fastmath=FAST, error_model="numpy")
def try_ridge(
    photons: Image, others: Image, spot: Floats, axis: float, noise: float, fisher: Floats, score: Floats
) -> float:
    """Fit a spot on the best of several ridges, in place; return twice the log-likelihood gained, 0 if none is.

    Parameters
    ----------
    photons, others : ndarray of shape (Y, X)
    spot : ndarray of shape (14,)
        Fitted on a plain background.
    axis : float
        About the direction of the ridge, radians from y towards x.
    noise : float
        Read-noise variance, photons².
    fisher, score : ndarray of shape (TERMS, TERMS), (TERMS,)
        Working memory.

    Returns
    -------
    float
    """
    profile = np.empty((6, 2 * reach_px(spot[4]) + 1))
    start, tried, most = spot.copy(), spot.copy(), -np.inf
    start[5], start[RIDGE_Y], start[RIDGE_X] = axis, spot[0], spot[1]
    start[LIGHT:] = 0.0
    start[LIGHT] = spot[3]
    plain, _ = _equations(photons, others, start, noise, profile, fisher, score)
    for k in range(DIRECTIONS):
        tried[:] = start
        tried[5] = axis + FAN * (k / (DIRECTIONS - 1) - 0.5)
        if not _fit(photons, others, tried, noise, 2, profile, fisher, score):
            continue
        likelihood, _ = _equations(photons, others, tried, noise, profile, fisher, score)
        if likelihood > most:
            most = likelihood
            spot[:] = tried
    if most == -np.inf:
        return 0.0
    if not fit_ridge(photons, others, spot, noise, fisher, score):
        # The fit ran away along the ridge: there is no spot here.
        spot[2] = NOTHING
        return 2.0 * (most - plain)
    likelihood, _ = _equations(photons, others, spot, noise, profile, fisher, score)
    return 2.0 * (likelihood - plain)


@njit(cache=True, fastmath=FAST, error_model="numpy")
def significance(
    photons: Image, known: Image, spots: Floats, noise: float, radius: int, suspicious_z: float, ridge_gain: float
) -> Floats:
    """Return by how many standard errors spots rise above what may be a ridge, each by itself.

    Parameters
    ----------
    photons : ndarray of shape (Y, X)
    known : ndarray of shape (Y, X)
        Light of other spots; these are not among them.
    spots : ndarray of shape (M, 14)
        Near their best fits.
    noise : float
        Read-noise variance, photons².
    radius : int
        Half-width of a spot's patch, px.
    suspicious_z : float
        How much longer than broad a spot must be for a ridge to be tried, standard errors.
    ridge_gain : float
        Twice the log-likelihood that a ridge must gain.

    Returns
    -------
    ndarray of shape (M,)
        Photons over their standard error.
    """
    above = np.empty(spots.shape[0])
    profile, evidence, spot = np.empty((6, 2 * radius + 1)), np.empty(COLUMNS), np.empty(PARAMETERS)
    fisher, score = np.empty((5, 5)), np.empty(5)
    ridge_fisher, ridge_score = np.empty((TERMS, TERMS)), np.empty(TERMS)
    for i in range(spots.shape[0]):
        spot[:] = spots[i]
        weigh(photons, known, spot, noise, profile, fisher, score, evidence)
        if evidence[LONG_Z] > suspicious_z:
            axis = evidence[LONG_ANGLE]
            if try_ridge(photons, known, spot, axis, noise, ridge_fisher, ridge_score) > ridge_gain:
                weigh_ridge(photons, known, spot, noise, ridge_fisher, ridge_score, evidence)
            else:
                spot[:] = spots[i]
        above[i] = spot[2] / evidence[2]
    return above
