"""The fit of light that is let into a membrane to a sequence of patches, by maximum likelihood."""

from __future__ import annotations

import math

import numpy as np
from numba import njit
from numpy.typing import NDArray

from exovision.numerics.release import (
    LEVEL_PRECISION,
    LOG_N,
    NOISE,
    PARAMETERS,
    START,
    draw_light,
)

Floats = NDArray[np.float64]

STEPS = np.array([0.02, 0.02, 0.02, 0.03, 0.01, 0.02, 0.0])
"""Steps of the numerical derivatives, by parameter; that of the start is a share of the frame interval."""
LEAST_EXPECTED = 1e-3
LEVEL_STEPS = 2


@njit(cache=True, fastmath=True)
def _settle(
    photons: Floats,
    mask: Floats,
    base: Floats,
    spot: Floats,
    strength: float,
    level: float,
    mean: float,
    optics: Floats,
) -> tuple[float, float]:
    """Return the most likely background of one frame, and its log-likelihood there."""
    precision, noise = optics[LEVEL_PRECISION], optics[NOISE]
    for _ in range(LEVEL_STEPS):
        slope, bend = -precision * (level - mean), precision
        for i in range(photons.shape[0]):
            for j in range(photons.shape[1]):
                if mask[i, j] > 0:
                    expected = max(level + base[i, j] + strength * spot[i, j] + noise, LEAST_EXPECTED)
                    slope += photons[i, j] / expected - 1
                    bend += 1 / expected
        level += slope / bend
    total = -0.5 * precision * (level - mean) ** 2
    for i in range(photons.shape[0]):
        for j in range(photons.shape[1]):
            if mask[i, j] > 0:
                expected = max(level + base[i, j] + strength * spot[i, j] + noise, LEAST_EXPECTED)
                total += photons[i, j] * math.log(expected) - expected
    return level, total


@njit(cache=True, fastmath=True)
def log_likelihood(
    photons: Floats,
    mask: Floats,
    base: Floats,
    fade: Floats,
    light: Floats,
    n: float,
    levels: Floats,
    mean: Floats,
    optics: Floats,
    first: int,
    by_frame: Floats,
) -> float:
    """Return the log-likelihood of a patch sequence with the best background of every frame.

    Parameters
    ----------
    photons : ndarray of shape (K, P, P)
        Plus the variance of the read noise, not negative.
    mask : ndarray of shape (K, P, P)
        0 where a pixel does not count.
    base : ndarray of shape (P, P)
        Structure of the background.
    fade : ndarray of shape (K,)
        Light left of bleaching.
    light : ndarray of shape (K, P, P)
        From `draw_light`.
    n : float
        Photons before the change.
    levels : ndarray of shape (K,)
        Start values; overwritten with the best.
    mean : ndarray of shape (K,)
        Expected levels.
    optics : ndarray of shape (8,)
    first : int
        Frame from which on to count.
    by_frame : ndarray of shape (K,)
        Overwritten from `first` on.
    """
    total = 0.0
    for k in range(first, photons.shape[0]):
        levels[k], by_frame[k] = _settle(
            photons[k], mask[k], base, light[k], n * fade[k], levels[k], mean[k], optics
        )
        total += by_frame[k]
    return total


@njit(cache=True, fastmath=True)
def spot_ratios(
    photons: Floats, mask: Floats, expected: Floats, spot: Floats, reach: int, out: Floats
) -> None:
    """Write by how much one more spot raises the log-likelihood of a frame, at every place near the middle.

    Parameters
    ----------
    photons, mask, expected : ndarray of shape (P, P)
        Measured, whether it counts, and expected without the spot; both plus the variance of the read noise.
    spot : ndarray of shape (S, S)
        Its photons, S odd.
    reach : int
        Places up to so many px from the middle, in both axes.
    out : ndarray of shape (2 * reach + 1, 2 * reach + 1)
        Overwritten.
    """
    size, half = photons.shape[0], spot.shape[0] // 2
    middle = size // 2
    for a in range(2 * reach + 1):
        for b in range(2 * reach + 1):
            total = 0.0
            for i in range(spot.shape[0]):
                y = middle - reach + a - half + i
                if y < 0 or y >= size:
                    continue
                for j in range(spot.shape[1]):
                    x = middle - reach + b - half + j
                    if 0 <= x < size and mask[y, x] > 0:
                        light = spot[i, j]
                        total += photons[y, x] * math.log(1 + light / expected[y, x]) - light
            out[a, b] = total


@njit(cache=True, fastmath=True)
def _prior(theta: Floats, mean: Floats, precision: Floats) -> float:
    total = 0.0
    for p in range(PARAMETERS):
        total -= 0.5 * precision[p] * (theta[p] - mean[p]) ** 2
    return total


@njit(cache=True, fastmath=True)
def _slopes(
    photons: Floats,
    mask: Floats,
    base: Floats,
    fade: Floats,
    light: Floats,
    changes: Floats,
    n: float,
    levels: Floats,
    optics: Floats,
    first: int,
    gradient: Floats,
    fisher: Floats,
) -> None:
    """Write gradient and Fisher information of the parameters, the backgrounds being free."""
    precision, noise = optics[LEVEL_PRECISION], optics[NOISE]
    m = changes.shape[0]
    gradient[:] = 0.0
    fisher[:] = 0.0
    cross = np.empty(m)
    value = np.empty(m)
    for k in range(first, photons.shape[0]):
        cross[:] = 0.0
        bend = precision
        scale = n * fade[k]
        for i in range(base.shape[0]):
            for j in range(base.shape[1]):
                if mask[k, i, j] > 0:
                    expected = max(levels[k] + base[i, j] + scale * light[k, i, j] + noise, LEAST_EXPECTED)
                    weight = 1 / expected
                    residual = photons[k, i, j] * weight - 1
                    bend += weight
                    for p in range(m):
                        value[p] = scale * changes[p, k, i, j]
                        gradient[p] += residual * value[p]
                        cross[p] += weight * value[p]
                        for q in range(p + 1):
                            fisher[p, q] += weight * value[p] * value[q]
        for p in range(m):
            for q in range(p + 1):
                fisher[p, q] -= cross[p] * cross[q] / bend
    for p in range(m):
        for q in range(p):
            fisher[q, p] = fisher[p, q]


