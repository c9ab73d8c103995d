"""Which cells annexin, a caspase reporter or PI stain, frame by frame, against what live cells show."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from exovision.settings import DeathSettings

Floats = NDArray[np.float64]

DEATH_STAINS = ("annexin", "caspase", "pi")
OWN_QUANTILE = 0.05
"""Of a cell's brightness over its track: what it shows while alive."""
LIVE_QUANTILE = 0.25
"""Of these between cells: a live cell's, also where most of the cells die."""
OFFSET_SIGMAS = 4.0
"""A cell's own brightness while alive differs from a live cell's by no more than this."""
STRONG_SHARE = 0.12
"""Of the brightest cells' stain, that a stain must reach besides: less is a neighbour's light or vesicles."""
STRONG_QUANTILE, STRONG_FACTOR = 0.995, 3.0
LARGEST_LOG_ODDS = 4.0
SATURATED = 0.98
"""Of the highest brightness of any cell: where many cells lie there, the channel is saturated."""
SATURATED_SHARE = 0.05


@dataclass(frozen=True)
class Stain:
    """One stain in all rows of a movie's table of cells.

    Attributes
    ----------
    role : str
    excess : ndarray of shape (N,)
        Counts above what the cell shows while alive; NaN where the channel was not acquired.
    threshold : float
        Excess from which a cell counts as stained, counts.
    sigma : float
        Standard deviation of the excess of live cells, counts.
    """

    role: str
    excess: Floats
    threshold: float
    sigma: float

    def log_odds(self) -> Floats:
        """Return the log-odds that each row is stained, ±4 at most; 0 where not acquired."""
        odds = LARGEST_LOG_ODDS * (self.excess - self.threshold) / self.threshold
        return np.nan_to_num(np.clip(odds, -LARGEST_LOG_ODDS, LARGEST_LOG_ODDS))


def measure_stains(cells: pd.DataFrame, settings: DeathSettings) -> dict[str, Stain]:
    """Return the stains of death that a movie has.

    Parameters
    ----------
    cells : DataFrame
        `cell_id` and `trimmed_<role>` (or `mean_<role>`), a row per cell and frame.
    settings : DeathSettings

    Returns
    -------
    dict of str to Stain
        By role; a channel without a value is left out.
    """
    measured = {role: [f"{kind}_{role}" for kind in ("trimmed", "mean")] for role in DEATH_STAINS}
    named = {role: name for role, names in measured.items() for name in reversed(names) if name in cells}
    return {
        role: _measure(role, cells[name].to_numpy(dtype=np.float64), cells["cell_id"], settings)
        for role, name in named.items()
        if cells[name].notna().any()
    }


def _measure(role: str, value: Floats, cell_id: pd.Series, settings: DeathSettings) -> Stain:
    own = pd.Series(value).groupby(cell_id.to_numpy()).quantile(OWN_QUANTILE)
    live = float(own.quantile(LIVE_QUANTILE))
    lower = own[own <= own.median()]
    spread = 1.4826 * float((own[own <= 2 * live - lower.min()] - live).abs().median())
    base = own.clip(upper=live + OFFSET_SIGMAS * spread)
    excess = value - cell_id.map(base).to_numpy(dtype=np.float64)
    quiet = excess[np.isfinite(excess) & (excess <= np.nanquantile(excess, 0.75))]
    sigma = max(1.4826 * float(np.median(np.abs(quiet - np.median(quiet)))), 1e-3 * abs(live), 1e-6)
    strong = float(np.nanquantile(excess, STRONG_QUANTILE))
    threshold = settings.stain_sigmas * sigma
    if strong > STRONG_FACTOR * threshold:
        threshold = max(threshold, STRONG_SHARE * strong)
    return Stain(role, excess, threshold, sigma)


def without_pulses(stain: Stain, tracks: list[NDArray[np.int64]], times_s: Floats, pulse_s: float) -> Stain:
    """Return a stain of which what is gone again after `pulse_s` is taken away.

    Parameters
    ----------
    stain : Stain
    tracks : list of ndarray of int
        Row numbers of each cell, in order of time.
    times_s : ndarray of shape (N,)
        Of every row, s.
    pulse_s : float
        At least one later frame is looked at, and all up to this long after.
    """
    lasting = stain.excess.copy()
    for rows in tracks:
        seen = rows[np.isfinite(stain.excess[rows])]
        for k, row in enumerate(seen[:-1]):
            until = np.searchsorted(times_s[seen], times_s[row] + pulse_s, side="right")
            lasting[row] = stain.excess[seen[k : max(int(until), k + 1) + 1]].min()
        if len(seen) > 1:
            lasting[seen[-1]] = stain.excess[seen[-2:]].min()
    return Stain(stain.role, lasting, stain.threshold, stain.sigma)


def saturated(cells: pd.DataFrame, role: str) -> bool:
    """Tell whether many cells share the channel's highest brightness, so that it cannot grade them."""
    value = cells[f"mean_{role}"].dropna().to_numpy(dtype=np.float64)
    if len(value) < 10 or np.ptp(value) == 0:
        return bool(len(value) >= 10 and value[0] >= np.iinfo(np.uint16).max * SATURATED)
    near = value >= value.max() * (1 - (1 - SATURATED) / 10)
    return bool(near.mean() > SATURATED_SHARE and value.max() > 4 * np.median(value))
