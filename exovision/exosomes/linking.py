"""Spots linked into tracks by sparse assignment, frame by frame, over gaps of a few frames."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.sparse import coo_matrix
from scipy.sparse.csgraph import min_weight_full_bipartite_matching
from scipy.spatial import cKDTree

from exovision.calibration import um_to_px
from exovision.settings import ExosomeSettings

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

BRIGHTNESS_SIGMA = 0.45
"""Spread of the log brightness of one exosome between frames, beyond which a link becomes costly."""
LEAST_SURE = 0.3
"""Share of a track's spots that must be sure for the others to be borne out."""
NOT_LINKING, SENIORITY, SENIOR_SPOTS = 90.0, 3.0, 8
"""Price of ending a track: above any link's, and higher for tracks of more spots, so that noise beside one
does not take its place."""
GAP_COST = 1.0
"""Added per missing frame, so that a link without a gap is preferred."""


@dataclass
class _Open:
    """Tracks that may still go on: their last spots, one row each."""

    track: Ints
    frame: Ints
    place_px: Floats
    se_px: Floats
    log_counts: Floats
    moved_px: Floats
    spots: Ints = field(repr=False)

    @classmethod
    def none(cls) -> _Open:
        empty = np.empty(0)
        number = empty.astype(np.int64)
        return cls(number, number, np.empty((0, 2)), empty, empty, empty, number)

    def keep(self, mask: NDArray[np.bool_]) -> _Open:
        return _Open(*(getattr(self, name)[mask] for name in self.__dataclass_fields__))

    def join(self, other: _Open) -> _Open:
        pairs = ((getattr(self, name), getattr(other, name)) for name in self.__dataclass_fields__)
        return _Open(*(np.concatenate(pair) for pair in pairs))


def link(
    spots: pd.DataFrame,
    *,
    times_s: Floats,
    drift_px: Floats | None,
    pixel_size_um: float,
    settings: ExosomeSettings,
) -> pd.Series[int]:
    """Link the spots of consecutive frames.

    Parameters
    ----------
    spots : DataFrame
        `frame y_px x_px y_se_px x_se_px counts probability`, sorted by frame.
    times_s : ndarray of shape (T,)
        Seconds; NaN for frames that were not acquired, which count as no gap.
    drift_px : ndarray of shape (T, 2), optional
        Stage drift (y, x), taken off the positions.
    pixel_size_um : float
    settings : ExosomeSettings
        `max_step_um` (between acquired neighbours; grows with the square root of a gap), `max_gap_frames`,
        `min_track_spots` spots of `min_probability` make a track.

    Returns
    -------
    Series of Int64
        Exosome ids from 1, by first frame, y and x; null for unlinked spots; the index of `spots`.

    Notes
    -----
    A link costs its squared displacement over the variance expected from what the track has done so far and
    from the localisation errors, plus the squared change of log brightness; the assignment between open
    tracks and the spots of a frame is optimal (Jaqaman 2008, doi:10.1038/nmeth.1237). Only open tracks are
    held.
    """
    order = np.full(len(times_s), -1, dtype=np.int64)
    acquired = np.flatnonzero(np.isfinite(times_s))
    order[acquired] = np.arange(acquired.size)
    drift = np.zeros((len(times_s), 2)) if drift_px is None else drift_px
    frames = spots["frame"].to_numpy(dtype=np.int64)
    place = spots[["y_px", "x_px"]].to_numpy(dtype=np.float64) - drift[frames]
    se = np.sqrt((spots[["y_se_px", "x_se_px"]].to_numpy(dtype=np.float64) ** 2).mean(axis=1))
    logs = np.log(np.maximum(spots["counts"].to_numpy(dtype=np.float64), 1e-9))
    step_px = float(um_to_px(settings.max_step_um, pixel_size_um))
    tracks = _link_all(order[frames], place, se, logs, step_px=step_px, max_gap=settings.max_gap_frames)
    sure = spots["probability"].to_numpy(dtype=np.float64) >= settings.min_probability
    return _numbered(spots, tracks, sure, settings.min_track_spots)


