"""Mergers: two exosomes become one spot, and its light is the sum of theirs."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.stats import norm

from exovision.events.dockings import Docking
from exovision.events.motion import Track

Floats = NDArray[np.float64]

NEAR_SIGMAS = 3.5
"""Closer than so many PSF widths two spots become one."""
CLOSED_SIGMAS = 1.0
"""They must have come closer by so much."""
APPROACH_SPOTS = 60
"""Common frames over which an approach is looked for, and in which spots must not part again."""
BEFORE_SPOTS, AFTER_SPOTS, LEAST_SPOTS = 25, 20, 5
"""Spots whose light is compared, and the least of them."""
MOST_FRAMES = 30
"""Contact is expected no later after two spots have become one."""
SCATTER = 0.2
"""Deviation of a sum of intensities from what its parts had (SCIENCE §3)."""
CHANGES = 2.0
"""Changes of the other one's brightness for another reason, in units of the light that was lost (P)."""


class Merger(NamedTuple):
    """One exosome that may have merged with another.

    Attributes
    ----------
    probability : float
    partner : int
        Id of the other one.
    heir : int
        Id of what both became: that of the partner, or of a track that begins there.
    frame : int
        Last one before contact, which is where the approach leads to.
    time_s : float
        Of that frame.
    """

    probability: float
    partner: int
    heir: int
    frame: int
    time_s: float


