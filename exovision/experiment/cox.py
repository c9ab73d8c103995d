"""A Cox model with exposures that change over time, and standard errors that know of wells and donors."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy import stats

Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]
Ints = NDArray[np.int64]

STEPS = 40
TOLERANCE = 1e-9
FLAT = 1e-6
"""Where the information has fallen to this share the likelihood only creeps: there is no finite estimate."""


class RiskPairs(NamedTuple):
    """Who could have died at each death: one row per death and cell at risk, grouped by death.

    Attributes
    ----------
    cell : ndarray of shape (M,)
        Row of the cell.
    death : ndarray of shape (M,)
        Number of the death, 0 to K − 1.
    weight : ndarray of shape (M,)
        1, or less for cells that die at the same instant (Efron's ties).
    time_s : ndarray of shape (M,)
        When the death happened.
    start, case : ndarray of shape (K,)
        First row of each death, and the row of the cell that died.
    """

    cell: Ints
    death: Ints
    weight: Floats
    time_s: Floats
    start: Ints
    case: Ints


@dataclass(frozen=True)
class HazardFit:
    """Log hazard ratios with their robust covariance.

    Attributes
    ----------
    beta : ndarray of shape (P,)
        NaN where the data do not determine it.
    covariance : ndarray of shape (P, P)
        Between clusters, corrected for their small number.
    model_variance : ndarray of shape (P,)
        What it would be if every cell were independent.
    log_likelihood : float
    deaths, clusters : int
        Clusters are those with any death.
    """

    beta: Floats
    covariance: Floats
    model_variance: Floats
    log_likelihood: float
    deaths: int
    clusters: int

    def interval(self, contrast: Floats) -> tuple[float, float, float, float]:
        """Return a linear combination of the coefficients, its 95 % limits (t, clusters − 1), and p."""
        value = float(contrast @ self.beta)
        error = math.sqrt(max(float(contrast @ self.covariance @ contrast), 0.0))
        if not (np.isfinite(value) and error > 0 and self.clusters > 1):
            return value, np.nan, np.nan, np.nan
        reach = float(stats.t.ppf(0.975, self.clusters - 1)) * error
        p = 2 * float(stats.t.sf(abs(value) / error, self.clusters - 1))
        return value, value - reach, value + reach, p


def pair_at_risk(entry_s: Floats, exit_s: Floats, died: Bools, stratum: Ints) -> RiskPairs:
    """List, for each death, the cells of the same stratum that were watched then.

    Parameters
    ----------
    entry_s, exit_s : ndarray of shape (N,)
        Each cell is at risk after its entry, up to and including its exit.
    died : ndarray of shape (N,)
        Whether the exit is a death.
    stratum : ndarray of shape (N,)
        Cells are compared within a stratum only: each has its own baseline hazard.

    Returns
    -------
    RiskPairs
        Without deaths at which no other cell was watched: they tell nothing.

    References
    ----------
    Andersen and Gill 1982, doi:10.1214/aos/1176345976; Efron 1977, doi:10.1080/01621459.1977.10480613.
    """
    parts = [
        _pairs_of(np.flatnonzero(stratum == level), entry_s, exit_s, died)
        for level in np.unique(stratum[died])
    ]
    sizes = np.concatenate([part[0] for part in parts]) if parts else np.empty(0, dtype=np.int64)
    start = np.cumsum(sizes) - sizes
    if not parts:
        empty = np.empty(0, dtype=np.int64)
        return RiskPairs(empty, empty, np.empty(0), np.empty(0), empty, empty)
    cell, weight, time, offset = (np.concatenate([part[k] for part in parts]) for k in (1, 2, 3, 4))
    death = np.repeat(np.arange(len(sizes)), sizes)
    return RiskPairs(cell, death, weight, time, start, start + offset)


def _pairs_of(
    rows: Ints, entry_s: Floats, exit_s: Floats, died: Bools
) -> tuple[Ints, Ints, Floats, Floats, Ints]:
    """Return sizes of risk sets, and their cells, weights, times and the place of the dying cell in each."""
    dying = rows[died[rows]]
    dying = dying[np.argsort(exit_s[dying], kind="stable")]
    times = exit_s[dying]
    at_risk = (entry_s[rows] < times[:, None]) & (exit_s[rows] >= times[:, None])
    telling = at_risk.sum(axis=1) > 1
    dying, times, at_risk = dying[telling], times[telling], at_risk[telling]
    first = np.searchsorted(times, times, side="left")
    tied = np.searchsorted(times, times, side="right") - first
    share = 1 - (np.arange(len(times)) - first) / np.maximum(tied, 1)
    own = died[rows] & (exit_s[rows] == times[:, None])
    death, place = np.nonzero(at_risk)
    weight = np.where(own, share[:, None], 1.0)[death, place]
    column = np.searchsorted(rows, dying)
    offset = (np.cumsum(at_risk, axis=1)[np.arange(len(times)), column] - 1).astype(np.int64)
    return at_risk.sum(axis=1), rows[place], weight, times[death], offset


def fit_hazard(exposures: Floats, pairs: RiskPairs, cluster: Ints) -> HazardFit:
    r"""Fit a stratified Cox model by its partial likelihood, with a cluster-robust covariance.

    .. math:: \lambda_i(t) = \lambda_{s(i)}(t)\, e^{\beta^\top x_i(t)}, \qquad
        V = I^{-1} \Big( \sum_g \tilde W_g \tilde W_g^\top \Big) I^{-1}, \qquad
        \tilde W_g = (1 - H_g I^{-1})^{-1} W_g

    where W_g is the sum of the Lin–Wei score residuals of cluster g and H_g its part of the information I.
    Where clusters are whole strata the corrected sums are those of the jackknife that leaves one out.

    Parameters
    ----------
    exposures : ndarray of shape (M, P)
        What each cell at risk had been exposed to at each death.
    pairs : RiskPairs
    cluster : ndarray of shape (N,)
        Of each cell: its well or donor.

    Returns
    -------
    HazardFit
        NaN throughout if an exposure does not vary or separates the dying from the others.

    References
    ----------
    Lin and Wei 1989, doi:10.1080/01621459.1989.10478874; Mancl and DeRouen 2001,
    doi:10.1111/j.0006-341X.2001.00126.x.
    """
    deaths, p = len(pairs.start), exposures.shape[1]
    nothing = HazardFit(np.full(p, np.nan), np.full((p, p), np.nan), np.full(p, np.nan), np.nan, deaths, 0)
    if not deaths:
        return nothing
    centred = exposures - _means(exposures, pairs.weight, pairs)[pairs.death]
    scale = centred.std(axis=0)
    if not (scale > 1e-9 * (1 + np.abs(exposures).max(axis=0))).all():
        return nothing
    found = _maximise(centred / scale, pairs)
    if found is None:
        return nothing
    beta, likelihood, information, risk, mean = found
    apart = centred / scale - mean[pairs.death]
    labels, code = np.unique(cluster[pairs.cell], return_inverse=True)
    covariance = _robust(apart, risk, information, pairs, code, len(labels))
    model = np.diag(np.linalg.inv(information))
    clusters = len(np.unique(code[pairs.case]))
    return HazardFit(
        beta / scale, covariance / np.outer(scale, scale), model / scale**2, likelihood, deaths, clusters
    )


def _means(values: Floats, weight: Floats, pairs: RiskPairs) -> Floats:
    """Return the weighted mean over each risk set, shape (K, P)."""
    total = np.add.reduceat(weight, pairs.start)
    sums: Floats = np.add.reduceat(values * weight[:, None], pairs.start, axis=0)
    return sums / total[:, None]


def _state(x: Floats, beta: Floats, pairs: RiskPairs) -> tuple[float, Floats, Floats]:
    """Return the log partial likelihood, each pair's share of the risk, and the mean exposures."""
    eta = x @ beta
    top = np.maximum.reduceat(eta, pairs.start)[pairs.death]
    risk = pairs.weight * np.exp(eta - top)
    total = np.add.reduceat(risk, pairs.start)
    likelihood = float(np.sum(eta[pairs.case] - top[pairs.start] - np.log(total)))
    share = risk / total[pairs.death]
    mean: Floats = np.add.reduceat(x * share[:, None], pairs.start, axis=0)
    return likelihood, share, mean


def _maximise(x: Floats, pairs: RiskPairs) -> tuple[Floats, float, Floats, Floats, Floats] | None:
    """Climb the partial likelihood by Newton's steps, halved where they overshoot; None if it has no top."""
    beta = np.zeros(x.shape[1])
    likelihood, risk, mean = _state(x, beta, pairs)
    information = _information(x, risk, mean)
    at_first = np.diag(information)
    for _ in range(STEPS):
        if np.linalg.cond(information) > 1e10 or (np.diag(information) < FLAT * at_first).any():
            return None
        step = np.linalg.solve(information, x[pairs.case].sum(axis=0) - mean.sum(axis=0))
        after = _state(x, beta + step, pairs)
        while after[0] < likelihood - TOLERANCE and np.abs(step).max() > TOLERANCE:
            step = step / 2
            after = _state(x, beta + step, pairs)
        beta = beta + step
        gain, (likelihood, risk, mean) = after[0] - likelihood, after
        information = _information(x, risk, mean)
        if gain < TOLERANCE and not (np.diag(information) < FLAT * at_first).any():
            return beta, likelihood, information, risk, mean
    return None


def _information(x: Floats, risk: Floats, mean: Floats) -> Floats:
    """Return minus the second derivative of the log partial likelihood, shape (P, P)."""
    information: Floats = (x * risk[:, None]).T @ x - mean.T @ mean
    return information


def _robust(
    apart: Floats, risk: Floats, information: Floats, pairs: RiskPairs, code: Ints, n_clusters: int
) -> Floats:
    """Return the corrected sandwich; NaN where one cluster alone determines a coefficient."""
    p = apart.shape[1]
    residual = -risk[:, None] * apart
    np.add.at(residual, pairs.case, apart[pairs.case])
    sums = np.stack([np.bincount(code, residual[:, j], n_clusters) for j in range(p)], axis=1)
    parts = np.empty((n_clusters, p, p))
    for j in range(p):
        for k in range(j + 1):
            parts[:, j, k] = np.bincount(code, risk * apart[:, j] * apart[:, k], n_clusters)
            parts[:, k, j] = parts[:, j, k]
    inverse = np.linalg.inv(information)
    left = np.eye(p) - parts @ inverse
    if n_clusters < 2 or np.linalg.cond(left).max() > 1e8:
        return np.full((p, p), np.nan)
    corrected = np.linalg.solve(left, sums[..., None])[..., 0]
    meat = corrected.T @ corrected
    covariance: Floats = inverse @ meat @ inverse
    return covariance
