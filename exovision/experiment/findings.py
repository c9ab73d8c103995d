"""What the data allow to say and what they do not, in plain sentences."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
import pandas as pd

from exovision.experiment.comparison import READOUTS
from exovision.experiment.design import LEVEL, Design
from exovision.experiment.exposures import ADJUSTERS, Cohort
from exovision.experiment.hazard import ALL, CONTRAST
from exovision.settings import ExperimentSettings

HITS = {"docked": "dockings", "fused": "fusions", "taken_up": "uptakes"}
DETECTABLE_Z = 2.80
"""1.96 + 0.84: an effect of so many standard errors is found with a power of 80 % at the 5 % level."""
HAZARD_GOAL = 1.3
MUCH_UNRESOLVED = 0.2
"""From this share of dockings with an unknown end on, the contrast of routes rests on the others alone (P)."""


def allowed(summary: Mapping[str, Any], hazard: pd.DataFrame, comparison: pd.DataFrame) -> list[str]:
    """Return the sentences that the data allow."""
    return [*_deaths(summary), *_hits(summary, hazard), *_routes(hazard), *_differences(comparison)]


def _deaths(summary: Mapping[str, Any]) -> Iterator[str]:
    cells = sum(row["cells"] for row in summary["counts"])
    hours, deaths = summary["cell_hours"], summary["deaths"]
    if not cells:
        yield "No cell was watched in any movie with a condition: nothing can be said."
    elif not summary["death_judged"]:
        yield (
            f"{cells} cells were watched for {hours:.3g} cell-hours, but no death was judged in these movies: "
            "what can be said is how often exosomes dock, and how conditions differ in that."
        )
    elif not deaths:
        yield (
            f"None of {cells} cells died in {hours:.3g} cell-hours: the rate of death is below "
            f"{3.689 / hours:.2g} per cell and hour (95 %), and nothing can be said of what hits do to it."
        )
    elif deaths == cells:
        yield (
            f"All {cells} cells died: shares alive at the end tell conditions no longer apart, times alive and "
            "hazards still do."
        )
    else:
        yield f"{deaths} of {cells} cells died in {hours:.3g} cell-hours."


def _hits(summary: Mapping[str, Any], hazard: pd.DataFrame) -> Iterator[str]:
    if not (summary["death_judged"] and summary["deaths"]):
        return
    for row in hazard[hazard["analysis"] == "hits"].to_dict("records"):
        if row["exposure"] != "docked" and row["condition"] != ALL and (hazard["condition"] == ALL).any():
            continue
        yield hazard_sentence(row)


def hazard_sentence(row: Mapping[str, Any]) -> str:
    """Return one line of the hazard table in words."""
    where = "In all conditions together" if row["condition"] == ALL else f"{row['condition']}"
    hits = HITS[row["exposure"]]
    if not np.isfinite(row["hazard_ratio"]):
        return f"{where}: whether {hits} raise the hazard of death cannot be estimated ({row['note']})."
    per = f"each doubling of (1 + {hits})" if row["scale"] == "doubling" else f"each of the {hits}"
    limits = (
        f"95 % interval {row['hazard_ratio_lo']:.3g} to {row['hazard_ratio_hi']:.3g}"
        if np.isfinite(row["hazard_ratio_lo"])
        else "no interval"
    )
    base = (
        f"{where}, {per} goes with {row['hazard_ratio']:.3g} times the hazard of death ({limits}; "
        f"{row['deaths']} deaths, {row['clusters']} {row['cluster_level']}s; hits counted up to "
        f"{row['lag_s'] / 3600:.2g} h before the first sign of dying)"
    )
    if row["descriptive"]:
        return f"{base}; this is descriptive only: {row['note']}."
    shifted = row["p_time_shift"]
    beyond = (
        f"; hits dealt anew within their fields do as much in a share of {shifted:.2g}"
        if np.isfinite(shifted)
        else ""
    )
    return f"{base}{beyond}: {_verdict(row)}."


def _verdict(row: Mapping[str, Any]) -> str:
    if not np.isfinite(row["p"]):
        return "not tested"
    chance = row["p_time_shift"]
    if row["p"] >= LEVEL or (np.isfinite(chance) and chance >= LEVEL):
        return "no more than chance can be told"
    return "more than chance, and before any sign of dying" if row["hazard_ratio"] > 1 else "a lower hazard"


def _routes(hazard: pd.DataFrame) -> Iterator[str]:
    rows = hazard[(hazard["analysis"] == "route") & (hazard["exposure"] == CONTRAST)]
    for row in rows.to_dict("records"):
        if not np.isfinite(row["hazard_ratio"]):
            continue
        yield (
            f"{row['condition']}: a doubling of fusions goes with {row['hazard_ratio']:.3g} times the hazard that a "
            f"doubling of dockings without fusion goes with (95 % interval {row['hazard_ratio_lo']:.3g} to "
            f"{row['hazard_ratio_hi']:.3g}){_bounds(hazard, row['condition'])}."
        )


def _bounds(hazard: pd.DataFrame, condition: str) -> str:
    rows = hazard[(hazard["analysis"] == "route_bound") & (hazard["condition"] == condition)]
    ratios = rows["hazard_ratio"].dropna()
    if ratios.empty:
        return ""
    return f"; {ratios.min():.3g} to {ratios.max():.3g} if every unresolved loss was the one or the other"


def _differences(comparison: pd.DataFrame) -> Iterator[str]:
    tested = comparison[comparison["p"].notna()]
    clear = tested[tested["q"] < LEVEL]
    for row in clear.to_dict("records"):
        yield comparison_sentence(row)
    if len(tested):
        rest = len(tested) - len(clear)
        yield f"Of {len(tested)} comparisons of wells {len(clear)} stand out after correction for their number, {rest} do not."
    elif len(comparison):
        yield "Differences between conditions are described, not tested: there are too few wells."


def comparison_sentence(row: Mapping[str, Any]) -> str:
    """Return one line of the comparison table in words."""
    what = READOUTS[row["readout"]]
    if row["contrast"] == "interaction":
        lead = f"{what}, ({row['condition']}) against ({row['reference']})"
    else:
        lead = f"{what}, {row['condition']} against {row['reference']}"
    return (
        f"{lead[0].upper()}{lead[1:]}: {row['mean']:.3g} against {row['mean_reference']:.3g}, difference "
        f"{row['difference']:.3g} (95 % interval {row['difference_lo']:.3g} to {row['difference_hi']:.3g}), "
        f"p = {row['p']:.2g}, corrected {row['q']:.2g} ({row['test']}; {row['wells']} and "
        f"{row['wells_reference']} wells)."
    )


def not_allowed(
    summary: Mapping[str, Any],
    hazard: pd.DataFrame,
    design: Design,
    cohort: Cohort,
    settings: ExperimentSettings,
) -> list[str]:
    """Return the sentences that say what the data do not allow, and what was taken for granted."""
    return [
        *(f"{line[0].upper()}{line[1:]}." for line in design.warnings),
        *_routes_not_told(summary, hazard),
        *_power(summary, hazard, settings),
        *_gaps(summary, cohort, settings),
        "Cells were not given their hits at random: what drives both hits and death, other than "
        f"{_known(cohort)}, is not excluded.",
    ]


def _known(cohort: Cohort) -> str:
    names = [name for name in ADJUSTERS if name == "division" or name in cohort.observations]
    return ", ".join(names)


def _routes_not_told(summary: Mapping[str, Any], hazard: pd.DataFrame) -> Iterator[str]:
    share = summary["unresolved_share"]
    if share is None:
        yield "No exosome docked: the routes of killing cannot be compared."
    elif not (hazard["exposure"] == "fused").any():
        known = f"{share:.0%} of dockings ended in a way that could not be told" if share else "none was seen"
        yield (
            f"No fusion was told from other ends of docking ({known}): whether exosomes kill by docking (FasL) or "
            "by fusion (perforin) cannot be said."
        )
    elif share >= MUCH_UNRESOLVED:
        yield (
            f"{share:.0%} of dockings ended in a way that could not be told: the contrast of fusion with docking "
            "rests on the others; its bounds say how far the unresolved ones could move it."
        )


def _power(summary: Mapping[str, Any], hazard: pd.DataFrame, settings: ExperimentSettings) -> Iterator[str]:
    if not (summary["death_judged"] and summary["deaths"]):
        return
    if summary["deaths"] < settings.min_deaths:
        yield (
            f"{summary['deaths']} deaths are fewer than {settings.min_deaths}: hazard ratios are descriptive only."
        )
    rows = hazard[(hazard["analysis"] == "hits") & (hazard["exposure"] == "docked")]
    rows = rows[np.isfinite(rows["hazard_ratio_lo"]) & (rows["hazard_ratio_hi"] > rows["hazard_ratio_lo"])]
    for row in rows.iloc[:1].to_dict("records"):
        error = math.log(row["hazard_ratio_hi"] / row["hazard_ratio_lo"]) / (2 * 1.96)
        needed = row["deaths"] * (DETECTABLE_Z * error / math.log(HAZARD_GOAL)) ** 2
        yield (
            f"With {row['deaths']} deaths a hazard ratio of {math.exp(DETECTABLE_Z * error):.2g} per "
            f"{row['scale']} would be found four times in five; for {HAZARD_GOAL} about {needed:.0f} deaths are needed "
            f"({row['condition']})."
        )


def _gaps(summary: Mapping[str, Any], cohort: Cohort, settings: ExperimentSettings) -> Iterator[str]:
    if summary["already_dying"]:
        yield f"{summary['already_dying']} cells were dying or seen only once when first seen, and are left out."
    lost = sum(row["lost"] for row in summary["counts"])
    if lost and summary["death_judged"]:
        yield f"{lost} tracks were lost or left the field: survival carries bounds that take all of them for dead or alive."
    if summary["seen_share"] is not None and summary["seen_share"] < 1:
        yield (
            f"{summary['seen_share']:.0%} of hits could be seen (label, filming, detection); the others are put in "
            "by their expectation, which presumes that labelled and unlabelled exosomes act alike."
        )
    elif settings.docking_recall == settings.docking_precision == 1:
        yield (
            "Missed and false dockings are not allowed for: docking_recall and docking_precision are set to 1 "
            "(docs/validation.md has measured figures)."
        )
