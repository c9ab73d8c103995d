"""Survival by condition and by well, incidence by death mode, survival and latency after the k-th hit."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from exovision import schema
from exovision.experiment.exposures import Cohort
from exovision.numerics.survival import cumulative_incidence, kaplan_meier, survival_at
from exovision.numerics.trains import Trains
from exovision.settings import ExperimentSettings

Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]
Ints = NDArray[np.int64]

LOST = ("track_lost", "left_field")
MODES = ("apoptotic", "lytic", "unresolved")
HIT_KINDS = {"docking": "docked", "fusion": "fused"}


def survival_table(cohort: Cohort, settings: ExperimentSettings) -> pd.DataFrame:
    """Estimate survival from entry, and from the k-th docking and fusion on, by condition and by well.

    Parameters
    ----------
    cohort : Cohort
    settings : ExperimentSettings
        `landmarks`: the largest k.

    Returns
    -------
    DataFrame
        Columns of `exovision.schema.SURVIVAL`, a row per step of each curve. `start` is entry, docking or
        fusion, and `hit` its number; from entry time runs with the movie and late cells join at their entry.
        `survival_earliest` and `survival_latest` place every death at either end of its onset interval;
        `survival_lost_died` and `survival_lost_lived` take every lost track for a death, or for a survivor
        to the end.

    Notes
    -----
    After the k-th hit every cell that had k is followed from that hit, whatever came later: a fixed total of
    hits would favour those that lived long enough to collect them.
    """
    rows = [
        row for level, mask, names in _groups(cohort) for row in _curves(cohort, mask, settings, level, names)
    ]
    return schema.conform(pd.DataFrame(rows), schema.SURVIVAL)


def _groups(cohort: Cohort) -> Iterator[tuple[str, Bools, dict[str, Any]]]:
    """Yield each condition, then each well."""
    cells = cohort.cells
    for arm in cells["arm"].unique():
        yield "condition", (cells["arm"] == arm).to_numpy(dtype=bool), {"condition": arm, "well": None}
    for number in np.unique(cohort.unit):
        mask = cohort.unit == number
        first = cells.iloc[int(np.argmax(mask))]
        yield "well", mask, {"condition": first["arm"], "well": first["unit"]}


def _curves(
    cohort: Cohort, mask: Bools, settings: ExperimentSettings, level: str, names: dict[str, Any]
) -> Iterator[dict[str, Any]]:
    cells, rows = cohort.cells, np.flatnonzero(mask)
    entry = cohort.entry_s[rows]
    yield from _steps(cells.iloc[rows], entry, entry, {"level": level, **names, "start": "entry"})
    if level == "well":
        return
    for start, name in HIT_KINDS.items():
        for k in range(1, settings.landmarks + 1):
            at = _nth_hit(cohort.hits[name], k)
            hit = rows[at[rows] < cohort.end_s[rows]]
            if hit.size:
                label = {"level": level, **names, "start": start, "hit": k}
                yield from _steps(cells.iloc[hit], at[hit], None, label)


def _nth_hit(trains: Trains, k: int) -> Floats:
    """Return when each cell received its k-th hit, infinite if it never did, shape (N,)."""
    place = trains.start[:-1] + k - 1
    has = place < trains.start[1:]
    at = np.full(len(has), np.inf)
    at[has] = trains.time_s[place[has]]
    return at


def _steps(
    cells: pd.DataFrame, since_s: Floats, entry_s: Floats | None, label: dict[str, Any]
) -> Iterator[dict[str, Any]]:
    """Yield the steps of one curve: with entries time runs with the movie, without from `since_s` on."""
    zero = np.zeros(len(cells)) if entry_s is not None else since_s
    died = cells["died"].to_numpy(dtype=bool)
    times = {name: cells[name].to_numpy(dtype=np.float64) - zero for name in ("end_s", "last_s")}
    ends = times["end_s"]
    if not (ends > (entry_s if entry_s is not None else 0.0)).any():
        return
    curve = kaplan_meier(ends, died, entry_s=entry_s)
    lost = cells["exit"].isin(LOST).to_numpy(dtype=bool)
    bounds = {
        "earliest": (_ends(cells, "onset_s_lo", died) - zero, died),
        "latest": (_ends(cells, "onset_s_hi", died) - zero, died),
        "lost_died": (ends, died | lost),
        "lost_lived": (np.where(lost, ends.max(), ends), died),
    }
    found = {name: kaplan_meier(t, d, entry_s=entry_s) for name, (t, d) in bounds.items()}
    shown = np.unique(np.concatenate([[0.0], curve.time_s, [ends.max()]]))
    for time in shown:
        k = int(np.searchsorted(curve.time_s, time, side="right")) - 1
        risk = (ends >= time) & (
            True if entry_s is None else (entry_s < time) | ((entry_s <= 0) & (time == 0))
        )
        yield {
            **label,
            "time_s": time,
            "survival": curve.survival[k] if k >= 0 else 1.0,
            "survival_lo": curve.lo[k] if k >= 0 else 1.0,
            "survival_hi": curve.hi[k] if k >= 0 else 1.0,
            **{f"survival_{name}": survival_at(other, time) for name, other in found.items()},
            "cells": len(cells),
            "at_risk": int(risk.sum()),
            "deaths": int((died & (ends <= time)).sum()),
        }


def _ends(cells: pd.DataFrame, name: str, died: Bools) -> Floats:
    return np.where(died, cells[name].to_numpy(dtype=np.float64), cells["last_s"].to_numpy(dtype=np.float64))


def incidence_table(cohort: Cohort) -> pd.DataFrame:
    """Estimate how likely each mode of death is by each time, the others competing, by condition and by well.

    Returns
    -------
    DataFrame
        Columns of `exovision.schema.CUMULATIVE_INCIDENCE`; only modes that occur in the study.
    """
    mode = cohort.cells["death_mode"].fillna("unresolved").to_numpy(dtype=object)
    cause = np.where(cohort.died, [MODES.index(m) + 1 if m in MODES else len(MODES) for m in mode], 0)
    ends = cohort.cells["end_s"].to_numpy(dtype=np.float64)
    rows = []
    for level, mask, names in _groups(cohort):
        for number in np.unique(cause[cause > 0]):
            found = cumulative_incidence(
                ends[mask], cause[mask].astype(np.int64), int(number), entry_s=cohort.entry_s[mask]
            )
            died = np.sort(ends[mask][cause[mask] == number])
            label = {"level": level, **names, "death_mode": MODES[number - 1], "cells": int(mask.sum())}
            rows += [
                {**label, "time_s": t, "incidence": f, "incidence_lo": lo, "incidence_hi": hi}
                | {"deaths": int(np.searchsorted(died, t, side="right"))}
                for t, f, lo, hi in zip(found.time_s, found.incidence, found.lo, found.hi)
            ]
    return schema.conform(pd.DataFrame(rows), schema.CUMULATIVE_INCIDENCE)


def latency_table(cohort: Cohort) -> pd.DataFrame:
    """List the time from each hit on a dying cell to its onset.

    Returns
    -------
    DataFrame
        Columns of `exovision.schema.LATENCY`: a row per hit before the earliest sign of dying; `hits` is
        how many the cell received in all, `last` marks the last one before the onset.
    """
    parts = [_latencies(cohort, kind, name) for kind, name in HIT_KINDS.items()]
    return schema.conform(pd.concat(parts, ignore_index=True), schema.LATENCY)


def _latencies(cohort: Cohort, kind: str, name: str) -> pd.DataFrame:
    trains, cells = cohort.hits[name], cohort.cells
    owner = np.repeat(np.arange(len(cells)), np.diff(trains.start))
    counted = cohort.died[owner] & (trains.time_s < cohort.end_s[owner])
    number = np.arange(len(owner)) - trains.start[owner] + 1
    owner, time, number = owner[counted], trains.time_s[counted], number[counted]
    total = np.bincount(owner, minlength=len(cells))[owner]
    dying = cells.iloc[owner]
    return pd.DataFrame(
        {
            "condition": dying["arm"].to_numpy(),
            "well": dying["unit"].to_numpy(),
            "movie": dying["movie"].to_numpy(),
            "cell_id": dying["cell_id"].to_numpy(),
            "kind": kind,
            "hit": number,
            "hits": total,
            "last": number == total,
            "latency_s": dying["onset_s"].to_numpy() - time,
            "latency_s_lo": dying["onset_s_lo"].to_numpy() - time,
            "latency_s_hi": dying["onset_s_hi"].to_numpy() - time,
            "death_mode": dying["death_mode"].to_numpy(),
        }
    )