def _link_all(frames: Ints, place: Floats, se: Floats, logs: Floats, *, step_px: float, max_gap: int) -> Ints:
    """Return a track number for every spot."""
    tracks = np.empty(len(frames), dtype=np.int64)
    opened = _Open.none()
    count = 0
    starts = np.flatnonzero(np.diff(frames, prepend=-1))
    for start, stop in zip(starts, [*starts[1:], len(frames)]):
        now = slice(start, stop)
        frame = int(frames[start])
        opened = opened.keep(frame - opened.frame <= max_gap + 1)
        rows, columns = _assign(opened, frame, place[now], se[now], logs[now], step_px)
        chosen = np.full(stop - start, -1, dtype=np.int64)
        chosen[columns] = opened.track[rows]
        moved = np.full(stop - start, step_px / 4)
        step = np.hypot(*(place[now][columns] - opened.place_px[rows]).T)
        moved[columns] = 0.7 * opened.moved_px[rows] + 0.3 * step / np.sqrt(frame - opened.frame[rows])
        spots = np.ones(stop - start, dtype=np.int64)
        spots[columns] += opened.spots[rows]
        new = chosen < 0
        chosen[new] = np.arange(count, count + int(new.sum()))
        count += int(new.sum())
        tracks[now] = chosen
        going_on = np.ones(len(opened.track), dtype=bool)
        going_on[rows] = False
        now_open = _Open(chosen, np.full(stop - start, frame), place[now], se[now], logs[now], moved, spots)
        opened = opened.keep(going_on).join(now_open)
    return tracks


def _assign(
    opened: _Open, frame: int, place: Floats, se: Floats, logs: Floats, step_px: float
) -> tuple[Ints, Ints]:
    """Return the rows (open tracks) and columns (spots) of the cheapest matching within reach."""
    none = np.empty(0, dtype=np.int64)
    if not len(opened.track) or not len(place):
        return none, none
    waited = (frame - opened.frame).astype(np.float64)
    reach = step_px * np.sqrt(waited)
    near = cKDTree(place).query_ball_point(opened.place_px, reach)
    rows = np.repeat(np.arange(len(near)), [len(found) for found in near])
    columns = np.array([j for found in near for j in found], dtype=np.int64)
    if not rows.size:
        return none, none
    squared = ((place[columns] - opened.place_px[rows]) ** 2).sum(axis=1)
    expected = 2 * (se[columns] ** 2 + opened.se_px[rows] ** 2) + waited[rows] * (
        opened.moved_px[rows] ** 2 + (0.1 * step_px) ** 2
    )
    change = (logs[columns] - opened.log_counts[rows]) / BRIGHTNESS_SIGMA
    cost = squared / expected + np.log(expected) - np.log((0.1 * step_px) ** 2) + np.minimum(change**2, 25)
    cost = cost + GAP_COST * (waited[rows] - 1)
    alone = NOT_LINKING + SENIORITY * np.minimum(opened.spots, SENIOR_SPOTS)
    return _cheapest(rows, columns, cost, alone, len(place))


def _cheapest(
    rows: Ints, columns: Ints, cost: Floats, not_linking: Floats, n_columns: int
) -> tuple[Ints, Ints]:
    """Solve the assignment in which every row may stay alone at its price `not_linking`."""
    n_rows = len(not_linking)
    alone = np.arange(n_rows)
    weights = np.concatenate([cost, not_linking])
    weights = weights - weights.min() + 1.0
    graph = coo_matrix(
        (weights, (np.concatenate([rows, alone]), np.concatenate([columns, n_columns + alone]))),
        shape=(n_rows, n_columns + n_rows),
    )
    matched_rows, matched = min_weight_full_bipartite_matching(graph.tocsr())
    linked = matched < n_columns
    return np.asarray(matched_rows[linked], dtype=np.int64), np.asarray(matched[linked], dtype=np.int64)


def _numbered(spots: pd.DataFrame, tracks: Ints, sure: NDArray[np.bool_], least: int) -> pd.Series[int]:
    """Give the tracks with enough sure spots numbers by first frame, y, x; both ends are sure."""
    ids = pd.array(np.full(len(spots), -1), dtype="Int64")
    ids[:] = pd.NA
    if tracks.size:
        first = pd.DataFrame(
            {
                "track": tracks,
                "frame": spots["frame"].to_numpy(),
                "y": spots["y_px"].to_numpy(),
                "x": spots["x_px"].to_numpy(),
            }
        ).drop_duplicates("track")
        surely = np.bincount(tracks, weights=sure)
        long_enough = (surely >= least) & (surely >= LEAST_SURE * np.bincount(tracks))
        kept = first[long_enough[first["track"]]].sort_values(["frame", "y", "x"])["track"].to_numpy()
        number = np.zeros(long_enough.size, dtype=np.int64)
        number[kept] = np.arange(1, kept.size + 1)
        order = np.arange(tracks.size)
        from_sure, to_sure = np.full(long_enough.size, tracks.size), np.full(long_enough.size, -1)
        np.minimum.at(from_sure, tracks[sure], order[sure])
        np.maximum.at(to_sure, tracks[sure], order[sure])
        linked = (number[tracks] > 0) & (order >= from_sure[tracks]) & (order <= to_sure[tracks])
        ids[linked] = number[tracks][linked]
    return pd.Series(ids, index=spots.index, name="exosome_id")
