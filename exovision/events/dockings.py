"""Docking intervals on decoded tracks, and how each of them ended."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit

from exovision.events.comotion import Comotion, judge
from exovision.events.decoding import OUTSIDE, SLOW
from exovision.events.motion import Track, main_cell
from exovision.events.rulings import overrule
from exovision.events.verdicts import Verdict
from exovision.numerics.diffusion import Diffusion
from exovision.records import Ruling
from exovision.settings import EventSettings

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

BEFORE_SPOTS, AFTER_SPOTS = 10, 5
"""Spots whose brightness is compared before and after a detachment."""
CENSORED = {(False, False): "none", (True, False): "left", (False, True): "right", (True, True): "both"}
CELL_SPOTS = 7
"""Spots over which the nearest cell is voted on."""
FOCUS_SPOTS = 3
FOCUS_GROWTH = 1.3
FOCUS_SIGMAS = 3.0
"""A spot leaves focus when its last three widths exceed its usual one by 30 % and by three sigma (P)."""


@dataclass(frozen=True)
class Clock:
    """The frames of the exosome channel.

    Attributes
    ----------
    acquired_before : ndarray of shape (T,)
        How many frames were acquired before each frame.
    last : int
        How many were acquired before the last one acquired.
    interval_s : float
        Median interval, NaN with one frame.
    exposure_s : float
    gap_frames : int
        Frames that a docking may be missing, also at the ends of the movie.
    """

    acquired_before: Ints
    last: int
    interval_s: float
    exposure_s: float
    gap_frames: int

    def runs(self, mask: NDArray[np.bool_], frames: Ints) -> list[tuple[int, int]]:
        """Return (start, stop) of runs of true values, joined over at most `gap_frames` acquired frames."""
        held = np.flatnonzero(mask)
        if not held.size:
            return []
        missed = np.diff(self.acquired_before[frames[held]]) - 1
        breaks = np.flatnonzero(missed > self.gap_frames)
        starts, stops = np.append(held[0], held[breaks + 1]), np.append(held[breaks], held[-1]) + 1
        return list(zip(starts.tolist(), stops.tolist()))

    def begins(self, frame: int) -> bool:
        """Tell whether hardly anything was acquired before a frame."""
        return bool(self.acquired_before[frame] <= self.gap_frames)

    def ends(self, frame: int) -> bool:
        """Tell whether hardly anything was acquired after a frame."""
        return bool(self.last - self.acquired_before[frame] <= self.gap_frames)


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
        Along the membrane, in the cell's frame.
    comotion : Comotion
    probability : float
        1 if a person said so.
    censored : str
        none, left, right or both.
    outcome : str or None
        detached, left_focus, movie_end or loss_unresolved; None where the exosome stays, no longer docked,
        until it docks again.
    over_at : int or None
        For a detachment, the first spot outside the band; for a loss, the last spot seen.
    end_told : bool
        Whether a person said how it ended.
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
    over_at: int | None
    end_told: bool = False
    verdicts: tuple[Verdict, ...] = ()

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
    rulings: Sequence[Ruling] = (),
) -> list[Docking]:
    """Find the intervals in which an exosome is docked.

    A docking is a run of the state `SLOW`, gaps bridged, that is likely, lasts for the least time and number
    of frames, whose median distance is in the band, which diffuses less than the limit along the membrane, in
    the cell's frame, and which is not shown to be fixed to the stage. Moving on to another cell ends it.

    Parameters
    ----------
    track : Track
    path : ndarray of shape (N,)
        Decoded states.
    probabilities : ndarray of shape (N, 4)
        Their probabilities.
    clock : Clock
    settings : EventSettings
    rulings : sequence of Ruling
        What a person decided of dockings of this exosome; wins over all of the above.

    Returns
    -------
    list of Docking
        In the order of time. The probability is the mean probability of `SLOW` times, where it can be tested,
        that of moving with the cell at even odds.
    """
    parts = [
        slice(start + first, start + last)
        for start, stop in clock.runs(path == SLOW, track.frames)
        for first, last in _stays(track, start, stop, track.band_um(settings))
    ]
    sure = [
        part for part in parts if float(np.mean(probabilities[part, SLOW])) >= settings.docked_min_probability
    ]
    held = overrule([part for part in sure if _is_docking(track, part, clock, settings)], rulings, track)
    ends = [part.start for part, _ in held[1:]] + [len(track)]
    return [
        _docking(
            track,
            part,
            _along(track, part, clock),
            judge(track, part, settings),
            probability=float(np.mean(probabilities[part, SLOW])),
            ending=_ending(track, path, part, end, clock, settings),
            clock=clock,
            ruling=ruling,
        )
        for (part, ruling), end in zip(held, ends)
    ]


def _stays(track: Track, start: int, stop: int, band_um: float) -> list[tuple[int, int]]:
    """Return (first, last) of the stays on one cell after another, counted from `start`.

    Between touching cells the nearest may change at any moment: the exosome stays with the cell it was on as
    long as that one's membrane is in the band, or was with the later one all along.
    """
    nearest = track.nearest[start:stop]
    stays: list[tuple[int, int]] = []
    cell = 0
    for first, last in _on_one_cell(nearest):
        here = int(np.bincount(nearest[first:last]).argmax())
        if stays:
            before, after = (slice(start + a, start + b) for a, b in (stays[-1], (first, last)))
            if np.median(track.distance_to_um(cell, after)) <= band_um:
                stays[-1] = (stays[-1][0], last)
                continue
            if np.median(track.distance_to_um(here, before)) <= band_um:
                stays[-1], cell = (stays[-1][0], last), here
                continue
        stays.append((first, last))
        cell = here
    return stays


def _on_one_cell(nearest: Ints) -> Iterator[tuple[int, int]]:
    """Yield (start, stop) of the stretches over which one cell stays the nearest, flickering left out."""
    cells = np.unique(nearest)
    window = np.ones(min(CELL_SPOTS, len(nearest)))
    votes = np.array([np.convolve(nearest == cell, window, mode="same") for cell in cells])
    steady = votes.argmax(axis=0)
    changes = np.flatnonzero(np.diff(steady)) + 1
    yield from zip([0, *changes.tolist()], [*changes.tolist(), len(nearest)])


def _is_docking(track: Track, part: slice, clock: Clock, settings: EventSettings) -> bool:
    if not _long_enough(track, part, clock, settings):
        return False
    distance = track.distance_um[part]
    if not np.isfinite(distance).any() or abs(float(np.nanmedian(distance))) > track.band_um(settings):
        return False
    # Too few spots for an estimate (NaN) are no reason against a docking.
    fast = _along(track, part, clock).d_um2_s >= settings.docked_max_diffusion_um2_s
    return not fast and not judge(track, part, settings).stuck


def _along(track: Track, part: slice, clock: Clock) -> Diffusion:
    """Return the diffusion along the membrane, in the cell's frame."""
    return track.diffusion(part, exposure_s=clock.exposure_s, axes=1)


