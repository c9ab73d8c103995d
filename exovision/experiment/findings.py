"""What the data allow to say and what they do not, in plain sentences."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from exovision.experiment.comparison import READOUTS
from exovision.experiment.design import LEVEL, Design
from exovision.experiment.exposures import ADJUSTERS, Cohort
from exovision.experiment.hazard import ALL, CONTRAST
from exovision.settings import ExperimentSettings

HITS = {"docked": "dockings", "fused": "fusions", "taken_up": "uptakes"}
TOLD = ("docked", "fused")
"""Exposures that the sentences are about; the others are in the table."""
DETECTABLE_Z = 2.80
"""1.96 + 0.84: an effect of so many standard errors is found with a power of 80 % at the 5 % level."""
HAZARD_GOAL = 1.3
MUCH_UNRESOLVED = 0.2
"""From this share of unresolved dockings on, the contrast of routes rests on the others alone (P)."""
NONE_SEEN = 3.689
"""Upper 95 % limit of the mean of a Poisson count of 0 (Garwood 1936, doi:10.1093/biomet/28.3-4.437)."""


def allowed(summary: Mapping[str, Any], hazard: pd.DataFrame, comparison: pd.DataFrame) -> list[str]:
    """Return the sentences that the data allow."""
    told = [*_deaths(summary)]
    if summary["death_judged"] and summary["deaths"]:
        told += [*_hits(hazard), *_routes(hazard)]
    return [*told, *_differences(summary, comparison)]


def _deaths(summary: Mapping[str, Any]) -> Iterator[str]:
    cells = sum(row["cells"] for row in summary["counts"])
    deaths, hours = summary["deaths"], f"{summary['cell_hours']:,.0f} cell-hours"
    if not cells:
        yield "No cell was watched in any movie with a condition: nothing can be said."
    elif not summary["death_judged"]:
        yield (
            f"{cells} cells were watched for {hours}, but no death was judged in these movies: what can be "
            "said is how often exosomes dock, and how conditions differ in that."
        )
    elif not deaths:
        yield (
            f"None of {cells} cells died in {hours}: the rate of death is below "
            f"{NONE_SEEN / summary['cell_hours']:.2g} per cell and hour (95 %), and nothing can be said of "
            "what hits do to it."
        )
    elif deaths == cells:
        yield (
            f"All {cells} cells died: shares alive at the end tell conditions no longer apart, times alive "
            "and hazards still do."
        )
    else:
        yield f"{deaths} of {cells} cells died in {hours}."


def _hits(hazard: pd.DataFrame) -> Iterator[str]:
    rows = hazard[(hazard["analysis"] == "hits") & hazard["exposure"].isin(TOLD)]
    own = rows[rows["condition"] != ALL]
    lead = rows[rows["condition"] == ALL] if (rows["condition"] == ALL).any() else own
    yield from (hazard_sentence(row) for row in _records(lead))
    if len(lead) < len(rows):
        for exposure in TOLD:
            each = _records(own[own["exposure"] == exposure])
            if each:
                yield _one_by_one(exposure, each)


def _records(table: pd.DataFrame) -> list[dict[str, Any]]:
    return [{str(name): value for name, value in row.items()} for row in table.to_dict("records")]


def hazard_sentence(row: Mapping[str, Any]) -> str:
    """Return one line of the hazard table in words."""
    where = "In all conditions together" if row["condition"] == ALL else f"In {row['condition']}"
    hits = HITS[row["exposure"]]
    if not np.isfinite(row["hazard_ratio"]):
        return f"{where}: whether {hits} raise the hazard of death cannot be estimated ({row['note']})."
    per = f"each doubling of (1 + {hits})" if row["scale"] == "doubling" else f"each of the {hits}"
    return (
        f"{where}, {per} goes with {row['hazard_ratio']:.3g} times the hazard of death ({_limits(row)}; "
        f"{row['deaths']} deaths, {row['clusters']} {row['cluster_level']}s; hits counted up to "
        f"{row['lag_s'] / 3600:.2g} h before the first sign of dying): {_verdict(row)}."
    )


def _limits(row: Mapping[str, Any]) -> str:
    if not np.isfinite(row["hazard_ratio_lo"]):
        return "no interval"
    return f"95 % interval {row['hazard_ratio_lo']:.3g} to {row['hazard_ratio_hi']:.3g}"


def _verdict(row: Mapping[str, Any]) -> str:
    if row["descriptive"]:
        return str(row["note"])
    if not np.isfinite(row["p"]):
        return "not tested"
    dealt = row["p_time_shift"]
    beside = (
        f", as hits dealt anew within their fields do in a share of {dealt:.2g}" if np.isfinite(dealt) else ""
    )
    if _stands_out(row):
        what = "more" if row["hazard_ratio"] > 1 else "less"
        return f"{what} than chance explains (p = {row['p']:.2g}{beside}), and before any sign of dying"
    return f"chance explains it (p = {row['p']:.2g}{beside})"


def _stands_out(row: Mapping[str, Any]) -> bool:
    """Tell whether the interval and the time-shift null both leave chance out."""
    by_null = not np.isfinite(row["p_time_shift"]) or row["p_time_shift"] < LEVEL
    return bool(not row["descriptive"] and row["p"] < LEVEL and by_null)


def _one_by_one(exposure: str, rows: Sequence[Mapping[str, Any]]) -> str:
    """Return in which conditions hits stand out, in which they do not, and which have too few deaths."""
    clear = [row for row in rows if _stands_out(row)]
    few = [row for row in rows if row["descriptive"] or not np.isfinite(row["hazard_ratio"])]
    rest = [row for row in rows if row not in clear and row not in few]
    shown = "; ".join(f"{row['condition']} ({row['hazard_ratio']:.3g}, {_limits(row)})" for row in clear)
    parts = [f"{HITS[exposure].capitalize()}, condition by condition: they stand out in {shown or 'none'}"]
    if rest:
        parts.append(f"not in {'; '.join(row['condition'] for row in rest)}")
    if few:
        parts.append(f"too little to tell in {'; '.join(row['condition'] for row in few)}")
    return f"{'. '.join(_capital(part) for part in parts)}."


def _capital(text: str) -> str:
    return f"{text[:1].upper()}{text[1:]}"


def _routes(hazard: pd.DataFrame) -> Iterator[str]:
    rows = hazard[(hazard["analysis"] == "route") & (hazard["exposure"] == CONTRAST)]
    rows = rows[np.isfinite(rows["hazard_ratio"])]
    lead = rows[rows["condition"] == ALL] if (rows["condition"] == ALL).any() else rows
    for row in _records(lead):
        what = "a doubling of" if row["scale"] == "doubling" else "one of the"
        yield (
            f"Routes, {row['condition']}: {what} fusions goes with {row['hazard_ratio']:.3g} times the "
            f"hazard of {what} dockings without fusion ({_limits(row)}){_bounds(hazard, row['condition'])}."
        )


def _bounds(hazard: pd.DataFrame, condition: str) -> str:
    rows = hazard[(hazard["analysis"] == "route_bound") & (hazard["condition"] == condition)]
    ratios = rows["hazard_ratio"].dropna()
    if ratios.empty:
        return ""
    return f"; {ratios.min():.3g} to {ratios.max():.3g} if every unresolved loss was the one or the other"


def _differences(summary: Mapping[str, Any], comparison: pd.DataFrame) -> Iterator[str]:
    """Say what stands out of the readout that the question is about; the table holds the others."""
    tested = comparison[comparison["p"].notna()]
    clear = tested[tested["q"] < LEVEL]
    for readout in _asked(summary):
        rows = clear[clear["readout"] == readout]
        for several in (False, True):
            chosen = _records(rows[(rows["contrast"] == "interaction") == several])
            if chosen:
                lead = " differs more on one target type than on another" if several else ""
                told = "; ".join(comparison_phrase(row) for row in chosen)
                yield f"{_capital(READOUTS[readout])}{lead}: {told}."
    if len(tested):
        yield (
            f"Of {len(tested)} comparisons of wells {len(clear)} stand out after correction for their "
            f"number, {len(tested) - len(clear)} do not."
        )
    elif len(comparison):
        yield "Differences between conditions are described, not tested: there are too few wells."


def _asked(summary: Mapping[str, Any]) -> tuple[str, ...]:
    """Return the readouts that sentences are about: death where it was judged, else hits."""
    if not summary["death_judged"]:
        return ("dockings_per_cell_hour", "fusions_per_cell_hour")
    everyone = summary["deaths"] == sum(row["cells"] for row in summary["counts"])
    return ("mean_time_alive_h",) if everyone else ("survival",)


def comparison_phrase(row: Mapping[str, Any]) -> str:
    """Return one line of the comparison table in words."""
    p = f"corrected p = {row['q']:.2g}"
    if row["contrast"] == "interaction":
        a, b = row["condition"].split(" − ")[0], row["reference"].split(" − ")[0]
        here, there = (f"{row[name]:+.3g}".replace("-", "−") for name in ("mean", "mean_reference"))
        return f"{a} {here} from its reference, {b} {there} ({p})"
    return (
        f"{row['condition']} {row['mean']:.3g} against {row['reference']} {row['mean_reference']:.3g} ({p})"
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
        *(f"{_capital(line)}." for line in design.warnings),
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
    elif not any(row["fusions"] for row in summary["counts"]):
        known = f"{share:.0%} of dockings ended in a way that could not be told" if share else "none was seen"
        yield (
            f"No fusion was told from other ends of docking ({known}): whether exosomes kill by docking "
            "(FasL) or by fusion (perforin) cannot be said."
        )
    elif share >= MUCH_UNRESOLVED:
        yield (
            f"{share:.0%} of dockings ended in a way that could not be told: the contrast of fusion with "
            "docking rests on the others; its bounds say how far the unresolved ones could move it."
        )


def _power(summary: Mapping[str, Any], hazard: pd.DataFrame, settings: ExperimentSettings) -> Iterator[str]:
    if not (summary["death_judged"] and summary["deaths"]):
        return
    if summary["deaths"] < settings.min_deaths:
        yield f"Deaths are fewer than {settings.min_deaths}: hazard ratios are descriptive only."
    rows = hazard[(hazard["analysis"] == "hits") & (hazard["exposure"] == "docked")]
    rows = rows[rows["hazard_ratio_hi"] > rows["hazard_ratio_lo"]]
    for row in _records(rows.iloc[:1]):
        error = math.log(row["hazard_ratio_hi"] / row["hazard_ratio_lo"]) / (2 * 1.96)
        needed = row["deaths"] * (DETECTABLE_Z * error / math.log(HAZARD_GOAL)) ** 2
        yield (
            f"With {row['deaths']} deaths ({row['condition']}) a hazard ratio of "
            f"{math.exp(DETECTABLE_Z * error):.2g} per {row['scale']} of dockings would be found four times "
            f"in five; for {HAZARD_GOAL} about {needed:.0f} deaths are needed."
        )


def _gaps(summary: Mapping[str, Any], cohort: Cohort, settings: ExperimentSettings) -> Iterator[str]:
    if summary["untold_dockings"]:
        yield (
            f"{summary['untold_dockings']} dockings are from movies whose timing or precision does not allow "
            "to tell dockings at all: they are counted as they are."
        )
    if summary["already_dying"]:
        yield f"{summary['already_dying']} cells were dying when first seen, or seen only once: left out."
    lost = sum(row["lost"] for row in summary["counts"])
    if lost and summary["death_judged"]:
        yield (
            f"{lost} tracks were lost or left the field: survival.csv holds bounds that take all of them for "
            "dead or for alive."
        )
    if summary["seen_share"] is not None and summary["seen_share"] < 1:
        yield (
            f"{summary['seen_share']:.0%} of hits could be seen (label, filming, detection); the others are "
            "put in by their expectation, which presumes that labelled and unlabelled exosomes act alike."
        )
    if settings.docking_recall == settings.docking_precision == 1:
        yield (
            "Missed and false dockings are not allowed for: docking_recall and docking_precision are set to "
            "1 (docs/validation.md has measured figures)."
        )
