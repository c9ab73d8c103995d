"""The light of a spot whose dye is let into a membrane, frame by frame, and its fit by maximum likelihood."""

from __future__ import annotations

import math

import numpy as np
from numba import njit
from numpy.typing import NDArray

Floats = NDArray[np.float64]

START, LOG_D, LOG_GAIN, LOG_TAU, SHARE, SPEED, LOG_N = range(7)
"""Parameters: start of the change, s; ln of D, px²/s; ln of the gain; ln of the release time, s; released
share; speed out of focus, px/s; ln of the photons before the change."""
PARAMETERS = 7
SIGMA, SIGMA_Z, NORMAL_Y, NORMAL_X, EXPOSURE, NOISE, LEVEL_PRECISION, AT_ONCE = range(8)
"""Optics: widths of the PSF, lateral and axial, px; unit normal of the membrane; exposure, s; variance of the
read noise; precision of the background of each frame; 1 if the gain is there from the start, as when a pH
changes, and not by dilution."""

NODES = 8
"""Classes of age: the released dye is as many rings."""
TABLE_STEP = 0.5
PIXEL_VARIANCE = 1 / 12
"""A pixel integrates over its square: that adds this variance to a point's image, px²."""
NO_SPREAD = -20.0
STEPS = np.array([0.02, 0.02, 0.02, 0.03, 0.01, 0.02, 0.0])
LEAST_EXPECTED = 1e-3
LEVEL_STEPS = 2


@njit(cache=True, fastmath=True)
def _spot(out: Floats, y: float, x: float, variance: float, total: float) -> None:
    """Add a round spot to an image of shape (P, P) whose centre is (0, 0)."""
    size = out.shape[0]
    middle = size // 2
    scale = -0.5 / variance
    height = -scale / math.pi * total
    columns = np.empty(size)
    for j in range(size):
        columns[j] = math.exp(scale * (j - middle - x) ** 2)
    for i in range(size):
        row = height * math.exp(scale * (i - middle - y) ** 2)
        for j in range(size):
            out[i, j] += row * columns[j]


@njit(cache=True, fastmath=True)
def _add_rings(
    table: Floats, age_s: float, weight: float, d: float, variance: float, depth: float, edge: bool
) -> None:
    """Add dye of one age to the table of brightness over squared distance."""
    wide = variance + 2 * d * age_s
    if edge:
        value = weight / math.sqrt(2 * math.pi * wide) * math.sqrt(depth / (depth + 2 * d * age_s))
    else:
        value = weight / (2 * math.pi * wide)
    ratio = math.exp(-TABLE_STEP / (2 * wide))
    for i in range(table.shape[0]):
        table[i] += value
        value *= ratio


@njit(cache=True, fastmath=True)
def _add_ages(
    table: Floats, after: float, tau: float, light: float, d: float, variance: float, depth: float, edge: bool
) -> None:
    """Add all dye that left in the time `after`, as rings whose age grows by a constant factor."""
    least = max(variance / (8 * d), 1e-6 * after)
    growth = math.log(1 + after / least) / NODES
    low = 0.0
    for node in range(NODES):
        high = least * (math.exp(growth * (node + 1)) - 1) if node < NODES - 1 else after
        width = (high - low) / tau
        part = 1 - math.exp(-width)
        weight = light * math.exp(-(after - high) / tau) * part
        if weight > 1e-12:
            age = high - tau + (high - low) * (1 - part) / part if width > 1e-3 else 0.5 * (low + high)
            _add_rings(table, age, weight, d, variance, depth, edge)
        low = high


@njit(cache=True, fastmath=True)
def _paint(
    out: Floats, table: Floats, y: float, x: float, variance: float, normal: Floats, edge: bool
) -> None:
    """Add the table to an image: by distance on a flat membrane, along the contour on one seen edge-on."""
    size = out.shape[0]
    middle = size // 2
    across = 1 / math.sqrt(2 * math.pi * variance)
    for i in range(size):
        dy = i - middle - y
        for j in range(size):
            dx = j - middle - x
            factor = 1.0
            if edge:
                off = dy * normal[0] + dx * normal[1]
                factor = across * math.exp(-off * off / (2 * variance))
                along = dx * normal[0] - dy * normal[1]
                place = along * along / TABLE_STEP
            else:
                place = (dy * dy + dx * dx) / TABLE_STEP
            cell = min(int(place), table.shape[0] - 2)
            part = place - cell
            out[i, j] += factor * ((1 - part) * table[cell] + part * table[cell + 1])


