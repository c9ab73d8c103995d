"""One experiment from its tables: everything that `experiment/` holds."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from exovision import schema
from exovision.experiment.comparison import READOUTS, comparison_table
from exovision.experiment.curves import incidence_table, latency_table, survival_table
from exovision.experiment.design import Design, check_design
from exovision.experiment.exposures import Cohort, make_cohort
from exovision.experiment.findings import allowed, not_allowed
from exovision.experiment.hazard import hazard_table
from exovision.experiment.study import Study, follow_cells
from exovision.experiment.wells import choose_horizon_s, well_table
from exovision.settings import ExperimentSettings

OF_DEATH = ("deaths", "deaths_per_cell_hour", "survival", "mean_time_alive_h")
"""Columns of the wells that are about deaths."""


@dataclass(frozen=True)
class Experiment:
    """What the tables of an experiment say.

    Attributes
    ----------
    design : Design
    survival, cumulative_incidence, latency, hazard, comparison, wells : DataFrame
        Columns as in `exovision.schema`.
    summary : dict
        Counts at each level, `allowed` and `not_allowed` (sentences), and what the report prints besides.
    """

    design: Design
    survival: pd.DataFrame
    cumulative_incidence: pd.DataFrame
    latency: pd.DataFrame
    hazard: pd.DataFrame
    comparison: pd.DataFrame
    wells: pd.DataFrame
    summary: dict[str, Any]

    def tables(self) -> dict[str, pd.DataFrame]:
        """Return the tables by the name of their file."""
        return {
            "survival": self.survival,
            "cumulative_incidence": self.cumulative_incidence,
            "latency": self.latency,
            "hazard": self.hazard,
            "comparison": self.comparison,
            "wells": self.wells,
        }


def analyse_study(study: Study, settings: ExperimentSettings) -> Experiment:
    """Analyse an experiment from its tables alone.

    Parameters
    ----------
    study : Study
        From `make_study`.
    settings : ExperimentSettings

    Returns
    -------
    Experiment
        Without a judged death or without cells the tables of death are empty, and the summary says so.
    """
    design = check_design(study.movies, settings)
    cohort = make_cohort(study, settings)
    wells = well_table(study, cohort, settings)
    judged = death_judged(study)
    if not judged:
        # A survival of 1 would be a claim that nobody made.
        wells = schema.conform(wells.drop(columns=list(OF_DEATH)), schema.WELLS)
    comparison = comparison_table(wells, design.contrasts, design.interactions, settings)
    hazard = hazard_table(cohort, settings)
    survival = survival_table(cohort, settings)
    summary = {
        "counts": _counts(design, cohort, study),
        "death_judged": judged,
        "horizon_s": choose_horizon_s(cohort, settings),
        "deaths": int(cohort.died.sum()),
        "cell_hours": float((cohort.end_s - cohort.entry_s).sum()) / 3600,
        "already_dying": len(follow_cells(study)) - len(cohort.cells),
        "unresolved_share": _unresolved_share(cohort),
        "untold_dockings": _untold_dockings(study),
        "seen_share": float(cohort.seen.mean()) if len(cohort.seen) else None,
        "latency": _latency(cohort),
        "readouts": dict(READOUTS),
    }
    summary["allowed"] = allowed(summary, hazard, comparison)
    summary["not_allowed"] = not_allowed(summary, hazard, design, cohort, settings)
    return Experiment(
        design,
        survival if judged else survival.iloc[:0],
        incidence_table(cohort),
        latency_table(cohort),
        hazard if judged else hazard.iloc[:0],
        comparison,
        wells,
        summary,
    )


def death_judged(study: Study) -> bool:
    """Tell whether anything in the tables says that death was looked for."""
    fates, cells = study.fates, study.cells
    called = (fates["exit"] == "died").fillna(False).any() or fates["death_probability"].notna().any()
    return bool(called or cells["state"].dropna().isin(["unknown"]).eq(False).any())


def _counts(design: Design, cohort: Cohort, study: Study) -> list[dict[str, Any]]:
    """Return donors, wells, movies, cells, deaths and lost tracks of each condition."""
    cells = cohort.cells
    rows = []
    for arm in design.arms.itertuples():
        own = (cells["arm"] == arm.condition).to_numpy(dtype=bool)
        exits = cells["exit"][own]
        rows.append(
            {
                "condition": arm.condition,
                "control": arm.control,
                **{name: int(getattr(arm, name)) for name in ("donors", "wells", "movies")},
                "cells": int(own.sum()),
                "deaths": int(cohort.died[own].sum()),
                "divided": int((exits == "divided").sum()),
                "lost": int(exits.isin(["track_lost", "left_field"]).sum()),
                "cell_hours": float((cohort.end_s - cohort.entry_s)[own].sum()) / 3600,
                "dockings": _hits_of(cohort, own, "docked"),
                "fusions": _hits_of(cohort, own, "fused"),
                "unresolved": _hits_of(cohort, own, "unresolved"),
            }
        )
    return rows


def _hits_of(cohort: Cohort, own: Any, name: str) -> int:
    return int(np.diff(cohort.hits[name].start)[own].sum())


def _unresolved_share(cohort: Cohort) -> float | None:
    """Return the share of dockings whose end could not be told."""
    docked = len(cohort.hits["docked"].time_s)
    return len(cohort.hits["unresolved"].time_s) / docked if docked else None


def _untold_dockings(study: Study) -> int:
    """Return how many dockings are from movies that cannot tell them from passing by."""
    named = study.movies["movie"][study.movies["arm"].notna()]
    own = study.events[(study.events["kind"] == "docking") & study.events["movie"].isin(named)]
    return int((~own["identifiable"].fillna(True).astype(bool)).sum())


def _latency(cohort: Cohort) -> dict[str, dict[str, Any]]:
    """Return the median time from the last docking and fusion to the onset of death, by condition."""
    table = latency_table(cohort)
    last = table[table["last"].fillna(False).astype(bool)]
    return {
        f"{kind}: {condition}": {
            "kind": kind,
            "condition": condition,
            "deaths": len(rows),
            "median_s": float(rows["latency_s"].median()),
            "quartile_1_s": float(rows["latency_s"].quantile(0.25)),
            "quartile_3_s": float(rows["latency_s"].quantile(0.75)),
        }
        for (kind, condition), rows in last.groupby(["kind", "condition"], sort=False)
    }
