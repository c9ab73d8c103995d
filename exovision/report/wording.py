"""Numbers and findings in words, as the report prints them."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

LEVEL = 0.05
"""Below this p-value the report says that there is more at the membrane than chance puts there."""
UNKNOWN = "–"
EXPONENTS = str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹")

STATE_MEANINGS = {
    "stuck": "fixed to the glass while the membrane moves",
    "docked": "in the membrane band, slow, and moving with the cell",
    "surfing": "carried along the outside of a cell, directed",
    "tethered": "held in the membrane band, but too short or too mobile to be docked",
    "free": "outside the membrane band",
    "inside": "deeper inside the outline than the band",
    "under_projection": "over or under the cell: in a flat image this cannot be told from inside",
    "unresolved": "near a membrane, but too little is known of it",
}
KIND_MEANINGS = {
    "docking": "intervals on the membrane, those under way at the first frame included",
    "arrival": "dockings whose start was seen: the rate at which exosomes dock",
    "detachment": "left the membrane and was seen outside",
    "fusion": "all label spread in the membrane: full fusion",
    "hemifusion": "about half of the label spread, the rest stayed",
    "kiss_and_run": "the content was lost, the exosome stayed",
    "uptake": "went into the cell, as its light shows",
    "loss_unresolved": "vanished at the membrane, and the light does not tell how",
    "surfing": "carried along a cell",
}
FILES = {
    "spots.parquet": "one row per spot and frame",
    "exosomes.csv": "one row per exosome track",
    "events.csv": "one row per event, dockings first of all",
    "cells.parquet": "one row per cell and frame",
    "fates.csv": "one row per cell track",
    "summary.json": "every number on this page",
    "run.json": "what was run: input, settings, versions",
    "cell_labels.ome.tif": "label images; a value is the cell's id in every frame",
    "rois.zip": "cells and dockings for ImageJ",
    "exosome_tracks.xml": "tracks for TrackMate",
    "exosome_tracks_napari.csv": "tracks for napari",
}


def number(value: Any) -> str:
    """Return three significant digits, whole numbers in full, and a dash for what is unknown."""
    if value is None or (isinstance(value, float) and not math.isfinite(value)):
        return UNKNOWN
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, str):
        return value
    if value == round(value) and abs(value) < 1e6:
        return f"{value:.0f}"
    if 1e-3 <= abs(value) < 1e6:
        digits = max(0, 2 - math.floor(math.log10(abs(value))))
        return f"{value:.{digits}f}"
    mantissa, exponent = f"{value:.1e}".split("e")
    return f"{mantissa} × 10{str(int(exponent)).translate(EXPONENTS)}"


def interval(values: Mapping[str, Any], name: str, unit: str = "") -> str:
    """Return "value unit (95 % interval lo to hi)" from `name`, `name_lo` and `name_hi`."""
    if values[name] is None:
        return UNKNOWN
    text = f"{number(values[name])}{unit and f' {unit}'}"
    lo, hi = values[f"{name}_lo"], values[f"{name}_hi"]
    if lo is None and hi is None:
        return text
    limits = f"from {number(lo)}, no upper limit" if hi is None else f"{number(lo)} to {number(hi)}"
    return f"{text} (95 % interval: {limits})"


def many(count: int, one: str, several: str | None = None) -> str:
    """Return "1 cell" or "3 cells"."""
    return f"{number(count)} {one if count == 1 else several or one + 's'}"


def headline(summary: Mapping[str, Any]) -> str:
    """Return the sentence that says what was found."""
    found, counts = summary["movie"], summary["counts"]
    cells = many(found["cells"], "cell") if found["cells"] else "No cells"
    hours = f", watched for {number(found['cell_hours'])} cell-hours" if found["cell_hours"] else ""
    if not found["exosomes"]:
        return f"{cells}{hours}; no exosomes were followed."
    exosomes = many(found["exosomes"], "exosome")
    if not found["dockings"]:
        return f"{cells}{hours}; {exosomes} followed, none of them docked."
    text = (
        f"{cells}{hours}; {exosomes} followed, {number(counts['docked_exosomes'])} of them docked "
        f"({many(found['dockings'], 'docking')})"
    )
    arrivals = summary["rates"]["arrival"]
    if arrivals["per_cell_hour"] is None:
        return f"{text}."
    return (
        f"{text}. Arrivals seen: {number(arrivals['count'])}, that is {interval(arrivals, 'per_cell_hour')} "
        "per cell and hour."
    )


def chance_in_words(chance: Mapping[str, Any]) -> str:
    """Return what the chance-level test of docking says."""
    inner, outer = chance["ring_um"]
    seen = (
        f"{many(chance['in_band'], 'exosome')} in the membrane band, {number(chance['in_ring'])} in the ring "
        f"{number(inner)} to {number(outer)} µm outside, over {many(chance['cells_tested'], 'cell')}"
    )
    if chance["p"] is None:
        return "Not possible: no exosome lay in the membrane band or in the ring around it."
    verdict = "More than chance" if chance["p"] < LEVEL else "No more than chance would put there"
    ratio = (
        "the ring is empty"
        if chance["enrichment"] is None
        else f"per area {interval(chance, 'enrichment')} times as many as in the ring"
    )
    return f"{verdict}: {seen}; {ratio}; one-sided p = {number(chance['p'])}."


def dwell_in_words(dwell: Mapping[str, Any]) -> str:
    """Return how long dockings lasted."""
    if not dwell["dockings"]:
        return "No docking was seen to begin, so nothing can be said of how long they last."
    seen = (
        f"{many(dwell['dockings'], 'docking')} seen to begin, {number(dwell['ended'])} of them seen to end"
        f"; {number(dwell['start_not_seen'])} more were under way before they could be seen and are left out"
    )
    if dwell["median_s"] is None:
        return f"{seen}. More than half were still docked when last seen: the median is not reached."
    return f"{seen}. Median {interval(dwell, 'median_s', 's')}."


def deaths_in_words(death: Mapping[str, Any]) -> str:
    """Return how many cells died, how, and by what that was told."""
    if not death["told_by"]:
        return (
            "Death cannot be told in this movie: no channel shows it, and the network does not know this one."
        )
    modes = ", ".join(f"{number(count)} {name}" for name, count in death["modes"].items())
    hours = f" in {number(death['cell_hours'])} cell-hours" if death["cell_hours"] else ""
    divided = many(death["divisions"], "division")
    return (
        f"{many(death['deaths'], 'death')}{f' ({modes})' if modes else ''} and {divided}{hours}, told by "
        f"{', '.join(death['told_by'])}. A death is called once it is at least as probable as the settings "
        "ask; its onset is the earliest sign, not the time of the call."
    )


def false_alarms_in_words(death: Mapping[str, Any]) -> str:
    """Return how many of the called deaths are expected to be false, and how many were missed."""
    text = (
        f"By their own probabilities {number(death['expected_false'])} of the called deaths are expected to "
        f"be false, and {number(death['expected_missed'])} deaths not to have been called"
    )
    if not death["cell_hours"]:
        return f"{text}."
    rate = number(death["expected_false_per_1000_cell_h"])
    return (
        f"{text}: {rate} false per 1,000 cell-hours. What was measured on simulated movies in which "
        "no cell dies is in docs/validation.md."
    )


def signs_in_words(signs_h: Mapping[str, float]) -> str:
    """Return when each sign of dying began, in order of time."""
    ordered = sorted(signs_h.items(), key=lambda sign: sign[1])
    return ", ".join(f"{name} {number(time_h)}" for name, time_h in ordered) or UNKNOWN
