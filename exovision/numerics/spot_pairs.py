"""What a spot that does not look like one may be: a pair, or a spot on a ridge; chosen by likelihood."""

from __future__ import annotations

import math

import numpy as np
from numba import njit
from numpy.typing import NDArray

from exovision.numerics.psf import FAST, Floats, add_spot, fill_profile
from exovision.numerics.spot_evidence import LONG_ANGLE, LONG_Z, WIDTH_Z
from exovision.numerics.spot_fits import LEAST, NO_RIDGE, PARAMETERS, RIDGE_ANGLE, Image, fit_fixed, solve
from exovision.numerics.spot_ridges import TERMS as RIDGE_TERMS
from exovision.numerics.spot_ridges import reach_px, try_ridge

TERMS = 7
"""Of a pair: y, x and photons of each, and one background."""

STEPS = 15
START_SIGMAS = 0.8
"""Where a pair's fit starts: each this far from the single spot, along its long axis."""

LEAST_APART_SIGMAS = 1.0
FARTHEST_SIGMAS = 2.5
"""Of each of the two from the single spot."""

LEAST_SHARE = 0.15
"""Of the pair's light in the dimmer of the two."""

RIDGE_HANDICAP = 10.0


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
    slope = np.empty(TERMS)
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
            for p in range(TERMS):
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
    fisher, score = np.empty((TERMS, TERMS)), np.empty(TERMS)
    longest = 0.5 * sigma
    for _ in range(STEPS):
        _pair_equations(photons, others, pair, sigma, top, left, noise, profiles, fisher, score)
        for p in range(TERMS):
            fisher[p, p] *= 1.0 + 1e-6
        if not solve(fisher, score, TERMS):
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
def _try_pair(
    photons: Image, others: Image, one: Floats, axis: float, noise: float, pair: Floats, profiles: Floats
) -> float:
    """Fit a pair along an axis in place of a spot; return twice the log-likelihood gained, 0 if it is none."""
    radius = profiles.shape[2] // 2
    top, left = round(one[0]) - radius, round(one[1]) - radius
    fisher, score = np.empty((TERMS, TERMS)), np.empty(TERMS)
    pair[:3], pair[3:6], pair[6] = one[:3], one[:3], one[3]
    pair[5] = 0.0
    alone = _pair_equations(photons, others, pair, one[4], top, left, noise, profiles, fisher, score)
    for k in range(2):
        away = (1 - 2 * k) * START_SIGMAS * one[4]
        pair[3 * k] = one[0] + away * math.cos(axis)
        pair[3 * k + 1] = one[1] + away * math.sin(axis)
        pair[3 * k + 2] = 0.55 * one[2]
    both = _fit_pair(photons, others, pair, one[4], top, left, noise, profiles)
    return 2.0 * (both - alone) if _is_pair(pair, one) else 0.0


@njit(cache=True, fastmath=FAST, error_model="numpy")
def split(
    photons: Image,
    model: Image,
    spots: Floats,
    evidence: Floats,
    noise: float,
    radius: int,
    suspicious_z: float,
    least_gain: float,
) -> tuple[Floats, NDArray[np.int64], NDArray[np.bool_]]:
    """Try a pair, and a ridge in the background, for every spot that is longer or wider than the PSF.

    Parameters
    ----------
    photons : ndarray of shape (Y, X)
    model : ndarray of shape (Y, X)
        Expected photons of all spots; kept up to date in place.
    spots : ndarray of shape (M, 14)
        Fitted with the PSF's sigma. One that is split becomes the brighter of the pair; one on a ridge gets it.
    evidence : ndarray of shape (M, 11)
    noise : float
        Read-noise variance, photons².
    radius : int
        Half-width of a spot's patch, px.
    suspicious_z : float
        How much longer or wider than the PSF a spot must be to be tried, standard errors.
    least_gain : float
        Twice the log-likelihood that pair or ridge must gain over one spot, and a pair over one of free width
        at least half of that; a ridge, which has two terms more, must gain `RIDGE_HANDICAP` more than a pair.

    Returns
    -------
    added : ndarray of shape (K, 14)
        The dimmer spots of the pairs.
    parents : ndarray of shape (K,)
        Row of the brighter one of each.
    changed : ndarray of shape (M,)
        Which spots were split or put on a ridge.
    """
    added, parents = np.zeros((spots.shape[0], PARAMETERS)), np.empty(spots.shape[0], dtype=np.int64)
    changed, count = np.zeros(spots.shape[0], dtype=np.bool_), 0
    scratch, fisher, score = (
        np.empty((6, 2 * radius + 1)),
        np.empty((RIDGE_TERMS, RIDGE_TERMS)),
        np.empty(RIDGE_TERMS),
    )
    one, ridged, pair = np.empty(PARAMETERS), np.empty(PARAMETERS), np.empty(TERMS)
    for i in range(spots.shape[0]):
        spot, wide, long = spots[i], max(evidence[i, WIDTH_Z], 0.0), evidence[i, LONG_Z]
        if max(wide, long) < suspicious_z or spot[RIDGE_ANGLE] != NO_RIDGE:
            continue
        add_spot(model, spot[0], spot[1], -spot[2], spot[4], radius, scratch)
        reach, axis = reach_px(spot[4]), evidence[i, LONG_ANGLE]
        one[:] = spot
        fit_fixed(photons, model, one, noise, reach, np.empty((6, 2 * reach + 1)))
        pair_gain = _try_pair(photons, model, one, axis, noise, pair, np.empty((2, 6, 2 * reach + 1)))
        ridge_gain = 0.0
        if long > suspicious_z:
            ridged[:] = one
            ridge_gain = try_ridge(photons, model, ridged, axis, noise, fisher, score)
        if ridge_gain > least_gain and ridge_gain > pair_gain + RIDGE_HANDICAP:
            spot[:], changed[i] = ridged, True
        elif pair_gain > max(least_gain, wide * wide + 0.5 * least_gain):
            bright, other = (0, added[count]) if pair[2] >= pair[5] else (3, added[count])
            other[:3], other[3], other[4], other[5] = (
                pair[3 - bright : 6 - bright],
                pair[6],
                spot[4],
                NO_RIDGE,
            )
            spot[:3], spot[3] = pair[bright : bright + 3], pair[6]
            parents[count], changed[i] = i, True
            add_spot(model, other[0], other[1], other[2], other[4], radius, scratch)
            count += 1
        add_spot(model, spot[0], spot[1], spot[2], spot[4], radius, scratch)
    return added[:count].copy(), parents[:count].copy(), changed
