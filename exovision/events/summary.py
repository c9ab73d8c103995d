"""Every number that the report prints of one movie."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from exovision import schema
from exovision.events.chance import LEVEL, compare_cells, count_zones, pool_cells
from exovision.events.dockings import Clock, Docking, lasts
from exovision.events.identifiability import FATES_BY_LABEL, DockingLimits, FateLimits
from exovision.events.motion import Track
from exovision.events.rates import cell_hours, distance_profile, poisson_interval
from exovision.events.tables import EventTables
from exovision.numerics.survival import kaplan_meier
from exovision.settings import EventSettings

Floats = NDArray[np.float64]

FEW_DOCKINGS = 10.0
"""A movie shorter than this many shortest dockings hardly sees one from start to end (P)."""
FEW_FRAMES = 4.0
"""A shortest docking of fewer frames than this is set by the frame interval (P)."""


@dataclass(frozen=True)
class Evidence:
    """What the tables were made from.

    Attributes
    ----------
    tracks : sequence of Track
    dockings : sequence of Docking
    zone_areas : DataFrame
        `cell_id band_um2 ring_um2`.
    times_s : ndarray of shape (T,)
        Of the exosome channel, NaN where not acquired.
    clock : Clock
    limits : DockingLimits
    jitter_um : float
        Measured jitter of distances.
    fates : mapping of str to FateLimits
        What the label and the light can show; empty if fates were not judged.
    told : sequence of str
        Kinds of event that the label can show.
    """

    tracks: Sequence[Track]
    dockings: Sequence[Docking]
    zone_areas: pd.DataFrame
    times_s: Floats
    clock: Clock
    limits: DockingLimits
    jitter_um: float
    fates: Mapping[str, FateLimits] = field(default_factory=dict)
    told: Sequence[str] = ()


def summarise(tables: EventTables, evidence: Evidence, settings: EventSettings) -> dict[str, Any]:
    """Summarise one movie.

    Parameters
    ----------
    tables : EventTables
        Finished but for the summary.
    evidence : Evidence
    settings : EventSettings

    Returns
    -------
    dict
        Plain numbers, texts, lists and dicts; what cannot be told is None. `movie` holds the headline.
    """
    hours = cell_hours(tables.fates, evidence.times_s)
    rates = _rates(tables.events, evidence.dockings, hours, evidence.told)
    dwell = dwell_times(evidence.dockings, evidence.clock)
    chance = chance_test(evidence.tracks, evidence.zone_areas, settings)
    headline = {
        "cells": len(tables.fates),
        "exosomes": len(tables.exosomes),
        "dockings": rates["docking"]["count"],
        "cell_hours": hours,
        "arrivals": rates["arrival"]["count"],
        **{f"arrivals_{name}": rates["arrival"][name] for name in rates["arrival"] if name != "count"},
        "fusions": rates["fusion"]["count"] if "fusion" in rates else None,
        "median_dwell_s": dwell["median_s"],
        "enrichment": chance["enrichment"],
        "chance_p": chance["p"],
    }
    summary: dict[str, Any] = {
        "movie": headline,
        "counts": _counts(tables),
        "exposure": {
            "cell_hours": hours,
            "frames": int(np.isfinite(evidence.times_s).sum()),
            "interval_s": evidence.clock.interval_s,
        },
        "rates": rates,
        "dwell": dwell,
        "distance_profile": _profile(tables.spots),
        "chance": chance,
        "comotion": _comotion(evidence.dockings),
        "identifiability": _identifiability(evidence, settings),
        "warnings": _warnings(evidence, hours),
    }
    plain: dict[str, Any] = _plain(summary)
    return plain


def _rates(
    events: pd.DataFrame, dockings: Sequence[Docking], hours: float, told: Sequence[str]
) -> dict[str, dict[str, Any]]:
    """Return rates by kind of event; an arrival is a docking whose start was seen."""
    kinds = events["kind"].value_counts()
    fates = [kind for kind in FATES_BY_LABEL if kind in told]
    named = ("docking", "detachment", *fates, "loss_unresolved", "surfing")
    counts = {kind: int(kinds.get(kind, 0)) for kind in named}
    counts["arrival"] = sum(docking.censored in ("none", "right") for docking in dockings)
    return {kind: rate(count, hours) for kind, count in counts.items()}


def rate(count: int, hours: float) -> dict[str, Any]:
    """Return a count and its rate per cell-hour with the exact 95 % Poisson interval, NaN without hours."""
    lo, hi = poisson_interval(count)
    scale = 1 / hours if hours > 0 else float("nan")
    return {
        "count": count,
        "per_cell_hour": count * scale,
        "per_cell_hour_lo": lo * scale,
        "per_cell_hour_hi": hi * scale,
    }


def dwell_times(dockings: Sequence[Docking], clock: Clock) -> dict[str, Any]:
    """Return the Kaplan–Meier curve of the dockings whose start was seen.

    A docking seen in n frames stands for n intervals. Dockings shorter than the least duration are not
    called, so the curve is that of longer ones. A docking that ends in sight of the camera counts as ended,
    whatever became of the exosome; the movie's end and loss of focus censor.
    """
    begun = [docking for docking in dockings if docking.censored in ("none", "right")]
    durations = np.array(
        [lasts(d.track.times_s[d.start : d.stop], interval_s=clock.interval_s) for d in begun],
        dtype=np.float64,
    )
    ended = np.array([docking.censored == "none" for docking in begun], dtype=bool)
    curve = kaplan_meier(durations, ended)
    return {
        "dockings": len(begun),
        "ended": int(ended.sum()),
        "start_not_seen": len(dockings) - len(begun),
        **{f"median_s{end}": getattr(curve, f"median_s{end}") for end in ("", "_lo", "_hi")},
        "time_s": curve.time_s.tolist(),
        "survival": curve.survival.tolist(),
        "survival_lo": curve.lo.tolist(),
        "survival_hi": curve.hi.tolist(),
    }


def chance_test(tracks: Sequence[Track], zone_areas: pd.DataFrame, settings: EventSettings) -> dict[str, Any]:
    """Return the local-ring test, pooled and per cell."""
    tested = compare_cells(count_zones(tracks, settings), zone_areas)
    pooled = pool_cells(tested)
    columns = ["cell_id", "in_band", "in_ring", "p", "q"]
    return {
        "test": "exosomes in the band against the ring outside, per cell and area, exact, one-sided",
        "ring_um": [settings.ring_inner_um, settings.ring_outer_um],
        "in_band": int(tested["in_band"].sum()),
        "in_ring": int(tested["in_ring"].sum()),
        "enrichment": pooled.enrichment,
        "enrichment_lo": pooled.lo,
        "enrichment_hi": pooled.hi,
        "p": pooled.p,
        "cells_tested": len(tested),
        "cells_above_chance": int((tested["q"] < LEVEL).sum()),
        "cells": tested[columns].to_dict("records"),
    }


def _counts(tables: EventTables) -> dict[str, Any]:
    return {
        "spots": len(tables.spots),
        "linked_spots": int(tables.spots["exosome_id"].notna().sum()),
        "exosomes": len(tables.exosomes),
        "docked_exosomes": int((tables.exosomes["dockings"].fillna(0) > 0).sum()),
        "cells": len(tables.fates),
        "cell_images": len(tables.cells),
        "states": _tally(tables.spots["state"], schema.SPOT_STATES),
        "outcomes": _tally(tables.exosomes["outcome"], schema.OUTCOMES),
        "events": _tally(tables.events["kind"], schema.EVENT_KINDS),
    }


def _tally(values: pd.Series[Any], names: Sequence[str]) -> dict[str, int]:
    counts = values.value_counts()
    return {name: int(counts.get(name, 0)) for name in names if counts.get(name, 0)}


def _profile(spots: pd.DataFrame) -> dict[str, list[float]]:
    linked = spots[["exosome_id", "cell_id", "membrane_distance_um"]].dropna()
    return distance_profile(
        linked["membrane_distance_um"].to_numpy(dtype=np.float64),
        linked["cell_id"].to_numpy(dtype=np.int64),
        linked["exosome_id"].to_numpy(dtype=np.int64),
    )


def _comotion(dockings: Sequence[Docking]) -> dict[str, int]:
    verdicts = [docking.comotion.comoving for docking in dockings]
    return {
        "with_the_cell": verdicts.count(True),
        "not_with_the_cell": verdicts.count(False),
        "untestable": verdicts.count(None),
    }


def _identifiability(evidence: Evidence, settings: EventSettings) -> dict[str, Any]:
    limits = evidence.limits
    outline = {"outline_um": settings.membrane_sigma_um, "outline_jitter_um": evidence.jitter_um}
    return {
        "docking": {**limits._asdict(), **outline},
        "detachment": {
            "identifiable": limits.identifiable,
            "reason": limits.reason or "only where the exosome is seen outside the band afterwards",
        },
        "recycling": {
            "identifiable": limits.identifiable,
            "reason": limits.reason or "only where the exosome was seen deep below the band before",
        },
        "loss_unresolved": {
            "identifiable": False,
            "reason": "what is left when neither track nor light tells how an exosome went",
        },
        **{
            kind: {"identifiable": None, "reason": "not assessed"}
            for kind in (*FATES_BY_LABEL, "aggregation")
        },
        **{kind: found._asdict() for kind, found in evidence.fates.items()},
    }


def _warnings(evidence: Evidence, hours: float) -> list[str]:
    limits, interval_s, dockings = evidence.limits, evidence.clock.interval_s, evidence.dockings
    warnings = []
    if not limits.identifiable:
        warnings.append(f"dockings cannot be told from visits in this movie: {limits.reason}")
    elif limits.shortest_s < FEW_FRAMES * interval_s:
        warnings.append(
            f"frames are {interval_s:g} s apart: dockings shorter than {limits.shortest_s:g} s are not seen"
        )
    acquired = evidence.times_s[np.isfinite(evidence.times_s)]
    if acquired.size and np.ptp(acquired) < FEW_DOCKINGS * limits.shortest_s:
        warnings.append(f"the movie lasts {np.ptp(acquired):g} s: its ends cut off most dockings")
    if not hours > 0:
        warnings.append("no cells were observed: rates are not given")
    untestable = sum(docking.comotion.comoving is None for docking in dockings)
    if untestable:
        warnings.append(
            f"{untestable} of {len(dockings)} dockings cannot be tested for moving with the cell "
            "(it moved too little, or the exosome wandered): some may be stuck to the glass"
        )
    return warnings


def _plain(value: Any) -> Any:
    """Return the same with plain Python types, and None for what is not a finite number."""
    if isinstance(value, dict):
        return {str(name): _plain(item) for name, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    if isinstance(value, np.generic):
        return _plain(value.item())
    if isinstance(value, float) and not np.isfinite(value):
        return None
    return value
