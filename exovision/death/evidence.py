"""How well each state explains what was seen of a cell in a frame: morphology, stains, its own past."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from exovision.death.markov import DEAD, STATES
from exovision.death.past import usual_before
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
    "covered": (0.970, 0.015, 0.007, 0.004, 0.004),
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
        "covered": 0.8,
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
        "covered": 0.2,
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
        "covered": 0.7,
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
    "covered": (0.0, 0.15),
    "early": (-0.2, 0.25),
    "late": (-0.6, 0.45),
    "secondary": (-0.6, 0.45),
    "swelling": (0.05, 0.18),
    "lytic": (0.0, 0.25),
    "debris": (-0.7, 0.6),
}
NUCLEUS_LIGHT: Shapes = {
    "live": (0.0, 0.15),
    "mitotic": (0.45, 0.35),
    "covered": (0.0, 0.15),
    "early": (0.35, 0.25),
    "late": (0.6, 0.25),
    "secondary": (0.2, 0.35),
    "swelling": (-0.1, 0.2),
    "lytic": (-0.8, 0.45),
    "debris": (-0.1, 0.8),
}
NUCLEUS_SOLIDITY: Shapes = {
    "live": (0.0, 0.015),
    "mitotic": (-0.005, 0.03),
    "covered": (0.0, 0.015),
    "early": (-0.005, 0.02),
    "late": (-0.025, 0.035),
    "secondary": (-0.025, 0.035),
    "swelling": (0.0, 0.015),
    "lytic": (0.0, 0.015),
    "debris": (-0.02, 0.04),
}
"""Mean and standard deviation of the logarithm of area or brightness, and of solidity, relative to the cell's
own past: medians of simulated movies (seeds 811 to 820), the spread wider."""
NUCLEAR = ((NUCLEUS_AREA, 4.0), (NUCLEUS_LIGHT, 4.0), (NUCLEUS_SOLIDITY, 0.4))
"""With the range over which measurements lie that say nothing."""
MOST_ONSETS = 200
"""Frames in which dying may have begun, told apart in a track; longer tracks have them in groups."""
LOOKS_BESIDE = 0.3
"""What the network's answers count where nuclei are compared with their past as well (seeds 811 to 816)."""
LIVE_IN_PIECES = 0.02
"""How often a live cell is in pieces, relative to a dead one."""
DARK = 0.95
"""Share of the dimmest nucleus' brightness that is background."""
DIM_SHARE = 0.35
"""Of the usual brightness, that a nucleus has at least while it is one: less is what floats out of focus."""
OUTLIERS = 0.1
"""Share of measurements that say nothing."""


@dataclass(frozen=True)
class Evidence:
    """How well each state explains what was seen of cells.

    Attributes
    ----------
    log_likelihood : ndarray of shape (N, 9)
        A row per cell and frame; the nucleus is compared with what it usually was until then.
    nuclear, usual : ndarray of shape (N, 3) or None
        From `usual_before`; None where nuclei are not compared.
    weights : ndarray of shape (N,)
        What each frame counts.
    """

    log_likelihood: Floats
    nuclear: Floats | None
    usual: Floats | None
    weights: Floats

    def of(self, rows: Ints) -> tuple[Floats, Floats, Ints]:
        """Return what is known of one cell.

        Parameters
        ----------
        rows : ndarray of shape (T,)
            In order of time.

        Returns
        -------
        log_likelihood : ndarray of shape (T, 9)
        since : ndarray of shape (K, T, 6)
            Of the states without return if dying began in the k-th group of frames: the nucleus is then
            compared with what it was before.
        group : ndarray of shape (T,)
            Of each frame.
        """
        known = self.log_likelihood[rows]
        final = known[:, list(DEAD)]
        if self.nuclear is None or self.usual is None:
            return known, final[None], np.zeros(len(rows), dtype=np.int64)
        group = np.arange(len(rows)) // int(np.ceil(len(rows) / MOST_ONSETS))
        first = np.flatnonzero(np.diff(group, prepend=-1))
        then = _nuclear(self.nuclear[rows], self.usual[rows[first]][:, None])[..., list(DEAD)]
        now = _nuclear(self.nuclear[rows], self.usual[rows])[:, list(DEAD)]
        return known, final + self.weights[rows][:, None] * (then - now), group


