"""What each cell had been exposed to at a given time: expected hits, also unlabelled and missed ones."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.spatial import cKDTree

from exovision.experiment.study import Study, code_cells, follow_cells
from exovision.numerics.trains import Trains, latest, make_trains, sum_before
from exovision.settings import ExperimentSettings

Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]
Ints = NDArray[np.int64]

ENDINGS = ("fusion", "hemifusion", "kiss_and_run", "uptake", "detachment", "loss_unresolved")
"""Events that end a docking and say how."""
ADJUSTERS = ("area", "density", "division")
"""Confounders: log2 of the cell's area, log2 of 1 + its neighbours, and whether it was born in the movie."""


@dataclass(frozen=True)
class Cohort:
    """The cells of a study with their hits over time.

    Attributes
    ----------
    cells : DataFrame
        From `follow_cells`, only those that were ever at risk.
    entry_s, end_s : ndarray of shape (N,)
        At risk after the first, up to the second: the earliest sign of dying (`onset_s_lo`), else last sight.
    died : ndarray of shape (N,)
    unit, field : ndarray of shape (N,)
        Number of the well and of the movie.
    hits : mapping of str to Trains
        Times of hits by exposure: `docked` (any docking), `fused`, `taken_up`, and for the contrast of routes
        `docked_only` (ended otherwise than by fusion) and `unresolved` (how it ended could not be told).
    observations : mapping of str to Trains
        `area` and `density` over time; only those that the tables hold.
    seen : ndarray of shape (N,)
        Share of the true hits that are labelled, filmed and found.
    precision : float
        Share of the hits that are true.
    rate_s, shape : mapping of str to ndarray of shape (N,)
        Mean seen rate of hits in the cell's arm, 1/s, and shape of its gamma distribution between cells.
    """

    cells: pd.DataFrame
    entry_s: Floats
    end_s: Floats
    died: Bools
    unit: Ints
    field: Ints
    hits: Mapping[str, Trains]
    observations: Mapping[str, Trains]
    seen: Floats
    precision: float
    rate_s: Mapping[str, Floats]
    shape: Mapping[str, Floats]


def make_cohort(study: Study, settings: ExperimentSettings) -> Cohort:
    """Gather the cells at risk, their hits before any sign of dying, and their confounders.

    Parameters
    ----------
    study : Study
    settings : ExperimentSettings
        `docking_recall`, `docking_precision` and `neighbour_radius_um`.
    """
    cells = follow_cells(study)
    end = np.where(cells["died"], cells["onset_s_lo"], cells["last_s"]).astype(np.float64)
    cells = cells[end > cells["entry_s"].to_numpy()].reset_index(drop=True)
    end = np.where(cells["died"], cells["onset_s_lo"], cells["last_s"]).astype(np.float64)
    entry = cells["entry_s"].to_numpy(dtype=np.float64)
    hits = _hits(study, cells)
    spans = end - entry
    mixing = {name: _mixing(trains, cells["arm"], entry, spans, settings) for name, trains in hits.items()}
    return Cohort(
        cells,
        entry,
        end,
        cells["died"].to_numpy(dtype=bool),
        np.asarray(cells.groupby(["arm", "unit"], sort=False).ngroup(), dtype=np.int64),
        np.asarray(pd.factorize(cells["movie"])[0], dtype=np.int64),
        hits,
        _observations(study, cells, settings),
        _seen(study, cells, settings),
        settings.docking_precision,
        {name: rate for name, (rate, _) in mixing.items()},
        {name: shape for name, (_, shape) in mixing.items()},
    )


def _hits(study: Study, cells: pd.DataFrame) -> dict[str, Trains]:
    events = study.events
    row = code_cells(cells, events)
    known = (row >= 0) & events["start_s"].notna().to_numpy(dtype=bool)
    events, row = events[known].reset_index(drop=True), row[known]
    kind, start = events["kind"].to_numpy(dtype=object), events["start_s"].to_numpy(dtype=np.float64)
    untold = (events["identifiable"] == False).fillna(False).to_numpy(dtype=bool)  # noqa: E712 (null is no)
    kind = np.where(untold & np.isin(kind, ENDINGS), "loss_unresolved", kind)
    ending = _endings(row, events["exosome_id"].fillna(0).to_numpy(dtype=np.int64), start, kind)
    docking = kind == "docking"
    chosen = {
        "docked": docking,
        "fused": kind == "fusion",
        "taken_up": kind == "uptake",
        "docked_only": docking & (ending != "fusion") & (ending != "loss_unresolved"),
        "unresolved": docking & (ending == "loss_unresolved"),
    }
    return {
        name: make_trains(row[mask], start[mask], np.ones(int(mask.sum())), len(cells))
        for name, mask in chosen.items()
    }


