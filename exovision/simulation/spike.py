"""Simulated exosomes on a real movie of cells: real backgrounds and shapes, known exosomes."""

from __future__ import annotations

from collections.abc import Iterator

import cv2
import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter1d
from scipy.spatial import cKDTree

from exovision.errors import InputError, SettingsError
from exovision.numerics.contours import smooth_closed, trace_regions
from exovision.records import LabelStack, Movie
from exovision.simulation.cells import rasterise
from exovision.simulation.movie import Backdrop, Simulation
from exovision.simulation.particles import Floats
from exovision.simulation.scene import Scene

VERTICES, FINE = 256, 16
"""Points that are followed on an outline, and the factor by which it is refined to follow them."""
CONTOUR_CUTOFF_PX = 3.0
"""Outline detail below this, in px of the movie before it is enlarged, is that of the pixel grid."""
SLIP_VERTICES, SPREAD_AGAIN = 1.5, 0.01
"""Vertices over which the slip of membrane points is smoothed, and the share of it undone per frame."""


def spike(movie: Movie, labels: LabelStack, scene: Scene, *, seed: int, upsample: int = 1) -> Simulation:
    """Prepare a movie of real cells with simulated exosomes on them.

    Parameters
    ----------
    movie : Movie
        With a `cell` or `nucleus` channel and times at regular intervals.
    labels : LabelStack
        The cells of each frame; ids stay.
    scene : Scene
        What exosomes there are; size, pixel and interval are those of the movie.
    seed : int
        Of all randomness.
    upsample : int
        The movie is enlarged by this factor first, and its pixels are so much smaller.

    Returns
    -------
    Simulation

    Raises
    ------
    InputError
        If there are no cells, or the movie lacks a channel of cells or regular times.
    SettingsError
        If `upsample` is not positive.
    """
    if upsample < 1:
        raise SettingsError(f"the movie must be enlarged by 1 or more, got {upsample}; correct --upsample")
    role = movie.cell_role
    if role is None:
        raise InputError(f"{movie.name}: --onto needs a channel of cells; name it with --channels cell=0")
    ids = np.unique(np.concatenate([np.unique(labels[t]) for t in range(movie.n_frames)]))
    ids = ids[ids > 0].astype(np.int32)
    if not ids.size:
        raise InputError(f"{movie.name}: --onto needs labelled cells, got labels without any")
    rows, columns = movie.image_shape
    imaging = scene.imaging.model_copy(
        update={
            "shape_px": (rows * upsample, columns * upsample),
            "frames": movie.n_frames,
            "frame_interval_s": _interval_s(movie, role),
            "pixel_size_um": movie.pixel_size_um / upsample,
        }
    )
    onto = scene.model_copy(update={"imaging": imaging})
    return Simulation(onto, seed, ids, (role,), lambda: _real_cells(movie, labels, role, ids, upsample))


def _interval_s(movie: Movie, role: str) -> float:
    steps = np.diff(movie.role_times_s(role))
    if movie.n_frames < 2 or not np.allclose(steps, steps[:1], rtol=0.01):
        raise InputError(
            f"{movie.name}: --onto needs two or more frames at regular times; state --frame-interval-s"
        )
    return float(np.median(steps))


def _real_cells(
    movie: Movie, labels: LabelStack, role: str, ids: NDArray[np.int32], upsample: int
) -> Iterator[Backdrop]:
    previous: dict[int, Floats] = {}
    size = (movie.image_shape[1] * upsample, movie.image_shape[0] * upsample)
    for t in range(movie.n_frames):
        image = cv2.resize(movie.image(t, role), size, interpolation=cv2.INTER_CUBIC)
        outlines = _outlines(labels[t], upsample)
        for cell, outline in outlines.items():
            outlines[cell] = _followed(outline, previous.get(cell))
        previous = {**previous, **outlines}
        absent = np.full((VERTICES, 2), np.nan)
        yield Backdrop(
            drift_px=np.zeros(2),
            outlines=np.stack([outlines.get(int(cell), absent) for cell in ids]),
            labels=_paint(outlines, (size[1], size[0])),
            images={role: np.clip(np.rint(image), 0, np.iinfo(np.uint16).max).astype(np.uint16)},
            photons=np.zeros((size[1], size[0]), dtype=np.float32),
        )


def _outlines(labels: NDArray[np.int32], upsample: int) -> dict[int, Floats]:
    """Return the smooth outline of each cell in px of the enlarged image, evenly spaced."""
    found = {}
    for cell, traced in trace_regions(np.pad(labels, 1)).items():
        smooth = smooth_closed(traced - 1, cutoff_px=CONTOUR_CUTOFF_PX)
        found[cell] = _evenly((smooth + 0.5) * upsample - 0.5, VERTICES)
    return found


def _evenly(outline: Floats, count: int) -> Floats:
    closed = np.vstack([outline, outline[:1]])
    along = np.concatenate([[0.0], np.cumsum(np.hypot(*np.diff(closed, axis=0).T))])
    places = np.linspace(0, along[-1], count, endpoint=False)
    return np.stack([np.interp(places, along, closed[:, axis]) for axis in (0, 1)], axis=1)


def _followed(outline: Floats, previous: Floats | None) -> Floats:
    """Return the vertices of the frame before as they lie now: moved with the centroid, then to the outline.

    Membrane points so keep their place along the outline while it moves along its normals; where it folds,
    their order is kept, and vertices that crowd together slowly spread again.
    """
    if previous is None:
        return outline
    fine = _evenly(outline, FINE * VERTICES)
    shift = outline.mean(axis=0) - previous.mean(axis=0)
    _, nearest = cKDTree(fine).query(previous + shift)
    along = np.maximum.accumulate(np.unwrap(nearest, period=len(fine))) / FINE
    even = np.arange(VERTICES) + np.mean(along - np.arange(VERTICES))
    slip = gaussian_filter1d(along - even, SLIP_VERTICES, mode="wrap")
    places = np.rint((even + (1 - SPREAD_AGAIN) * slip) * FINE).astype(int)
    followed: Floats = fine[places % len(fine)]
    return followed


def _paint(outlines: dict[int, Floats], shape: tuple[int, int]) -> NDArray[np.int32]:
    """Draw the outlines; where smoothed neighbours overlap, the later id wins."""
    canvas = np.zeros(shape, dtype=np.int32)
    one = np.ones(1, dtype=np.int32)
    for cell, outline in outlines.items():
        top, left = np.maximum(np.floor(outline.min(axis=0)), 0).astype(int)
        bottom, right = np.ceil(outline.max(axis=0)).astype(int) + 1
        box = canvas[top:bottom, left:right]
        box[rasterise((outline - [top, left])[None], one, (box.shape[0], box.shape[1])) > 0] = cell
    return canvas