def _long_enough(track: Track, part: slice, clock: Clock, settings: EventSettings) -> bool:
    times = track.times_s[part]
    return len(times) >= settings.docked_min_frames and lasts(
        times, interval_s=clock.interval_s
    ) >= settings.docked_min_s * (1 - 1e-9)


def _docking(
    track: Track,
    part: slice,
    moves: Diffusion,
    together: Comotion,
    *,
    probability: float,
    ending: tuple[str | None, int | None],
    clock: Clock,
    ruling: Ruling | None,
) -> Docking:
    if together.comoving is not None:
        probability *= float(expit(together.log_ratio))
    outcome, over_at = ending
    told = ruling.ending if ruling else None
    if told is not None:
        after = min(part.stop, len(track) - 1)
        outcome, over_at = told, after if told == "detached" else part.stop - 1
    left = clock.begins(int(track.frames[part.start]))
    right = outcome == "left_focus" or clock.ends(int(track.frames[part.stop - 1]))
    return Docking(
        track=track,
        start=part.start,
        stop=part.stop,
        cell_id=main_cell(track.nearest[part], track.distance_um[part]),
        diffusion=moves,
        comotion=together,
        probability=1.0 if ruling else probability,
        censored=CENSORED[left, right and told is None],
        outcome=outcome,
        over_at=over_at,
        end_told=told is not None,
    )


def _ending(
    track: Track, path: Ints, part: slice, end: int, clock: Clock, settings: EventSettings
) -> tuple[str | None, int | None]:
    """Return the outcome of a docking and the spot, before `end`, at which it shows."""
    start, stop = part.start, part.stop
    outside = np.flatnonzero(path[stop:end] == OUTSIDE)
    if clock.ends(int(track.frames[stop - 1])):
        return "movie_end", None
    if outside.size:
        left_at = stop + int(outside[0])
        before = np.median(track.counts[max(start, stop - BEFORE_SPOTS) : stop])
        after = np.median(track.counts[left_at : left_at + AFTER_SPOTS])
        kept = before > 0 and abs(float(after / before) - 1) <= settings.intensity_tolerance
        return ("detached", left_at) if kept else ("loss_unresolved", stop - 1)
    if end < len(track):
        return None, None
    if clock.ends(int(track.frames[-1])):
        return "movie_end", None
    if _left_focus(track.sigma_px[start:]):
        return "left_focus", None
    return "loss_unresolved", len(track) - 1


def _left_focus(sigma_px: Floats) -> bool:
    """Tell whether the width of a spot grows clearly before its track ends."""
    widths = sigma_px[np.isfinite(sigma_px)]
    if len(widths) < 3 * FOCUS_SPOTS:
        return False
    usual = widths[:-FOCUS_SPOTS]
    level, spread = np.median(usual), 1.4826 * np.median(np.abs(usual - np.median(usual)))
    growth = np.median(widths[-FOCUS_SPOTS:]) - level
    return bool(growth > (FOCUS_GROWTH - 1) * level and growth > FOCUS_SIGMAS * spread)
