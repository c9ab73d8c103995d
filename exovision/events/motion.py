"""The cells' own motion, and exosome tracks seen from the stage and from the cell they are nearest to."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.linalg import solveh_banded

from exovision import schema
from exovision.numerics.diffusion import Diffusion, diffusion
from exovision.numerics.membrane_frame import SLIP, beside_membrane
from exovision.settings import EventSettings

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

NEAR_UM = 1.0
HUBER = 2.0
EMERGED = 2.0
TIGHTEST = 1e-12
JITTER_SPOTS = 8


@dataclass(frozen=True)
class Track:
    """One exosome's spots in the order of time.

    Attributes
    ----------
    exosome_id : int
    rows : ndarray of shape (N,)
        Row numbers in the spots table.
    frames : ndarray of shape (N,)
    times_s : ndarray of shape (N,)
    stage_um, cell_um : ndarray of shape (N, 2)
        (y, x) without drift, and without the smoothed motion of `cell_id` and of its membrane as well.
    motion_um, membrane_um : ndarray of shape (N, 2)
        Those motions, of the cell and of its membrane beside the track: `stage_um - cell_um` in all.
    se_um : ndarray of shape (N,)
        Standard error per coordinate.
    distance_um : ndarray of shape (N,)
        Signed distance to the nearest cell; NaN where unknown.
    nearest, next_cell : ndarray of shape (N,)
        The nearest cell and the one after it, 0 for none.
    next_um : ndarray of shape (N,)
        Distance to the membrane of `next_cell`; infinite for none.
    slid_um2 : ndarray of shape (N - 1,)
        Variance, per step, of the membrane's sliding along itself, which cannot be seen.
    cell_id : int
        The cell that most spots near a membrane belong to, 0 for none.
    counts, sigma_px : ndarray of shape (N,)
    """

    exosome_id: int
    rows: Ints
    frames: Ints
    times_s: Floats
    stage_um: Floats
    cell_um: Floats
    motion_um: Floats
    membrane_um: Floats
    se_um: Floats
    distance_um: Floats
    nearest: Ints
    next_cell: Ints
    next_um: Floats
    slid_um2: Floats
    cell_id: int
    counts: Floats
    sigma_px: Floats

    def __len__(self) -> int:
        return len(self.frames)

    def distance_error_um(self, settings: EventSettings) -> float:
        """Return the standard error of one signed distance: localisation and outline, µm."""
        return float(np.hypot(np.median(self.se_um), settings.membrane_sigma_um))

    def distance_to_um(self, cell_id: int, part: slice) -> Floats:
        """Return how far from the membrane of a cell the spots of a part are; infinite where not known."""
        here = self.nearest[part] == cell_id
        known = here & np.isfinite(self.distance_um[part])
        beside = np.where(self.next_cell[part] == cell_id, self.next_um[part], np.inf)
        distance: Floats = np.where(known, np.abs(self.distance_um[part]), beside)
        return distance

    def band_um(self, settings: EventSettings) -> float:
        """Return the half-width of the membrane band, µm: the larger of the setting and of 2σ."""
        return max(settings.band_um, settings.band_sigmas * self.distance_error_um(settings))

    def diffusion(self, part: slice, *, exposure_s: float, axes: int = 2) -> Diffusion:
        """Return the diffusion of a part of the track in the cell's frame; `axes` is 1 along a membrane."""
        at, times = self.cell_um[part], self.times_s[part]
        found = diffusion(at[:, 0], at[:, 1], times, self.se_um[part], exposure_s, axes=axes)
        slid = self.slid_um2[part][: len(times) - 1]
        if not slid.any():
            return found
        sliding = float(slid.sum() / (2 * (times[-1] - times[0])))
        d, lo = max(found.d_um2_s - sliding, 0.0), max(found.lo - sliding, 0.0)
        return found._replace(d_um2_s=d, lo=lo)