def gather(
    cells: pd.DataFrame,
    stains: Mapping[str, Stain],
    tracks: list[Ints],
    *,
    nuclei_only: bool,
    appearance_s: float,
) -> Evidence:
    """Weigh every row of the cells under each state.

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
    """
    total = (LOOKS_BESIDE if nuclei_only else 1.0) * _from_looks(cells, _judged(cells))
    for role, stain in stains.items():
        total += _from_stain(stain.log_odds(), STAINED[role])
    weights = _weights(cells["time_s"].to_numpy(dtype=np.float64), tracks, appearance_s)
    if "pieces" in cells:
        broken = cells["pieces"].to_numpy() > 1
        total[broken, : DEAD[0]] += np.log(LIVE_IN_PIECES)
    if not nuclei_only:
        return Evidence(total * weights[:, None], None, None, weights)
    nuclear, usual = _nuclei(cells, tracks)
    total += _nuclear(nuclear, usual)
    return Evidence(total * weights[:, None], nuclear, usual, weights)


def is_unsure(cells: pd.DataFrame) -> bool:
    """Tell whether the morphology network judged cells but is unsure of most."""
    chance = cells[[f"p_{name}" for name in CLASSES]].to_numpy(dtype=np.float64, na_value=np.nan)
    known = chance[np.isfinite(chance).all(axis=1)]
    return bool(len(known) and known.max(axis=1).mean() < LEAST_SURE)


def are_scraps(cells: pd.DataFrame, tracks: list[Ints], share: float, *, nuclei_only: bool) -> list[bool]:
    """Tell which tracks are of things far smaller than a cell, not cut, or of far dimmer nuclei."""
    area = cells["area_um2"].to_numpy(dtype=np.float64)
    cut = cells["touches_border"].fillna(False).to_numpy(dtype=bool)
    middle = [float(np.median(area[rows])) for rows in tracks]
    least = share * float(np.median(middle)) if middle else np.nan
    small = [size < least and not cut[rows].any() for size, rows in zip(middle, tracks)]
    if not nuclei_only:
        return small
    light = cells["mean_nucleus"].to_numpy(dtype=np.float64)
    light = light - DARK * np.nanmin(light)
    dim = DIM_SHARE * float(np.nanmedian(light))
    shown = [light[rows][np.isfinite(light[rows])] for rows in tracks]
    return [tiny or (len(own) > 0 and bool(np.median(own) < dim)) for tiny, own in zip(small, shown)]


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


def _nuclei(cells: pd.DataFrame, tracks: list[Ints]) -> tuple[Floats, Floats]:
    """Return what nuclei are and usually were, shape (N, 3) each; one that the border cuts says nothing."""
    area, light, solidity, times_s = (
        cells[name].to_numpy(dtype=np.float64) for name in ("area_um2", "mean_nucleus", "solidity", "time_s")
    )
    cut = cells["touches_border"].fillna(False).to_numpy(dtype=bool)
    seen = np.column_stack([area, light - DARK * np.nanmin(light), solidity])
    return usual_before(np.where(cut[:, None], np.nan, seen), times_s, tracks)


def _nuclear(nuclear: Floats, usual: Floats) -> Floats:
    """Return the log-likelihood of nuclei of shape (…, 3) by state, shape (…, 9), against what was usual."""
    total = np.zeros((*np.broadcast_shapes(nuclear.shape, usual.shape)[:-1], len(STATES)))
    for k, (shapes, wide) in enumerate(NUCLEAR):
        change = (nuclear[..., k] - usual[..., k])[..., None]
        middle, width = (np.array([shapes[state][j] for state in STATES]) for j in (0, 1))
        bell = np.exp(-0.5 * ((change - middle) / width) ** 2) / (np.sqrt(2 * np.pi) * width)
        total += np.where(np.isfinite(change), np.log((1 - OUTLIERS) * bell + OUTLIERS / wide), 0.0)
    return total


def _weights(times_s: Floats, tracks: list[Ints], appearance_s: float) -> Floats:
    weights = np.ones(len(times_s))
    for rows in tracks:
        gaps = np.diff(times_s[rows])
        weights[rows[1:]] = np.clip(gaps / appearance_s, 0.0, 1.0)
    return weights
