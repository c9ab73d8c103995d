"""Free, confined and directed motion: a Kalman filter of each per track, weighed by what it did so far."""

from __future__ import annotations

import numpy as np
from numba import njit
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

DIFFUSION, JITTER, ACCELERATION, SPEED = range(4)
"""Columns of a model: variance per axis of a step, of each position about its place, of the change of
velocity, all per frame and in px², and of the velocity at first."""
Y, X, VY, VX, PLACE, CROSS, VELOCITY = range(7)
"""Columns of a filter's state: place and velocity (px, px per frame), and their covariance, the same on both
axes."""
STATE_COLUMNS = 7
SWITCH = 0.03
"""Chance per sighting that a track changes its way of moving (P)."""
FREE_STEPS = 0.01, 0.4, 5
CONFINED = 0.1
DIRECTED, LARGEST_SPEED = ((0.04, 0.02), (0.1, 0.05)), 0.3
"""Standard deviations as shares of the largest step: of free steps (least, largest, how many), about a
place, of the steps and changes of velocity beside directed motion, and of its
velocity (P)."""
NEGLIGIBLE = 20.0
"""Exponent of a density beyond which it adds nothing to that of the strays."""
STRAY, LEAST_VARIANCE = 0.01, 1e-4
"""Share of steps that follow no model and end anywhere within reach; least variance of a place,
px² (P)."""


def motion_models(reach_px: float) -> Floats:
    """Return free, confined and directed models on the scale of the largest step.

    Parameters
    ----------
    reach_px : float
        Largest step between consecutive frames, px.

    Returns
    -------
    ndarray of shape (M, 4)
        `DIFFUSION, JITTER, ACCELERATION, SPEED` of each.
    """
    free = [((share * reach_px) ** 2, 0.0, 0.0, 0.0) for share in np.geomspace(*FREE_STEPS)]
    confined = [((0.004 * reach_px) ** 2, (CONFINED * reach_px) ** 2, 0.0, 0.0)]
    speed = (LARGEST_SPEED * reach_px) ** 2
    directed = [((a * reach_px) ** 2, 0.0, (b * reach_px) ** 2, speed) for a, b in DIRECTED]
    return np.array(free + confined + directed)


@njit(cache=True)
def start(states: Floats, places: Floats, variance: Floats, models: Floats) -> None:
    """Begin the filters of N tracks in place: `states` (N, M, 7), `places` (N, 2) in px, `variance` (N,)."""
    for i in range(len(states)):
        for m in range(len(models)):
            states[i, m] = 0.0
            states[i, m, Y], states[i, m, X] = places[i, 0], places[i, 1]
            states[i, m, PLACE] = variance[i] + models[m, JITTER]
            states[i, m, VELOCITY] = models[m, SPEED]


@njit(cache=True)
def log_density(
    state: Floats,
    weight: Floats,
    models: Floats,
    waited: float,
    y: float,
    x: float,
    variance: float,
    reach: float,
) -> float:
    """Return the log density, per px², of finding a track at a place after some frames.

    `state` (M, 7) and `weight` (M,) of its filters; `variance` of the place, px²; those that follow no
    model are anywhere within `reach`, px.
    """
    total = STRAY / (np.pi * reach**2)
    for m in range(len(models)):
        spread = _place_variance(state[m], models[m], waited) + models[m, JITTER] + variance
        dy = y - state[m, Y] - waited * state[m, VY]
        dx = x - state[m, X] - waited * state[m, VX]
        exponent = 0.5 * (dy * dy + dx * dx) / spread
        if exponent < NEGLIGIBLE:
            total += (1 - STRAY) * weight[m] * np.exp(-exponent) / (2 * np.pi * spread)
    return float(np.log(total))


@njit(cache=True)
def update(
    state: Floats,
    weight: Floats,
    models: Floats,
    prior: Floats,
    waited: float,
    y: float,
    x: float,
    variance: float,
) -> None:
    """Take a sighting into the filters and weights of a track, in place; `prior` (M,) is the population's."""
    scale = 0.0
    for m in range(len(models)):
        s, model = state[m], models[m]
        place = _place_variance(s, model, waited)
        cross = s[CROSS] + waited * s[VELOCITY] + 0.5 * model[ACCELERATION] * waited**2
        velocity = s[VELOCITY] + model[ACCELERATION] * waited
        spread = place + model[JITTER] + variance
        dy, dx = y - s[Y] - waited * s[VY], x - s[X] - waited * s[VX]
        weight[m] *= np.exp(-0.5 * (dy * dy + dx * dx) / spread) / spread + 1e-12
        scale += weight[m]
        gain, along = place / spread, cross / spread
        s[Y] += waited * s[VY] + gain * dy
        s[X] += waited * s[VX] + gain * dx
        s[VY] += along * dy
        s[VX] += along * dx
        s[PLACE], s[CROSS], s[VELOCITY] = place - gain * place, cross - gain * cross, velocity - along * cross
    for m in range(len(models)):
        weight[m] = (1 - SWITCH) * weight[m] / scale + SWITCH * prior[m]


@njit(cache=True)
def _place_variance(state: Floats, model: Floats, waited: float) -> float:
    """Return the variance of a place predicted some frames ahead, px²."""
    ahead = state[PLACE] + 2 * waited * state[CROSS] + waited**2 * state[VELOCITY]
    return float(ahead + model[ACCELERATION] * waited**3 / 3 + model[DIFFUSION] * waited + LEAST_VARIANCE)