class Mergers:
    """All tracks of a movie, to be asked which of them merged.

    Parameters
    ----------
    tracks : sequence of Track
        Of all exosomes.
    fading : ndarray of shape (T,)
        Light left of common bleaching.
    sigma_um : float
        Standard deviation of the PSF, µm.
    """

    def __init__(self, tracks: Sequence[Track], fading: Floats, *, sigma_um: float) -> None:
        self._tracks = list(tracks)
        self._fading = fading
        self._near_um, self._closed_um = NEAR_SIGMAS * sigma_um, CLOSED_SIGMAS * sigma_um
        spans = np.array([(track.frames[0], track.frames[-1]) for track in tracks], dtype=np.int64)
        self._first, self._last = spans.reshape(-1, 2).T

    def find(self, docking: Docking) -> Merger | None:
        r"""Return the likeliest merger that ended a docking, None where no exosome came close.

        The light I of the lost one is compared with the gain Δ of the one that stays, normal about I with s,
        the errors of both and `SCATTER` of I; without a merger it is, as likely, normal about 0 with s, or
        with `CHANGES` times I, as of an exosome that changes for another reason:

        .. math:: L = \frac{2 N(\Delta; I, s)}{N(\Delta; 0, s) + N(\Delta; 0, cI)}

        Spots that part again were only taken for one.
        """
        own = docking.track
        if docking.stop < len(own) - LEAST_SPOTS:  # It was seen long after.
            return None
        last = int(own.frames[-1])
        met = self._alive(self._first <= last - LEAST_SPOTS, self._last >= last - LEAST_SPOTS)
        found = [self._merger(own, other) for other in met if other is not own]
        told = [merger for merger in found if merger is not None]
        return max(told, key=lambda merger: merger.probability, default=None)

    def _alive(self, *conditions: NDArray[np.bool_]) -> list[Track]:
        return [self._tracks[i] for i in np.flatnonzero(np.logical_and.reduce(conditions))]

    def _merger(self, own: Track, other: Track) -> Merger | None:
        last = int(own.frames[-1])
        contact_s = self._contact_s(own, other)
        if contact_s is None:
            return None
        heir = other if other.frames[-1] >= last + LEAST_SPOTS else self._heir(other, last)
        if heir is None:
            return None
        parts = self._parts(heir, last)
        if parts is not None and parts <= last + APPROACH_SPOTS:
            return None
        together_s = _between_s(heir, last, parts)
        lights = [
            self._light(own, last - BEFORE_SPOTS, last),
            self._light(other, last - BEFORE_SPOTS, last),
            self._light(heir, last, last + AFTER_SPOTS),
        ]
        told = [light for light in lights if light is not None]
        if len(told) < len(lights):
            return None
        at = max(int(np.searchsorted(heir.times_s, contact_s, side="right")) - 1, 0)
        return Merger(
            probability=_probability(*told, overlap=self._overlap(heir, last, together_s)),
            partner=other.exosome_id,
            heir=heir.exosome_id,
            frame=int(heir.frames[at]),
            time_s=float(heir.times_s[at]),
        )

    def _contact_s(self, own: Track, other: Track) -> float | None:
        """Return when two tracks that approach each other meet, None if they do not."""
        beside = min(int(np.searchsorted(other.frames, own.frames[-1])), len(other) - 1)
        if np.hypot(*(own.stage_um[-1] - other.stage_um[beside])) > 2 * self._near_um:
            return None
        _, mine, theirs = np.intersect1d(own.frames, other.frames, return_indices=True)
        mine, theirs = mine[-APPROACH_SPOTS:], theirs[-APPROACH_SPOTS:]
        if len(mine) < LEAST_SPOTS or own.frames[-1] - own.frames[mine[-1]] > LEAST_SPOTS:
            return None
        apart = np.hypot(*(own.stage_um[mine] - other.stage_um[theirs]).T)
        at_last = float(np.median(apart[-3:]))
        if at_last > self._near_um or np.median(apart[:3]) - at_last < self._closed_um:
            return None
        times = own.times_s[mine]
        speed = -float(np.polyfit(times, apart, 1)[0])
        longest = MOST_FRAMES * float(np.median(np.diff(times)))
        return float(own.times_s[-1]) + (min(at_last / speed, longest) if speed > 0 else longest)

    def _heir(self, other: Track, last: int) -> Track | None:
        """Return the track that begins where another one ends, about when a third one is lost."""
        begins = self._alive(np.abs(self._first - last) <= LEAST_SPOTS, self._last >= last + LEAST_SPOTS)
        near = (
            track for track in begins if np.hypot(*(track.stage_um[0] - other.stage_um[-1])) < self._near_um
        )
        return next(near, None)

    def _parts(self, heir: Track, last: int) -> int | None:
        """Return the first frame after the loss in which a new track begins beside the spot that stays."""
        beside = [
            int(track.frames[0])
            for track in self._alive(self._first > last, self._first <= heir.frames[-1])
            if track is not heir
            and len(track) >= LEAST_SPOTS
            and np.hypot(*(track.stage_um[0] - heir.stage_um[heir.frames >= track.frames[0]][0]))
            < self._near_um
        ]
        return min(beside, default=None)

    def _overlap(self, heir: Track, last: int, together_s: float) -> float:
        r"""Return the probability that two independent exosomes stay as near for so long.

        .. math:: S(t) = \frac{8}{\pi^2} e^{-\pi^2 D t / (2b)^2}

        the slowest mode of escape from 2b, with D twice that of what stays and b the nearest that a PSF
        parts (Redner 2001, doi:10.1017/CBO9780511606014).
        """
        after = np.flatnonzero(heir.frames > last)
        d_um2_s = heir.diffusion(slice(int(after[0]), len(heir)), exposure_s=0.0, axes=1).d_um2_s
        rate = np.pi**2 * 2 * max(d_um2_s, 0.0) / (2 * self._near_um) ** 2
        return float(8 / np.pi**2 * np.exp(-rate * together_s))

    def _light(self, track: Track, after: int, upto: int) -> tuple[float, float] | None:
        """Return the mean light after one frame and up to another, and its error; None with too few spots."""
        held = (track.frames > after) & (track.frames <= upto)
        if held.sum() < LEAST_SPOTS:
            return None
        light = track.counts[held] / self._fading[track.frames[held]]
        return float(np.median(light)), float(1.2533 * light.std(ddof=1) / np.sqrt(len(light)))


def _between_s(heir: Track, last: int, parts: int | None) -> float:
    """Return how long a spot is seen after a loss, at most until it parts, s."""
    stop = int(heir.frames[-1]) if parts is None else parts
    times = heir.times_s[(heir.frames > last) & (heir.frames <= stop)]
    return float(np.ptp(times)) if len(times) else 0.0


def _probability(
    own: tuple[float, float], before: tuple[float, float], after: tuple[float, float], *, overlap: float
) -> float:
    """Return the probability of a merger from light and error of the lost one, and of the other one."""
    lost, gain = own[0], after[0] - before[0]
    noise = float(np.sqrt(own[1] ** 2 + before[1] ** 2 + after[1] ** 2 + (SCATTER * lost) ** 2))
    both = norm.logpdf(gain, lost, noise)
    apart, changed = norm.logpdf(gain, 0.0, noise), norm.logpdf(gain, 0.0, CHANGES * lost)
    other_ways = np.exp(np.logaddexp(apart, changed) - np.log(2) - both)
    return float(1 / (1 + overlap + other_ways))
