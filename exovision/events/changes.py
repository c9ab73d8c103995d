"""Moments at which something may have happened to a docked exosome: its end, and steps in its brightness."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import median_filter

from exovision.events.dockings import Docking
from exovision.events.patches import Moment

Floats = NDArray[np.float64]

SIDE_SPOTS = 6
STEP_SIGMAS, STEP_SHARE = 5.0, 0.25
FLASH_SIGMAS, FLASH_SHARE = 6.0, 0.5
"""How clear and how large a lasting change, or that of a single spot, must be to be looked at (P)."""
MOST_MOMENTS = 6
JOIN_FRAMES, JOIN_END_FRAMES = 8, 25
"""Signs so near each other, or so shortly before the end, are of one moment: dye may leave slowly."""
UNJUDGED = ("detached", "movie_end", None)
"""Outcomes of dockings whose end needs no explanation."""


def find_moments(dockings: Sequence[Docking], contents: Floats | None) -> list[Moment]:
    """Find the moments to look at, of all dockings.

    Parameters
    ----------
    dockings : sequence of Docking
    contents : ndarray of shape (M,), optional
        Brightness of the content at every spot, by row of the spots.

    Returns
    -------
    list of Moment
        In the order of dockings and time; one at the end of every docking whose end is not explained.
    """
    found: list[Moment] = []
    for number, docking in enumerate(dockings):
        if docking.end_told:
            continue
        track, part = docking.track, slice(docking.start, docking.stop)
        frames = track.frames[part]
        signs = frames[changes(track.counts[part])].tolist()
        if contents is not None:
            signs += frames[changes(contents[track.rows[part]])].tolist()
        end = int(frames[-1]) if docking.outcome not in UNJUDGED else None
        found += _gather(docking, number, sorted(signs), end)
    return found


def _gather(docking: Docking, number: int, signs: list[int], end: int | None) -> list[Moment]:
    """Join signs that are near each other, and the end with those just before it."""
    groups: list[list[int]] = []
    for frame in [*signs, *([] if end is None else [end])]:
        near = JOIN_END_FRAMES if frame == end else JOIN_FRAMES
        if groups and frame - groups[-1][-1] <= near:
            groups[-1].append(frame)
        else:
            groups.append([frame])
    return [
        Moment(docking.track, number, group[0], group[-1], end is not None and group[-1] == end)
        for group in groups
    ]


def changes(values: Floats) -> list[int]:
    """Return the places, in order, from which on a series is clearly brighter or dimmer.

    Parameters
    ----------
    values : ndarray of shape (N,)
        NaN where not known.

    Returns
    -------
    list of int
        Of lasting steps and of single flashes; at most six.
    """
    n = len(values)
    known = np.isfinite(values)
    if known.sum() < 2 * SIDE_SPOTS:
        return []
    filled = np.interp(np.arange(n), np.flatnonzero(known), values[known])
    noise = float(np.median(np.abs(np.diff(filled)))) * 1.4826 / np.sqrt(2)
    usual = float(np.median(filled))
    if noise <= 0 or usual <= 0:
        return []
    half = SIDE_SPOTS // 2
    places = np.arange(half, n - half + 1)
    before = np.array([np.median(filled[max(0, i - SIDE_SPOTS) : i]) for i in places])
    after = np.array([np.median(filled[i : i + SIDE_SPOTS]) for i in places])
    score = np.zeros(n + 1)
    large = np.abs(after - before) > STEP_SHARE * np.maximum(before, 0.1 * usual)
    score[places] = np.where(large, np.abs(after - before) / (0.72 * noise) / STEP_SIGMAS, 0.0)
    off = np.abs(filled - median_filter(filled, 2 * SIDE_SPOTS + 1, mode="nearest"))
    flash = off > np.maximum(FLASH_SIGMAS * noise, FLASH_SHARE * usual)
    score[:n] = np.maximum(score[:n], np.where(flash, off / (FLASH_SIGMAS * noise), 0.0))
    return _peaks(score[:n])


def _peaks(score: Floats) -> list[int]:
    chosen: list[int] = []
    for i in np.argsort(-score, kind="stable").tolist():
        if score[i] < 1 or len(chosen) == MOST_MOMENTS:
            break
        if all(abs(i - other) > SIDE_SPOTS for other in chosen):
            chosen.append(i)
    return sorted(chosen)
