"""What a perfect analysis would find in a simulated experiment: fates, events and cells as tables."""

from __future__ import annotations

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from exovision import schema
from exovision.simulation.study_plan import StudyCells, StudyPlan

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

EXECUTION_S = 3600.0
"""A dying cell stays in view for this long after the sign by which its onset is called (SCIENCE 5, V)."""
SHRUNK = 0.6
"""Area that a dying cell comes down to within `SHRINKING_S` (SCIENCE 7)."""
SHRINKING_S = 2400.0


def fate_rows(
    plan: StudyPlan, cells: StudyCells, onset_s: Floats, movies: pd.DataFrame, rng: np.random.Generator
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
            "parent_id": (np.arange(n) - 1) % plan.cells_per_well + 1,
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


def event_rows(
    plan: StudyPlan, cells: StudyCells, onset_s: Floats, fates: pd.DataFrame, rng: np.random.Generator
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
    return _rows_of_hits(plan, cells, fates, owner[kept], time[kept], fusing[kept], rng)


def _rows_of_hits(
    plan: StudyPlan,
    cells: StudyCells,
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


def sight_rows(
    plan: StudyPlan, cells: StudyCells, fates: pd.DataFrame, onset_s: Floats, rng: np.random.Generator
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
