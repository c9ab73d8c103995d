"""What each well shows of hits and deaths: wells, not cells, are what conditions are compared by."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from exovision import schema
from exovision.experiment.curves import LOST
from exovision.experiment.exposures import Cohort
from exovision.experiment.study import Study
from exovision.numerics.survival import kaplan_meier, restricted_mean, survival_at
from exovision.settings import ExperimentSettings

Floats = NDArray[np.float64]

HITS = {"dockings": "docked", "fusions": "fused", "uptakes": "taken_up"}


def well_table(study: Study, cohort: Cohort, settings: ExperimentSettings) -> pd.DataFrame:
    """Return what each well shows.

    Parameters
    ----------
    study : Study
    cohort : Cohort
    settings : ExperimentSettings
        `horizon_h`, `docking_recall` and `docking_precision`.

    Returns
    -------
    DataFrame
        Columns of `exovision.schema.WELLS`. `cell_hours` are those watched for death, `hit_hours` those of
        the exosome channel where the movies say them. Rates of hits count all hits of living cells, true
        ones only, and are scaled up by the share that is labelled and found. `survival` and
        `mean_time_alive_h` are those at the horizon.
    """
    horizon_s = choose_horizon_s(cohort, settings)
    hit_hours = _hit_hours(study, cohort)
    labelled = _labelled(study, cohort) * settings.docking_recall / settings.docking_precision
    rows: list[dict[str, Any]] = []
    for number in np.unique(cohort.unit):
        index = np.flatnonzero(cohort.unit == number)
        first = cohort.cells.iloc[index[0]]
        names = {"condition": first["arm"], "well": first["unit"], "donor": first["donor"]}
        counts = _counts(cohort, index, hit_hours[index], labelled[index])
        rows.append({**names, **counts, **_alive(cohort, index, horizon_s)})
    return schema.conform(pd.DataFrame(rows), schema.WELLS)


def choose_horizon_s(cohort: Cohort, settings: ExperimentSettings) -> float:
    """Return the time up to which survival is compared, s: that of the settings, or the shortest well's."""
    last = cohort.cells.groupby(["arm", "unit"])["last_s"].max()
    longest = float(last.min()) if len(last) else 0.0
    return longest if settings.horizon_h is None else min(settings.horizon_h * 3600, longest)


def _hit_hours(study: Study, cohort: Cohort) -> Floats:
    """Return the hours for which the hits of each cell were watched, shape (N,)."""
    hours = (cohort.end_s - cohort.entry_s) / 3600
    total = pd.Series(hours).groupby(cohort.cells["movie"].to_numpy()).sum()
    known = study.movies.set_index("movie")["cell_hours"]
    share = (known / total.reindex(known.index)).clip(upper=1.0).fillna(1.0)
    scaled: Floats = hours * cohort.cells["movie"].map(share).to_numpy(dtype=np.float64)
    return scaled


def _labelled(study: Study, cohort: Cohort) -> Floats:
    tracer = study.movies.set_index("movie")["tracer_fraction"].fillna(1.0)
    return cohort.cells["movie"].map(tracer).to_numpy(dtype=np.float64)


def _counts(cohort: Cohort, index: NDArray[np.int64], hit_hours: Floats, scale: Floats) -> dict[str, float]:
    hours = float((cohort.end_s - cohort.entry_s)[index].sum()) / 3600
    deaths = int(cohort.died[index].sum())
    row: dict[str, float] = {
        "movies": cohort.cells["movie"].iloc[index].nunique(),
        "cells": len(index),
        "deaths": deaths,
        "lost": int(cohort.cells["exit"].iloc[index].isin(LOST).sum()),
        "cell_hours": hours,
        "hit_hours": float(hit_hours.sum()),
        "deaths_per_cell_hour": deaths / hours if hours else np.nan,
    }
    for plural, name in HITS.items():
        trains = cohort.hits[name]
        owner = np.repeat(np.arange(len(cohort.end_s)), np.diff(trains.start))
        living = (trains.time_s < cohort.end_s[owner]) & np.isin(owner, index)
        row[plural] = int(living.sum())
        exposed = float((hit_hours * scale).sum())
        row[f"{plural}_per_cell_hour"] = row[plural] / exposed if exposed else np.nan
    return row


def _alive(cohort: Cohort, index: NDArray[np.int64], horizon_s: float) -> dict[str, float]:
    ends = cohort.cells["end_s"].to_numpy(dtype=np.float64)[index]
    curve = kaplan_meier(ends, cohort.died[index], entry_s=cohort.entry_s[index])
    mean_s, _ = restricted_mean(curve, horizon_s)
    return {"survival": survival_at(curve, horizon_s), "mean_time_alive_h": mean_s / 3600}