def _endings(row: Ints, exosome: Ints, start_s: Floats, kind: NDArray[np.object_]) -> NDArray[np.object_]:
    """Return how each docking ended: the next event of the same exosome on the same cell, if it is an end."""
    shown = np.isin(kind, ("docking", *ENDINGS))
    order = np.flatnonzero(shown)
    order = order[np.lexsort((kind[order] != "docking", start_s[order], exosome[order], row[order]))]
    ending = np.full(len(kind), "", dtype=object)
    here, after = order[:-1], order[1:]
    follows = (row[here] == row[after]) & (exosome[here] == exosome[after]) & (kind[after] != "docking")
    ending[here[follows]] = kind[after[follows]]
    return ending


def _mixing(
    trains: Trains, arm: pd.Series, entry_s: Floats, span_s: Floats, settings: ExperimentSettings
) -> tuple[Floats, Floats]:
    """Return each arm's mean rate of true seen hits, 1/s, and the gamma shape of it between cells."""
    unit = np.repeat(np.arange(len(entry_s)), np.diff(trains.start))
    before = trains.time_s < entry_s[unit] + span_s[unit]
    count = np.bincount(unit[before], minlength=len(entry_s)).astype(np.float64)
    table = pd.DataFrame({"arm": arm.to_numpy(), "n": count, "t": span_s})
    sums = table.groupby("arm")[["n", "t"]].transform("sum")
    whole = (sums["n"] / sums["t"]).to_numpy(dtype=np.float64)
    rate = whole * settings.docking_precision
    table["square"], table["excess"] = (rate * span_s) ** 2, (count - whole * span_s) ** 2 - whole * span_s
    spread = table.groupby("arm")[["square", "excess"]].transform("sum").to_numpy(dtype=np.float64)
    shape = np.where(spread[:, 1] > 0, spread[:, 0] / np.maximum(spread[:, 1], 1e-300), np.inf)
    return rate, np.maximum(shape, 1e-3)


def _seen(study: Study, cells: pd.DataFrame, settings: ExperimentSettings) -> Floats:
    """Return the share of hits that could be seen: labelled, filmed, and found."""
    movies = study.movies.set_index("movie")
    tracer = cells["movie"].map(movies["tracer_fraction"].fillna(1.0)).to_numpy(dtype=np.float64)
    hours = (cells["last_s"] - cells["entry_s"]).groupby(cells["movie"]).sum() / 3600
    filmed = (movies["cell_hours"] / hours.reindex(movies.index)).clip(upper=1.0)
    share = cells["movie"].map(filmed.where(filmed > 0).fillna(1.0)).to_numpy(dtype=np.float64)
    # the last frame of a track stands for no time, so nearly all is all
    return tracer * np.where(share > 0.9, 1.0, share) * settings.docking_recall


def _observations(study: Study, cells: pd.DataFrame, settings: ExperimentSettings) -> dict[str, Trains]:
    table = study.cells
    row = code_cells(cells, table)
    time = table["time_s"].to_numpy(dtype=np.float64)
    made = {}
    area = table["area_um2"].to_numpy(dtype=np.float64)
    known = (row >= 0) & (area > 0) & np.isfinite(time)
    if known.any():
        made["area"] = make_trains(row[known], time[known], np.log2(area[known]), len(cells))
    placed = np.isfinite(table[["y_um", "x_um"]].to_numpy(dtype=np.float64)).all(axis=1) & np.isfinite(time)
    if placed.any():
        near = _neighbours(table[placed], settings.neighbour_radius_um)
        inside = row[placed] >= 0
        made["density"] = make_trains(
            row[placed][inside], time[placed][inside], np.log2(1 + near[inside]), len(cells)
        )
    return made


def _neighbours(cells: pd.DataFrame, radius_um: float) -> Floats:
    """Return how many other cells have their centroid within a radius in the same frame."""
    counts = np.zeros(len(cells))
    places = cells[["y_um", "x_um"]].to_numpy(dtype=np.float64)
    code = pd.factorize(cells["movie"])[0].astype(np.int64) * 2**32 + cells["frame"].to_numpy(dtype=np.int64)
    order = np.argsort(code, kind="stable")
    for rows in np.split(order, np.flatnonzero(np.diff(code[order])) + 1):
        tree = cKDTree(places[rows])
        counts[rows] = tree.query_ball_point(places[rows], radius_um, return_length=True) - 1
    return counts


