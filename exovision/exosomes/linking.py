"""Spots linked into tracks by sparse assignment, frame by frame, over gaps of a few frames."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.sparse import coo_matrix
from scipy.sparse.csgraph import min_weight_full_bipartite_matching
from scipy.spatial import cKDTree
from scipy.special import log_expit

from exovision import schema
from exovision.calibration import um_to_px
from exovision.numerics.membrane_frame import SLIP, beside_membrane
from exovision.settings import ExosomeSettings

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

BRIGHTNESS_ERROR, BRIGHTNESS_SIGMA = 0.5, 0.1
"""Relative error of the counts of a spot times its SNR; spread of log brightness beyond the errors (P)."""
MISSED_HALF_SNR, MISSED_SLOPE = 1.6, 2.4
"""An exosome of this SNR is missed in every second frame, in fewer with this slope on logits (P)."""
IMPLAUSIBLE = 20.0
"""Squared deviations of brightness and of missed frames, chi-squared, beyond which spots are never linked."""
LEAST_SURE = 0.3
"""Share of a track's spots that must be sure for the others to be borne out."""
MEMBRANE_REACH = 3.0
"""How much farther spots beside a membrane are looked for, which may have moved meanwhile (P)."""
NOT_LINKING, SENIORITY, SENIOR_SPOTS = 90.0, 3.0, 8
"""Price of ending a track: above any link's, and higher for tracks of more spots, so that noise beside one
does not take its place."""


class _Seen(NamedTuple):
    """Spots, a row each: frames among those acquired, places, errors, log counts and SNR; nearest cell or 0.

    Of that cell the centroid, the signed distance and the outward normal; NaN without one.
    """

    frame: Ints
    place_px: Floats
    se_px: Floats
    light: Floats
    snr: Floats
    cell: Ints
    centre_px: Floats
    distance_px: Floats
    normal: Floats

    @classmethod
    def of(cls, spots: pd.DataFrame, frame: Ints, drift_px: Floats, pixel_size_um: float) -> _Seen:
        def column(*names: str) -> Floats:
            found: Floats = spots.reindex(columns=list(names)).to_numpy(dtype=np.float64, na_value=np.nan)
            return found

        normal_y, normal_x, *centre = schema.MEMBRANE_FRAME
        return cls(
            frame=frame,
            place_px=column("y_px", "x_px") - drift_px,
            se_px=np.sqrt((column("y_se_px", "x_se_px") ** 2).mean(axis=1)),
            light=np.log(np.maximum(column("counts")[:, 0], 1e-9)),
            snr=column("snr")[:, 0],
            cell=np.nan_to_num(column("cell_id")[:, 0]).astype(np.int64),
            centre_px=column(*centre) / pixel_size_um - drift_px,
            distance_px=column("membrane_distance_um")[:, 0] / pixel_size_um,
            normal=column(normal_y, normal_x),
        )

    def part(self, which: Any) -> _Seen:
        return _Seen(*(values[which] for values in self))


