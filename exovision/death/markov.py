"""A chain of states in continuous time whose deaths are final, and its posterior on irregular times."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import expm

from exovision.settings import DeathSettings

Floats = NDArray[np.float64]

STATES = ("live", "mitotic", "early", "late", "secondary", "swelling", "lytic", "debris")
LIVE, MITOTIC, EARLY, LATE, SECONDARY, SWELLING, LYTIC, DEBRIS = range(len(STATES))
DEAD = (EARLY, LATE, SECONDARY, SWELLING, LYTIC, DEBRIS)
APOPTOTIC_PATH, LYTIC_PATH = (EARLY, LATE, SECONDARY), (SWELLING, LYTIC)
NAMES = {
    "live": "live",
    "mitotic": "mitotic",
    "early": "early_apoptotic",
    "late": "late_apoptotic",
    "secondary": "secondary_necrotic",
    "swelling": "lytic",
    "lytic": "lytic",
    "debris": "debris",
}
"""The contract's state of each hidden one."""

MINUTES, SECONDS = 60.0, 3600.0
"""In an hour."""
SWELLING_H, NECROSIS_H, LOOSENING_H = 1 / 6, 2.0, 100.0
"""Mean time of swelling until a cell bursts, from condensation to permeability, and until remains come loose
(SCIENCE 5 and 7)."""
AT_FIRST = (0.946, 0.03, 0.005, 0.005, 0.005, 0.001, 0.004, 0.004)
AT_BIRTH = (0.3, 0.69, 0.002, 0.001, 0.001, 0.001, 0.001, 0.004)
AT_SMALL = (0.33, 0.005, 0.005, 0.02, 0.03, 0.005, 0.005, 0.6)
"""How likely each state is when a track begins, when it begins by a division, and of what is far smaller
than a cell."""


def rates_per_h(settings: DeathSettings) -> Floats:
    """Return the generator of the chain, 1/h, shape (8, 8): live ↔ mitotic, and deaths without return."""
    rates = np.zeros((len(STATES), len(STATES)))
    rates[LIVE, MITOTIC] = settings.divisions_per_h
    rates[MITOTIC, LIVE] = MINUTES / settings.mitosis_min
    for alive in (LIVE, MITOTIC):
        rates[alive, EARLY] = settings.deaths_per_h * (1 - settings.lytic_share)
        rates[alive, SWELLING] = settings.deaths_per_h * settings.lytic_share
    rates[EARLY, LATE] = MINUTES / settings.execution_min
    rates[LATE, SECONDARY] = 1 / NECROSIS_H
    rates[SWELLING, LYTIC] = 1 / SWELLING_H
    rates[[LATE, SECONDARY, LYTIC], DEBRIS] = 1 / LOOSENING_H
    np.fill_diagonal(rates, -rates.sum(axis=1))
    return rates


def smooth(
    log_emission: Floats, times_s: Floats, rates: Floats, *, at_first: tuple[float, ...] = AT_FIRST
) -> Floats:
    r"""Return the posterior of the state at each time by the forward–backward algorithm.

    Parameters
    ----------
    log_emission : ndarray of shape (T, 8)
        Log-likelihood of what was seen at each time, by state, up to a constant per time.
    times_s : ndarray of shape (T,)
        Increasing, s; any spacing.
    rates : ndarray of shape (8, 8)
        Generator, 1/h.
    at_first : tuple of float
        How likely each state is at the first time, before anything was seen.

    Returns
    -------
    ndarray of shape (T, 8)
        Rows sum to 1. The sum over states without return never falls.

    Notes
    -----
    .. math:: P(\Delta t) = e^{Q \\Delta t}

    between neighbouring times, where Q are the rates (doi:10.1109/5.18626 for the recursion).
    """
    n = len(times_s)
    seen = np.exp(log_emission - log_emission.max(axis=1, keepdims=True)) + 1e-300
    steps = _transitions(times_s, rates)
    forward, backward = np.empty_like(seen), np.ones_like(seen)
    forward[0] = _unit(np.array(at_first) * seen[0])
    for t in range(1, n):
        forward[t] = _unit((forward[t - 1] @ steps[t - 1]) * seen[t])
    for t in range(n - 2, -1, -1):
        backward[t] = _unit(steps[t] @ (seen[t + 1] * backward[t + 1]))
    posterior = forward * backward
    return np.asarray(posterior / posterior.sum(axis=1, keepdims=True), dtype=np.float64)


def _transitions(times_s: Floats, rates: Floats) -> list[Floats]:
    known: dict[int, Floats] = {}
    steps = []
    for gap_s in np.rint(np.diff(times_s)).astype(np.int64).tolist():
        if gap_s not in known:
            known[gap_s] = expm(rates * max(gap_s, 1) / SECONDS)
        steps.append(known[gap_s])
    return steps


def _unit(values: Floats) -> Floats:
    return np.asarray(values / values.sum(), dtype=np.float64)
