"""All events of one movie, from finished spots, tracks and cells: the entry that the pipeline calls."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from exovision.calibration import median_interval_s
from exovision.errors import InputError
from exovision.events.decoding import OUTSIDE, decode
from exovision.events.dockings import Clock, Docking
from exovision.events.endings import find_visits, resolve
from exovision.events.identifiability import docking_limits
from exovision.events.judge import Judge
from exovision.events.motion import Track, cell_motion, make_tracks, outline_jitter_um
from exovision.events.states import Story, tell_story
from exovision.events.summary import Evidence, summarise
from exovision.events.tables import (
    EventTables,
    fill_cells,
    fill_events,
    fill_exosomes,
    fill_fates,
    fill_spots,
)
from exovision.records import Ruling
from exovision.settings import EventSettings

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

FAR_SIGMAS = 4.0


def find_events(
    spots: pd.DataFrame,
    exosomes: pd.DataFrame,
    cells: pd.DataFrame,
    fates: pd.DataFrame,
    *,
    times_s: Floats,
    drift_um: Floats,
    pixel_size_um: float,
    settings: EventSettings,
    zone_areas: pd.DataFrame,
    exposure_s: float = 0.0,
    rulings: Sequence[Ruling] = (),
    judge: Judge | None = None,
) -> EventTables:
    """Say what every exosome did at the cells' membranes.

    Parameters
    ----------
    spots : DataFrame
        `exovision.schema.SPOTS` with `exosome_id` and place on the membrane filled in; the spots of one
        exosome are in different frames.
    exosomes : DataFrame
        `exosome_id`, and whatever is known of the tracks.
    cells, fates : DataFrame
        A row per cell and frame, and per cell.
    times_s : ndarray of shape (T,)
        Of the exosome channel, s; NaN where it was not acquired.
    drift_um : ndarray of shape (T, 2)
        Stage drift (y, x), subtracted from positions.
    pixel_size_um : float
    settings : EventSettings
    zone_areas : DataFrame
        `cell_id band_um2 ring_um2`, any number of rows per cell.
    exposure_s : float
        Exposure of the exosome channel.
    rulings : sequence of Ruling
        Events that a person decided; they win over what is computed.
    judge : Judge, optional
        Looks at the light where dockings change or end; without one, fates are not told apart.

    Returns
    -------
    EventTables

    Raises
    ------
    InputError
        If `times_s` and `drift_um` do not have one entry per frame.
    """
    if drift_um.shape != (len(times_s), 2):
        raise InputError(f"drift must be ({len(times_s)}, 2), one per frame, got {drift_um.shape}")
    every_s = every_time(times_s)
    tracks = make_tracks(spots, cells, times_s=every_s, drift_um=drift_um, pixel_size_um=pixel_size_um)
    clock = _clock(times_s, exposure_s, settings)
    jitter = outline_jitter_um(tracks)
    decoded = _decode(tracks, max(jitter, settings.membrane_sigma_um), clock, settings)
    stories = [
        tell_story(track, *found, clock=clock, settings=settings, rulings=rulings)
        for track, found in zip(tracks, decoded)
    ]
    limits = judge.limits(spots, clock.interval_s) if judge is not None else {}
    told = [kind for kind, limit in limits.items() if limit.identifiable]
    visits: list[Docking] = []
    if judge is not None:
        paths = cell_motion(cells, times_s=every_s, drift_um=drift_um)
        context = {"tracks": tracks, "paths": paths, "drift_um": drift_um, "times_s": times_s, "told": told}
        stories, visits = _judged(judge, stories, clock, spots, **context)
    dockings = [docking for story in stories for docking in story.dockings]
    se_um = float(np.median(np.concatenate([t.se_um for t in tracks]))) if tracks else float("nan")
    evidence = Evidence(
        tracks=tracks,
        dockings=dockings,
        zone_areas=zone_areas,
        times_s=times_s,
        clock=clock,
        limits=docking_limits(clock.interval_s, se_um, settings),
        jitter_um=jitter,
        fates=limits,
        told=told,
    )
    filled = fill_spots(spots, stories, pixel_size_um=pixel_size_um, settings=settings)
    probabilities = [probability for _, probability in decoded]
    events = fill_events(
        stories, probabilities, filled, identifiable=evidence.limits.identifiable, visits=visits
    )
    tables = EventTables(
        spots=filled,
        exosomes=fill_exosomes(exosomes, stories, visits=visits),
        events=events,
        cells=fill_cells(cells, dockings, events, evidence.told),
        fates=fill_fates(fates, dockings, events, evidence.told),
    )
    return replace(tables, summary=summarise(tables, evidence, settings))


def _judged(
    judge: Judge, stories: Sequence[Story], clock: Clock, spots: pd.DataFrame, **context: Any
) -> tuple[list[Story], list[Docking]]:
    """Return stories and visits with what their light says; `context` as `Judge.verdicts` takes it."""
    dockings = [docking for story in stories for docking in story.dockings]
    visits = find_visits(stories, clock)
    verdicts = judge.verdicts([*dockings, *visits], spots.reset_index(drop=True), **context)
    return resolve(stories, visits, verdicts)


def every_time(times_s: Floats) -> Floats:
    """Return a time for every frame: frames that were not acquired lie between or after their neighbours.

    Parameters
    ----------
    times_s : ndarray of shape (T,)
        NaN where not acquired.

    Returns
    -------
    ndarray of shape (T,)
        Increasing, s.
    """
    frames = np.arange(len(times_s), dtype=np.float64)
    acquired = np.isfinite(times_s)
    if not acquired.any():
        return frames
    interval = median_interval_s(times_s)
    interval = interval if np.isfinite(interval) else 1.0
    filled = np.interp(frames, frames[acquired], times_s[acquired])
    first, last = np.flatnonzero(acquired)[[0, -1]]
    filled[:first] -= interval * np.arange(first, 0, -1)
    filled[last + 1 :] += interval * np.arange(1, len(times_s) - last)
    return filled


def _clock(times_s: Floats, exposure_s: float, settings: EventSettings) -> Clock:
    acquired = np.isfinite(times_s)
    return Clock(
        acquired_before=(np.cumsum(acquired) - acquired).astype(np.int64),
        last=int(acquired.sum()) - 1,
        interval_s=median_interval_s(times_s),
        exposure_s=exposure_s,
        gap_frames=settings.docked_max_gap_frames,
    )


def _decode(
    tracks: Sequence[Track], outline_um: float, clock: Clock, settings: EventSettings
) -> list[tuple[Ints, Floats]]:
    """Decode the tracks that come near a membrane; the others are outside throughout."""
    bands = np.array([track.band_um(settings) for track in tracks], dtype=np.float64)
    near = [i for i, track in enumerate(tracks) if _comes_near(track, float(bands[i]), outline_um)]
    found = decode(
        [tracks[i] for i in near],
        band_um=bands[near],
        outline_um=outline_um,
        interval_s=clock.interval_s,
        settings=settings,
    )
    decoded = dict(zip(near, found))
    return [decoded[i] if i in decoded else _outside(len(track)) for i, track in enumerate(tracks)]


def _comes_near(track: Track, band_um: float, outline_um: float) -> bool:
    known = track.distance_um[np.isfinite(track.distance_um)]
    return bool((known < band_um + FAR_SIGMAS * outline_um).any())


def _outside(n: int) -> tuple[Ints, Floats]:
    probability = np.zeros((n, 4))
    probability[:, OUTSIDE] = 1.0
    return np.full(n, OUTSIDE, dtype=np.int64), probability
