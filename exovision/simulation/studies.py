"""Whole experiments simulated as tables: conditions, wells, donors, cells, their hits and their deaths."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.signal import lfilter

from exovision.simulation.study_plan import StudyCells, StudyPlan
from exovision.simulation.study_tables import event_rows, fate_rows, sight_rows

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]


class StudyTables(NamedTuple):
    """The contract's tables of all movies, each with a column `movie`; `movies` carries the sample sheet."""

    movies: pd.DataFrame
    fates: pd.DataFrame
    events: pd.DataFrame
    cells: pd.DataFrame


def simulate_study(plan: StudyPlan, *, seed: int) -> StudyTables:
    """Simulate an experiment.

    Parameters
    ----------
    plan : StudyPlan
    seed : int

    Returns
    -------
    StudyTables
        What a perfect analysis of perfect movies would find, but for what the plan says of labels, misses,
        false dockings and late calls. `fates` carries the times of `first_frame` and `last_frame`.

    Notes
    -----
    Hazards are constant within a frame interval; a hit acts from the interval that begins `lag_h` after it.
    """
    rng = np.random.default_rng(seed)
    movies, donor = _movies(plan)
    cells = _cells(plan, donor, rng)
    onset_s = _onsets(plan, cells, rng)
    fates = fate_rows(plan, cells, onset_s, movies, rng)
    events = event_rows(plan, cells, onset_s, fates, rng)
    return StudyTables(
        movies,
        fates.rename(columns={"entry_s": "first_s"}),
        events,
        sight_rows(plan, cells, fates, onset_s, rng),
    )


def _movies(plan: StudyPlan) -> tuple[pd.DataFrame, Ints]:
    """Return a row per movie, and its donor's number."""
    rows = [
        {
            "movie": f"{arm.condition}_{arm.target_type}_{k}_d{donor + 1}_w{well + 1}".replace(" ", "_"),
            "condition": arm.condition,
            "source": arm.source,
            "target_type": arm.target_type,
            "treatment": arm.treatment,
            "control": arm.control,
            "tracer_fraction": plan.tracer_fraction,
            "donor": f"D{donor + 1}",
            "well": f"{chr(65 + k % 8)}{1 + donor * plan.wells_per_donor + well + 12 * (k // 8)}",
            "chemistry": "lipid_dye",
        }
        for k, arm in enumerate(plan.arms)
        for donor in range(plan.donors)
        for well in range(plan.wells_per_donor)
    ]
    donors = np.tile(np.repeat(np.arange(plan.donors), plan.wells_per_donor), len(plan.arms))
    return pd.DataFrame(rows), donors


def _cells(plan: StudyPlan, donor: Ints, rng: np.random.Generator) -> StudyCells:
    """Draw the cells of all movies and the hits that would reach each of them."""
    n_movies = len(donor)
    movie = np.repeat(np.arange(n_movies), plan.cells_per_well)
    arm = movie // (plan.donors * plan.wells_per_donor)
    n, steps = len(movie), round(plan.duration_h * 3600 / plan.frame_interval_s)
    size = np.exp(rng.normal(0, plan.size_spread, n))
    chosen = {
        name: np.array([getattr(a, name) for a in plan.arms])[arm]
        for name in ("docking_per_h", "fusion_share", "death_per_h")
    }
    spread = np.ones(n) if np.isinf(plan.rate_shape) else rng.gamma(plan.rate_shape, 1 / plan.rate_shape, n)
    docking = chosen["docking_per_h"] * spread * size**plan.size_to_docking
    of_donors: Floats = np.asarray(rng.normal(0, plan.donor_spread, plan.donors))
    common = rng.normal(0, plan.well_spread, n_movies) + of_donors[donor]
    frail = rng.gamma(1 / plan.frailty, plan.frailty, n) if plan.frailty else np.ones(n)
    late = rng.random(n) < plan.late
    entry_step = np.where(late, rng.integers(1, max(steps // 2, 2), n), 0)
    hits = rng.poisson(docking[:, None] * plan.frame_interval_s / 3600, (n, steps))
    hits[np.arange(steps) < entry_step[:, None]] = 0
    return StudyCells(
        movie,
        arm,
        200 * size,
        docking,
        chosen["death_per_h"] * size**plan.size_to_death * frail * np.exp(common[movie]),
        entry_step * plan.frame_interval_s,
        late & (rng.random(n) < 0.5),
        hits,
        rng.binomial(hits, chosen["fusion_share"][:, None]),
    )


def _onsets(plan: StudyPlan, cells: StudyCells, rng: np.random.Generator) -> Floats:
    """Return when each cell really begins to die, infinite if it never does while the movie lasts."""
    n, steps = cells.hits.shape
    logs = np.zeros((n, steps))
    ratio: dict[str, Floats] = {
        name: np.log(np.array([getattr(arm, name) for arm in plan.arms]))[cells.arm, None]
        for name in ("docking_hr", "fusion_hr")
    }
    for hits, name in ((cells.hits - cells.fusions, "docking_hr"), (cells.fusions, "fusion_hr")):
        if ratio[name].any():
            logs += ratio[name] * _exposure(plan, hits)
    hazard = cells.hazard_per_h[:, None] * np.exp(logs) * plan.frame_interval_s / 3600
    hazard[np.arange(steps) * plan.frame_interval_s < cells.entry_s[:, None]] = 0
    spent = np.cumsum(hazard, axis=1)
    fate: Floats = np.asarray(rng.exponential(size=n))
    step = (spent < fate[:, None]).sum(axis=1)
    inside = step < steps
    at = np.minimum(step, steps - 1)
    rows = np.arange(n)
    before = spent[rows, at] - hazard[rows, at]
    part = np.clip((fate - before) / np.maximum(hazard[rows, at], 1e-300), 0, 1)
    return np.where(inside, (at + part) * plan.frame_interval_s, np.inf)


def _exposure(plan: StudyPlan, hits: Ints) -> Floats:
    """Return what hits amount to at each step on the plan's scale, shape (N, K)."""
    lag = round(plan.lag_h * 3600 / plan.frame_interval_s)
    keep = 0.5 ** (plan.frame_interval_s / 3600 / plan.half_life_h)
    damage = lfilter([1.0], [1.0, -keep], hits.astype(np.float64), axis=1)
    delayed = np.zeros_like(damage)
    delayed[:, lag + 1 :] = damage[:, : damage.shape[1] - lag - 1]
    return np.log2(1 + delayed) if plan.scale == "doubling" else delayed
