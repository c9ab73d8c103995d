"""Is there more at the membrane than chance puts there? Each cell against the ring just outside it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy import stats

from exovision.events.motion import Track, main_cell
from exovision.settings import EventSettings

Floats = NDArray[np.float64]

LEVEL = 0.05


class Pooled(NamedTuple):
    """All cells together: how many times denser the band is than the ring, 95 % interval, one-sided p."""

    enrichment: float
    lo: float
    hi: float
    p: float


def count_zones(tracks: Sequence[Track], settings: EventSettings) -> pd.DataFrame:
    """Count, per cell, the exosomes whose median distance lies in the band or in the ring outside it.

    Parameters
    ----------
    tracks : sequence of Track
        Every linked exosome, whatever its state: leaving out stuck ones would make the test circular.
    settings : EventSettings
        `band_um`, `ring_inner_um` and `ring_outer_um`, µm.

    Returns
    -------
    DataFrame
        `cell_id in_band in_ring`, a row per cell with any.
    """
    rows = []
    for track in tracks:
        known = np.isfinite(track.distance_um) & (track.nearest > 0)
        if not known.any():
            continue
        distance = float(np.median(track.distance_um[known]))
        in_band = abs(distance) <= settings.band_um
        in_ring = settings.ring_inner_um <= distance <= settings.ring_outer_um
        if in_band or in_ring:
            rows.append((main_cell(track.nearest[known], track.distance_um[known]), in_band, in_ring))
    table = pd.DataFrame(rows, columns=["cell_id", "in_band", "in_ring"]).astype(int)
    return table.groupby("cell_id", as_index=False).sum()


def compare_cells(counts: pd.DataFrame, zone_areas: pd.DataFrame) -> pd.DataFrame:
    r"""Test each cell against its own ring.

    If exosomes fall with equal density on both, the number in the band, given the number n in either, is

    .. math:: k \sim \mathrm{Binomial}\left(n, \frac{A_{band}}{A_{band} + A_{ring}}\right)

    where A are the areas; p is one-sided.

    Parameters
    ----------
    counts : DataFrame
        `cell_id in_band in_ring`.
    zone_areas : DataFrame
        `cell_id band_um2 ring_um2`, any number of rows per cell (averaged).

    Returns
    -------
    DataFrame
        `cell_id in_band in_ring band_um2 ring_um2 p q`, a row per cell that has both zones; p is 1 for a cell
        without exosomes, q is corrected over the cells by Benjamini and Hochberg.

    Notes
    -----
    The inner half of the band lies over the cell, where glass holds nothing: the test is then conservative.
    Clusters of vesicles count as many; they make it liberal.

    References
    ----------
    Przyborowski and Wilenski 1940, doi:10.1093/biomet/31.3-4.313;
    Benjamini and Hochberg 1995, doi:10.1111/j.2517-6161.1995.tb02031.x.
    """
    areas = zone_areas.groupby("cell_id", as_index=False)[["band_um2", "ring_um2"]].mean()
    areas["cell_id"] = areas["cell_id"].astype(int)
    areas = areas[(areas["band_um2"] > 0) & (areas["ring_um2"] > 0)]
    table = areas.merge(counts, on="cell_id", how="left")
    table[["in_band", "in_ring"]] = table[["in_band", "in_ring"]].fillna(0).astype(int)
    share = table["band_um2"] / (table["band_um2"] + table["ring_um2"])
    total = table["in_band"] + table["in_ring"]
    p = np.asarray(stats.binom.sf(table["in_band"] - 1, total, share))
    corrected = stats.false_discovery_control(p) if len(table) else p
    columns = ["cell_id", "in_band", "in_ring", "band_um2", "ring_um2"]
    return table[columns].assign(p=p, q=corrected).reset_index(drop=True)


def pool_cells(tested: pd.DataFrame) -> Pooled:
    r"""Combine the cells, each compared with its own ring only.

    The density ratio is that of Mantel and Haenszel with the variance of Greenland and Robins,

    .. math:: \frac{\sum_i k_i A_{r,i} / A_i}{\sum_i m_i A_{b,i} / A_i}

    where k and m are the numbers in band and ring, and A the sum of both areas. The p-value is exact: the sum
    of the cells' binomial variables.

    Parameters
    ----------
    tested : DataFrame
        From `compare_cells`.

    Returns
    -------
    Pooled
        NaN where nothing can be said; the upper limit is infinite with an empty ring.

    References
    ----------
    Greenland and Robins 1985, doi:10.2307/2530643.
    """
    k, m = (tested[name].to_numpy(dtype=np.float64) for name in ("in_band", "in_ring"))
    band, ring = (tested[name].to_numpy(dtype=np.float64) for name in ("band_um2", "ring_um2"))
    if not (k + m).sum() > 0:
        return Pooled(*(float("nan"),) * 4)
    both = band + ring
    above, below = float(np.sum(k * ring / both)), float(np.sum(m * band / both))
    p = _exact_p(k.astype(np.int64), m.astype(np.int64), band / both)
    if not above or not below:
        limits = (0.0, float("nan")) if not above else (float("nan"), float("inf"))
        return Pooled(0.0 if not above else float("inf"), *limits, p)
    ratio = above / below
    spread = np.sqrt(float(np.sum((k + m) * band * ring / both**2)) / (above * below))
    reach = float(np.exp(stats.norm.ppf(0.975) * spread))
    return Pooled(ratio, ratio / reach, ratio * reach, p)


def _exact_p(k: NDArray[np.int64], m: NDArray[np.int64], share: Floats) -> float:
    """Return the probability of as many in all bands together, or more."""
    chances = np.ones(1)
    for n, part in zip((k + m).tolist(), share.tolist()):
        chances = np.convolve(chances, stats.binom.pmf(np.arange(n + 1), n, part))
    return float(min(1.0, chances[int(k.sum()) :].sum()))
