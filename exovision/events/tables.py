"""The contract's tables, filled with what the exosomes did."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from exovision import schema
from exovision.events.decoding import OUTSIDE
from exovision.events.dockings import CENSORED, Docking
from exovision.events.endings import final, kind_of
from exovision.events.motion import Track
from exovision.events.states import Story, Surfing
from exovision.events.verdicts import FATES, KINDS, Verdict
from exovision.settings import EventSettings

Floats = NDArray[np.float64]

OUTSIDE_SPOTS = 3
"""Spots after a detachment over which the probability of being outside is averaged."""
OUTSIDE_LOOKBACK = 30
"""Spots before a return from inside, likewise."""


@dataclass(frozen=True)
class EventTables:
    """The tables of one movie with events filled in.

    Attributes
    ----------
    spots, exosomes, events, cells, fates : DataFrame
        Columns as in `exovision.schema`.
    summary : dict
        Every number that the report prints of events.
    """

    spots: pd.DataFrame
    exosomes: pd.DataFrame
    events: pd.DataFrame
    cells: pd.DataFrame
    fates: pd.DataFrame
    summary: dict[str, Any] = field(default_factory=dict)


def fill_spots(
    spots: pd.DataFrame, stories: Sequence[Story], *, pixel_size_um: float, settings: EventSettings
) -> pd.DataFrame:
    """Return the spots with their state.

    Parameters
    ----------
    spots : DataFrame
    stories : sequence of Story
    pixel_size_um : float
    settings : EventSettings

    Returns
    -------
    DataFrame
        Columns of `exovision.schema.SPOTS`. An unlinked spot is free outside the band or without a cell in
        its frame, unresolved in and below the band.
    """
    table = spots.reset_index(drop=True)
    squared = table[["y_se_px", "x_se_px"]].to_numpy(dtype=np.float64) ** 2
    error = np.sqrt(squared.mean(axis=1)) * pixel_size_um
    band = np.maximum(settings.band_um, settings.band_sigmas * np.hypot(error, settings.membrane_sigma_um))
    near = table["membrane_distance_um"].to_numpy(dtype=np.float64) <= band
    states = np.where(near, "unresolved", "free").astype(object)
    for story in stories:
        states[story.track.rows] = story.states
    return schema.conform(table.assign(state=pd.array(states, dtype="string")), schema.SPOTS)


def fill_events(
    stories: Sequence[Story],
    paths: Sequence[NDArray[np.float64]],
    spots: pd.DataFrame,
    *,
    identifiable: bool,
    visits: Sequence[Docking] = (),
) -> pd.DataFrame:
    """Return one row per docking, change or end of a docking, surfing and return from inside.

    Parameters
    ----------
    stories : sequence of Story
    paths : sequence of ndarray of shape (N, 4)
        State probabilities of each story's track.
    spots : DataFrame
        For the positions in the image.
    identifiable : bool
        Whether this movie can tell dockings; a loss never is.
    visits : sequence of Docking
        Stays in the band that are no dockings; only what their light shows makes rows.

    Returns
    -------
    DataFrame
        Columns of `exovision.schema.EVENTS`, by start frame, exosome and kind; positions are of the start.

    Notes
    -----
    Without a verdict on its light, the probabilities of an end part only what was seen outside the band from
    what cannot be told: all the rest is `p_unresolved`.
    """
    rows: list[dict[str, Any]] = []
    for story, probabilities in zip(stories, paths):
        for docking in story.dockings:
            rows.append(_docking_row(docking, identifiable))
            rows += [_fate_row(docking, verdict) for verdict in docking.verdicts if verdict.fate]
            if docking.over_at is not None and final(docking) is None:
                rows.append(_end_row(docking, docking.over_at, probabilities, identifiable))
        rows += [_surfing_row(part) for part in story.surfing]
        rows += [_return_row(stay, probabilities, identifiable) for stay in story.returns]
    rows += [_fate_row(visit, verdict) for visit in visits for verdict in visit.verdicts if verdict.fate]
    rows.sort(key=lambda row: (row["start_frame"], row["exosome_id"], row["kind"]))
    table = pd.DataFrame(rows, columns=None if rows else ["event_id"])
    if rows:
        at = spots.reset_index(drop=True).loc[table.pop("spot"), ["y_um", "x_um"]].reset_index(drop=True)
        table = table.assign(event_id=np.arange(1, len(table) + 1), y_um=at["y_um"], x_um=at["x_um"])
    return schema.conform(table, schema.EVENTS)


def _row(track: Track, kind: str, start: int, stop: int) -> dict[str, Any]:
    """Return what all kinds of event share; spots `start` to `stop - 1` of the track."""
    known = track.distance_um[start:stop][np.isfinite(track.distance_um[start:stop])]
    return {
        "kind": kind,
        "exosome_id": track.exosome_id,
        "cell_id": int(track.nearest[start]) or None,
        "start_frame": int(track.frames[start]),
        "end_frame": int(track.frames[stop - 1]),
        "start_s": float(track.times_s[start]),
        "end_s": float(track.times_s[stop - 1]),
        "duration_s": float(track.times_s[stop - 1] - track.times_s[start]),
        "censored": "none",
        "spot": int(track.rows[start]),
        "membrane_distance_um": float(np.median(known)) if known.size else float("nan"),
    }


def _docking_row(docking: Docking, identifiable: bool) -> dict[str, Any]:
    d = docking.diffusion
    return _row(docking.track, "docking", docking.start, docking.stop) | {
        "cell_id": docking.cell_id or None,
        "censored": docking.censored,
        "probability": docking.probability,
        "identifiable": identifiable,
        "diffusion_um2_s": d.d_um2_s,
        "diffusion_um2_s_lo": d.lo,
        "diffusion_um2_s_hi": d.hi,
    }


def _end_row(docking: Docking, at: int, probabilities: Floats, identifiable: bool) -> dict[str, Any]:
    """Return the row of an end that no verdict explains, shown by spot `at`."""
    kind = KINDS.get(str(docking.outcome), "loss_unresolved")
    shown = 1.0
    if kind == "detachment" and not docking.end_told:
        shown = float(np.mean(probabilities[at : at + OUTSIDE_SPOTS, OUTSIDE]))
    fate = "unresolved" if kind == "loss_unresolved" else str(docking.outcome)
    shares = dict.fromkeys(FATES, 0.0) | {"unresolved": 1.0 - shown}
    shares[fate] += shown
    row = _row(docking.track, kind, at, at + 1) | {
        "cell_id": docking.cell_id or None,
        "identifiable": identifiable and kind != "loss_unresolved",
        "probability": docking.probability * shown,
        **{f"p_{name}": share for name, share in shares.items()},
    }
    last = next((verdict for verdict in docking.verdicts if verdict.ends), None)
    return row | (_posterior(last) if last is not None and kind == "loss_unresolved" else {})


def _fate_row(docking: Docking, verdict: Verdict) -> dict[str, Any]:
    """Return the row of a fate that the light shows."""
    at = int(np.searchsorted(docking.track.frames, verdict.frame, side="right")) - 1
    at = min(max(at, docking.start), len(docking.track) - 1)
    when = {"start_frame": verdict.frame, "end_frame": verdict.frame}
    return (
        _row(docking.track, kind_of(verdict), at, at + 1)
        | when
        | {"start_s": verdict.time_s, "end_s": verdict.time_s}
        | {"cell_id": docking.cell_id or None, "identifiable": verdict.identifiable}
        | {"probability": docking.probability * verdict.posterior.fates[str(verdict.fate)]}
        | _posterior(verdict)
    )


def _posterior(verdict: Verdict) -> dict[str, Any]:
    """Return the columns that a verdict fills."""
    ends = ("", "_lo", "_hi")
    return {
        "fusion_log_likelihood_ratio": verdict.posterior.fusion_log_likelihood_ratio,
        **{f"p_{name}": share for name, share in verdict.posterior.fates.items()},
        **{
            f"{name}{end}": value
            for name, found in verdict.estimates.items()
            for end, value in zip(ends, found)
        },
    }


def _surfing_row(part: Surfing) -> dict[str, Any]:
    return _row(part.track, "surfing", part.start, part.stop) | {
        "probability": part.probability,
        "identifiable": True,
    }


def _return_row(stay: Docking, probabilities: Floats, identifiable: bool) -> dict[str, Any]:
    """Return the row of a return from inside, at the spot that is first in the band."""
    at = stay.start
    shown = 1 - float(np.mean(probabilities[max(at - OUTSIDE_LOOKBACK, 0) : at + 1, OUTSIDE]))
    return _row(stay.track, "recycling", at, at + 1) | {
        "cell_id": stay.cell_id or None,
        "probability": shown,
        "identifiable": identifiable,
    }


def fill_exosomes(
    exosomes: pd.DataFrame, stories: Sequence[Story], *, visits: Sequence[Docking] = ()
) -> pd.DataFrame:
    """Return the exosomes with what they did at membranes.

    Parameters
    ----------
    exosomes : DataFrame
        `exosome_id` and whatever is known of the track; diffusion on the stage.
    stories : sequence of Story
    visits : sequence of Docking
        Stays in the band that are no dockings.

    Returns
    -------
    DataFrame
        Columns of `exovision.schema.EXOSOMES`. The diffusion of an exosome that docked is that of its longest
        docking in the cell's frame, of any other that of the whole track on the stage. An aggregate is known
        as such where another exosome was seen to merge with it.
    """
    table = schema.conform(exosomes, schema.EXOSOMES)
    facts = pd.DataFrame([_facts(story) for story in stories], columns=["exosome_id", *FACTS])
    facts = facts.astype({name: schema.EXOSOMES[name] for name in facts.columns})
    aligned = facts.set_index("exosome_id").reindex(table["exosome_id"])
    for name in FACTS:
        known = aligned[name].reset_index(drop=True)
        table[name] = known if name in ALWAYS else known.combine_first(table[name])
    merged: dict[int, float] = {}
    for stay in (*(docking for story in stories for docking in story.dockings), *visits):
        for verdict in stay.verdicts:
            if verdict.heir is not None:
                merged[verdict.heir] = max(
                    merged.get(verdict.heir, 0.0), verdict.posterior.fates["aggregated"]
                )
    table["aggregate_probability"] = table["exosome_id"].map(merged)
    return schema.conform(table, schema.EXOSOMES)


ALWAYS = (
    "cell_id",
    "comoving",
    "min_membrane_distance_um",
    "dockings",
    "dwell_s",
    "dwell_censored",
    "outcome",
)
MOTION = ("diffusion_um2_s", "diffusion_um2_s_lo", "diffusion_um2_s_hi", "alpha", "alpha_lo", "alpha_hi")
FACTS = (*ALWAYS, *MOTION)


def _facts(story: Story) -> dict[str, Any]:
    distance = story.track.distance_um[np.isfinite(story.track.distance_um)]
    facts: dict[str, Any] = {
        "exosome_id": story.track.exosome_id,
        "comoving": story.whole.comoving,
        "min_membrane_distance_um": float(distance.min()) if distance.size else float("nan"),
        "dockings": len(story.dockings),
    }
    if not story.dockings:
        return facts
    last = story.dockings[-1]
    longest = max(story.dockings, key=lambda docking: docking.stop - docking.start)
    left = any(docking.censored in ("left", "both") for docking in story.dockings)
    right = any(docking.censored in ("right", "both") for docking in story.dockings)
    dwell = sum(docking.seconds[1] - docking.seconds[0] for docking in story.dockings)
    return (
        facts
        | {"cell_id": last.cell_id or None, "outcome": last.outcome, "comoving": last.comotion.comoving}
        | {"dwell_s": dwell, "dwell_censored": CENSORED[left, right]}
        | dict(zip(MOTION, longest.diffusion))
    )


def fill_cells(
    cells: pd.DataFrame, dockings: Sequence[Docking], events: pd.DataFrame, told: Sequence[str] = ()
) -> pd.DataFrame:
    """Return the cells with what docked, fused and was taken up so far in each frame (0 for none).

    Parameters
    ----------
    cells : DataFrame
    dockings : sequence of Docking
    events : DataFrame
        From `fill_events`.
    told : sequence of str
        Kinds that could be told; fusions and uptakes are null where they could not.
    """
    table = cells.reset_index(drop=True)
    ids, frames = (table[name].to_numpy(dtype=np.int64) for name in ("cell_id", "frame"))
    rows_of = {int(str(cell)): np.asarray(rows) for cell, rows in table.groupby(ids).indices.items()}
    assessed = {name: kind for name, kind in SO_FAR.items() if kind in told}
    counted = {
        name: np.zeros(len(table), dtype=np.int64) for name in ("docked_now", "dockings_so_far", *assessed)
    }
    nowhere = np.empty(0, dtype=np.int64)
    for docking in dockings:
        rows = rows_of.get(docking.cell_id, nowhere)
        first, last = docking.frames
        counted["docked_now"][rows] += (frames[rows] >= first) & (frames[rows] <= last)
        counted["dockings_so_far"][rows] += frames[rows] >= first
    for name, kind in assessed.items():
        for cell, first in _of_cells(events, kind):
            rows = rows_of.get(cell, nowhere)
            counted[name][rows] += frames[rows] >= first
    return schema.conform(table.assign(**counted), schema.CELLS)


SO_FAR = {"fusions_so_far": "fusion", "uptakes_so_far": "uptake"}


def _of_cells(events: pd.DataFrame, kind: str) -> list[tuple[int, int]]:
    """Return cell and first frame of all events of a kind that are on a cell."""
    rows = events[(events["kind"] == kind) & events["cell_id"].notna()]
    return list(zip(rows["cell_id"].astype(int), rows["start_frame"].astype(int)))


def fill_fates(
    fates: pd.DataFrame, dockings: Sequence[Docking], events: pd.DataFrame, told: Sequence[str] = ()
) -> pd.DataFrame:
    """Return the cells' fates with the number of dockings, and of fusions and uptakes where told."""
    ids = fates["cell_id"].astype("Int64")
    hits = {"dockings": pd.Series([docking.cell_id for docking in dockings], dtype="Int64")}
    for name, kind in (("fusions", "fusion"), ("uptakes", "uptake")):
        if kind not in told:
            continue
        hits[name] = pd.Series([cell for cell, _ in _of_cells(events, kind)], dtype="Int64")
    counted = {name: ids.map(found.value_counts()).fillna(0) for name, found in hits.items()}
    return schema.conform(fates.assign(**counted), schema.FATES)
