"""Whole experiments simulated as tables: conditions, wells, donors, cells, their hits and their deaths."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal, NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.signal import lfilter

from exovision import schema

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

EXECUTION_S = 3600.0
"""A dying cell stays in view for this long after the sign by which its onset is called (SCIENCE 5, V)."""
SHRUNK = 0.6
"""Area that a dying cell comes down to within `SHRINKING_S` (SCIENCE 7)."""
SHRINKING_S = 2400.0


@dataclass(frozen=True)
class Arm:
    """One condition of the experiment.

    Attributes
    ----------
    condition, source, target_type, treatment, control : str
        As in the sample sheet.
    docking_per_h : float
        Mean rate of dockings on a cell.
    fusion_share, uptake_share, unresolved_share : float
        What becomes of dockings; the rest detach.
    docking_hr, fusion_hr : float
        True hazard ratio per doubling, per hit or per unit of damage (the plan's `scale`).
    death_per_h : float
        Hazard of death of a cell without hits.
    """

    condition: str
    source: str = "NK"
    target_type: str = "tumour"
    treatment: str = "none"
    control: str = "none"
    docking_per_h: float = 0.5
    fusion_share: float = 0.0
    uptake_share: float = 0.3
    unresolved_share: float = 0.0
    docking_hr: float = 1.0
    fusion_hr: float = 1.0
    death_per_h: float = 0.02


@dataclass(frozen=True)
class StudyPlan:
    """A simulated experiment; every well is one movie.

    Attributes
    ----------
    arms : tuple of Arm
    donors, wells_per_donor, cells_per_well : int
        `wells_per_donor` is that of each arm.
    duration_h, frame_interval_s : float
    sights_every : int
        `cells` has a row per cell and so many frames.
    lag_h, half_life_h : float
        From a hit to its effect; half-life of the damage (infinite: it stays).
    scale : str
        What the true hazard ratio is for: a doubling of 1 + hits, a hit, or a unit of decaying damage.
    rate_shape : float
        Shape of the gamma distribution of docking rates between cells; infinite: all alike.
    size_spread, size_to_docking, size_to_death : float
        Standard deviation of log area, and the powers of area in both rates.
    well_spread, donor_spread, frailty : float
        Standard deviations of the log hazard between wells and donors; variance of the cells' gamma frailty.
    docking_after_onset, onset_delay_h : float
        Factor on docking once a cell is dying, and the mean of how late its onset is called.
    onset_width_h : float
        Width of the interval that is reported for the onset, beside the frame interval.
    late, lost_per_h : float
        Share of cells that enter later, half of them by birth; rate at which tracks are lost.
    tracer_fraction, recall, false_per_h : float
        Shares of hits that carry a label and are found; false dockings per cell and hour.
    """

    arms: tuple[Arm, ...] = field(
        default_factory=lambda: (Arm("NK exosomes"), Arm("none", control="no_exosome"))
    )
    donors: int = 3
    wells_per_donor: int = 2
    cells_per_well: int = 50
    duration_h: float = 24.0
    frame_interval_s: float = 600.0
    sights_every: int = 1
    lag_h: float = 1.0
    half_life_h: float = float("inf")
    scale: Literal["doubling", "hit", "damage"] = "doubling"
    rate_shape: float = 2.0
    size_spread: float = 0.3
    size_to_docking: float = 0.0
    size_to_death: float = 0.0
    well_spread: float = 0.0
    donor_spread: float = 0.0
    frailty: float = 0.0
    docking_after_onset: float = 1.0
    onset_delay_h: float = 0.0
    onset_width_h: float = 0.0
    late: float = 0.0
    lost_per_h: float = 0.0
    tracer_fraction: float = 1.0
    recall: float = 1.0
    false_per_h: float = 0.0


class StudyTables(NamedTuple):
    """The contract's tables of all movies, each with a column `movie`; `movies` carries the sample sheet."""

    movies: pd.DataFrame
    fates: pd.DataFrame
    events: pd.DataFrame
    cells: pd.DataFrame


@dataclass(frozen=True)
class _Cells:
    """Every cell with what rules its fate; arrays of shape (N,) unless said."""

    movie: Ints
    arm: Ints
    area_um2: Floats
    docking_per_h: Floats
    hazard_per_h: Floats
    entry_s: Floats
    born: NDArray[np.bool_]
    hits: NDArray[np.int64]
    """Shape (N, K): dockings in each step, whoever is still there to receive them."""
    fusions: NDArray[np.int64]
    """Shape (N, K): those of them that fuse."""


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
    fates = _fates(plan, cells, onset_s, movies, rng)
    events = _events(plan, cells, onset_s, fates, rng)
    return StudyTables(
        movies,
        fates.rename(columns={"entry_s": "first_s"}),
        events,
        _sights(plan, cells, fates, onset_s, rng),
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


def _cells(plan: StudyPlan, donor: Ints, rng: np.random.Generator) -> _Cells:
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
    return _Cells(
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


def _onsets(plan: StudyPlan, cells: _Cells, rng: np.random.Generator) -> Floats:
    """Return when each cell really begins to die, infinite if it never does while the movie lasts."""
    n, steps = cells.hits.shape
    logs = np.zeros((n, steps))
    ratio = {
        name: np.log([getattr(arm, name) for arm in plan.arms])[cells.arm, None]
        for name in ("docking_hr", "fusion_hr")
    }
    for hits, name in ((cells.hits - cells.fusions, "docking_hr"), (cells.fusions, "fusion_hr")):
        if ratio[name].any():
            logs += ratio[name] * _exposure(plan, hits)
    hazard = cells.hazard_per_h[:, None] * np.exp(logs) * plan.frame_interval_s / 3600
    hazard[np.arange(steps) * plan.frame_interval_s < cells.entry_s[:, None]] = 0
    spent = np.cumsum(hazard, axis=1)
    fate = rng.exponential(size=n)
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


def _fates(
    plan: StudyPlan, cells: _Cells, onset_s: Floats, movies: pd.DataFrame, rng: np.random.Generator
) -> pd.DataFrame:
    """Return the fates with `entry_s` and `last_s`: a late call, an interval, tracks that are lost."""
    n, end_s = len(onset_s), (cells.hits.shape[1]) * plan.frame_interval_s
    called = onset_s + rng.uniform(0, 2, n) * plan.onset_delay_h * 3600
    lost = (
        rng.exponential(3600 / plan.lost_per_h, n) + cells.entry_s if plan.lost_per_h else np.full(n, np.inf)
    )
    died = called < np.minimum(lost, end_s)
    last = np.minimum.reduce(
        [np.where(died, called + EXECUTION_S, np.inf), np.where(died, np.inf, lost), np.full(n, end_s)]
    )
    frame = plan.frame_interval_s
    shift = rng.random(n) * plan.onset_width_h * 3600
    lo = np.floor((called - shift) / frame) * frame
    hi = np.ceil((called - shift + plan.onset_width_h * 3600) / frame) * frame
    lo, hi = np.maximum(lo, cells.entry_s), np.minimum(hi, end_s)
    mode = np.where(rng.random(n) < 0.85, "apoptotic", "lytic")
    table = pd.DataFrame(
        {
            "movie": movies["movie"].to_numpy()[cells.movie],
            "cell_id": np.arange(n) % plan.cells_per_well + 1,
            "parent_id": np.where(cells.born, np.arange(n) % plan.cells_per_well, 0),
            "first_frame": (cells.entry_s / frame).astype(np.int64),
            "last_frame": np.floor(last / frame).astype(np.int64),
            "entry": np.where(cells.born, "birth", np.where(cells.entry_s > 0, "entered_field", "start")),
            "exit": np.where(died, "died", np.where(last < end_s, "track_lost", "movie_end")),
            "entry_s": cells.entry_s,
            "last_s": np.floor(last / frame) * frame,
        }
    )
    table["parent_id"] = table["parent_id"].astype("Int64").where(cells.born)
    table["death_mode"] = pd.Series(mode, dtype="string").where(pd.Series(died))
    table["death_probability"] = np.where(died, 0.95, 0.02)
    for name, value in (("onset_s", (lo + hi) / 2), ("onset_s_lo", lo), ("onset_s_hi", hi)):
        table[name] = np.where(died, value, np.nan)
    return schema.conform(table, schema.FATES)


def _events(
    plan: StudyPlan, cells: _Cells, onset_s: Floats, fates: pd.DataFrame, rng: np.random.Generator
) -> pd.DataFrame:
    """Return the labelled and found dockings while each cell was watched, and what became of each."""
    frame, steps = plan.frame_interval_s, cells.hits.shape[1]
    seen = plan.tracer_fraction * plan.recall
    owners, times, fused = [], [], []
    for hits, fuse in ((cells.hits - cells.fusions, False), (cells.fusions, True)):
        found = rng.binomial(hits, seen)
        cell, step = (np.repeat(index, found[found > 0]) for index in np.nonzero(found))
        owners.append(cell)
        times.append((step + rng.random(len(cell))) * frame)
        fused.append(np.full(len(cell), fuse))
    more = [
        (plan.docking_after_onset - 1) * cells.docking_per_h * seen,
        np.full(len(onset_s), plan.false_per_h),
    ]
    for rate, first in zip(more, (np.minimum(onset_s, steps * frame), np.zeros(len(onset_s)))):
        count = rng.poisson(np.maximum(rate, 0) * (steps * frame - first) / 3600)
        cell = np.repeat(np.arange(len(count)), count)
        owners.append(cell)
        times.append(first[cell] + rng.random(len(cell)) * (steps * frame - first[cell]))
        fused.append(np.zeros(len(cell), dtype=bool))
    owner, time, fusing = (np.concatenate(parts) for parts in (owners, times, fused))
    entry, last = (fates[name].to_numpy(dtype=np.float64)[owner] for name in ("entry_s", "last_s"))
    kept = (time >= entry) & (time <= last)
    return _event_rows(plan, cells, fates, owner[kept], time[kept], fusing[kept], rng)


def _event_rows(
    plan: StudyPlan,
    cells: _Cells,
    fates: pd.DataFrame,
    owner: Ints,
    time_s: Floats,
    fusing: NDArray[np.bool_],
    rng: np.random.Generator,
) -> pd.DataFrame:
    """Return a docking and its end per hit."""
    n = len(owner)
    shares = {
        name: np.array([getattr(arm, name) for arm in plan.arms])[cells.arm[owner]]
        for name in ("uptake_share", "unresolved_share")
    }
    chance = rng.random(n)
    hidden = rng.random(n) < shares["unresolved_share"]
    ends = np.where(fusing, "fusion", np.where(chance < shares["uptake_share"], "uptake", "detachment"))
    ends = np.where(hidden, "loss_unresolved", ends)
    dwell = rng.exponential(120.0, n)
    common = {
        "movie": fates["movie"].to_numpy()[owner],
        "cell_id": fates["cell_id"].to_numpy()[owner],
        "exosome_id": np.arange(1, n + 1),
        "censored": "none",
        "probability": 0.95,
    }
    docking = pd.DataFrame(
        {**common, "kind": "docking", "start_s": time_s, "end_s": time_s + dwell, "identifiable": True}
    )
    ending = pd.DataFrame(
        {
            **common,
            "kind": ends,
            "start_s": time_s + dwell,
            "end_s": time_s + dwell,
            "identifiable": ends != "loss_unresolved",
        }
    )
    rows = pd.concat([docking, ending], ignore_index=True).sort_values(
        ["movie", "start_s"], ignore_index=True, kind="stable"
    )
    rows["event_id"] = rows.groupby("movie", sort=False).cumcount() + 1
    rows["duration_s"] = rows["end_s"] - rows["start_s"]
    for end in ("start", "end"):
        rows[f"{end}_frame"] = (rows[f"{end}_s"] / plan.frame_interval_s).astype(np.int64)
    return schema.conform(rows, schema.EVENTS)


def _sights(
    plan: StudyPlan, cells: _Cells, fates: pd.DataFrame, onset_s: Floats, rng: np.random.Generator
) -> pd.DataFrame:
    """Return where and how large each cell is in every frame in which it is seen."""
    n, frames = len(onset_s), cells.hits.shape[1] + 1
    numbers = np.arange(0, frames, plan.sights_every)
    first, last = (fates[name].to_numpy(dtype=np.int64)[:, None] for name in ("first_frame", "last_frame"))
    cell, frame = np.nonzero((numbers >= first) & (numbers <= last))
    frame = numbers[frame]
    time = frame * plan.frame_interval_s
    dying = np.clip((time - onset_s[cell]) / SHRINKING_S, 0, 1)
    side = 30.0 * np.sqrt(plan.cells_per_well)
    centre = rng.uniform(0, side, (n, 2))
    area = cells.area_um2[cell] * (1 - (1 - SHRUNK) * dying) * np.exp(rng.normal(0, 0.03, len(cell)))
    table = pd.DataFrame(
        {
            "movie": fates["movie"].to_numpy()[cell],
            "frame": frame,
            "time_s": time,
            "cell_id": fates["cell_id"].to_numpy()[cell],
            "y_um": centre[cell, 0],
            "x_um": centre[cell, 1],
            "area_um2": area,
        }
    )
    return schema.conform(table, schema.CELLS)
