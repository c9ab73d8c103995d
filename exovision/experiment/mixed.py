"""Linear mixed model with a random intercept per donor, by restricted maximum likelihood."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import linalg, optimize

Floats = NDArray[np.float64]

HIGHEST_CORRELATION = 1 - 1e-6
"""Of two wells of one donor; at 1 the covariance could not be inverted."""


@dataclass(frozen=True)
class MixedFit:
    """Fixed effects (P,) of a readout in its unit, their covariance, and the variances of donors and wells.

    `design` (N, P) and `shares` (2, N, N) are those of the fit: the covariance of wells is the sum of shares
    (same donor, same well) times variances.
    """

    beta: Floats
    covariance: Floats
    variances: Floats
    design: Floats
    shares: Floats

    def contrast(self, weights: Floats) -> tuple[float, float, float]:
        r"""Return a contrast of the fixed effects, its standard error and its degrees of freedom for t.

        Parameters
        ----------
        weights : ndarray of shape (P,)
            Of the fixed effects.

        Notes
        -----
        .. math:: s^2 = v + 2 \sum_{ij} W_{ij} d_i^T P d_j, \quad \nu = 2 v^2 / (g^T W g)

        where v is the variance of the contrast for known variances, g its derivatives after them, W the
        inverse of the expected information on them in the restricted likelihood, P the projection of that
        likelihood, and d how far each variance pulls the weights of wells. Of few donors v is too small.

        References
        ----------
        Kenward and Roger 1997, doi:10.2307/2533558.
        """
        inverse = np.linalg.inv(np.tensordot(self.variances, self.shares, axes=1))
        reach = inverse @ self.design @ self.covariance
        projection = inverse - reach @ self.design.T @ inverse
        projected = projection @ self.shares
        uncertainty = np.linalg.inv(0.5 * np.einsum("aij,bji->ab", projected, projected))
        pulls = self.shares @ reach @ weights
        slope = pulls @ reach @ weights
        variance = float(weights @ self.covariance @ weights)
        extra = 2 * float(np.sum(uncertainty * (pulls @ projection @ pulls.T)))
        freedom = 2 * variance**2 / float(slope @ uncertainty @ slope)
        return float(weights @ self.beta), float(np.sqrt(variance + extra)), freedom


def fit_mixed(y: Floats, design: Floats, donors: Sequence[str]) -> MixedFit | None:
    """Fit y = design · beta + donor + well, with normal donors and wells.

    Parameters
    ----------
    y : ndarray of shape (N,)
        Values of wells.
    design : ndarray of shape (N, P)
        Fixed effects, of full rank.
    donors : sequence of str
        The donor of each well.

    Returns
    -------
    MixedFit or None
        None where the two variances cannot be told apart: donors do not differ but by fixed effects (one
        donor; one donor per condition), no donor has wells enough, or all wells fit exactly.

    Notes
    -----
    The restricted likelihood is profiled over the correlation of two wells of one donor; given that, fixed
    effects and variance are in closed form. The donors' variance is not below 0.

    References
    ----------
    Patterson and Thompson 1971, doi:10.1093/biomet/58.3.545.
    """
    levels = np.array(donors)[:, None] == np.unique(donors)
    shares = np.stack([(levels @ levels.T).astype(np.float64), np.eye(len(y))])
    free = linalg.null_space(design.T)
    spreads, axes = np.linalg.eigh(free.T @ shares[0] @ free)
    squares = (axes.T @ free.T @ y) ** 2
    within = spreads < 1e-9
    if within.all() or squares[within].sum() <= 1e-20 * float(y @ y):
        return None
    correlation = _correlation(spreads, squares)
    parts = np.array([correlation, 1 - correlation])
    inverse = np.linalg.inv(np.tensordot(parts, shares, axes=1))
    unit = np.linalg.inv(design.T @ inverse @ design)
    beta = unit @ design.T @ inverse @ y
    rest = y - design @ beta
    variance = float(rest @ inverse @ rest) / (len(y) - design.shape[1])
    return MixedFit(beta, variance * unit, variance * parts, design, shares)


def _correlation(spreads: Floats, squares: Floats) -> float:
    """Return the correlation within donors of largest restricted likelihood.

    `squares` (N - P,) are those of independent contrasts of wells that hold no fixed effect, `spreads` their
    variances per variance of donors.
    """

    def deviance(correlation: float) -> float:
        scaled = correlation * spreads + 1 - correlation
        return float(np.log(scaled).sum() + len(squares) * np.log(np.sum(squares / scaled)))

    grid = np.linspace(0.0, HIGHEST_CORRELATION, 41)
    deviances = [deviance(r) for r in grid]
    best = int(np.argmin(deviances))
    around = grid[max(best - 1, 0)], grid[min(best + 1, len(grid) - 1)]
    found = optimize.minimize_scalar(deviance, bounds=around, method="bounded", options={"xatol": 1e-9})
    return float(found.x) if found.fun < deviances[best] else float(grid[best])
