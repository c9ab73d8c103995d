"""Diffusion, gain, release time and spread share of one event, with 95 % intervals."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from exovision.events.hypotheses import Fit, Priors
from exovision.events.hypothesis_fits import MOST_STEPS, maximise
from exovision.events.sequences import PatchSequence, Scenery
from exovision.events.verdicts import Estimate
from exovision.numerics.release import LOG_D, LOG_GAIN, LOG_N, LOG_TAU, PARAMETERS, SHARE, START

Floats = NDArray[np.float64]

MISFIT = 2.0
"""Variance of estimates over that from counting light alone: passing vesicles, curved membranes and a place
that wanders are not in the models. Calibrated on the simulator's patch sequences (seeds 5 and 6)."""
DROP = 1.9207 * MISFIT
"""Fall of the log-likelihood at the ends of a 95 % interval: half the 95 % quantile of χ² with one degree."""
TRIES = 4
FEW_STEPS = 6
LOWEST = {LOG_D: np.log(0.01), LOG_GAIN: np.log(0.05), LOG_TAU: np.log(0.003), SHARE: 0.05}
HIGHEST = {LOG_D: np.log(20.0), LOG_GAIN: np.log(30.0), LOG_TAU: np.log(60.0), SHARE: 1.0}
"""What can be estimated at all: µm²/s, times, s, share."""


def estimate(
    patch: PatchSequence, scenery: Scenery, fit: Fit, *, pixel_size_um: float
) -> dict[str, Estimate]:
    r"""Return maximum-likelihood estimates with intervals from the profile likelihood.

    .. math:: \{\theta_i: \ln L(\hat\theta) - \max_{\theta_{j \ne i}} \ln L \le 1.92\,c\}

    where c = 2 stands for what the models leave out.

    Parameters
    ----------
    patch : PatchSequence
    scenery : Scenery
    fit : Fit
        Of a spreading model; its geometry is kept, its priors are dropped.
    pixel_size_um : float

    Returns
    -------
    dict of str to Estimate
        `diffusion_um2_s`, `dequench_gain`, `release_tau_s`, `spread_fraction`. An end that lies at the limit
        of what can be estimated is given there.

    References
    ----------
    Venzon & Moolgavkar 1988, doi:10.2307/2347496.
    """
    known = _free_range(patch, scenery, pixel_size_um)
    whole = fit.name == "spreads"
    free = np.array([START, LOG_D, LOG_GAIN, LOG_TAU, *([] if whole else [SHARE]), LOG_N], dtype=np.int64)
    best = maximise(patch, scenery, fit.theta, free, known, fit.edge, 2 * MOST_STEPS)
    shown = {
        parameter: _interval(patch, scenery, fit.edge, best, free, known, parameter)
        for parameter in (LOG_D, LOG_GAIN, LOG_TAU)
    }
    with_share = np.append(free[:-1], [SHARE, LOG_N]) if whole else free
    shares = _interval(patch, scenery, fit.edge, best, with_share, known, SHARE)
    area = np.log(pixel_size_um**2)
    return {
        "diffusion_um2_s": Estimate(*(float(np.exp(v + area)) for v in shown[LOG_D])),
        "dequench_gain": Estimate(*(float(np.exp(v)) for v in shown[LOG_GAIN])),
        "release_tau_s": Estimate(*(float(np.exp(v)) for v in shown[LOG_TAU])),
        "spread_fraction": Estimate(*map(float, shares)),
    }


def _free_range(patch: PatchSequence, scenery: Scenery, pixel_size_um: float) -> Priors:
    """Return bounds without priors."""
    lowest, highest = np.full(PARAMETERS, -np.inf), np.full(PARAMETERS, np.inf)
    for parameter in LOWEST:
        lowest[parameter], highest[parameter] = LOWEST[parameter], HIGHEST[parameter]
    for bound in (lowest, highest):
        bound[LOG_D] -= 2 * np.log(pixel_size_um)
    lowest[START] = float(patch.times_s[patch.before - 1])
    highest[START] = float(patch.times_s[patch.latest])
    lowest[LOG_N], highest[LOG_N] = np.log(scenery.n) - 3, np.log(scenery.n) + 3
    return Priors(np.zeros(PARAMETERS), np.zeros(PARAMETERS), lowest, highest)


def _interval(
    patch: PatchSequence,
    scenery: Scenery,
    edge: bool,
    best: tuple[Floats, float, float, Floats],
    free: NDArray[np.int64],
    known: Priors,
    parameter: int,
) -> tuple[float, float, float]:
    theta, top = best[0], best[1]
    others = free[free != parameter]

    def fall(value: float, start: Floats) -> tuple[float, Floats]:
        moved = start.copy()
        moved[parameter] = value
        found = maximise(patch, scenery, moved, others, known, edge, FEW_STEPS)
        return top - found[1], found[0]

    scale = _error(best[3], free, parameter)
    ends = []
    for sign, limit in ((-1.0, known.lowest[parameter]), (1.0, known.highest[parameter])):
        ends.append(_end(fall, theta, float(theta[parameter]), sign, float(limit), scale))
    return float(theta[parameter]), ends[0], ends[1]


def _error(information: Floats, free: NDArray[np.int64], parameter: int) -> float:
    """Return a first guess of the standard error."""
    at = np.flatnonzero(free == parameter)
    if len(at) and len(information) == len(free):
        covariance = np.linalg.pinv(information + 1e-6 * np.eye(len(information)))
        variance = float(covariance[at[0], at[0]])
        return float(np.clip(np.sqrt(max(variance, 1e-4)), 0.02, 1.5))
    return 0.2


def _end(fall, theta: Floats, value: float, sign: float, limit: float, scale: float) -> float:  # type: ignore[no-untyped-def]
    """Search for the place where the profile has fallen by `DROP`; the limit if it does not."""
    step, inner, outer = 1.96 * scale, 0.0, np.inf
    drop_inner, drop_outer = 0.0, np.inf
    start = theta
    for _ in range(TRIES + 2):
        place = value + sign * step
        if (place - limit) * sign >= 0:
            place, step = limit, abs(limit - value)
        drop, found = fall(place, start)
        drop = max(drop, 0.0)
        if abs(drop - DROP) < 0.1:
            return place
        if drop < DROP:
            if place == limit:
                return limit
            inner, drop_inner, start = step, drop, found
        else:
            outer, drop_outer = step, drop
        step = _next(step, inner, drop_inner, outer, drop_outer)
    return value + sign * step


def _next(step: float, inner: float, drop_inner: float, outer: float, drop_outer: float) -> float:
    """Return the next distance to try; the fall is taken to grow with the square of the distance."""
    if not np.isfinite(outer):
        return step * float(np.clip(np.sqrt(DROP / max(drop_inner, 1e-3)), 1.1, 3.0))
    a, b = np.sqrt(drop_inner), np.sqrt(drop_outer)
    return float(inner + (outer - inner) * (np.sqrt(DROP) - a) / max(b - a, 1e-9))
