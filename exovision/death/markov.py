"""A chain of states in continuous time whose deaths are final, and its posterior on irregular times."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import expm

from exovision.settings import DeathSettings

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

STATES = ("live", "mitotic", "covered", "early", "late", "secondary", "swelling", "lytic", "debris")
"""A covered cell lives under a piece of something stained that floats by."""
LIVE, MITOTIC, COVERED, EARLY, LATE, SECONDARY, SWELLING, LYTIC, DEBRIS = range(len(STATES))
DEAD = (EARLY, LATE, SECONDARY, SWELLING, LYTIC, DEBRIS)
APOPTOTIC_PATH, LYTIC_PATH = (EARLY, LATE, SECONDARY), (SWELLING, LYTIC)
MITOTIC_STAGES, COVERED_STAGES = 8, 2
"""What returns goes through so many stages of equal mean length: none lasts for hours, as death does."""
ALIVE = (LIVE, *(MITOTIC,) * MITOTIC_STAGES, *(COVERED,) * COVERED_STAGES)
N_ALIVE = len(ALIVE)
NAMES = {
    "live": "live",
    "mitotic": "mitotic",
    "covered": "live",
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
COVERED_PER_H, COVERED_H = 0.02, 0.75
"""How often something stained floats over a cell, and how long it takes (P)."""
AT_FIRST = (0.936, 0.03, 0.01, 0.005, 0.005, 0.005, 0.001, 0.004, 0.004)
AT_BIRTH = (0.295, 0.69, 0.005, 0.002, 0.001, 0.001, 0.001, 0.001, 0.004)
AT_SMALL = (0.325, 0.005, 0.005, 0.005, 0.02, 0.03, 0.005, 0.005, 0.6)
AT_APPEARED = (0.15, 0.005, 0.005, 0.01, 0.03, 0.03, 0.005, 0.005, 0.76)
"""How likely each state is when a track begins, when it begins by a division, of what is far smaller than a
cell, and of what appears in the midst of the field: mostly remains (seeds 811 to 822)."""


def rates_per_h(settings: DeathSettings) -> Floats:
    """Return the generator of the chain, 1/h, shape (9, 9): mitoses that return, deaths that do not."""
    rates = np.zeros((len(STATES), len(STATES)))
    rates[LIVE, MITOTIC] = settings.divisions_per_h
    rates[MITOTIC, LIVE] = MINUTES / settings.mitosis_min
    rates[[LIVE, MITOTIC], COVERED] = COVERED_PER_H
    rates[COVERED, LIVE] = 1 / COVERED_H
    for alive in (LIVE, MITOTIC, COVERED):
        rates[alive, EARLY] = settings.deaths_per_h * (1 - settings.lytic_share)
        rates[alive, SWELLING] = settings.deaths_per_h * settings.lytic_share
    rates[EARLY, LATE] = MINUTES / settings.execution_min
    rates[LATE, SECONDARY] = 1 / NECROSIS_H
    rates[SWELLING, LYTIC] = 1 / SWELLING_H
    rates[[LATE, SECONDARY, LYTIC], DEBRIS] = 1 / LOOSENING_H
    np.fill_diagonal(rates, -rates.sum(axis=1))
    return rates


def smooth(
    log_emission: Floats,
    times_s: Floats,
    rates: Floats,
    *,
    at_first: tuple[float, ...] = AT_FIRST,
    since: Floats | None = None,
    group: Ints | None = None,
) -> Floats:
    r"""Return the posterior of the state at each time by the forward–backward algorithm.

    Parameters
    ----------
    log_emission : ndarray of shape (T, 9)
        Log-likelihood of what was seen at each time, by state, up to a constant per time.
    times_s : ndarray of shape (T,)
        Increasing, s; any spacing.
    rates : ndarray of shape (9, 9)
        Generator, 1/h.
    at_first : tuple of float
        How likely each state is at the first time, before anything was seen.
    since : ndarray of shape (K, T, 6), optional
        Log-likelihood of the states without return if dying began in the k-th group of times; replaces that
        in `log_emission`, which does not depend on when it began.
    group : ndarray of shape (T,)
        Group of each time, with `since`.

    Returns
    -------
    ndarray of shape (T, 9)
        Rows sum to 1. The sum over states without return never falls.

    Notes
    -----
    .. math:: P(\Delta t) = e^{Q \Delta t}

    between neighbouring times, where Q are the rates (doi:10.1109/5.18626 for the recursion). The states
    without return are there once per group of onsets, entered only at its times; what returns takes a
    gamma-distributed time.
    """
    n = len(times_s)
    final = log_emission[None, :, DEAD[0] :] if since is None else since
    entry = np.zeros(n, dtype=np.int64) if group is None else group
    top = np.maximum(log_emission[:, : DEAD[0]].max(axis=1), final.max(axis=(0, 2)))
    alive = np.exp(log_emission[:, ALIVE] - top[:, None]) + 1e-300
    dead = np.exp(np.swapaxes(final, 0, 1) - top[:, None, None]) + 1e-300
    steps = _transitions(times_s, _in_stages(rates))
    first = np.array(at_first)
    living, dying = first[list(ALIVE)] / np.bincount(ALIVE)[list(ALIVE)] * alive[0], np.zeros(dead.shape[1:])
    dying[entry[0]] = first[DEAD[0] :] * dead[0, entry[0]]
    forward = [_unit(living, dying)]
    for t in range(1, n):
        (living, dying), step = forward[-1], steps[t - 1]
        onward = dying @ step[N_ALIVE:, N_ALIVE:]
        onward[entry[t]] += living @ step[:N_ALIVE, N_ALIVE:]
        forward.append(_unit(living @ step[:N_ALIVE, :N_ALIVE] * alive[t], onward * dead[t]))
    backward = (np.ones(N_ALIVE), np.ones(dead.shape[1:]))
    posterior = np.empty((n, len(STATES)))
    for t in range(n - 1, -1, -1):
        if t < n - 1:
            ahead, step = (alive[t + 1] * backward[0], dead[t + 1] * backward[1]), steps[t]
            here = step[:N_ALIVE] @ np.concatenate([ahead[0], ahead[1][entry[t + 1]]])
            backward = _unit(here, ahead[1] @ step[N_ALIVE:, N_ALIVE:].T)
        living, dying = (one * two for one, two in zip(forward[t], backward))
        posterior[t] = np.concatenate([np.bincount(ALIVE, weights=living), dying.sum(axis=0)])
    return np.asarray(posterior / posterior.sum(axis=1, keepdims=True), dtype=np.float64)


def _in_stages(rates: Floats) -> Floats:
    """Return the generator in which what returns has stages, each entered from the one before."""
    whole = np.array((*ALIVE, *DEAD))
    staged = np.array(rates[np.ix_(whole, whole)])
    staged[:N_ALIVE, :N_ALIVE] = 0.0
    covered = 1 + MITOTIC_STAGES
    for state, first, stages in ((MITOTIC, 1, MITOTIC_STAGES), (COVERED, covered, COVERED_STAGES)):
        staged[0, first] = rates[LIVE, state]
        for stage in range(first, first + stages):
            ahead = stage + 1 if stage + 1 < first + stages else 0
            staged[stage, ahead] = stages * rates[state, LIVE]
    staged[1:covered, covered] = rates[MITOTIC, COVERED]
    np.fill_diagonal(staged, 0.0)
    np.fill_diagonal(staged, -staged.sum(axis=1))
    return staged


def _transitions(times_s: Floats, rates: Floats) -> list[Floats]:
    known: dict[int, Floats] = {}
    steps = []
    for gap_s in np.rint(np.diff(times_s)).astype(np.int64).tolist():
        if gap_s not in known:
            known[gap_s] = expm(rates * max(gap_s, 1) / SECONDS)
        steps.append(known[gap_s])
    return steps


def _unit(living: Floats, dying: Floats) -> tuple[Floats, Floats]:
    total = living.sum() + dying.sum()
    return living / total, dying / total
