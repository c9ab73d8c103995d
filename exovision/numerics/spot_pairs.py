"""Two spots that were taken for one: fits of pairs, chosen by their likelihood."""

from __future__ import annotations

import math

import numpy as np
from numba import njit
from numpy.typing import NDArray

from exovision.numerics.psf import FAST, Floats, add_spot, fill_profile
from exovision.numerics.spot_evidence import LONG_ANGLE, LONG_Z, WIDTH_Z
from exovision.numerics.spot_fits import LEAST, Image, fit_fixed, solve

PARAMETERS = 7
"""Of a pair: y, x and photons of each, and one background."""

STEPS = 15
START_SIGMAS = 0.8
"""Where a pair's fit starts: each this far from the single spot, along its long axis."""

LEAST_APART_SIGMAS = 1.0
FARTHEST_SIGMAS = 2.5
"""Of each of the two from the single spot."""

LEAST_SHARE = 0.15
"""Of the pair's light in the dimmer of the two."""


@njit(cache=True, fastmath=FAST, error_model="numpy")
def _pair_equations(
    photons: Image,
    others: Image,
    pair: Floats,
    sigma: float,
    top: int,
    left: int,
    noise: float,
    profiles: Floats,
    fisher: Floats,
    score: Floats,
) -> float:
    """Fill Fisher matrix and score of a pair; return its log-likelihood up to a constant of the data."""
    side, (rows, columns) = profiles.shape[2], photons.shape
    for k in range(2):
        part = profiles[k]
        fill_profile(pair[3 * k], sigma, top, part[0], part[1], part[2])
        fill_profile(pair[3 * k + 1], sigma, left, part[3], part[4], part[5])
    fisher[:] = 0.0
    score[:] = 0.0
    slope = np.empty(PARAMETERS)
    slope[6] = 1.0
    likelihood = 0.0
    for i in range(max(0, -top), min(side, rows - top)):
        for j in range(max(0, -left), min(side, columns - left)):
            seen = np.float64(photons[top + i, left + j])
            if seen <= -1e29:
                continue
            for k in range(2):
                part, light = profiles[k], pair[3 * k + 2]
                slope[3 * k] = light * part[1, i] * part[3, j]
                slope[3 * k + 1] = light * part[0, i] * part[4, j]
                slope[3 * k + 2] = part[0, i] * part[3, j]
            expected = pair[6] + noise + np.float64(others[top + i, left + j])
            expected = max(expected + pair[2] * slope[2] + pair[5] * slope[5], LEAST)
            weight = 1.0 / expected
            excess = (seen + noise - expected) * weight
            likelihood += max(seen + noise, 0.0) * math.log(expected) - expected
            for p in range(PARAMETERS):
                score[p] += slope[p] * excess
                scaled = slope[p] * weight
                for q in range(p + 1):
                    fisher[p, q] += scaled * slope[q]
    return likelihood


@njit(cache=True, fastmath=FAST, error_model="numpy")
def _fit_pair(
    photons: Image,
    others: Image,
    pair: Floats,
    sigma: float,
    top: int,
    left: int,
    noise: float,
    profiles: Floats,
) -> float:
    """Fit a pair in place; return its log-likelihood, or minus infinity if it cannot be fitted."""
    fisher, score = np.empty((PARAMETERS, PARAMETERS)), np.empty(PARAMETERS)
    longest = 0.5 * sigma
    for _ in range(STEPS):
        _pair_equations(photons, others, pair, sigma, top, left, noise, profiles, fisher, score)
        for p in range(PARAMETERS):
            fisher[p, p] *= 1.0 + 1e-6
        if not solve(fisher, score, PARAMETERS):
            return -np.inf
        largest = 0.0
        for k in range(2):
            for p in range(3 * k, 3 * k + 2):
                step = min(max(score[p], -longest), longest)
                pair[p], largest = pair[p] + step, max(largest, abs(step))
            pair[3 * k + 2] = max(pair[3 * k + 2] + score[3 * k + 2], 0.3 * pair[3 * k + 2], 1e-3)
        pair[6] = max(pair[6] + score[6], 1e-3 - 0.9 * noise)
        if largest < 0.02:
            break
    return _pair_equations(photons, others, pair, sigma, top, left, noise, profiles, fisher, score)


