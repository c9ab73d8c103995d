"""How sure a fitted spot is: its standard errors, its width, and whether a ridge would explain it as well."""

from __future__ import annotations

import math

import numpy as np
from numba import njit
from numpy.typing import NDArray

from exovision.numerics.psf import Floats, add_spot, fill_profile
from exovision.numerics.spot_fits import Image, fit_spot, neighbours, solve

Y_SE, X_SE, TOTAL_SE, WIDTH, WIDTH_SE, WIDTH_GAIN, OVER_RIDGE = range(7)
"""Columns of the evidence: px, px, photons, px, relative, twice the log-likelihood gain, deviations."""

MOST_NEIGHBOURS = 6
ORIENTATIONS = 8
TEXTURE = 0.1
"""Relative unevenness of a background, which bright pictures show above their noise."""

RIDGE_TERMS = 6
RIDGE_NEIGHBOURS = 4
"""Neighbours of free brightness when a ridge is tried: else spots in a row along it excuse each other."""


@njit(cache=True, fastmath=True)
def _own_slopes(spot: Floats, profile: Floats, i: int, j: int, slopes: Floats, first: int) -> None:
    """Write the derivatives of a spot's expected photons in one pixel by y, x and photons."""
    slopes[first] = spot[2] * profile[1, i] * profile[3, j]
    slopes[first + 1] = spot[2] * profile[0, i] * profile[4, j]
    slopes[first + 2] = profile[0, i] * profile[3, j]


