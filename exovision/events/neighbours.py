"""What other exosomes do near a place where something may have happened: crossing, merging."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit

from exovision.events.dockings import Docking
from exovision.events.motion import Track
from exovision.events.patches import Place

Floats = NDArray[np.float64]

CROWD_PX, CROWD_FRAMES = 5.0, 6
"""Two spots so near each other within so many frames may have been taken for one."""
MERGED_PX, BEFORE_SPOTS, AFTER_SPOTS, LEAST_SPOTS = 4.0, 12, 10, 5
MERGED_SPREAD, MERGED_PRIOR = 0.15, 0.1
"""Scatter of brightness beyond noise, and prior of merging, where another exosome is at the place (P)."""


class Neighbours:
    """All tracks of a movie, to be asked who was near.

    Parameters
    ----------
    tracks : sequence of Track
    pixel_size_um : float
    drift_um : ndarray of shape (T, 2)
    """

    def __init__(self, tracks: Sequence[Track], *, pixel_size_um: float, drift_um: Floats) -> None:
        self._tracks = list(tracks)
        self._places = [(track.stage_um + drift_um[track.frames]) / pixel_size_um for track in self._tracks]
        self._spans = np.array([(t.frames[0], t.frames[-1]) for t in self._tracks]).reshape(-1, 2)

    def crowded(self, place: Place) -> bool:
        """Tell whether another exosome is seen beside the place around the moment."""
        first = place.moment.first - CROWD_FRAMES
        last = place.moment.last + CROWD_FRAMES
        return any((self._apart(i, place)[1] < CROWD_PX).any() for i in self._others(place, first, last))

    def merged(self, docking: Docking, place: Place) -> float:
        """Return the probability that an exosome that is gone has merged with one that is still there.

        The other one must gain the light of the one that is gone.
        """
        end = int(docking.frames[1])
        own = docking.track.counts[max(docking.start, docking.stop - BEFORE_SPOTS) : docking.stop]
        best = 0.0
        for i in self._others(place, end - 2, end + 3):
            track = self._tracks[i]
            frames, apart = self._apart(i, place)
            near = (np.abs(frames - end) <= 3) & (apart < MERGED_PX)
            before = track.counts[(track.frames < end - 2)][-BEFORE_SPOTS:]
            after = track.counts[track.frames > end + 2][:AFTER_SPOTS]
            if near.any() and min(len(before), len(after), len(own)) >= LEAST_SPOTS:
                best = max(best, _adds_up(own[:-2], before[:-2], after))
        return best

    def _others(self, place: Place, first: int, last: int) -> list[int]:
        met = (self._spans[:, 0] <= last) & (self._spans[:, 1] >= first)
        own = place.moment.track.exosome_id
        return [int(i) for i in np.flatnonzero(met) if self._tracks[i].exosome_id != own]

    def _apart(self, i: int, place: Place) -> tuple[NDArray[np.int64], Floats]:
        """Return the frames in which a track is seen around the moment, and its distances then, px."""
        frames = self._tracks[i].frames
        first, last = place.moment.first - CROWD_FRAMES, place.moment.last + CROWD_FRAMES
        _, mine, theirs = np.intersect1d(place.frames, frames, return_indices=True)
        timed = (frames[theirs] >= first) & (frames[theirs] <= last)
        mine, theirs = mine[timed], theirs[timed]
        apart: Floats = np.hypot(*(self._places[i][theirs] - place.centres_px[mine]).T)
        return frames[theirs], apart


def _adds_up(own: Floats, before: Floats, after: Floats) -> float:
    """Return the probability that the light after is that before and the own together, not that before."""
    light, gained = float(np.median(own)), float(np.median(after) - np.median(before))
    if light <= 0:
        return 0.0
    variance = sum(1.57 * float(np.var(part)) / len(part) for part in (own, before, after))
    variance += (MERGED_SPREAD * light) ** 2
    ratio = (gained**2 - (gained - light) ** 2) / (2 * variance)
    return float(expit(ratio + np.log(MERGED_PRIOR / (1 - MERGED_PRIOR))))
