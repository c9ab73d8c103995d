"""What a person decided of single events, brought to bear on what was computed."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from exovision.events.motion import Track
from exovision.records import Ruling

SHARED = 0.5
"""A ruling is about a computed interval if they share this part of the shorter one."""


def about(rulings: Sequence[Ruling], exosome_id: int, kind: str) -> list[Ruling]:
    """Return the rulings on this kind of event of one exosome, in the order in which they were made."""
    return [ruling for ruling in rulings if (ruling.exosome_id, ruling.kind) == (exosome_id, kind)]


def spots_of(ruling: Ruling, track: Track) -> slice:
    """Return the spots of the track that lie in the interval; empty if there are none."""
    first, stop = np.searchsorted(track.frames, [ruling.start_frame, ruling.end_frame + 1])
    return slice(int(first), int(stop))


def overrule(
    found: Sequence[slice], rulings: Sequence[Ruling], track: Track
) -> list[tuple[slice, Ruling | None]]:
    """Take out what a person denied and put in what a person affirmed.

    Parameters
    ----------
    found : sequence of slice
        The computed intervals, spots of the track.
    rulings : sequence of Ruling
        A later one wins over an earlier one of which it shares enough.
    track : Track

    Returns
    -------
    list of (slice, Ruling or None)
        Intervals in the order of time, each with the ruling, or None where left as computed.
    """
    held: list[tuple[slice, Ruling | None]] = [(part, None) for part in found]
    for ruling in rulings:
        part = spots_of(ruling, track)
        if part.start >= part.stop:
            continue
        limit = 0.0 if ruling.holds else SHARED
        held = [(other, by) for other, by in held if _shared(other, part) <= limit]
        if ruling.holds:
            held.append((part, ruling))
    return sorted(held, key=lambda item: int(item[0].start))


def _shared(one: slice, other: slice) -> float:
    """Return the part of the shorter interval that both share, 0–1."""
    common = min(one.stop, other.stop) - max(one.start, other.start)
    shorter = min(one.stop - one.start, other.stop - other.start)
    return float(max(0, common) / shorter)