@njit(cache=True, fastmath=True)
def _fisher_matrix(
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


@njit(cache=True, fastmath=True)
def _standard_errors(fisher: Floats, evidence: Floats) -> None:
    """Write the standard errors of y, x and photons of the first spot; NaN-free, infinite if undetermined."""
    size = fisher.shape[0]
    for p in range(3, size - 1):
        fisher[p, p] += 1e-3 + 1e-6 * fisher[p, p]
    for p in range(3):
        matrix, unit = fisher.copy(), np.zeros(size)
        unit[p] = 1.0
        evidence[p] = math.sqrt(unit[p]) if solve(matrix, unit, size) and unit[p] > 0 else 1e9


@njit(cache=True, fastmath=True)
def _ridge_terms(spot: Floats, dy: float, dx: float, across: float, radius: int, terms: Floats) -> None:
    """Write the first regressors of one pixel: a tilted plane and a ridge of free profile."""
    ridge = math.exp(-0.5 * (across / spot[4]) ** 2)
    terms[0] = 1.0
    terms[1] = dy / radius
    terms[2] = dx / radius
    terms[3] = ridge
    terms[4] = ridge * across / spot[4]
    terms[5] = ridge * (across / spot[4]) ** 2


@njit(cache=True, fastmath=True)
def _gain_over_ridge(
    photons: Image, others: Image, spots: Floats, noise: float, radius: int, angle: float, profiles: Floats
) -> tuple[float, float]:
    """Return the chi-squared that plane, neighbours and a ridge leave, and what the spot removes."""
    spot, count = spots[0], spots.shape[0]
    size = RIDGE_TERMS + count
    matrix, vector, terms = np.zeros((size, size)), np.zeros(size), np.empty(size)
    top, left = round(spot[0]) - radius, round(spot[1]) - radius
    sine, cosine = math.sin(angle), math.cos(angle)
    rows, columns = photons.shape
    power = 0.0
    for i in range(max(0, -top), min(2 * radius + 1, rows - top)):
        for j in range(max(0, -left), min(2 * radius + 1, columns - left)):
            seen = photons[top + i, left + j]
            if seen <= -1e29:
                continue
            expected = spot[3] + others[top + i, left + j]
            excess = seen - expected
            for k in range(count):
                height = profiles[k, 0, i] * profiles[k, 3, j]
                terms[size - 1 - k] = height
                if k:
                    excess += spots[k, 2] * height
            variance = expected + spot[2] * terms[size - 1] + noise + (TEXTURE * spot[3]) ** 2
            weight = 1.0 / max(variance, 0.01)
            dy, dx = top + i - spot[0], left + j - spot[1]
            _ridge_terms(spot, dy, dx, cosine * dy - sine * dx, radius, terms)
            power += weight * excess * excess
            for p in range(size):
                vector[p] += weight * terms[p] * excess
                scaled = weight * terms[p]
                for q in range(p + 1):
                    matrix[p, q] += scaled * terms[q]
    for p in range(size):
        matrix[p, p] = matrix[p, p] * (1.0 + 1e-9) + 1e-12
    if not _forward(matrix, vector, size):
        return 1e30, 0.0
    explained = 0.0
    for p in range(size - 1):
        explained += vector[p] ** 2
    return power - explained, vector[size - 1] * abs(vector[size - 1])


@njit(cache=True, fastmath=True)
def _forward(matrix: Floats, vector: Floats, size: int) -> bool:
    """Factorise and substitute forward only: squared entries are what each term removes in turn."""
    for i in range(size):
        for j in range(i + 1):
            total = matrix[i, j]
            for k in range(j):
                total -= matrix[i, k] * matrix[j, k]
            if i == j:
                if total <= 0.0:
                    return False
                matrix[i, i] = math.sqrt(total)
            else:
                matrix[i, j] = total / matrix[j, j]
        for k in range(i):
            vector[i] -= matrix[i, k] * vector[k]
        vector[i] /= matrix[i, i]
    return True


@njit(cache=True, fastmath=True)
def _over_ridge(
    photons: Image, others: Image, spots: Floats, around: NDArray[np.int64], noise: float, radius: int
) -> float:
    """Return by how many standard deviations spot `around[0]` rises above the best-fitting ridge."""
    chosen = _nearest(spots, around)
    own = spots[around[0]]
    profiles = np.empty((chosen.shape[0], 6, 2 * radius + 1))
    for k in range(chosen.shape[0]):
        spot, profile = chosen[k], profiles[k]
        fill_profile(spot[0], spot[4], round(own[0]) - radius, profile[0], profile[1], profile[2])
        fill_profile(spot[1], spot[4], round(own[1]) - radius, profile[3], profile[4], profile[5])
    least, gain = 1e31, 0.0
    for k in range(ORIENTATIONS):
        angle = math.pi * k / ORIENTATIONS
        left, removed = _gain_over_ridge(photons, others, chosen, noise, radius, angle, profiles)
        if left < least:
            least, gain = left, removed
    return math.copysign(math.sqrt(abs(gain)), gain)


@njit(cache=True, fastmath=True)
def _nearest(spots: Floats, around: NDArray[np.int64]) -> Floats:
    """Return spot `around[0]` and the nearest of the others, shape (K, 5)."""
    apart = np.empty(around.shape[0])
    for k in range(around.shape[0]):
        spot, own = spots[around[k]], spots[around[0]]
        apart[k] = (spot[0] - own[0]) ** 2 + (spot[1] - own[1]) ** 2
    apart[0] = -1.0
    order = np.argsort(apart)[: 1 + RIDGE_NEIGHBOURS]
    chosen = np.empty((order.shape[0], 5))
    for k in range(order.shape[0]):
        chosen[k] = spots[around[order[k]]]
    return chosen


@njit(cache=True, fastmath=True)
def weigh_all(
    photons: Image, model: Image, spots: Floats, noise: float, radius: int, width_gain: float
) -> Floats:
    r"""Weigh fitted spots one by one, the light of all others taken as known.

    Parameters
    ----------
    photons : ndarray of shape (Y, X)
    model : ndarray of shape (Y, X)
        Expected photons of all spots; unchanged on return but for rounding.
    spots : ndarray of shape (M, 5)
        Sorted by y, fitted with the PSF's sigma. A spot that is wider, and explained better by
        `width_gain` (twice the log-likelihood), gets the fit with its own width.
    noise : float
        Read-noise variance, photons².
    radius : int
        Half-width of a spot's patch, px.
    width_gain : float

    Returns
    -------
    ndarray of shape (M, 7)
        Standard errors of y, x (px) and photons, from the Fisher matrix of the spot and its neighbours; width
        when it is free (px), its relative standard error, twice the log-likelihood it gains; and by how many
        standard deviations the spot rises above a plane with the best of eight straight ridges through it and
        neighbours of any brightness.
    """
    first, members = neighbours(spots, float(radius) + 1.0)
    evidence = np.empty((spots.shape[0], 7))
    profile = np.empty((6, 2 * radius + 1))
    fisher, score, free = np.empty((5, 5)), np.empty(5), np.empty(5)
    for i in range(spots.shape[0]):
        spot = spots[i]
        add_spot(model, spot[0], spot[1], -spot[2], spot[4], radius, profile)
        free[:] = spot
        fixed = fit_spot(photons, model, free, noise, radius, False, profile, fisher, score)
        free[:] = spot
        gain = 2.0 * (fit_spot(photons, model, free, noise, radius, True, profile, fisher, score) - fixed)
        score[:] = 0.0
        score[4] = 1.0
        spread = math.sqrt(max(score[4], 0.0)) if solve(fisher, score, 5) else 1e3
        evidence[i, 3], evidence[i, 4], evidence[i, 5] = free[4], spread / free[4], gain
        around = np.empty(1 + first[i + 1] - first[i], dtype=np.int64)
        around[0] = i
        around[1:] = members[first[i] : first[i + 1]]
        evidence[i, 6] = _over_ridge(photons, model, spots, around, noise, radius)
        if gain > width_gain and free[4] > spot[4]:
            spots[i] = free
        around = around[: 1 + MOST_NEIGHBOURS]
        _standard_errors(_fisher_matrix(photons, model, spots, around, noise, radius), evidence[i])
        add_spot(model, spots[i, 0], spots[i, 1], spots[i, 2], spots[i, 4], radius, profile)
    return evidence
