"""Spots linked into tracks by sparse assignment, frame by frame, over gaps of a few frames."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from exovision import schema
from exovision.calibration import um_to_px
from exovision.exosomes import open_tracks
from exovision.exosomes.open_tracks import (
    CELL,
    CENTRE_X,
    CENTRE_Y,
    DISTANCE,
    LIGHT,
    NORMAL_Y,
    SNR,
    SURE,
    VARIANCE,
    Candidates,
    OpenTracks,
    Population,
    X,
    Y,
)
from exovision.numerics.assignment import assign_pairs
from exovision.numerics.membrane_frame import SLIP, beside_membrane
from exovision.numerics.motion_models import motion_models
from exovision.numerics.neighbours import pairs_within
from exovision.settings import ExosomeSettings

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

LEAST_SURE = 0.3
"""Share of a track's spots that must be sure for the others to be borne out."""
MEMBRANE_REACH = 3.0
"""How much farther spots beside a membrane are looked for, which may have moved meanwhile (P)."""
JOINT_SIGMAS, USUAL_SIGMA_PX = 2.0, 1.5
"""Exosomes nearer than so many PSF widths may be one spot (P); the width where it is not known."""
LEARNING_FRAMES = 20
NEW_SHARE, LEAST_NEW_PER_PX2 = 0.3, 1e-4
"""Share of the tracks begun while learning that were rightly begun; least density of new spots (P)."""
LEAST_LIGHT_SIGMA = 0.2
BLOCK_SPOTS = 50_000
"""Spots whose columns are held at once; does not change results."""
USUAL_SNR, USUAL_ERROR, USUAL_PROBABILITY = 4.0, 0.03, 0.9
"""Where a table does not tell; the error as a share of the largest step."""


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
        `frame y_px x_px`, sorted by frame; `y_se_px x_se_px counts snr sigma_px probability`, `cell_id`,
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
    Every open track predicts where it is next, on the stage and beside the moving membrane, by free, confined
    and directed motion weighed by what it has done so far (interacting models, Blom and Bar-Shalom 1988,
    doi:10.1109/9.1299), and how bright. The gain of a link is the log likelihood of the spot under that
    prediction, against the track being unseen or gone and the spot being new. The assignment of a frame has
    the largest summed gain (Jaqaman 2008, doi:10.1038/nmeth.1237); what gains nothing is not linked.
    A spot as bright as two tracks that meet in it carries both along; when they part, brightness and motion
    tell which is which. How common each way of moving is, the density of new spots and the usual brightness
    come from the first frames of the movie. Beyond the table only open tracks and a number per spot are held.
    """
    order = np.full(len(times_s), -1, dtype=np.int64)
    acquired = np.flatnonzero(np.isfinite(times_s))
    order[acquired] = np.arange(acquired.size)
    table = _Table(
        spots,
        order[spots["frame"].to_numpy(dtype=np.int64)],
        np.zeros((len(times_s), 2)) if drift_px is None else drift_px,
        pixel_size_um,
        float(um_to_px(settings.max_step_um, pixel_size_um)),
    )
    tracks = np.empty(0, dtype=np.int64)
    if len(spots):
        tracks = _follow(table, _population(table, settings.max_gap_frames), settings.max_gap_frames).tracks
    likely = spots.get("probability", pd.Series(1.0, index=spots.index)).to_numpy(dtype=np.float64)
    return _numbered(spots, tracks, likely >= settings.min_probability, settings.min_track_spots)


class _Table(NamedTuple):
    """The spots, their frames among those acquired, the stage's drift, and the largest step."""

    spots: pd.DataFrame
    frame: Ints
    drift_px: Floats
    pixel_size_um: float
    reach_px: float

    def until(self, stop: int) -> _Table:
        return self._replace(spots=self.spots.iloc[:stop], frame=self.frame[:stop])

    def columns(self, start: int, stop: int) -> Floats:
        """Return what linking needs of some spots, shape (stop - start, 12)."""
        some = self.spots.iloc[start:stop]
        drift = self.drift_px[some["frame"].to_numpy(dtype=np.int64)]
        normal_y, normal_x, *centre = schema.MEMBRANE_FRAME
        names = ["y_px", "x_px", "y_se_px", "x_se_px", "counts", "snr", "probability", "cell_id"]
        names += [*centre, "membrane_distance_um", normal_y, normal_x]
        found = some.reindex(columns=names).to_numpy(dtype=np.float64, na_value=np.nan)
        seen = np.empty((len(some), open_tracks.SPOT_COLUMNS))
        seen[:, [Y, X]] = found[:, :2] - drift
        seen[:, VARIANCE] = _filled((found[:, 2:4] ** 2).mean(axis=1), (USUAL_ERROR * self.reach_px) ** 2)
        seen[:, LIGHT] = np.log(np.maximum(_filled(found[:, 4], 1.0), 1e-9))
        seen[:, SNR] = np.maximum(_filled(found[:, 5], USUAL_SNR), 0.1)
        seen[:, SURE], seen[:, CELL] = _filled(found[:, 6], USUAL_PROBABILITY), found[:, 7]
        seen[:, [CENTRE_Y, CENTRE_X]] = found[:, 8:10] / self.pixel_size_um - drift
        seen[:, DISTANCE] = found[:, 10] / self.pixel_size_um
        seen[:, NORMAL_Y:] = found[:, 11:]
        return seen

    def joint_px(self) -> float:
        """Return the distance within which two exosomes may be one spot."""
        sigma = float(self.spots["sigma_px"].median()) if "sigma_px" in self.spots else np.nan
        return JOINT_SIGMAS * (sigma if np.isfinite(sigma) else USUAL_SIGMA_PX)


