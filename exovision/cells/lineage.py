"""Divisions found in finished tracks: which two cells began where one ended."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from exovision import schema
from exovision.settings import CellSettings

Floats = NDArray[np.float64]

BEFORE_S, AFTER_S = 7200.0, 1800.0
"""The parent's size is its median over the time before, the daughters' the largest soon after."""
KNOWN_S, USUAL_SUM = 3600.0, 1.25
"""A parent watched for less may have been condensed all along: its daughters then tell its size."""
LEAST_LIFE_S, LEAST_LIFE_FRAMES = 360.0, 4
"""Both daughters must last this long, else an outline was merely cut in two."""
SISTERS_APART_FRAMES = 2
"""Daughters may be found this many frames apart."""
LARGEST_SHARE = 1.1
"""Of its parent's area that a daughter has: in a crowd a rounded parent is no larger than either."""
SUM_RANGE = (0.35, 2.0)
"""Area of both daughters relative to their parent's."""
LEAST_LIKENESS = 0.3
"""Area of the smaller daughter, maybe cut by the border, relative to the larger one."""
OFF_CENTRE, APART = 0.35, 3.0
"""Distance of the daughters' midpoint from the parent, and of the daughters, in parent's radii, at most."""


class Rename(NamedTuple):
    """From `first_frame` on, cell `old` is cell `new`."""

    first_frame: int
    old: int
    new: int


@dataclass(frozen=True)
class Lineage:
    """Tracks that end and begin at divisions.

    Attributes
    ----------
    tracks : DataFrame
        Columns of `exovision.schema.FATES`; parents exit `divided`, daughters enter by `birth`.
    renames : tuple of Rename
        In the order in which they apply: daughters that had gone on under their parent's id.
    """

    tracks: pd.DataFrame
    renames: tuple[Rename, ...]

    def rename(self, table: pd.DataFrame, column: str = "cell_id") -> pd.DataFrame:
        """Return a table with `frame` and a column of cell ids, with the daughters' ids."""
        if not self.renames or column not in table:
            return table
        ids, frames = table[column].copy(), table["frame"]
        for first_frame, old, new in self.renames:
            ids = ids.mask(((ids == old) & (frames >= first_frame)).fillna(False), new)
        return table.assign(**{column: ids})


@dataclass
class _Track:
    """One cell's frames (T,), times (T,) in s, centres (T, 2) in µm and areas (T,) in µm²."""

    cell_id: int
    frames: NDArray[np.int64]
    times_s: Floats
    centres: Floats
    areas: Floats

    def part(self, cell_id: int, where: slice) -> _Track:
        return _Track(
            cell_id, self.frames[where], self.times_s[where], self.centres[where], self.areas[where]
        )


def find_divisions(
    cells: pd.DataFrame, tracks: pd.DataFrame, settings: CellSettings, *, keep_ids: bool = False
) -> Lineage:
    """Find the divisions among tracked cells.

    Parameters
    ----------
    cells : DataFrame
        `frame time_s cell_id y_um x_um area_um2`, a row per cell and frame.
    tracks : DataFrame
        Columns of `exovision.schema.FATES`, a row per cell, as the tracker knows them.
    settings : CellSettings
        `max_gap_frames` bounds how long before its daughters a parent may have been seen last.
    keep_ids : bool
        The ids are given: no cell is renamed, only cells that end are parents.

    Returns
    -------
    Lineage

    Notes
    -----
    A division is a cell that gives way to two of like size, smaller than itself, on either side of where it
    was, both of which last. Divisions of cells that leave the field at once are missed.
    """
    known = {track.cell_id: track for track in _split(cells)}
    origin = min((int(track.frames[0]) for track in known.values()), default=0)
    fresh = sorted((int(t.frames[0]), t.cell_id) for t in known.values() if t.frames[0] > origin)
    next_id = max(known, default=0) + 1
    parents: dict[int, int] = {}
    renames: list[Rename] = []
    for _, cell_id in fresh:
        if cell_id in parents:
            continue
        found = _parent_of(known[cell_id], known, parents, settings, keep_ids=keep_ids)
        if found is None:
            continue
        parent, sister = found
        if sister is None:
            track = known[parent]
            first = int(np.searchsorted(track.frames, known[cell_id].frames[0]))
            sister = next_id
            next_id += 1
            renames.append(Rename(int(track.frames[first]), parent, sister))
            known[sister] = track.part(sister, slice(first, None))
            known[parent] = track.part(parent, slice(0, first))
        parents |= {cell_id: parent, sister: parent}
    return Lineage(_retell(tracks, known, parents, renames), tuple(renames))