def smooth(values: Floats, times_s: Floats, *, noise_um: float, scale_s: float) -> Floats:
    r"""Smooth a noisy series with a random walk, robustly against single wrong values.

    .. math:: \min_x \sum_i w_i (z_i - x_i)^2
              + \sum_i \frac{\tau^2}{\delta t_i \delta t} (x_{i+1} - x_i)^2

    where δt is the median interval; for even times this is an exponential kernel of width τ on both sides.

    Parameters
    ----------
    values : ndarray of shape (N, M)
        M series; NaN rows are filled in.
    times_s : ndarray of shape (N,)
        Increasing, s.
    noise_um : float
        Standard deviation of one value; deviations beyond twice this lose weight (Huber).
    scale_s : float
        Width τ of the kernel, s; 0 changes nothing but fills gaps.

    Returns
    -------
    ndarray of shape (N, M)
        All NaN if no row is finite.

    References
    ----------
    Huber 1964, doi:10.1214/aoms/1177703732.
    """
    known = np.isfinite(values.sum(axis=1))
    if not known.any() or len(values) < 2:
        return values.copy()
    waits = np.diff(times_s)
    bond = scale_s**2 / (waits * np.median(waits)) + TIGHTEST
    filled = np.where(known[:, None], values, 0.0)
    weight = known.astype(np.float64)
    for _ in range(3):
        bands = np.zeros((2, len(values)))
        bands[1] = weight
        bands[1, :-1] += bond
        bands[1, 1:] += bond
        bands[0, 1:] = -bond
        smoothed: Floats = solveh_banded(bands, weight[:, None] * filled)
        off: Floats = np.sqrt(np.sum((filled - smoothed) ** 2, axis=1))
        weight = (
            np.where(known, 1.0, 0.0) * np.minimum(1.0, HUBER * noise_um / np.maximum(off, 1e-12))
            if noise_um > 0
            else weight
        )
    return smoothed


def jitter_and_scale(tracks: list[tuple[Floats, Floats]]) -> tuple[float, float]:
    """Tell the jitter of measured positions from true motion, over many tracks.

    Parameters
    ----------
    tracks : list of (ndarray of shape (N, 2), ndarray of shape (N,))
        Positions, µm, and their times, s.

    Returns
    -------
    jitter_um, scale_s : float
        Standard deviation per coordinate of what does not persist over one frame, and a quarter of the lag at
        which motion has doubled the squared displacement of one frame: well below that lag a track shows
        mostly jitter. Zero when nothing is long enough.
    """
    longest = max((len(at) for at, _ in tracks), default=0)
    lags, squares, delays = [1], [], []
    while lags[-1] * 2 < longest:
        lags.append(lags[-1] * 2)
    for lag in lags:
        steps = [at[lag:] - at[:-lag] for at, _ in tracks if len(at) > lag]
        waits = [times[lag:] - times[:-lag] for _, times in tracks if len(times) > lag]
        if not steps:
            return 0.0, 0.0
        squares.append(float(np.median(np.sum(np.concatenate(steps) ** 2, axis=1))))
        delays.append(float(np.median(np.concatenate(waits))))
    emerged = [delay for square, delay in zip(squares, delays) if square >= EMERGED * squares[0]]
    scale = (emerged[0] if emerged else 2 * delays[-1]) / 4
    jitter = np.sqrt(squares[0] / (4 * np.log(2)))
    return float(jitter), 0.0 if scale < delays[0] else scale


