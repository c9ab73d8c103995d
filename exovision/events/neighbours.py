"""Which other exosomes are near a place where something may have happened."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from exovision.events.motion import Track
from exovision.events.patches import Place

Floats = NDArray[np.float64]

CROWD_PX, CROWD_FRAMES = 5.0, 6
"""Two spots so near each other within so many frames may have been taken for one."""


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