def _split(cells: pd.DataFrame) -> list[_Track]:
    return [
        _Track(
            int(rows["cell_id"].iloc[0]),
            rows["frame"].to_numpy(dtype=np.int64),
            rows["time_s"].to_numpy(dtype=np.float64),
            rows[["y_um", "x_um"]].to_numpy(dtype=np.float64),
            rows["area_um2"].to_numpy(dtype=np.float64),
        )
        for _, rows in cells.sort_values("frame").groupby("cell_id")
    ]


def _parent_of(
    daughter: _Track,
    known: dict[int, _Track],
    parents: dict[int, int],
    settings: CellSettings,
    *,
    keep_ids: bool,
) -> tuple[int, int | None] | None:
    """Return the parent of a new cell and its sister, None for one that still has the parent's id."""
    start = int(daughter.frames[0])
    best: tuple[float, int, int | None] | None = None
    for parent in known.values():
        end = int(np.searchsorted(parent.frames, start))
        if not end or start - parent.frames[end - 1] > settings.max_gap_frames + 1:
            continue
        before = parent.part(parent.cell_id, slice(0, end))
        sisters: list[tuple[int | None, _Track]]
        if end < len(parent.frames):
            sisters = [] if keep_ids else [(None, parent.part(0, slice(end, None)))]
        else:
            sisters = [(t.cell_id, t) for t in known.values() if _fresh(t, daughter, parents)]
        for name, sister in sisters:
            cost = _cost(before, daughter, sister)
            if cost is not None and (best is None or cost < best[0]):
                best = (cost, parent.cell_id, name)
    return None if best is None else best[1:]


def _fresh(track: _Track, sister: _Track, parents: dict[int, int]) -> bool:
    near = abs(int(track.frames[0]) - int(sister.frames[0])) <= SISTERS_APART_FRAMES
    return near and track.cell_id != sister.cell_id and track.cell_id not in parents


def _cost(parent: _Track, one: _Track, two: _Track) -> float | None:
    """Return how badly two cells make the daughters of a third; None if they cannot be."""
    if not all(_lasts(daughter) for daughter in (one, two)):
        return None
    now = one.times_s[0]
    size = float(np.median(parent.areas[parent.times_s >= now - BEFORE_S]))
    areas = [float(d.areas[d.times_s <= d.times_s[0] + AFTER_S].max()) for d in (one, two)]
    if now - parent.times_s[0] < KNOWN_S:
        size = max(size, sum(areas) / USUAL_SUM)
    radius = np.sqrt(size / np.pi)
    middle = (one.centres[0] + two.centres[0]) / 2
    off = float(np.hypot(*(middle - parent.centres[-1]))) / radius
    apart = float(np.hypot(*(one.centres[0] - two.centres[0]))) / radius
    fits = (
        max(areas) <= LARGEST_SHARE * size
        and SUM_RANGE[0] * size <= sum(areas) <= SUM_RANGE[1] * size
        and min(areas) >= LEAST_LIKENESS * max(areas)
        and off <= OFF_CENTRE
        and apart <= APART
    )
    return off + 0.3 * apart + (1 - min(areas) / max(areas)) if fits else None


def _lasts(track: _Track) -> bool:
    span = track.times_s[-1] - track.times_s[0]
    return bool(len(track.frames) >= LEAST_LIFE_FRAMES and span >= LEAST_LIFE_S)


def _retell(
    tracks: pd.DataFrame, known: dict[int, _Track], parents: dict[int, int], renames: list[Rename]
) -> pd.DataFrame:
    """Return the tracks with parents that end and daughters that begin."""
    rows = {int(row["cell_id"]): dict(row) for row in tracks.to_dict("records")}
    for first_frame, old, new in renames:
        rows[new] = {**rows[old], "cell_id": new, "first_frame": first_frame}
        rows[old]["last_frame"] = int(known[old].frames[-1])
    for cell_id, parent in parents.items():
        rows[cell_id] |= {"entry": "birth", "parent_id": parent}
        rows[parent] |= {"exit": "divided", "last_frame": int(known[parent].frames[-1])}
    return schema.conform(pd.DataFrame([rows[cell] for cell in sorted(rows)]), schema.FATES)