def cell_motion(cells: pd.DataFrame, *, times_s: Floats, drift_um: Floats) -> dict[int, Floats]:
    """Return the smoothed path of every cell's centroid on the stage.

    Parameters
    ----------
    cells : DataFrame
        `frame`, `cell_id`, `y_um`, `x_um` as in `exovision.schema.CELLS`.
    times_s : ndarray of shape (T,)
        Seconds of all frames, finite and increasing.
    drift_um : ndarray of shape (T, 2)
        Stage drift, subtracted.

    Returns
    -------
    dict of int to ndarray of shape (T, 2)
        (y, x) in µm for all frames; constant before the cell is first and after it is last seen.

    Notes
    -----
    The centroid stands for the whole cell: a membrane that moves while the centroid rests is not followed.
    """
    raw: dict[int, tuple[Ints, Floats]] = {}
    for cell_id, rows in cells.sort_values("frame").groupby("cell_id", sort=True):
        frames = rows["frame"].to_numpy(dtype=np.int64)
        raw[int(str(cell_id))] = frames, rows[["y_um", "x_um"]].to_numpy(dtype=np.float64) - drift_um[frames]
    jitter, scale = jitter_and_scale([(at, times_s[frames]) for frames, at in raw.values()])
    paths = {}
    for cell_id, (frames, at) in raw.items():
        path = np.full((len(times_s), 2), np.nan)
        path[frames] = at
        paths[cell_id] = smooth(path, times_s, noise_um=jitter, scale_s=scale)
    return paths


def make_tracks(
    spots: pd.DataFrame,
    cells: pd.DataFrame,
    *,
    times_s: Floats,
    drift_um: Floats,
    pixel_size_um: float,
) -> list[Track]:
    """Gather the linked spots of every exosome, with positions on the stage and in the nearest cell's frame.

    Parameters
    ----------
    spots, cells : DataFrame
        Columns as in `exovision.schema`; the motion of membranes is followed where spots have
        `schema.MEMBRANE_FRAME`, and the next cell is known where they have `schema.NEXT_CELL`.
    times_s : ndarray of shape (T,)
        Seconds of all frames, finite and increasing.
    drift_um : ndarray of shape (T, 2)
    pixel_size_um : float

    Returns
    -------
    list of Track
        In the order of `exosome_id`.
    """
    paths = cell_motion(cells, times_s=times_s, drift_um=drift_um)
    present = set(zip(cells["frame"].astype(int), cells["cell_id"].astype(int)))
    imaged = {frame for frame, _ in present}
    table = spots.reset_index(drop=True)
    table = table[table["exosome_id"].notna()].sort_values(["exosome_id", "frame"], kind="stable")
    tracks, membranes = [], []
    for exosome_id, rows in table.groupby("exosome_id", sort=True):
        track = _track(int(str(exosome_id)), rows, paths, times_s, drift_um, pixel_size_um)
        tracks.append(_forget_missing_cells(track, present, imaged))
        membranes.append(_membrane_path(track, rows))
    jitter, scale = jitter_and_scale([(path, t.times_s) for path, t in zip(membranes, tracks) if path.any()])
    return [
        _with_membrane(track, smooth(path, track.times_s, noise_um=jitter, scale_s=scale))
        if path.any()
        else track
        for path, track in zip(membranes, tracks)
    ]


def _membrane_path(track: Track, rows: pd.DataFrame) -> Floats:
    """Return how the membrane beside a track moved along its normal, in the cell's frame, (N, 2), µm."""
    path = np.zeros((len(track), 2))
    normal = rows.reindex(columns=list(schema.MEMBRANE_FRAME[:2])).to_numpy(dtype=np.float64)
    beside = (track.nearest == track.cell_id) & (np.abs(track.distance_um) <= NEAR_UM)
    normal = np.where(beside[:, None], normal, np.nan)
    steps = np.diff(track.cell_um, axis=0)
    left, _ = beside_membrane(steps, normal[:-1], normal[1:], np.diff(track.distance_um))
    path[1:] = np.cumsum(np.nan_to_num(steps - left), axis=0)
    return path


def _with_membrane(track: Track, path: Floats) -> Track:
    """Take the motion of the membrane off a track as well."""
    path = path - path[0]
    slid = SLIP**2 * np.sum(np.diff(path, axis=0) ** 2, axis=1)
    return replace(track, cell_um=track.cell_um - path, membrane_um=path, slid_um2=slid)


