"""Cells followed over time: label images whose ids stay the same from frame to frame."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import count

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.optimize import linear_sum_assignment

from exovision import schema
from exovision.numerics.regions import Regions, find_regions
from exovision.settings import CellSettings

NEAR_RADII = 1.0
"""A cell that no longer overlaps may still be the same if its centre moved less than this many radii."""


@dataclass
class _Seen:
    """Where a cell was last, and when it was first."""

    first: int
    last: int
    area_px: int
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
        self._shapes: dict[int, tuple[tuple[slice, slice], NDArray[np.bool_]]] = {}
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
        found = find_regions(labels)
        ids = found.ids.tolist() if self.keep_ids else self._match(found, labels, frame)
        self._record(ids, found, labels, frame)
        self._last_frame = frame
        if self.keep_ids:
            return labels
        lookup = np.zeros(int(labels.max(initial=0)) + 1, dtype=np.int32)
        lookup[found.ids] = ids
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

    def _match(self, found: Regions, labels: NDArray[np.int32], frame: int) -> list[int]:
        """Return the lasting id of each region."""
        alive = {
            cell_id: self._cells[cell_id]
            for cell_id in sorted(self._shapes)
            if frame - self._cells[cell_id].last <= self.settings.max_gap_frames + 1
        }
        self._shapes = {cell_id: self._shapes[cell_id] for cell_id in alive}
        known = list(alive)
        scores = self._scores(found, list(alive.values()), self._shared(found, labels))
        rows, columns = linear_sum_assignment(-scores)
        ids = {int(row): known[column] for row, column in zip(rows, columns) if scores[row, column] > 0}
        fresh = count(self._next)
        named = [ids[row] if row in ids else next(fresh) for row in range(found.ids.size)]
        self._next = next(fresh)
        return named

    def _shared(self, found: Regions, labels: NDArray[np.int32]) -> NDArray[np.int64]:
        """Return how many pixels each region shares with each cell as last seen, shape (N, M)."""
        n = int(labels.max(initial=0)) + 1
        columns = [np.bincount(labels[box][mask], minlength=n) for box, mask in self._shapes.values()]
        return np.array(columns, dtype=np.int64).reshape(-1, n).T[found.ids]

    def _scores(self, found: Regions, alive: list[_Seen], shared: NDArray[np.int64]) -> NDArray[np.float64]:
        """Return 1 + IoU for overlapping cells, less than 1 for cells merely near, 0 for different ones."""
        areas = np.array([cell.area_px for cell in alive], dtype=np.int64)
        centres = np.array([cell.centre for cell in alive]).reshape(-1, 2)
        steps = found.centre_px[:, None] - centres
        distance = np.hypot(steps[..., 0], steps[..., 1])
        larger = np.maximum(found.area_px[:, None], areas)
        radius = np.sqrt(larger / np.pi)
        iou = shared / (found.area_px[:, None] + areas - shared)
        alike = np.minimum(found.area_px[:, None], areas) / larger
        near = 0.5 * alike * np.maximum(1 - distance / (NEAR_RADII * radius), 0)
        overlaps = (iou >= self.settings.min_overlap) & (distance <= 3 * radius)
        return np.where(overlaps, 1 + iou, near)

    def _record(self, ids: list[int], found: Regions, labels: NDArray[np.int32], frame: int) -> None:
        border = found.touches_border(labels.shape)
        for k, cell_id in enumerate(ids):
            before = self._cells.get(cell_id)
            self._cells[cell_id] = _Seen(
                first=before.first if before else frame,
                last=frame,
                area_px=int(found.area_px[k]),
                centre=found.centre_px[k],
                at_border=bool(border[k]),
                born_at_start=before.born_at_start if before else frame == self._first_frame,
            )
            if not self.keep_ids:
                box = found.box(k)
                self._shapes[cell_id] = box, labels[box] == found.ids[k]
