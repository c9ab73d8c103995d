"""How well each state explains what was seen of a cell in a frame: morphology, stains, its own past."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from exovision.death.markov import STATES
from exovision.death.stains import Stain

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

CLASSES = ("live", "mitotic", "apoptotic", "lytic", "debris")
CLASS_SHARE = (0.71, 0.39, 0.45, 0.32, 0.22)
"""Probabilities are divided by these: roots of the shares of the classes that a network learns from; the
whole shares would turn what a softmax leaves to rare classes into evidence for them."""
LEAST_SURE = 0.55
"""A network whose answers are less sure than this on average does not know what it is shown."""
LOOKS_LIKE: Mapping[str, tuple[float, float, float, float, float]] = {
    "live": (0.970, 0.015, 0.007, 0.004, 0.004),
    "mitotic": (0.250, 0.700, 0.030, 0.010, 0.010),
    "early": (0.300, 0.040, 0.620, 0.030, 0.010),
    "late": (0.040, 0.030, 0.840, 0.050, 0.040),
    "secondary": (0.030, 0.020, 0.700, 0.150, 0.100),
    "swelling": (0.500, 0.050, 0.050, 0.395, 0.005),
    "lytic": (0.050, 0.020, 0.080, 0.800, 0.050),
    "debris": (0.030, 0.020, 0.250, 0.150, 0.550),
}
"""What a cell in each state is taken for, frame by frame: live, mitotic, apoptotic, lytic, debris."""
STAINED: Mapping[str, dict[str, float]] = {
    "annexin": {
        "live": 0.01,
        "mitotic": 0.01,
        "early": 0.5,
        "late": 0.97,
        "secondary": 0.98,
        "swelling": 0.1,
        "lytic": 0.9,
        "debris": 0.98,
    },
    "caspase": {
        "live": 0.01,
        "mitotic": 0.01,
        "early": 0.75,
        "late": 0.95,
        "secondary": 0.9,
        "swelling": 0.03,
        "lytic": 0.03,
        "debris": 0.9,
    },
    "pi": {
        "live": 0.005,
        "mitotic": 0.005,
        "early": 0.01,
        "late": 0.02,
        "secondary": 0.98,
        "swelling": 0.05,
        "lytic": 0.97,
        "debris": 0.98,
    },
}
"""How often a cell in each state is stained."""
Shapes = Mapping[str, tuple[float, float]]
NUCLEUS_AREA: Shapes = {
    "live": (0.0, 0.15),
    "mitotic": (-0.7, 0.6),
    "early": (-0.3, 0.3),
    "late": (-0.7, 0.3),
    "secondary": (-0.7, 0.4),
    "swelling": (0.05, 0.18),
    "lytic": (0.0, 0.25),
    "debris": (-0.8, 0.6),
}
NUCLEUS_LIGHT: Shapes = {
    "live": (0.0, 0.15),
    "mitotic": (0.6, 0.4),
    "early": (0.3, 0.3),
    "late": (0.6, 0.3),
    "secondary": (0.4, 0.4),
    "swelling": (-0.1, 0.2),
    "lytic": (-0.5, 0.4),
    "debris": (-0.3, 0.7),
}
"""Mean and standard deviation of the logarithm of area or brightness relative to the cell's own past."""
DARK = 0.95
"""Share of the dimmest nucleus' brightness that is background."""
OUTLIERS, OUTLIER_RANGE = 0.1, 4.0
"""Share of measurements that say nothing, and the range over which they lie."""


def gather(
    cells: pd.DataFrame,
    stains: Mapping[str, Stain],
    tracks: list[Ints],
    *,
    nuclei_only: bool,
    appearance_s: float,
) -> Floats:
    """Return the log-likelihood of every row of the cells under each state.

    Parameters
    ----------
    cells : DataFrame
        `time_s area_um2`, `mean_<role>` and `p_<class>`, a row per cell and frame.
    stains : mapping of str to Stain
    tracks : list of ndarray of int
        Row numbers of each cell, in order of time.
    nuclei_only : bool
        The outlines are those of nuclei.
    appearance_s : float
        Frames nearer than this to the one before count for less: what a cell looks like persists, and so do
        mistakes about it.

    Returns
    -------
    ndarray of shape (N, 8)
    """
    total = np.zeros((len(cells), len(STATES)))
    judged = _judged(cells)
    total += _from_looks(cells, judged)
    for role, stain in stains.items():
        total += _from_stain(stain.log_odds(), STAINED[role])
    if nuclei_only:
        for values, shapes in _nuclear(cells):
            total[~judged] += _from_past(values, tracks, shapes)[~judged]
    return total * _weights(cells["time_s"].to_numpy(dtype=np.float64), tracks, appearance_s)[:, None]