def exposure(
    cohort: Cohort,
    name: str,
    *,
    cell: Ints,
    at_s: Floats,
    scale: str,
    half_life_s: float = np.inf,
    hits: Trains | None = None,
) -> Floats:
    r"""Return what cells had been exposed to before given times, on the scale of a doubling or of a hit.

    The rates of true seen hits are gamma distributed between the cells of an arm (shape a, mean m), false
    ones come at the same rate φ to all. Of n hits seen in a time t so many are true, by the best linear
    estimate, and with a share f seen the unseen ones are those expected of such a cell:

    .. math:: T = mt + \frac{mt + (mt)^2 / a}{(m + \varphi) t + (mt)^2 / a}\, (n - (m + \varphi) t), \qquad
        E[N \mid n] = T + \frac{1 - f}{f}\, \frac{a + T}{a / m + t}\, t

    On the scale of a doubling the exposure is log2(1 + N), its expectation to second order.

    Parameters
    ----------
    cohort : Cohort
    name : str
        Of the hits.
    cell, at_s : ndarray of shape (M,)
    scale : str
        "doubling" or "hit".
    half_life_s : float
        Hits fade with this half-life; infinite: they are counted.
    hits : Trains, optional
        Instead of the cohort's own, for a null.

    Notes
    -----
    Dividing the seen hits by f instead would scale their noise too and pull the hazard ratio to 1.

    References
    ----------
    Carroll et al. 2006, Measurement Error in Nonlinear Models, doi:10.1201/9781420010138, chapter 4.
    """
    trains = cohort.hits[name] if hits is None else hits
    mean = sum_before(trains, cell, at_s, half_life_s=half_life_s)
    variance = np.zeros_like(mean)
    share = cohort.seen[cell]
    time = np.maximum(at_s - cohort.entry_s[cell], 0.0)
    rate, many = cohort.rate_s[name][cell], np.minimum(cohort.shape[name][cell], 1e9)
    if cohort.precision < 1:
        slope, false = _true_share(rate, many, time, cohort.precision)
        fading = _fading_time(time, half_life_s)
        mean = np.maximum(rate * fading + slope * (mean - (rate + false) * fading), 0.0)
        variance = slope * false * fading
    if (share < 1).any():
        count = sum_before(trains, cell, at_s)
        if cohort.precision < 1:
            count = np.maximum(rate * time + slope * (count - (rate + false) * time), 0.0)
        likely = np.where(rate > 0, (many + count) / (many / np.maximum(rate, 1e-300) + time), 0.0)
        unseen = (1 - share) / share * likely * _fading_time(time, half_life_s)
        mean = mean + unseen
        variance = variance + unseen + unseen**2 / (many + count)
    if scale == "hit":
        return mean
    doublings: Floats = np.log2(1 + mean) - variance / (2 * np.log(2) * (1 + mean) ** 2)
    return doublings


def _true_share(rate_s: Floats, shape: Floats, time_s: Floats, precision: float) -> tuple[Floats, Floats]:
    """Return by how much each hit more raises the true ones, and the rate of false hits, 1/s."""
    false = rate_s * (1 - precision) / precision
    expected = rate_s * time_s
    spread = expected + expected**2 / shape
    whole = spread + false * time_s
    return np.divide(spread, whole, out=np.ones_like(whole), where=whole > 0), false


def _fading_time(time_s: Floats, half_life_s: float) -> Floats:
    """Return how much of a time's hits is left at its end, as a time, s."""
    if np.isinf(half_life_s):
        return time_s
    rate = np.log(2) / half_life_s
    left: Floats = -np.expm1(-rate * time_s) / rate
    return left


def confounders(cohort: Cohort, *, cell: Ints, at_s: Floats) -> dict[str, Floats]:
    """Return area, density and division of cells at given times, those that vary and are known of all."""
    found = {name: latest(trains, cell, at_s) for name, trains in cohort.observations.items()}
    born = (cohort.cells["entry"] == "birth").fillna(False).to_numpy(dtype=bool)
    found["division"] = born[cell].astype(np.float64)
    return {name: x for name, x in found.items() if len(x) and np.isfinite(x).all() and np.ptp(x) > 0}