@njit(cache=True, fastmath=True)
def _change(
    theta: Floats,
    free: NDArray[np.int64],
    highest: Floats,
    times_s: Floats,
    centres: Floats,
    optics: Floats,
    edge: bool,
    first: int,
    light: Floats,
    trial: Floats,
    changes: Floats,
) -> None:
    """Write how the light changes with each free parameter, by differences; `trial` is working memory."""
    for p in range(free.shape[0]):
        if free[p] == LOG_N:
            changes[p] = light
            continue
        moved = theta.copy()
        step = STEPS[free[p]]
        if free[p] == START:
            step = 0.02 * (times_s[-1] - times_s[0]) / max(times_s.shape[0] - 1, 1)
        if moved[free[p]] + step > highest[free[p]]:
            step = -step
        moved[free[p]] += step
        draw_light(moved, times_s, centres, optics, edge, first, trial)
        changes[p] = (trial - light) / step


@njit(cache=True, fastmath=True)
def _proposal(
    theta: Floats,
    free: NDArray[np.int64],
    gradient: Floats,
    fisher: Floats,
    prior_mean: Floats,
    prior_precision: Floats,
    lowest: Floats,
    highest: Floats,
    damping: float,
) -> Floats:
    """Return the parameters after one damped scoring step, inside their bounds."""
    slope, bend = gradient.copy(), fisher.copy()
    for p in range(free.shape[0]):
        slope[p] -= prior_precision[free[p]] * (theta[free[p]] - prior_mean[free[p]])
        bend[p, p] += prior_precision[free[p]]
        bend[p, p] += damping * bend[p, p] + 1e-9
    move = np.linalg.solve(bend, slope)
    proposal = theta.copy()
    for p in range(free.shape[0]):
        f = free[p]
        proposal[f] = min(max(theta[f] + min(max(move[p], -1.5), 1.5), lowest[f]), highest[f])
    return proposal


@njit(cache=True, fastmath=True)
def fit_light(
    photons: Floats,
    mask: Floats,
    base: Floats,
    fade: Floats,
    times_s: Floats,
    centres: Floats,
    optics: Floats,
    edge: bool,
    levels: Floats,
    level_mean: Floats,
    first: int,
    start: Floats,
    free: NDArray[np.int64],
    prior_mean: Floats,
    prior_precision: Floats,
    lowest: Floats,
    highest: Floats,
    most_steps: int,
) -> tuple[Floats, float, float, Floats]:
    """Maximise likelihood times prior by damped Fisher scoring.

    Parameters
    ----------
    photons, mask, base, fade, levels, level_mean, first
        As for `log_likelihood`; `levels` is overwritten.
    times_s, centres, edge
        As for `draw_light`.
    optics : ndarray of shape (8,)
    start : ndarray of shape (7,)
        Parameters to start from; those not free stay.
    free : ndarray of shape (M,)
        Numbers of the free parameters.
    prior_mean, prior_precision : ndarray of shape (7,)
        Normal priors; a precision of 0 is none.
    lowest, highest : ndarray of shape (7,)
        Bounds.
    most_steps : int

    Returns
    -------
    theta : ndarray of shape (7,)
    likelihood, posterior : float
        Log-likelihood, and with the log of the priors but for their constants.
    information : ndarray of shape (M, M)
        Fisher information of the free parameters, without the priors.
    """
    m = free.shape[0]
    frames, size = photons.shape[0], photons.shape[1]
    theta = start.copy()
    light = np.zeros((frames, size, size))
    trial = np.zeros((frames, size, size))
    changes = np.zeros((m, frames, size, size))
    by_frame = np.zeros(frames)
    gradient, fisher = np.zeros(m), np.zeros((m, m))
    draw_light(theta, times_s, centres, optics, edge, first, light)
    likelihood = log_likelihood(
        photons, mask, base, fade, light, math.exp(theta[LOG_N]), levels, level_mean, optics, first, by_frame,
    )  # fmt: skip
    best = likelihood + _prior(theta, prior_mean, prior_precision)
    damping = 1e-2
    fresh = True
    for _ in range(most_steps):
        if fresh:
            _change(theta, free, highest, times_s, centres, optics, edge, first, light, trial, changes)
            _slopes(
                photons, mask, base, fade, light, changes, math.exp(theta[LOG_N]), levels, optics, first,
                gradient, fisher,
            )  # fmt: skip
        proposal = _proposal(
            theta, free, gradient, fisher, prior_mean, prior_precision, lowest, highest, damping
        )
        kept = levels.copy()
        draw_light(proposal, times_s, centres, optics, edge, first, trial)
        tried = log_likelihood(
            photons, mask, base, fade, trial, math.exp(proposal[LOG_N]), levels, level_mean, optics, first,
            by_frame,
        )  # fmt: skip
        better = tried + _prior(proposal, prior_mean, prior_precision)
        if better > best:
            gained = better - best
            theta, best, likelihood, fresh = proposal, better, tried, True
            light, trial = trial, light
            damping = max(damping * 0.2, 1e-6)
            if gained < 0.01:
                break
        else:
            levels[:] = kept
            fresh = False
            damping *= 6
            if damping > 1e6:
                break
    return theta, likelihood, best, fisher
