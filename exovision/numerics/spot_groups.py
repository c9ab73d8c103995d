"""Spots fitted and weighed with their neighbours, on plain backgrounds and on ridges."""

from __future__ import annotations

import numpy as np
from numba import njit
from numpy.typing import NDArray

from exovision.numerics.psf import FAST, Floats, add_spot
from exovision.numerics.spot_evidence import (
    COLUMNS,
    MOST_NEIGHBOURS,
    WIDTH_Z,
    fisher_matrix,
    fit_width,
    joint_errors,
    weigh,
)
from exovision.numerics.spot_fits import (
    MOST_ROUNDS,
    NO_RIDGE,
    NUDGED_PART,
    NUDGED_PX,
    PARAMETERS,
    RIDGE_ANGLE,
    Image,
    fit_fixed,
    neighbours,
)
from exovision.numerics.spot_ridges import TERMS, fit_ridge, weigh_ridge


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
    spots : ndarray of shape (M, 14)
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
    before, fisher, score = np.empty(PARAMETERS), np.empty((TERMS, TERMS)), np.empty(TERMS)
    for _ in range(MOST_ROUNDS):
        if not dirty.any():
            break
        for i in range(spots.shape[0]):
            if not dirty[i]:
                continue
            dirty[i] = False
            before[:] = spots[i]
            add_spot(model, spots[i, 0], spots[i, 1], -spots[i, 2], spots[i, 4], reach, scratch)
            if spots[i, RIDGE_ANGLE] == NO_RIDGE:
                fit_fixed(photons, model, spots[i], noise, radius, profile)
            else:
                fit_ridge(photons, model, spots[i], noise, fisher, score)
            add_spot(model, spots[i, 0], spots[i, 1], spots[i, 2], spots[i, 4], reach, scratch)
            moved = abs(spots[i, 0] - before[0]) + abs(spots[i, 1] - before[1])
            if moved > NUDGED_PX or abs(spots[i, 2] - before[2]) > NUDGED_PART * spots[i, 2]:
                for k in range(first[i], first[i + 1]):
                    dirty[members[k]] = True
    dirty[:] = False


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
    spots : ndarray of shape (M, 14)
        Sorted by y, fitted with the PSF's sigma; changed in place by one small scoring step.
    noise : float
        Read-noise variance, photons².
    radius : int
        Half-width of a spot's patch, px.
    wide_z : float
        A spot that is wider than the PSF by more standard errors is fitted again with its own width.

    Returns
    -------
    ndarray of shape (M, 11)
        Columns of the evidence; standard errors are those beside up to six neighbours of unknown place and
        brightness.
    """
    first, members = neighbours(spots, float(radius) + 1.0)
    evidence = np.empty((spots.shape[0], COLUMNS))
    profile, fisher, score = np.empty((6, 2 * radius + 1)), np.empty((5, 5)), np.empty(5)
    ridge_fisher, ridge_score = np.empty((TERMS, TERMS)), np.empty(TERMS)
    for i in range(spots.shape[0]):
        spot = spots[i]
        add_spot(model, spot[0], spot[1], -spot[2], spot[4], radius, profile)
        weigh(photons, model, spot, noise, profile, fisher, score, evidence[i])
        if evidence[i, WIDTH_Z] > wide_z and spot[RIDGE_ANGLE] == NO_RIDGE:
            fit_width(photons, model, spot, noise, profile, fisher, score, evidence[i])
        if spot[RIDGE_ANGLE] != NO_RIDGE:
            weigh_ridge(photons, model, spot, noise, ridge_fisher, ridge_score, evidence[i])
            add_spot(model, spot[0], spot[1], spot[2], spot[4], radius, profile)
            continue
        count = min(first[i + 1] - first[i], MOST_NEIGHBOURS)
        if count:
            around = np.empty(1 + count, dtype=np.int64)
            around[0] = i
            around[1:] = members[first[i] : first[i] + count]
            joint_errors(fisher_matrix(photons, model, spots, around, noise, radius), evidence[i])
        add_spot(model, spot[0], spot[1], spot[2], spot[4], radius, profile)
    return evidence
