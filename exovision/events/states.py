"""The state of every spot: stuck, docked, surfing, tethered, free, under projection or unresolved."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import median_filter
from scipy.special import expit

from exovision.events.comotion import Comotion, judge
from exovision.events.decoding import BELOW, MOBILE, OUTSIDE, SLOW
from exovision.events.dockings import (
    Clock,
    Docking,
    find_dockings,
    lasts,
    runs,
)
from exovision.events.motion import Track
from exovision.events.rulings import about, overrule
from exovision.numerics.diffusion import diffusion
from exovision.records import Ruling
from exovision.settings import EventSettings

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Texts = NDArray[np.object_]

TETHERED_MIN_FRAMES = 3
SURFING_MIN_SPOTS = 6
RETURNING_MIN_SPOTS, SMOOTH_SPOTS = 6, 5
SURFING_CLARITY = 3.0
"""Net path over the path expected from diffusion and error alone; chance has exp(-9) of that (P)."""


@dataclass(frozen=True)
class Surfing:
    """Directed motion outside the cell body: spots `start` to `stop - 1` of a track."""

    track: Track
    start: int
    stop: int
    probability: float


@dataclass(frozen=True)
class Story:
    """What one exosome did.

    Attributes
    ----------
    track : Track
    states : ndarray of shape (N,)
        One of `exovision.schema.SPOT_STATES` per spot.
    dockings : list of Docking
    surfing : list of Surfing
    returns : list of Docking
        Stays like dockings of an exosome that came back from inside the cell.
    whole : Comotion
        The verdict on the whole track.
    """

    track: Track
    states: Texts
    dockings: list[Docking]
    surfing: list[Surfing]
    returns: list[Docking]
    whole: Comotion


def chance_dwell_s(band_um: float, settings: EventSettings) -> float:
    r"""Return the dwell in the band that a freely diffusing vesicle exceeds once in a hundred times.

    The slowest mode of escape from a slab of width 2b, entered anywhere:

    .. math:: S(t) \approx \frac{8}{\pi^2} e^{-\pi^2 D t / (2b)^2} = 0.01

    where b is `band_um` in µm and D the free diffusion coefficient.

    References
    ----------
    Redner 2001, doi:10.1017/CBO9780511606014.
    """
    return float((2 * band_um) ** 2 / (np.pi**2 * settings.free_diffusion_um2_s) * np.log(800 / np.pi**2))


def tell_story(
    track: Track,
    path: Ints,
    probabilities: Floats,
    *,
    clock: Clock,
    settings: EventSettings,
    rulings: Sequence[Ruling] = (),
) -> Story:
    """Give every spot of a track its state, and find its dockings and surfing.

    Parameters
    ----------
    track : Track
    path, probabilities : ndarray of shape (N,) and (N, 4)
        From `exovision.events.decoding.decode`.
    clock : Clock
    settings : EventSettings
    rulings : sequence of Ruling
        What a person decided of events, of any exosome.

    Returns
    -------
    Story

    Notes
    -----
    Without depth nothing is called `inside`: below the band a spot is `under_projection`.
    """
    whole = judge(track, slice(None), settings)
    on_docking, on_surfing = (about(rulings, track.exosome_id, kind) for kind in ("docking", "surfing"))
    if whole.stuck and not any(ruling.holds for ruling in (*on_docking, *on_surfing)):
        return Story(track, np.full(len(track), "stuck", dtype=object), [], [], [], whole)
    found = find_dockings(track, path, probabilities, clock=clock, settings=settings, rulings=on_docking)
    returned = [not on_docking and _returns(docking, path, settings) for docking in found]
    returns = [_from_band_on(stay, settings) for stay, back in zip(found, returned) if back]
    dockings = [docking for docking, back in zip(found, returned) if not back]
    states = _places(track, path, clock, settings)
    docked = np.zeros(len(track), dtype=bool)
    for docking in dockings:
        docked[docking.start : docking.stop] = True
    surfing = _ruled(_find_surfing(track, (path != BELOW) & ~docked, clock, settings), on_surfing, track)
    for part in surfing:
        states[part.start : part.stop] = "surfing"
    states[docked] = "docked"
    return Story(track, states, dockings, surfing, returns, whole)


def _returns(docking: Docking, path: Ints, settings: EventSettings) -> bool:
    """Tell whether an exosome was first seen deep below the band, and not outside before it came to stay.

    One that went in and out, or lies below an outline that wavers, is not told from one that docks.
    """
    start = docking.start
    outside = np.flatnonzero(path[:start] == OUTSIDE)
    since = slice(int(outside[-1]) + 1 if len(outside) else 0, start)
    depth = -docking.track.distance_um[since][path[since] == BELOW]
    if len(depth) < max(settings.inside_min_frames, RETURNING_MIN_SPOTS):
        return False
    return bool(np.nanmedian(depth[: RETURNING_MIN_SPOTS // 2]) > settings.inside_min_depth_um)


def _from_band_on(stay: Docking, settings: EventSettings) -> Docking:
    """Return a stay from its first spot on that is no longer below the band."""
    distance = median_filter(stay.track.distance_um[stay.start : stay.stop], SMOOTH_SPOTS, mode="nearest")
    arrived = np.flatnonzero(distance >= -settings.band_um)
    return replace(stay, start=stay.start + (int(arrived[0]) if len(arrived) else 0))


def _places(track: Track, path: Ints, clock: Clock, settings: EventSettings) -> Texts:
    """Return the states that follow from place, duration and the stage alone."""
    states = np.full(len(track), "free", dtype=object)
    for start, stop in runs(path == BELOW):
        states[start:stop] = (
            "under_projection" if stop - start >= settings.inside_min_frames else "unresolved"
        )
    by_chance = chance_dwell_s(track.band_um(settings), settings)
    in_band = (path == MOBILE) | (path == SLOW)
    for start, stop in clock.runs(in_band, track.frames):
        part = slice(start, stop)
        stays = lasts(track.times_s[part], interval_s=clock.interval_s) >= by_chance
        if stop - start >= TETHERED_MIN_FRAMES and stays:
            states[part] = "stuck" if judge(track, part, settings).stuck else "tethered"
    return states


def _ruled(found: Sequence[Surfing], rulings: Sequence[Ruling], track: Track) -> list[Surfing]:
    """Return the stretches of surfing that a person left, and those that a person added."""
    computed = {part.start: part for part in found}
    held = overrule([slice(part.start, part.stop) for part in found], rulings, track)
    return [
        computed[part.start] if ruling is None else Surfing(track, part.start, part.stop, 1.0)
        for part, ruling in held
    ]


def _find_surfing(
    track: Track, usable: NDArray[np.bool_], clock: Clock, settings: EventSettings
) -> list[Surfing]:
    """Find the longest stretches of directed motion among the usable spots."""
    found: list[Surfing] = []
    waiting = list(runs(usable))
    while waiting:
        start, stop = waiting.pop()
        best = _longest_directed(track, start, stop, clock, settings)
        if best is not None:
            found.append(best)
            waiting += [(start, best.start), (best.stop, stop)]
    return sorted(found, key=lambda part: part.start)


def _longest_directed(
    track: Track, start: int, stop: int, clock: Clock, settings: EventSettings
) -> Surfing | None:
    width = stop - start
    reach = np.linalg.norm(np.ptp(track.cell_um[start:stop], axis=0)) if width else 0.0
    if reach < settings.surfing_min_path_um:
        return None
    while width >= SURFING_MIN_SPOTS:
        for first in range(start, stop - width + 1, max(1, width // 4)):
            clarity = _directed(track, slice(first, first + width), clock, settings)
            if clarity is not None:
                return Surfing(track, first, first + width, float(expit(clarity**2 - SURFING_CLARITY**2 + 3)))
        width = int(width / 1.5)
    return None


def _directed(track: Track, part: slice, clock: Clock, settings: EventSettings) -> float | None:
    """Return how clearly a stretch is directed, None if it is not surfing."""
    at, times, error = track.cell_um[part], track.times_s[part], track.se_um[part]
    lasting = float(times[-1] - times[0])
    net = float(np.linalg.norm(at[-1] - at[0]))
    speed = net / lasting
    if net < settings.surfing_min_path_um:
        return None
    if not settings.surfing_min_speed_um_s <= speed <= settings.surfing_max_speed_um_s:
        return None
    if not track.diffusion(part, exposure_s=clock.exposure_s).alpha > settings.surfing_min_alpha:
        return None
    straight = np.outer(times - times[0], (at[-1] - at[0]) / lasting)
    across = at - straight
    rest = diffusion(across[:, 0], across[:, 1], times, error, clock.exposure_s).d_um2_s
    clarity = net / np.sqrt(4 * rest * lasting + 4 * float(np.mean(error**2)))
    return float(clarity) if clarity >= SURFING_CLARITY else None