@njit(cache=True, fastmath=FAST, error_model="numpy")
def _is_pair(pair: Floats, spot: Floats) -> bool:
    """Tell whether a fitted pair is two spots near where one was."""
    sigma = spot[4]
    for k in range(2):
        away = math.hypot(pair[3 * k] - spot[0], pair[3 * k + 1] - spot[1])
        if away > FARTHEST_SIGMAS * sigma:
            return False
    if math.hypot(pair[0] - pair[3], pair[1] - pair[4]) < LEAST_APART_SIGMAS * sigma:
        return False
    return min(pair[2], pair[5]) > LEAST_SHARE * (pair[2] + pair[5])


@njit(cache=True, fastmath=FAST, error_model="numpy")
def split(
    photons: Image,
    model: Image,
    spots: Floats,
    evidence: Floats,
    noise: float,
    radius: int,
    suspicious_z: float,
    pair_gain: float,
) -> tuple[Floats, NDArray[np.int64]]:
    """Try a pair in the place of every spot that is longer or wider than the PSF.

    Parameters
    ----------
    photons : ndarray of shape (Y, X)
    model : ndarray of shape (Y, X)
        Expected photons of all spots; kept up to date in place.
    spots : ndarray of shape (M, 5)
        Fitted with the PSF's sigma. The one that is split becomes the brighter of the pair.
    evidence : ndarray of shape (M, 10)
    noise : float
        Read-noise variance, photons².
    radius : int
        Half-width of a spot's patch, px.
    suspicious_z : float
        How much longer or wider than the PSF a spot must be to be tried, standard errors.
    pair_gain : float
        Twice the log-likelihood that a pair must gain over one spot; less what a free width gains, at least
        half of that.

    Returns
    -------
    added : ndarray of shape (K, 5)
        The dimmer spots of the pairs.
    parents : ndarray of shape (K,)
        Row of the brighter one of each.
    """
    added, parents, count = np.empty((spots.shape[0], 5)), np.empty(spots.shape[0], dtype=np.int64), 0
    profiles, scratch = np.empty((2, 6, 2 * radius + 1)), np.empty((6, 2 * radius + 1))
    fisher, score = np.empty((PARAMETERS, PARAMETERS)), np.empty(PARAMETERS)
    one, pair = np.empty(5), np.empty(PARAMETERS)
    for i in range(spots.shape[0]):
        wide, long = max(evidence[i, WIDTH_Z], 0.0), evidence[i, LONG_Z]
        if max(wide, long) < suspicious_z:
            continue
        spot = spots[i]
        add_spot(model, spot[0], spot[1], -spot[2], spot[4], radius, scratch)
        one[:] = spot
        fit_fixed(photons, model, one, noise, radius, scratch)
        top, left = round(spot[0]) - radius, round(spot[1]) - radius
        pair[:3], pair[3:6], pair[6] = one[:3], one[:3], one[3]
        pair[5] = 0.0
        alone = _pair_equations(photons, model, pair, one[4], top, left, noise, profiles, fisher, score)
        angle = evidence[i, LONG_ANGLE]
        for k in range(2):
            away = (1 - 2 * k) * START_SIGMAS * spot[4]
            pair[3 * k] = one[0] + away * math.cos(angle)
            pair[3 * k + 1] = one[1] + away * math.sin(angle)
            pair[3 * k + 2] = 0.55 * one[2]
        gain = 2.0 * (_fit_pair(photons, model, pair, one[4], top, left, noise, profiles) - alone)
        if gain > pair_gain and gain > wide * wide + 0.5 * pair_gain and _is_pair(pair, one):
            bright = 0 if pair[2] >= pair[5] else 3
            spot[:3], spot[3] = pair[bright : bright + 3], pair[6]
            added[count, :3], added[count, 3], added[count, 4] = (
                pair[3 - bright : 6 - bright],
                pair[6],
                spot[4],
            )
            parents[count] = i
            add_spot(model, added[count, 0], added[count, 1], added[count, 2], spot[4], radius, scratch)
            count += 1
        add_spot(model, spot[0], spot[1], spot[2], spot[4], radius, scratch)
    return added[:count].copy(), parents[:count].copy()
