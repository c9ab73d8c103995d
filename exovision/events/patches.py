"""Patch sequences cut out of a movie by random access, at the places and times where something may happen."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from exovision.events.motion import Track
from exovision.events.sequences import PatchSequence
from exovision.records import Movie

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

RADIUS_PX = 8
FRAMES_BEFORE, FRAMES_AFTER = 12, 10
EARLIEST, LATEST = 4, 2
"""A change begins at most so many frames before the first, and after the last, sign of it."""
MOST_FRAMES = 48
BATCH = 128
"""Patch sequences held at once."""
OTHER_SIGMAS = 2.5
FRAGMENT_PX = 8.0
"""Spots that appear so near the place after the first sign of a change may be part of it."""
WIDEST = 1.25


@dataclass(frozen=True)
class Microscope:
    """Camera and optics as numbers.

    Attributes
    ----------
    offset_counts, photons_per_count, read_noise_photons : float
        Of the camera.
    sigma_px, sigma_z_px : float
        Of the PSF.
    exposure_s, pixel_size_um : float
    """

    offset_counts: float
    photons_per_count: float
    read_noise_photons: float
    sigma_px: float
    sigma_z_px: float
    exposure_s: float
    pixel_size_um: float


@dataclass(frozen=True)
class Moment:
    """A time at which something may have happened to an exosome.

    Attributes
    ----------
    track : Track
    docking : int
        Its number among all dockings.
    first, last : int
        Frames of the first and the last sign of a change.
    ends : bool
        Whether it is the end of the docking.
    """

    track: Track
    docking: int
    first: int
    last: int
    ends: bool


@dataclass(frozen=True)
class Place:
    """Where and when to cut: frames (K,), centres in the image (K, 2) in px, and the range of the change."""

    moment: Moment
    frames: Ints
    centres_px: Floats
    before: int
    latest: int


def place_moment(
    moment: Moment,
    *,
    acquired: Ints,
    path_um: Floats,
    drift_um: Floats,
    pixel_size_um: float,
) -> Place | None:
    """Choose the frames of a moment and follow its place on the membrane through them.

    Parameters
    ----------
    moment : Moment
    acquired : ndarray of shape (A,)
        Frames with an image.
    path_um, drift_um : ndarray of shape (T, 2)
        Of the cell on the stage, and of the stage.
    pixel_size_um : float

    Returns
    -------
    Place or None
        None with fewer than three frames before or one after.
    """
    first, last = np.searchsorted(acquired, [moment.first, moment.last])
    start = max(int(first) - FRAMES_BEFORE, 0)
    stop = min(int(last) + FRAMES_AFTER + 1, len(acquired), start + MOST_FRAMES)
    before = max(int(first) - EARLIEST - start, 3)
    latest = min(int(last) + LATEST, stop - 1) - start
    if latest <= before - 1 or stop - start < before + 1:
        return None
    frames = acquired[start:stop]
    track = moment.track
    held = np.stack([np.interp(frames, track.frames, track.cell_um[:, i]) for i in range(2)], axis=1)
    beside = np.stack([np.interp(frames, track.frames, track.membrane_um[:, i]) for i in range(2)], axis=1)
    moved = path_um[frames] - path_um[track.frames[0]]
    return Place(moment, frames, (held + beside + moved + drift_um[frames]) / pixel_size_um, before, latest)


def read_sequences(
    movie: Movie,
    places: Sequence[Place],
    spots: pd.DataFrame,
    microscope: Microscope,
    *,
    roles: Sequence[str],
    times_s: Floats,
    fading: Floats,
    at_once: bool,
) -> Iterator[tuple[Place, dict[str, PatchSequence]]]:
    """Cut out the patch sequences of all places, frame by frame, a batch of places at a time.

    Parameters
    ----------
    movie : Movie
    places : sequence of Place
    spots : DataFrame
        All spots with `normal_y normal_x` where known; those of other exosomes are masked.
    microscope : Microscope
    roles : sequence of str
        Channels to cut.
    times_s, fading : ndarray of shape (T,)
        Times, s, and light left of common bleaching.
    at_once : bool
        As in `PatchSequence`.

    Yields
    ------
    Place, dict of str to PatchSequence
        By role; in the order of time.

    Raises
    ------
    InputError
        As the movie does.
    """
    order = sorted(places, key=lambda place: (int(place.frames[0]), place.moment.docking))
    by_frame = {int(str(t)): rows for t, rows in spots.groupby("frame")}
    for begin in range(0, len(order), BATCH):
        batch = order[begin : begin + BATCH]
        cut = {role: _cut(movie, batch, role, microscope) for role in roles}
        for i, place in enumerate(batch):
            mask = _mask(place, by_frame, microscope.sigma_px)
            yield (
                place,
                {
                    role: _sequence(place, *cut[role][i], mask, spots, microscope, times_s, fading, at_once)
                    for role in roles
                },
            )


def _cut(
    movie: Movie, batch: Sequence[Place], role: str, microscope: Microscope
) -> list[tuple[Floats, Floats]]:
    """Return photons and the mask of pixels inside the image, of every place in a batch."""
    size = 2 * RADIUS_PX + 1
    found = [
        (np.zeros((len(place.frames), size, size)), np.zeros((len(place.frames), size, size)))
        for place in batch
    ]
    wanted: dict[int, list[tuple[int, int]]] = {}
    for i, place in enumerate(batch):
        for k, t in enumerate(place.frames.tolist()):
            wanted.setdefault(t, []).append((i, k))
    for t in sorted(wanted):
        if not movie.acquired(t, role):
            continue
        image = movie.image(t, role)
        for i, k in wanted[t]:
            _copy(image, batch[i].centres_px[k], found[i][0][k], found[i][1][k], microscope)
    return found


def _copy(
    image: NDArray[np.float32], centre: Floats, photons: Floats, inside: Floats, microscope: Microscope
) -> None:
    top, left = (np.rint(centre).astype(np.int64) - RADIUS_PX).tolist()
    size = photons.shape[0]
    rows, columns = image.shape
    a, b = max(0, -top), min(size, rows - top)
    c, d = max(0, -left), min(size, columns - left)
    if a < b and c < d:
        counts = image[top + a : top + b, left + c : left + d]
        photons[a:b, c:d] = (counts - microscope.offset_counts) * microscope.photons_per_count
        inside[a:b, c:d] = 1.0


def _mask(place: Place, by_frame: Mapping[int, pd.DataFrame], sigma_px: float) -> Floats:
    """Return 0 at the spots of other exosomes and 1 elsewhere, shape (K, P, P)."""
    size = 2 * RADIUS_PX + 1
    mask = np.ones((len(place.frames), size, size))
    own = place.moment.track.exosome_id
    grid = np.arange(size) - RADIUS_PX
    earlier: set[int] = set()
    for k, t in enumerate(place.frames.tolist()):
        if t not in by_frame:
            continue
        ids = by_frame[t]["exosome_id"].to_numpy(dtype=np.float64, na_value=np.nan)
        at = by_frame[t][["y_px", "x_px"]].to_numpy(dtype=np.float64) - np.rint(place.centres_px[k])
        near = (np.abs(at) < RADIUS_PX + 3).all(axis=1) & (ids != own)
        if k < place.before:
            earlier |= {int(i) for i in ids[near & np.isfinite(ids)]}
        centre = place.centres_px[k] - np.rint(place.centres_px[k])
        for (y, x), exosome in zip(at[near], ids[near]):
            known = np.isfinite(exosome) and int(exosome) in earlier
            if not known and np.hypot(y - centre[0], x - centre[1]) < FRAGMENT_PX:
                continue
            away = (grid[:, None] - y) ** 2 + (grid[None, :] - x) ** 2
            here = (grid[:, None] - centre[0]) ** 2 + (grid[None, :] - centre[1]) ** 2
            mask[k][(away < (OTHER_SIGMAS * sigma_px) ** 2) & (away < here)] = 0.0
    return mask


def _sequence(
    place: Place,
    photons: Floats,
    inside: Floats,
    mask: Floats,
    spots: pd.DataFrame,
    microscope: Microscope,
    times_s: Floats,
    fading: Floats,
    at_once: bool,
) -> PatchSequence:
    track = place.moment.track
    seen = track.frames <= place.moment.last
    widths = track.sigma_px[seen & np.isfinite(track.sigma_px)][-FRAMES_BEFORE - EARLIEST :]
    usual = microscope.sigma_px
    sigma = float(np.clip(np.median(widths), usual / WIDEST, usual * WIDEST)) if len(widths) > 3 else usual
    at = int(np.searchsorted(place.frames, place.moment.first))
    light = fading[place.frames]
    return PatchSequence(
        photons=photons,
        mask=mask * inside,
        frames=place.frames,
        times_s=times_s[place.frames],
        centres_px=place.centres_px - np.rint(place.centres_px),
        fade=light / light[min(at, len(light) - 1)],
        normal=_normal(track, place.moment.last, spots),
        sigma_px=sigma,
        sigma_z_px=microscope.sigma_z_px,
        read_noise=microscope.read_noise_photons,
        exposure_s=min(microscope.exposure_s, 0.9 * float(np.median(np.diff(times_s[place.frames])))),
        before=place.before,
        latest=place.latest,
        at_once=at_once,
    )


def _normal(track: Track, last: int, spots: pd.DataFrame) -> Floats:
    """Return the mean outward normal of the membrane over the last frames before the change."""
    rows = track.rows[track.frames <= last][-FRAMES_BEFORE:]
    known = spots.reindex(columns=["normal_y", "normal_x"]).to_numpy(dtype=np.float64)[rows]
    known = known[np.isfinite(known).all(axis=1)]
    mean = known.mean(axis=0) if len(known) else np.zeros(2)
    length = float(np.hypot(*mean))
    return mean / length if length > 0.1 else np.array([1.0, 0.0])
