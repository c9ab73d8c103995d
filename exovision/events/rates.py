"""Rates with exact intervals, observed cell-hours, and the distance profile."""

from __future__ import annotations

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.special import chdtri

Floats = NDArray[np.float64]

LONGEST_GAP = 5.0
"""A pause longer than this many median intervals is unobserved beyond them (P)."""


def poisson_interval(count: int) -> tuple[float, float]:
    """Return the exact 95 % interval of the mean of a Poisson count.

    References
    ----------
    Garwood 1936, doi:10.1093/biomet/28.3-4.437.
    """
    lo = float(chdtri(2 * count, 0.975)) / 2 if count else 0.0
    return lo, float(chdtri(2 * count + 2, 0.025)) / 2


def frame_weights_s(times_s: Floats) -> Floats:
    """Return the time that each frame stands for.

    Parameters
    ----------
    times_s : ndarray of shape (T,)
        Seconds, NaN where not acquired.

    Returns
    -------
    ndarray of shape (T,)
        Up to the next acquired frame, but after a pause of more than five median intervals only one median
        interval; 0 for the last frame and for frames not acquired.
    """
    weights = np.zeros(len(times_s))
    acquired = np.flatnonzero(np.isfinite(times_s))
    if acquired.size > 1:
        waits = np.diff(times_s[acquired])
        usual = float(np.median(waits))
        weights[acquired[:-1]] = np.where(waits > LONGEST_GAP * usual, usual, waits)
    return weights


def cell_hours(fates: pd.DataFrame, times_s: Floats) -> float:
    """Return the observed exposure of all cells, in cell-hours.

    Parameters
    ----------
    fates : DataFrame
        `first_frame` and `last_frame` of each cell.
    times_s : ndarray of shape (T,)
        Seconds of the exosome channel, NaN where not acquired.
    """
    before = np.concatenate([[0.0], np.cumsum(frame_weights_s(times_s))])
    first, last = (fates[name].to_numpy(dtype=np.int64) for name in ("first_frame", "last_frame"))
    return float(np.sum(before[last + 1] - before[first])) / 3600


def distance_profile(
    distance_um: Floats, cell_id: NDArray[np.int64], exosome_id: NDArray[np.int64], *, seed: int = 0
) -> dict[str, list[float]]:
    """Return how many exosomes lie at each signed distance, with an interval from resampling cells.

    Parameters
    ----------
    distance_um : ndarray of shape (N,)
        Of linked spots.
    cell_id, exosome_id : ndarray of shape (N,)
        Positive integers. Every exosome counts as one, shared over its spots.
    seed : int
        Of the 400 bootstrap samples.

    Returns
    -------
    dict
        `edges_um` (25 edges from −3 to 3 µm) and `exosomes`, `exosomes_lo`, `exosomes_hi` per bin.
    """
    edges = np.linspace(-3, 3, 25)
    bins = np.digitize(distance_um, edges) - 1
    inside = (bins >= 0) & (bins < len(edges) - 1)
    _, owner, repeats = np.unique(exosome_id, return_inverse=True, return_counts=True)
    cells, row = np.unique(cell_id, return_inverse=True)
    table = np.zeros((len(cells), len(edges) - 1))
    np.add.at(table, (row[inside], bins[inside]), (1 / repeats[owner])[inside])
    n, least = len(cells), max(len(cells), 1)
    draws = np.random.default_rng(seed).multinomial(n, np.full(least, 1 / least), 400)[:, :n]
    lo, hi = np.quantile(draws @ table, [0.025, 0.975], axis=0)
    return {
        "edges_um": edges.tolist(),
        "exosomes": table.sum(axis=0).tolist(),
        "exosomes_lo": lo.tolist(),
        "exosomes_hi": hi.tolist(),
    }