@njit(cache=True, fastmath=True)
def draw_light(
    theta: Floats,
    times_s: Floats,
    centres: Floats,
    optics: Floats,
    edge: bool,
    first: int,
    out: Floats,
) -> None:
    r"""Write the light of one photon before the change, from frame `first` on.

    Parameters
    ----------
    theta : ndarray of shape (7,)
        By `START` to `SPEED`; with an ln of D below -20 the released dye stays on the spot.
    times_s : ndarray of shape (K,)
    centres : ndarray of shape (K, 2)
        Of the spot, px from the middle of the patch.
    optics : ndarray of shape (8,)
        By `SIGMA` to `AT_ONCE`.
    edge : bool
        Whether the membrane is seen edge-on.
    first : int
    out : ndarray of shape (K, P, P)
        Overwritten.

    Notes
    -----
    Dye that quenches itself in proportion to its density shines, with a share f left in the vesicle, with
    :math:`f\,(Q - (Q - 1) f)` of the light before, where Q is the gain; what was released shines with
    :math:`Q (1 - f)`. A gain below 1 is loss on release only.
    """
    sigma, sigma_z, normal = optics[SIGMA], optics[SIGMA_Z], optics[NORMAL_Y : NORMAL_Y + 2]
    at_once = optics[AT_ONCE] > 0
    start, share, speed = theta[START], theta[SHARE], theta[SPEED]
    d, gain, tau = math.exp(theta[LOG_D]), math.exp(theta[LOG_GAIN]), math.exp(theta[LOG_TAU])
    variance = sigma * sigma + PIXEL_VARIANCE
    size = out.shape[1]
    table = np.empty(int(1.6 * size * size / TABLE_STEP) + 2)
    origin = 0
    for k in range(times_s.shape[0]):
        if times_s[k] <= start:
            origin = k
    half = 0.2887 * optics[EXPOSURE]
    for k in range(first, times_s.shape[0]):
        out[k] = 0.0
        table[:] = 0.0
        kept, stays = 0.0, 0.0
        spreads = False
        for side in (-1.0, 1.0):
            after = times_s[k] + side * half - start
            if after <= 0:
                kept += 0.5
                continue
            released = 1 - math.exp(-after / tau)
            left = 1 - share * released
            if theta[LOG_D] < NO_SPREAD:
                kept += 0.5 * left
                stays += 0.5 * gain * share * released
                continue
            if at_once:
                kept += 0.5 * gain * left
            elif gain > 1:
                kept += 0.5 * left * (gain - (gain - 1) * left)
            else:
                kept += 0.5 * left
            if share * gain * released > 1e-9:
                spreads = True
                _add_ages(table, after, tau, 0.5 * gain * share, d, variance, sigma_z * sigma_z, edge)
        kept += stays
        if kept > 1e-9:
            off = speed * max(times_s[k] - start, 0.0) / sigma_z
            _spot(out[k], centres[k, 0], centres[k, 1], variance * (1 + off * off), kept)
        if spreads:
            _paint(out[k], table, centres[origin, 0], centres[origin, 1], variance, normal, edge)


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
            for p in range(m):
                if free[p] == LOG_N:
                    changes[p] = light
                    continue
                moved = theta.copy()
                step = STEPS[free[p]]
                if free[p] == START:
                    step = 0.02 * (times_s[-1] - times_s[0]) / max(frames - 1, 1)
                if moved[free[p]] + step > highest[free[p]]:
                    step = -step
                moved[free[p]] += step
                draw_light(moved, times_s, centres, optics, edge, first, trial)
                changes[p] = (trial - light) / step
            _slopes(
                photons, mask, base, fade, light, changes, math.exp(theta[LOG_N]), levels, optics, first,
                gradient, fisher,
            )  # fmt: skip
        slope = gradient.copy()
        bend = fisher.copy()
        for p in range(m):
            slope[p] -= prior_precision[free[p]] * (theta[free[p]] - prior_mean[free[p]])
            bend[p, p] += prior_precision[free[p]]
            bend[p, p] += damping * bend[p, p] + 1e-9
        move = np.linalg.solve(bend, slope)
        proposal = theta.copy()
        for p in range(m):
            f = free[p]
            proposal[f] = min(max(theta[f] + min(max(move[p], -1.5), 1.5), lowest[f]), highest[f])
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
