"""Cells followed over time: label images whose ids stay the same from frame to frame."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.optimize import linear_sum_assignment

from exovision import schema
from exovision.settings import CellSettings

NEAR_RADII = 1.0
"""A cell that no longer overlaps may still be the same if its centre moved less than this many radii."""


@dataclass
class _Seen:
    """Where a cell was last, and when it was first."""

    first: int
    last: int
    pixels: NDArray[np.int64]
    centre: NDArray[np.float64]
    at_border: bool
    born_at_start: bool


class CellTracker:
    """Gives cells ids that last; each frame is decided from those before it, so it can be written at once.

    Parameters
    ----------
    settings : CellSettings
        `min_overlap` (IoU) links a cell, `max_gap_frames` bounds how long one may be missing.
    pixel_size_um : float
        Edge of a pixel, µm.
    keep_ids : bool
        The labels come with lasting ids: keep them and only record the tracks.
    """

    def __init__(self, settings: CellSettings, *, pixel_size_um: float, keep_ids: bool = False) -> None:
        self.settings = settings
        self.pixel_size_um = pixel_size_um
        self.keep_ids = keep_ids
        self._cells: dict[int, _Seen] = {}
        self._first_frame: int | None = None
        self._last_frame = -1
        self._next = 1

    def update(self, labels: NDArray[np.int32], frame: int) -> NDArray[np.int32]:
        """Take the labels of the next frame and return them with lasting ids.

        Parameters
        ----------
        labels : ndarray of shape (Y, X)
            0 is background; ids are unique in this frame.
        frame : int
            Larger than that of the call before.

        Returns
        -------
        ndarray of shape (Y, X)
            A value is the `cell_id`.
        """
        if self._first_frame is None:
            self._first_frame = frame
        found = _objects(labels)
        ids = {old: old for old in found} if self.keep_ids else self._match(found, labels.shape, frame)
        for old, pixels in found.items():
            self._record(ids[old], pixels, labels.shape, frame)
        self._last_frame = frame
        if self.keep_ids:
            return labels
        lookup = np.zeros(int(labels.max(initial=0)) + 1, dtype=np.int32)
        for old, new in ids.items():
            lookup[old] = new
        return lookup[labels]

    def tracks(self) -> pd.DataFrame:
        """Return one row per cell: the columns of `exovision.schema.FATES` that tracking knows."""
        rows = [
            {
                "cell_id": cell_id,
                "first_frame": cell.first,
                "last_frame": cell.last,
                "entry": "start" if cell.born_at_start else "entered_field",
                "exit": self._exit(cell),
            }
            for cell_id, cell in sorted(self._cells.items())
        ]
        return schema.conform(pd.DataFrame(rows), schema.FATES)

    def _exit(self, cell: _Seen) -> str:
        if cell.last >= self._last_frame - self.settings.max_gap_frames:
            return "movie_end"
        return "left_field" if cell.at_border else "track_lost"

    def _match(
        self, found: dict[int, NDArray[np.int64]], shape: tuple[int, ...], frame: int
    ) -> dict[int, int]:
        alive = {
            cell_id: cell
            for cell_id, cell in self._cells.items()
            if frame - cell.last <= self.settings.max_gap_frames + 1
        }
        scores = np.array(
            [[self._score(pixels, cell, shape) for cell in alive.values()] for pixels in found.values()]
        ).reshape(len(found), len(alive))
        rows, columns = linear_sum_assignment(-scores)
        old, known = list(found), list(alive)
        ids = {old[r]: known[c] for r, c in zip(rows, columns) if scores[r, c] > 0}
        for name in old:
            if name not in ids:
                ids[name] = self._next
                self._next += 1
        return ids

    def _score(self, pixels: NDArray[np.int64], cell: _Seen, shape: tuple[int, ...]) -> float:
        """Return 1 + IoU for overlapping cells, less than 1 for cells merely near, 0 for different ones."""
        centre = _centre(pixels, shape)
        distance = float(np.hypot(*(centre - cell.centre)))
        radius = float(np.sqrt(max(pixels.size, cell.pixels.size) / np.pi))
        if distance > 3 * radius:
            return 0.0
        shared = np.intersect1d(pixels, cell.pixels, assume_unique=True).size
        iou = shared / (pixels.size + cell.pixels.size - shared)
        if iou >= self.settings.min_overlap:
            return 1.0 + iou
        alike = min(pixels.size, cell.pixels.size) / max(pixels.size, cell.pixels.size)
        return 0.5 * alike * (1 - distance / (NEAR_RADII * radius)) if distance < NEAR_RADII * radius else 0.0

    def _record(self, cell_id: int, pixels: NDArray[np.int64], shape: tuple[int, ...], frame: int) -> None:
        y, x = np.unravel_index(pixels, shape)
        border = bool(((y == 0) | (x == 0) | (y == shape[0] - 1) | (x == shape[1] - 1)).any())
        before = self._cells.get(cell_id)
        self._cells[cell_id] = _Seen(
            first=before.first if before else frame,
            last=frame,
            pixels=pixels,
            centre=_centre(pixels, shape),
            at_border=border,
            born_at_start=before.born_at_start if before else frame == self._first_frame,
        )


def _objects(labels: NDArray[np.int32]) -> dict[int, NDArray[np.int64]]:
    """Return the sorted flat pixel numbers of each label."""
    flat = labels.ravel()
    inside = np.flatnonzero(flat)
    order = np.argsort(flat[inside], kind="stable")
    values, starts = np.unique(flat[inside][order], return_index=True)
    return {int(v): part for v, part in zip(values, np.split(inside[order], starts[1:]))}


def _centre(pixels: NDArray[np.int64], shape: tuple[int, ...]) -> NDArray[np.float64]:
    y, x = np.unravel_index(pixels, shape)
    return np.array([y.mean(), x.mean()])