def _track(
    exosome_id: int,
    rows: pd.DataFrame,
    paths: Mapping[int, Floats],
    times_s: Floats,
    drift_um: Floats,
    pixel_size_um: float,
) -> Track:
    frames = rows["frame"].to_numpy(dtype=np.int64)
    nearest = rows["cell_id"].fillna(0).to_numpy(dtype=np.int64)
    distance = rows["membrane_distance_um"].to_numpy(dtype=np.float64)
    cell_id = main_cell(nearest, distance)
    stage = rows[["y_um", "x_um"]].to_numpy(dtype=np.float64) - drift_um[frames]
    motion = paths[cell_id][frames] if cell_id in paths else np.zeros_like(stage)
    motion = motion - motion[0]
    errors = rows[["y_se_px", "x_se_px"]].to_numpy(dtype=np.float64)
    following = rows.reindex(columns=list(schema.NEXT_CELL)).to_numpy(dtype=np.float64, na_value=np.nan)
    return Track(
        exosome_id=exosome_id,
        rows=rows.index.to_numpy(dtype=np.int64),
        frames=frames,
        times_s=times_s[frames],
        stage_um=stage,
        cell_um=stage - motion,
        motion_um=motion,
        membrane_um=np.zeros_like(motion),
        se_um=np.sqrt(np.mean(errors**2, axis=1)) * pixel_size_um,
        distance_um=distance,
        nearest=nearest,
        next_cell=np.nan_to_num(following[:, 0]).astype(np.int64),
        next_um=np.where(np.isfinite(following[:, 1]), following[:, 1], np.inf),
        slid_um2=np.zeros(max(len(frames) - 1, 0)),
        cell_id=cell_id,
        counts=rows["counts"].to_numpy(dtype=np.float64),
        sigma_px=rows["sigma_px"].to_numpy(dtype=np.float64),
    )


def main_cell(nearest: Ints, distance_um: Floats) -> int:
    """Return the cell of most spots near a membrane, or of most spots if none is near; 0 for none."""
    near = (nearest > 0) & (np.abs(distance_um) <= NEAR_UM)
    candidates = nearest[near] if near.any() else nearest[nearest > 0]
    return int(np.bincount(candidates).argmax()) if candidates.size else 0


def _forget_missing_cells(track: Track, present: set[tuple[int, int]], imaged: set[int]) -> Track:
    """Blank distances to another cell in frames in which the track's own cell was not found."""
    lost = np.array(
        [f in imaged and (f, track.cell_id) not in present for f in track.frames.tolist()], dtype=bool
    )
    if not lost.any() or not track.cell_id:
        return track
    distance = np.where(lost & (track.nearest != track.cell_id), np.nan, track.distance_um)
    return replace(track, distance_um=distance)


def outline_jitter_um(tracks: Sequence[Track]) -> float:
    r"""Measure how much signed distances jitter from frame to frame, beyond the localisation error.

    White noise of variance j² makes successive changes of a distance anticorrelated,

    .. math:: \langle\Delta_n\Delta_{n+1}\rangle = -j^2 - s^2

    Parameters
    ----------
    tracks : sequence of Track
        Those near a membrane with at least eight spots are used.

    Returns
    -------
    float
        Median over tracks, µm; 0 if no track is usable. An outline that is wrong for long, or everywhere by
        the same amount, does not show.
    """
    found = []
    for track in tracks:
        d = track.distance_um[np.isfinite(track.distance_um)]
        if len(d) >= JITTER_SPOTS and abs(float(np.median(d))) <= NEAR_UM:
            changes = np.diff(d)
            localisation = float(np.median(track.se_um)) ** 2
            found.append(-float(np.mean(changes[1:] * changes[:-1])) - localisation)
    return float(np.sqrt(max(np.median(found), 0.0))) if found else 0.0