def is_unsure(cells: pd.DataFrame) -> bool:
    """Tell whether the morphology network judged cells but is unsure of most."""
    chance = cells[[f"p_{name}" for name in CLASSES]].to_numpy(dtype=np.float64, na_value=np.nan)
    known = chance[np.isfinite(chance).all(axis=1)]
    return bool(len(known) and known.max(axis=1).mean() < LEAST_SURE)


def _judged(cells: pd.DataFrame) -> NDArray[np.bool_]:
    """Tell which rows the morphology network judged."""
    names = [f"p_{name}" for name in CLASSES]
    return np.asarray(cells[names].notna().all(axis=1).to_numpy(dtype=bool))


def _from_looks(cells: pd.DataFrame, judged: NDArray[np.bool_]) -> Floats:
    found = np.zeros((len(cells), len(STATES)))
    share = cells.loc[judged, [f"p_{name}" for name in CLASSES]].to_numpy(dtype=np.float64)
    mixture = np.array([LOOKS_LIKE[state] for state in STATES])
    found[judged] = np.log(np.maximum(share / CLASS_SHARE @ mixture.T, 1e-4))
    return found


def _from_stain(log_odds: Floats, stained: Mapping[str, float]) -> Floats:
    chance = np.array([stained[state] for state in STATES])
    odds = np.exp(log_odds / 2)[:, None]
    return np.asarray(np.log(chance * odds + (1 - chance) / odds))


def _nuclear(cells: pd.DataFrame) -> list[tuple[Floats, Shapes]]:
    """Return area and brightness of nuclei: an outline of whole cells says too little to count."""
    area, light = (cells[name].to_numpy(dtype=np.float64) for name in ("area_um2", "mean_nucleus"))
    return [(area, NUCLEUS_AREA), (light - DARK * np.nanmin(light), NUCLEUS_LIGHT)]


def _from_past(values: Floats, tracks: list[Ints], shapes: Shapes) -> Floats:
    middle, width = (np.array([shapes[state][k] for state in STATES]) for k in (0, 1))
    change = relative_to_past(values, tracks)[:, None]
    bell = np.exp(-0.5 * ((change - middle) / width) ** 2) / (np.sqrt(2 * np.pi) * width)
    chance = (1 - OUTLIERS) * bell + OUTLIERS / OUTLIER_RANGE
    return np.where(np.isfinite(change), np.log(chance), 0.0)


def relative_to_past(values: Floats, tracks: list[Ints]) -> Floats:
    """Return the logarithm of each value relative to the median of the same cell's past.

    Parameters
    ----------
    values : ndarray of shape (N,)
        A row per cell and frame; what is not positive counts as missing.
    tracks : list of ndarray of int
        Row numbers of each cell, in order of time.

    Returns
    -------
    ndarray of shape (N,)
        NaN where the value is; 0 in a cell's first frame.
    """
    logs = np.log(np.where(values > 0, values, np.nan))
    change = np.full(len(values), np.nan)
    for rows in tracks:
        own = logs[rows]
        if not np.isfinite(own).any():
            continue
        change[rows] = own - pd.Series(own).expanding().median().to_numpy(dtype=np.float64)
    return change


def _weights(times_s: Floats, tracks: list[Ints], appearance_s: float) -> Floats:
    weights = np.ones(len(times_s))
    for rows in tracks:
        gaps = np.diff(times_s[rows])
        weights[rows[1:]] = np.clip(gaps / appearance_s, 0.0, 1.0)
    return weights