class _Open(NamedTuple):
    """Tracks that may still go on: their last spots, numbers, usual steps and lengths, a row each."""

    seen: _Seen
    track: Ints
    moved_px: Floats
    spots: Ints

    @classmethod
    def none(cls) -> _Open:
        empty = np.empty(0)
        pairs, number = np.empty((0, 2)), empty.astype(np.int64)
        seen = _Seen(number, pairs, empty, empty, empty, number, pairs, empty, pairs)
        return cls(seen, number, empty, number)

    def part(self, which: Any) -> _Open:
        return _Open(self.seen.part(which), *(values[which] for values in self[1:]))

    def join(self, other: _Open) -> _Open:
        seen = _Seen(*(np.concatenate(pair) for pair in zip(self.seen, other.seen)))
        return _Open(seen, *(np.concatenate(pair) for pair in zip(self[1:], other[1:])))


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
        `frame y_px x_px y_se_px x_se_px counts snr probability`, sorted by frame; `cell_id`,
        `membrane_distance_um` and `schema.MEMBRANE_FRAME` where known.
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
    A link costs its squared displacement, on the stage or beside the moving membrane, over the variance
    expected from what the track has done so far and from the localisation errors, plus the squared change of
    log brightness, plus the price of every frame in which an exosome so bright was missed; the assignment
    between open tracks and the spots of a frame is optimal (Jaqaman 2008, doi:10.1038/nmeth.1237). Spots too
    unlike are never linked. Only open tracks are held.
    """
    order = np.full(len(times_s), -1, dtype=np.int64)
    acquired = np.flatnonzero(np.isfinite(times_s))
    order[acquired] = np.arange(acquired.size)
    drift = np.zeros((len(times_s), 2)) if drift_px is None else drift_px
    frames = spots["frame"].to_numpy(dtype=np.int64)
    seen = _Seen.of(spots, order[frames], drift[frames], pixel_size_um)
    step_px = float(um_to_px(settings.max_step_um, pixel_size_um))
    tracks = _link_all(seen, step_px=step_px, max_gap=settings.max_gap_frames)
    sure = spots["probability"].to_numpy(dtype=np.float64) >= settings.min_probability
    return _numbered(spots, tracks, sure, settings.min_track_spots)


def _link_all(seen: _Seen, *, step_px: float, max_gap: int) -> Ints:
    """Return a track number for every spot."""
    tracks = np.empty(len(seen.frame), dtype=np.int64)
    opened = _Open.none()
    count = 0
    starts = np.flatnonzero(np.diff(seen.frame, prepend=-1))
    for start, stop in zip(starts, [*starts[1:], len(tracks)]):
        now = seen.part(slice(start, stop))
        frame = int(now.frame[0])
        opened = opened.part(frame - opened.seen.frame <= max_gap + 1)
        rows, columns = _assign(opened, now, step_px)
        chosen = np.full(stop - start, -1, dtype=np.int64)
        chosen[columns] = opened.track[rows]
        before = opened.seen.part(rows)
        moved = np.full(stop - start, step_px / 4)
        squared, _ = _squared_steps(before, now.part(columns))
        moved[columns] = 0.7 * opened.moved_px[rows] + 0.3 * np.sqrt(squared / (frame - before.frame))
        spots = np.ones(stop - start, dtype=np.int64)
        spots[columns] += opened.spots[rows]
        new = chosen < 0
        chosen[new] = np.arange(count, count + int(new.sum()))
        count += int(new.sum())
        tracks[start:stop] = chosen
        going_on = np.ones(len(opened.track), dtype=bool)
        going_on[rows] = False
        opened = opened.part(going_on).join(_Open(now, chosen, moved, spots))
    return tracks


def _assign(opened: _Open, now: _Seen, step_px: float) -> tuple[Ints, Ints]:
    """Return the rows (open tracks) and columns (spots) of the cheapest matching within reach."""
    none = np.empty(0, dtype=np.int64)
    if not len(opened.track):
        return none, none
    waited = (now.frame[0] - opened.seen.frame).astype(np.float64)
    reach = step_px * np.sqrt(waited)
    at_membrane = np.abs(opened.seen.distance_px) < step_px
    around = np.where(at_membrane, MEMBRANE_REACH, 1.0) * reach
    near = cKDTree(now.place_px).query_ball_point(opened.seen.place_px, around)
    rows = np.repeat(np.arange(len(near)), [len(found) for found in near])
    columns = np.array([j for found in near for j in found], dtype=np.int64)
    before, after = opened.seen.part(rows), now.part(columns)
    unlike = _unlike(before, after)
    squared, slid = _squared_steps(before, after)
    expected = (
        2 * (after.se_px**2 + before.se_px**2)
        + slid
        + waited[rows] * (opened.moved_px[rows] ** 2 + (0.1 * step_px) ** 2)
    )
    cost = squared / expected + np.log(expected) - np.log((0.1 * step_px) ** 2) + unlike
    likely = (unlike <= IMPLAUSIBLE) & (squared <= reach[rows] ** 2)
    if not likely.any():
        return none, none
    alone = NOT_LINKING + SENIORITY * np.minimum(opened.spots, SENIOR_SPOTS)
    return _cheapest(rows[likely], columns[likely], cost[likely], alone, len(now.frame))


def _squared_steps(before: _Seen, after: _Seen) -> tuple[Floats, Floats]:
    """Return squared steps, on the stage or beside a moving membrane, whichever is less, px².

    And the variance by which that membrane may have slid meanwhile, px².
    """
    steps = after.place_px - before.place_px
    on_stage = (steps**2).sum(axis=1)
    beside, outwards = beside_membrane(
        steps - (after.centre_px - before.centre_px),
        before.normal,
        after.normal,
        after.distance_px - before.distance_px,
    )
    with_cell = np.where(before.cell == after.cell, (beside**2).sum(axis=1), np.nan)
    smaller = with_cell < on_stage
    return np.where(smaller, with_cell, on_stage), np.where(smaller, (SLIP * outwards) ** 2, 0.0)


def _unlike(before: _Seen, after: _Seen) -> Floats:
    """Return how unlikely pairs of spots are one exosome, by brightness and by the frames between, as χ²."""
    error = BRIGHTNESS_SIGMA**2 + BRIGHTNESS_ERROR**2 * (1 / before.snr**2 + 1 / after.snr**2)
    missed = -log_expit(MISSED_SLOPE * (MISSED_HALF_SNR - (before.snr + after.snr) / 2))
    unlike: Floats = (after.light - before.light) ** 2 / error + 2 * missed * (after.frame - before.frame - 1)
    return unlike


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