def _filled(values: Floats, usual: float) -> Floats:
    return np.where(np.isfinite(values), values, usual)


def _population(table: _Table, max_gap: int) -> Population:
    """Learn from the first frames how exosomes move, how bright they are and how often new ones come."""
    first = table.until(int(np.searchsorted(table.frame, table.frame[0] + LEARNING_FRAMES)))
    seen = first.columns(0, len(first.frame))
    light = seen[seen[:, SURE] >= 0.5, LIGHT] if (seen[:, SURE] >= 0.5).any() else seen[:, LIGHT]
    models = motion_models(table.reach_px)
    span = np.ptp(seen[:, [Y, X]], axis=0)
    area = max(float(span[0] * span[1]), (10 * table.reach_px) ** 2)
    known = Population(
        models,
        np.full(len(models), 1 / len(models)),
        max(0.2 * len(seen) / (len(np.unique(first.frame)) * area), LEAST_NEW_PER_PX2),
        float(np.median(light)),
        max(float(np.std(light)), LEAST_LIGHT_SIGMA),
    )
    found = _follow(first, known, max_gap)
    density = max(NEW_SHARE * found.begun / area, LEAST_NEW_PER_PX2)
    return known._replace(prior=found.shares, new_per_px2=density)


class _Followed(NamedTuple):
    """A track number for every spot, the shares of the models, and tracks begun per frame after the first."""

    tracks: Ints
    shares: Floats
    begun: float


def _follow(table: _Table, known: Population, max_gap: int) -> _Followed:
    """Follow all exosomes from frame to frame."""
    tracks = np.empty(len(table.frame), dtype=np.int64)
    opened = OpenTracks.begin(np.empty((0, open_tracks.SPOT_COLUMNS)), tracks[:0], 0, known)
    shares, count, joint = np.ones(len(known.models)), 0, table.joint_px()
    starts = np.flatnonzero(np.diff(table.frame, prepend=-1))
    stops = np.append(starts[1:], len(tracks))
    block, block_start = table.columns(0, 0), 0
    for start, stop in zip(starts.tolist(), stops.tolist()):
        if stop > block_start + len(block):
            block_end = int(stops[int(np.searchsorted(stops, min(start + BLOCK_SPOTS, len(tracks))))])
            block, block_start = table.columns(start, block_end), start
        now, frame = block[start - block_start : stop - block_start], int(table.frame[start])
        opened = opened.part(frame - opened.frame <= max_gap + 1)
        rows, columns = _take(opened, now, frame, known, table.reach_px, joint)
        chosen = np.full(len(now), -1, dtype=np.int64)
        chosen[columns] = opened.track[rows]
        new = np.flatnonzero(chosen < 0)
        chosen[new] = np.arange(count, count + new.size)
        count += new.size
        shares += opened.weights[rows].sum(axis=0)
        tracks[start:stop] = chosen
        opened = opened.join(OpenTracks.begin(now[new], chosen[new], frame, known))
    begun = (count - int(stops[0])) / max(len(starts) - 1, 1)
    return _Followed(tracks, shares / shares.sum(), begun)


def _take(
    opened: OpenTracks, now: Floats, frame: int, known: Population, reach_px: float, joint_px: float
) -> tuple[Ints, Ints]:
    """Give the spots of a frame to the open tracks, which go on in place; return rows and columns."""
    waited = (frame - opened.frame).astype(np.float64)
    within = reach_px * np.sqrt(waited)
    at_membrane = np.abs(opened.spots[:, DISTANCE]) < reach_px
    around = np.where(at_membrane, MEMBRANE_REACH, 1.0) * within
    rows, columns = pairs_within(opened.spots[:, [Y, X]], now[:, [Y, X]], around)
    pairs = Candidates(rows, columns, *_moved_membranes(opened.spots[rows], now[columns]))
    gain, how, beside = open_tracks.gains(pairs, opened, now, waited, within, joint_px, known)
    chosen = assign_pairs(rows, columns, gain)
    open_tracks.coast(opened, now, pairs, chosen, frame, joint_px, known)
    open_tracks.go_on(opened, now, pairs, chosen, gain, how, beside, frame, known)
    return rows[chosen], columns[chosen]


def _moved_membranes(before: Floats, after: Floats) -> tuple[Floats, Floats]:
    """Return how far the membrane beside pairs of spots moved, NaN if unknown; its slip's variance."""
    shift, slid = np.full((len(before), 2), np.nan), np.zeros(len(before))
    same = before[:, CELL] == after[:, CELL]
    if same.any():
        one, other = before[same], after[same]
        steps = other[:, [Y, X]] - one[:, [Y, X]]
        centre = other[:, [CENTRE_Y, CENTRE_X]] - one[:, [CENTRE_Y, CENTRE_X]]
        farther = other[:, DISTANCE] - one[:, DISTANCE]
        left, outwards = beside_membrane(steps - centre, one[:, NORMAL_Y:], other[:, NORMAL_Y:], farther)
        shift[same], slid[same] = steps - left, (SLIP * outwards) ** 2
    return shift, slid


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
