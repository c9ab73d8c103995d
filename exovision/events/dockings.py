"""Docking intervals on decoded tracks, and how each of them ended."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit

from exovision.events.comotion import Comotion, judge
from exovision.events.decoding import OUTSIDE, SLOW
from exovision.events.motion import Track, main_cell
from exovision.numerics.diffusion import Diffusion
from exovision.settings import EventSettings

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

BEFORE_SPOTS, AFTER_SPOTS = 10, 5
"""Spots whose brightness is compared before and after a detachment."""
FOCUS_SPOTS = 3
FOCUS_GROWTH = 1.3
FOCUS_SIGMAS = 3.0
"""A spot leaves focus when its last three widths exceed its usual one by 30 % and by three sigma (P)."""


@dataclass(frozen=True)
class Clock:
    """The frames of the exosome channel.

    Attributes
    ----------
    first, last : int
        First and last acquired frame.
    interval_s : float
        Median interval, NaN with one frame.
    exposure_s : float
    gap_frames : int
        Frames that a docking may be missing, also at the ends of the movie.
    """

    first: int
    last: int
    interval_s: float
    exposure_s: float
    gap_frames: int


@dataclass(frozen=True)
class Docking:
    """One docking of one exosome.

    Attributes
    ----------
    track : Track
    start, stop : int
        Spots `start` to `stop - 1` of the track are docked.
    cell_id : int
    diffusion : Diffusion
        In the cell's frame.
    comotion : Comotion
    probability : float
    censored : str
        none, left, right or both.
    outcome : str or None
        detached, left_focus, movie_end or loss_unresolved; None where the exosome stays in the band, no
        longer docked, until it docks again.
    left_at : int or None
        For a detachment, the first spot outside the band.
    """

    track: Track
    start: int
    stop: int
    cell_id: int
    diffusion: Diffusion
    comotion: Comotion
    probability: float
    censored: str
    outcome: str | None
    left_at: int | None

    @property
    def frames(self) -> tuple[int, int]:
        """First and last docked frame."""
        return int(self.track.frames[self.start]), int(self.track.frames[self.stop - 1])

    @property
    def seconds(self) -> tuple[float, float]:
        """Time of the first and of the last docked frame, s."""
        return float(self.track.times_s[self.start]), float(self.track.times_s[self.stop - 1])


def runs(mask: NDArray[np.bool_]) -> Iterator[tuple[int, int]]:
    """Yield (start, stop) of each run of true values."""
    edges = np.flatnonzero(np.diff(np.concatenate([[False], mask, [False]]).astype(np.int8)))
    yield from zip(edges[::2].tolist(), edges[1::2].tolist())


def bridged_runs(mask: NDArray[np.bool_], frames: Ints, gap_frames: int) -> list[tuple[int, int]]:
    """Return (start, stop) of runs of true values, joined where at most `gap_frames` frames lie between."""
    joined: list[tuple[int, int]] = []
    for start, stop in runs(mask):
        if joined and frames[start] - frames[joined[-1][1] - 1] - 1 <= gap_frames:
            joined[-1] = joined[-1][0], stop
        else:
            joined.append((start, stop))
    return joined


def lasts(times_s: Floats, *, interval_s: float) -> float:
    """Return how long a run of frames stands for: from its first to its last time, plus one interval, s."""
    return float(times_s[-1] - times_s[0]) + (interval_s if np.isfinite(interval_s) else 0.0)


def find_dockings(
    track: Track,
    path: Ints,
    probabilities: Floats,
    *,
    clock: Clock,
    settings: EventSettings,
) -> list[Docking]:
    """Find the intervals in which an exosome is docked.

    A docking is a run of the state `SLOW`, gaps bridged, that lasts for the least time and number of frames,
    whose median distance is in the band, which diffuses less than the limit in the cell's frame, and which is
    not shown to be fixed to the stage.

    Parameters
    ----------
    track : Track
    path : ndarray of shape (N,)
        Decoded states.
    probabilities : ndarray of shape (N, 4)
        Their probabilities.
    clock : Clock
    settings : EventSettings

    Returns
    -------
    list of Docking
        In the order of time. The probability is the mean probability of `SLOW` times, where it can be tested,
        that of moving with the cell at even odds.
    """
    found = []
    candidates = bridged_runs(path == SLOW, track.frames, settings.docked_max_gap_frames)
    ends = [start for start, _ in candidates[1:]] + [len(track)]
    for (start, stop), end in zip(candidates, ends):
        part = slice(start, stop)
        if not _long_enough(track, part, clock, settings):
            continue
        distance = track.distance_um[part]
        if not np.isfinite(distance).any() or abs(float(np.nanmedian(distance))) > track.band_um(settings):
            continue
        moves = track.diffusion(part, exposure_s=clock.exposure_s)
        if moves.d_um2_s >= settings.docked_max_diffusion_um2_s:
            continue
        together = judge(track, part, settings)
        if together.stuck:
            continue
        ending = _ending(track, path, start, stop, end, clock, settings)
        found.append(_docking(track, probabilities, start, stop, moves, together, ending, clock))
    return found


def _long_enough(track: Track, part: slice, clock: Clock, settings: EventSettings) -> bool:
    times = track.times_s[part]
    return len(times) >= settings.docked_min_frames and lasts(
        times, interval_s=clock.interval_s
    ) >= settings.docked_min_s * (1 - 1e-9)


def _docking(
    track: Track,
    probabilities: Floats,
    start: int,
    stop: int,
    moves: Diffusion,
    together: Comotion,
    ending: tuple[str | None, int | None],
    clock: Clock,
) -> Docking:
    probability = float(np.mean(probabilities[start:stop, SLOW]))
    if together.comoving is not None:
        probability *= float(expit(together.log_ratio))
    outcome, left_at = ending
    left = track.frames[start] - clock.first <= clock.gap_frames
    right = outcome in ("movie_end", "left_focus")
    return Docking(
        track=track,
        start=start,
        stop=stop,
        cell_id=main_cell(track.nearest[start:stop], track.distance_um[start:stop]),
        diffusion=moves,
        comotion=together,
        probability=probability,
        censored=("both" if right else "left") if left else ("right" if right else "none"),
        outcome=outcome,
        left_at=left_at,
    )


def _ending(
    track: Track, path: Ints, start: int, stop: int, end: int, clock: Clock, settings: EventSettings
) -> tuple[str | None, int | None]:
    """Return the outcome of spots `start` to `stop`, and where before `end` a detached one is outside."""
    if clock.last - track.frames[stop - 1] <= clock.gap_frames:
        return "movie_end", None
    outside = np.flatnonzero(path[stop:end] == OUTSIDE)
    if outside.size:
        left_at = stop + int(outside[0])
        before = np.median(track.counts[max(start, stop - BEFORE_SPOTS) : stop])
        after = np.median(track.counts[left_at : left_at + AFTER_SPOTS])
        kept = abs(float(after / before) - 1) <= settings.intensity_tolerance if before > 0 else False
        return ("detached", left_at) if kept else ("loss_unresolved", None)
    if end < len(track):
        return None, None
    return ("left_focus" if _left_focus(track.sigma_px[start:]) else "loss_unresolved"), None


def _left_focus(sigma_px: Floats) -> bool:
    """Tell whether the width of a spot grows clearly before its track ends."""
    widths = sigma_px[np.isfinite(sigma_px)]
    if len(widths) < 3 * FOCUS_SPOTS:
        return False
    usual = widths[:-FOCUS_SPOTS]
    level, spread = np.median(usual), 1.4826 * np.median(np.abs(usual - np.median(usual)))
    growth = np.median(widths[-FOCUS_SPOTS:]) - level
    return bool(growth > (FOCUS_GROWTH - 1) * level and growth > FOCUS_SIGMAS * spread)
