"""How fast the damage of a hit fades: the half-life by profile likelihood."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy import optimize, stats

from exovision.experiment.cox import HazardFit

Floats = NDArray[np.float64]

SHORTEST_S = 360.0
"""Half-lives are looked for from here on (P): shorter ones cannot be told from none."""
GRID = 25
DROP = float(stats.chi2.ppf(0.95, 1)) / 2


class HalfLife(NamedTuple):
    """The half-life of damage with its 95 % limits.

    Attributes
    ----------
    half_life_s, lo_s, hi_s : float
        Infinite: the damage stays; a limit is NaN where the data do not bound it.
    fit : HazardFit
        At the best half-life.
    note : str, optional
        What is not determined.
    """

    half_life_s: float
    lo_s: float
    hi_s: float
    fit: HazardFit
    note: str | None


def profile_half_life(fit_at: Callable[[float], HazardFit], *, longest_s: float) -> HalfLife:
    """Find the half-life at which the partial likelihood is largest, and where it falls by 1.92.

    Parameters
    ----------
    fit_at : callable
        Fits the hazard with damage of this half-life, s.
    longest_s : float
        Length of the longest observation; half-lives up to three times as long are tried, and infinity.

    Returns
    -------
    HalfLife
        The drop is widened where deaths of one well are more alike than the model knows, by the ratio of the
        robust to the model's variance.

    References
    ----------
    Weigelin et al. 2021, doi:10.1038/s41467-021-25282-3; Rotnitzky and Jewell 1990,
    doi:10.1093/biomet/77.3.485.
    """
    longest = max(3 * longest_s, 4 * SHORTEST_S)
    grid = np.geomspace(SHORTEST_S, longest, GRID)
    curve = np.array([fit_at(h).log_likelihood for h in grid])
    forever = fit_at(np.inf)
    if not np.isfinite(curve).any():
        return HalfLife(np.nan, np.nan, np.nan, forever, None)
    peak = int(np.nanargmax(curve))
    low, high = grid[max(peak - 1, 0)], grid[min(peak + 1, GRID - 1)]
    best = optimize.minimize_scalar(
        lambda log: -fit_at(float(np.exp(log))).log_likelihood,
        bounds=(np.log(low), np.log(high)),
        method="bounded",
        options={"xatol": 1e-5},
    )
    half_life = float(np.exp(best.x))
    fit = fit_at(half_life)
    if forever.log_likelihood >= fit.log_likelihood:
        half_life, fit = np.inf, forever
    lo, hi = _limits(fit_at, grid, curve, half_life, fit, forever)
    return HalfLife(half_life, lo, hi, fit, _note(lo, hi))


def _limits(
    fit_at: Callable[[float], HazardFit],
    grid: Floats,
    curve: Floats,
    half_life: float,
    fit: HazardFit,
    forever: HazardFit,
) -> tuple[float, float]:
    """Return where the profile falls below its largest value by the drop; NaN where it does not."""
    ratio = fit.covariance[0, 0] / fit.model_variance[0]
    floor = fit.log_likelihood - DROP * max(1.0, ratio if np.isfinite(ratio) else 1.0)

    def above(log: float) -> float:
        value = fit_at(float(np.exp(log))).log_likelihood - floor
        return value if np.isfinite(value) else -1.0

    logs, best = np.log(grid), np.log(min(half_life, grid[-1]))
    under = ~(curve >= floor)
    lower, upper = logs[under & (logs < best)], logs[under & (logs > best)]
    lo = hi = float("nan")
    if lower.size:
        known = above(best) > 0
        lo = float(np.exp(optimize.brentq(above, lower[-1], best, xtol=1e-3) if known else best))
    if upper.size and forever.log_likelihood < floor:
        hi = float(np.exp(optimize.brentq(above, best, upper[0], xtol=1e-3)))
    return lo, hi


def _note(lo_s: float, hi_s: float) -> str | None:
    if np.isnan(lo_s) and np.isnan(hi_s):
        return "the half-life is not determined: any fits about as well"
    if np.isnan(hi_s):
        return "damage that stays fits about as well: the half-life has no upper limit"
    if np.isnan(lo_s):
        return "damage that is gone at once fits about as well: the half-life has no lower limit"
    return None
