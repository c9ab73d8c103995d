"""Simulated exosomes on a real movie of cells: real backgrounds and shapes, known exosomes."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter1d
from scipy.spatial import cKDTree

from exovision.errors import InputError, SettingsError
from exovision.numerics.contours import smooth_closed, trace_regions
from exovision.numerics.polygons import centroid
from exovision.records import LabelStack, Movie
from exovision.simulation.cells import rasterise
from exovision.simulation.movie import Backdrop, Simulation
from exovision.simulation.particles import Floats
from exovision.simulation.scene import Scene

VERTICES, FINE = 256, 16
"""Points that are followed on an outline, and the factor by which it is refined to follow them."""
CONTOUR_CUTOFF_PX = 3.0
"""Outline detail below this, in px of the movie before it is enlarged, is that of the pixel grid."""
SAME_CELL = 0.4
"""Least intersection over union at which an id that begins goes on with one that ends."""
SLIP_VERTICES, SPREAD_AGAIN = 1.5, 0.01
"""Vertices over which the slip of membrane points is smoothed, and the share of it undone per frame."""


_Cells = tuple[NDArray[np.float32], dict[int, Floats]]
"""An image and the outline of each cell in it."""


def spike(
    movie: Movie, labels: LabelStack, scene: Scene, *, seed: int, upsample: int = 1, slow: int = 1
) -> Simulation:
    """Prepare a movie of real cells with simulated exosomes on them.

    Parameters
    ----------
    movie : Movie
        With a `cell` or `nucleus` channel and times at regular intervals.
    labels : LabelStack
        The cells of each frame; ids stay, but that of a cell whose id changes goes on.
    scene : Scene
        What exosomes there are; size, pixel and interval are those of the movie.
    seed : int
        Of all randomness.
    upsample : int
        The movie is enlarged by this factor first, and its pixels are so much smaller.
    slow : int
        The cells move slower by this factor: so many steps, interpolated, are made of each between two frames
        of the movie, at the movie's interval. Cells are filmed every few minutes, exosomes every second.

    Returns
    -------
    Simulation

    Raises
    ------
    InputError
        If there are no cells, or the movie lacks a channel of cells or regular times.
    SettingsError
        If `upsample` or `slow` is not positive.
    """
    if upsample < 1:
        raise SettingsError(f"the movie must be enlarged by 1 or more, got {upsample}; correct --upsample")
    if slow < 1:
        raise SettingsError(f"the cells must be slowed down by 1 or more, got {slow}; correct --slow")
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
            "frames": (movie.n_frames - 1) * slow + 1,
            "frame_interval_s": _interval_s(movie, role),
            "pixel_size_um": movie.pixel_size_um / upsample,
        }
    )
    onto = scene.model_copy(update={"imaging": imaging})
    return Simulation(onto, seed, ids, (role,), lambda: _backdrops(movie, labels, role, ids, upsample, slow))


def _interval_s(movie: Movie, role: str) -> float:
    steps = np.diff(movie.role_times_s(role))
    if movie.n_frames < 2 or not np.allclose(steps, steps[:1], rtol=0.01):
        raise InputError(
            f"{movie.name}: --onto needs two or more frames at regular times; state --frame-interval-s"
        )
    return float(np.median(steps))


def _backdrops(
    movie: Movie, labels: LabelStack, role: str, ids: NDArray[np.int32], upsample: int, slow: int
) -> Iterator[Backdrop]:
    absent = np.full((VERTICES, 2), np.nan)
    for image, outlines in _slowed(_real_cells(movie, labels, role, upsample), slow):
        yield Backdrop(
            drift_px=np.zeros(2),
            outlines=np.stack([outlines.get(int(cell), absent) for cell in ids]),
            labels=_paint(outlines, image.shape),
            images={role: np.clip(np.rint(image), 0, np.iinfo(np.uint16).max).astype(np.uint16)},
            photons=np.zeros(image.shape, dtype=np.float32),
        )


def _real_cells(movie: Movie, labels: LabelStack, role: str, upsample: int) -> Iterator[_Cells]:
    """Yield the enlarged image of each frame and the outlines in it, vertex by vertex those of the last."""
    previous: dict[int, Floats] = {}
    size = (movie.image_shape[1] * upsample, movie.image_shape[0] * upsample)
    before = np.zeros(movie.image_shape, dtype=np.int32)
    for t in range(movie.n_frames):
        image = np.asarray(
            cv2.resize(movie.image(t, role), size, interpolation=cv2.INTER_CUBIC), dtype=np.float32
        )
        before = _with_lasting_ids(labels[t], before)
        outlines = _outlines(before, upsample)
        for cell, outline in outlines.items():
            outlines[cell] = _followed(outline, previous.get(cell))
        previous = {**previous, **outlines}
        yield image, outlines


def _with_lasting_ids(labels: NDArray[np.int32], before: NDArray[np.int32]) -> NDArray[np.int32]:
    """Return labels in which an id that begins where another ends, on one cell, is that other."""
    pairs, shared = np.unique(np.stack([before.ravel(), labels.ravel()]), axis=1, return_counts=True)
    areas = [dict(zip(*np.unique(image, return_counts=True))) for image in (before, labels)]
    lasting = labels.copy()
    for best in np.argsort(-shared):
        old, new = pairs[:, best]
        ended, begins = old > 0 and not (labels == old).any(), new > 0 and new not in areas[0]
        if ended and begins and not (lasting == old).any():
            overlap = shared[best] / (areas[0][old] + areas[1][new] - shared[best])
            if overlap >= SAME_CELL:
                lasting[labels == new] = old
    return lasting


def _slowed(frames: Iterator[_Cells], slow: int) -> Iterator[_Cells]:
    """Yield `slow` steps from each frame to the next; a cell that is in one only is there in the nearer."""
    for (image, outlines), (later, outlines_later) in itertools.pairwise(frames):
        yield image, outlines
        flow = _flow(image, later) if slow > 1 else None
        for step in range(1, slow):
            part = step / slow
            between = {
                cell: (1 - part) * outlines[cell] + part * outlines_later[cell]
                for cell in outlines.keys() & outlines_later.keys()
            }
            nearer = outlines if part < 0.5 else outlines_later
            yield _blend(image, later, flow, part), {**nearer, **between}
    yield later, outlines_later


def _flow(image: NDArray[np.float32], later: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return the optical flow (x, y) from one image to the next, px."""
    top = max(float(image.max()), float(later.max()), 1e-9)
    one, two = ((255 / top * np.maximum(frame, 0)).astype(np.uint8) for frame in (image, later))
    finder = cv2.DISOpticalFlow.create(cv2.DISOPTICAL_FLOW_PRESET_MEDIUM)
    return np.asarray(finder.calc(one, two, np.zeros((*image.shape, 2), np.float32)), dtype=np.float32)


def _blend(
    image: NDArray[np.float32], later: NDArray[np.float32], flow: Any, part: float
) -> NDArray[np.float32]:
    """Return the image a part of the way between two, both warped along the flow."""
    y, x = np.indices(image.shape, dtype=np.float32)
    warped = [
        cv2.remap(
            frame,
            x - share * flow[..., 0],
            y - share * flow[..., 1],
            cv2.INTER_LINEAR,
            borderMode=cv2.BORDER_REPLICATE,
        )
        for frame, share in ((image, part), (later, part - 1))
    ]
    return np.asarray((1 - part) * warped[0] + part * warped[1], dtype=np.float32)


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
    shift = centroid(outline) - centroid(previous)
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
