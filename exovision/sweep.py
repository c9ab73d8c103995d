"""One sweep over the frames of a movie: cells and spots, placed on the outlines; the events come later."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from itertools import islice
from typing import Any, TypeVar

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from exovision import schema
from exovision.cells.features import measure
from exovision.cells.outlines import Outlines, zone_areas_um2
from exovision.cells.tracking import CellTracker
from exovision.correction.drift import DriftEstimator
from exovision.death.morphology import Morphology
from exovision.errors import InputError
from exovision.exosomes.brightness import measure_at_spots
from exovision.exosomes.detection import Detector
from exovision.io.label_files import LabelWriter
from exovision.methods import SEGMENTERS, Segmenter
from exovision.progress import Progress, silent
from exovision.records import Given, Movie
from exovision.settings import Settings

Images = dict[str, dict[int, NDArray[np.float32]]]
"""Role to frame to image, of one chunk."""
Item = TypeVar("Item")
Read = TypeVar("Read")
LOOSE_TABLES = 256
"""Tables of one frame that are kept before they are joined: each takes 10 kB more than its numbers do."""
PREPARATION_FRAMES = 8
"""Exosome frames from which camera and PSF are estimated; fixed, so that results do not depend on chunks."""


class GrowingTable:
    """A table of which each frame adds some rows."""

    def __init__(self) -> None:
        self._joined: list[pd.DataFrame] = []
        self._loose: list[pd.DataFrame] = []

    def append(self, table: pd.DataFrame) -> None:
        """Add the rows of a frame."""
        self._loose.append(table)
        if len(self._loose) >= LOOSE_TABLES:
            self._joined.append(_joined(self._loose))
            self._loose.clear()

    def take(self, columns: tuple[str, ...] = ()) -> pd.DataFrame:
        """Return all rows and forget them; without any, an empty table of these columns."""
        table = _joined([*self._joined, *self._loose], columns)
        self._joined.clear()
        self._loose.clear()
        return table


def _joined(tables: list[pd.DataFrame], columns: tuple[str, ...] = ()) -> pd.DataFrame:
    filled = [table for table in tables if len(table)]
    return pd.concat(filled, ignore_index=True) if filled else pd.DataFrame(columns=list(columns))


@dataclass
class Sweep:
    """Everything that one pass over the frames gathers; pixels are let go after each chunk.

    Attributes
    ----------
    movie : Movie
    settings : Settings
    given : Given
        What need not be found because it is given.
    device : str
    spots, cells, zones : GrowingTable
        Rows in the order of the frames.
    warnings : list of str
    """

    movie: Movie
    settings: Settings
    given: Given
    device: str
    spots: GrowingTable = field(default_factory=GrowingTable)
    cells: GrowingTable = field(default_factory=GrowingTable)
    zones: GrowingTable = field(default_factory=GrowingTable)
    warnings: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        movie, settings = self.movie, self.settings
        self.cell_role = movie.cell_role
        self.usable = {role: np.zeros(movie.n_frames, dtype=bool) for role in movie.roles}
        self.labels = LabelWriter(
            movie.image_shape,
            pixel_size_um=movie.pixel_size_um,
            frame_interval_s=movie.interval_s(self.cell_role or "exosome"),
        )
        self.tracker = CellTracker(
            settings.cells, pixel_size_um=movie.pixel_size_um, keep_ids=self.given.labels is not None
        )
        self.segmenter = self._segmenter()
        self.morphology = Morphology(settings.death, roles=tuple(movie.roles), device=self.device)
        self.drift = DriftEstimator()
        self.outlines: Outlines | None = None
        self.current = np.zeros(movie.image_shape, dtype=np.int32)
        self.centres = pd.DataFrame()
        self.detector = self._detector()

    def _segmenter(self) -> Segmenter | None:
        labels = self.given.labels
        if labels is None and self.cell_role is None:
            self.warnings.append("no cell channel and no labels: spots and tracks only, nothing is placed")
            return None
        name = self.settings.cells.segmenter if labels is None else "labels"
        segmenter: Segmenter = SEGMENTERS.load(name)(
            self.settings.cells,
            pixel_size_um=self.movie.pixel_size_um,
            device=self.device,
            labels=labels,
        )
        return segmenter

    def _detector(self) -> Detector | None:
        if "exosome" not in self.movie.roles:
            self.warnings.append("no exosome channel: cells only")
            return None
        detector = Detector(
            self.settings.exosomes,
            self.settings.camera,
            pixel_size_um=self.movie.pixel_size_um,
            device=self.device,
        )
        first = [
            image for _, image in self._images("exosome", range(self.movie.n_frames), PREPARATION_FRAMES)
        ]
        if not first:
            raise InputError(
                f"{self.movie.path or self.movie.name}: the exosome channel must hold an image, got "
                "only zeros in every frame; check --channels and the file"
            )
        detector.prepare(np.stack(first))
        return detector

    def _images(
        self, role: str, frames: range, limit: int | None = None
    ) -> Iterator[tuple[int, NDArray[np.float32]]]:
        """Yield the frames of a channel that were acquired and are not black, at most `limit`."""
        found = 0
        for t in frames:
            if not self.movie.acquired(t, role):
                continue
            image = self.movie.image(t, role)
            if not image.any():
                continue
            self.usable[role][t] = True
            yield t, image
            found += 1
            if found == limit:
                return

    def times_s(self) -> NDArray[np.float64]:
        """Return the times of the exosome channel (without one, of the cells), NaN where not usable."""
        role = "exosome" if "exosome" in self.movie.roles else self.cell_role
        if role is None:
            return self.movie.times_s[:, 0]
        return np.where(self.usable[role], self.movie.role_times_s(role), np.nan)

    def skipped(self) -> list[str]:
        """Tell which frames were black."""
        black = {
            role: int((np.isfinite(self.movie.role_times_s(role)) & ~usable).sum())
            for role, usable in self.usable.items()
        }
        return [f"{count} black frame(s) of channel {role} skipped" for role, count in black.items() if count]

    def run(self, progress: Progress = silent) -> None:
        """Analyse all frames, while a thread reads and decompresses the chunk that comes next."""
        chunks = self.movie.chunks(self.settings.reading.chunk_frames)
        for chunk, images in read_ahead(chunks, self._read):
            self._take(chunk, images, progress)

    def take(self, chunk: range) -> None:
        """Analyse one chunk of frames."""
        self._take(chunk, self._read(chunk), silent)

    def _read(self, chunk: range) -> Images:
        return {role: dict(self._images(role, chunk)) for role in self.movie.roles}

    def _take(self, chunk: range, images: Images, progress: Progress) -> None:
        total = self.movie.n_frames
        segmented = self._segment(images, chunk, progress)
        exosome = images.get("exosome", {})
        detected = {}
        for t in chunk:
            progress("finding exosomes", t, total)
            detected.update(self._detect({t: exosome[t]} if t in exosome else {}))
        registration = exosome or images.get(self.cell_role or "", {})
        for t in chunk:
            self.drift.update(registration.get(t), t)
            if t in segmented:
                self._take_cells(
                    t, segmented[t], {role: images[role][t] for role in images if t in images[role]}
                )
            self.labels.append(self.current)
            if t in detected:
                self.spots.append(self._beside(self._place(detected[t]), t, images))

    def _segment(
        self, images: Mapping[str, Mapping[int, NDArray[np.float32]]], chunk: range, progress: Progress
    ) -> dict[int, NDArray[np.int32]]:
        progress("finding cells", chunk.start, self.movie.n_frames)
        if self.segmenter is None:
            return {}
        role = self.cell_role or ""
        if self.given.labels is not None and (self.given.every_frame or role not in images):
            blank = np.zeros((len(chunk), *self.movie.image_shape), dtype=np.float32)
            return dict(zip(chunk, self.segmenter.segment(blank, chunk)))
        segmented: dict[int, NDArray[np.int32]] = {}
        for run in _consecutive(sorted(images[role])):
            step = getattr(self.segmenter, "frames_at_once", len(run))
            for few in (run[first : first + step] for first in range(0, len(run), step)):
                if few.start > chunk.start:
                    progress("finding cells", few.start, self.movie.n_frames)
                stack = np.stack([images[role][t] for t in few])
                segmented.update(zip(few, self.segmenter.segment(stack, few)))
        return segmented

    def _detect(self, images: Mapping[int, NDArray[np.float32]]) -> dict[int, pd.DataFrame]:
        if self.detector is None:
            return {}
        given = self.given.spots
        if given is not None:
            return {t: given[given["frame"] == t] for t in images}
        return {t: self.detector.detect(image[None], range(t, t + 1)) for t, image in images.items()}

    def _take_cells(
        self, t: int, labels: NDArray[np.int32], images: Mapping[str, NDArray[np.float32]]
    ) -> None:
        self.current = self.tracker.update(labels, t)
        self.outlines = Outlines.from_labels(self.current, pixel_size_um=self.movie.pixel_size_um)
        role = self.cell_role or "exosome"
        measured = measure(
            self.current,
            images,
            pixel_size_um=self.movie.pixel_size_um,
            frame=t,
            time_s=float(self.movie.role_times_s(role)[t]),
        )
        self.cells.append(measured)
        self.centres = measured.set_index("cell_id")[["y_um", "x_um"]]
        self.morphology.take(t, self.current, images)
        events = self.settings.events
        self.zones.append(
            zone_areas_um2(
                self.current,
                pixel_size_um=self.movie.pixel_size_um,
                band_um=events.band_um,
                ring_inner_um=events.ring_inner_um,
                ring_outer_um=events.ring_outer_um,
            ).assign(frame=t)
        )

    def _beside(
        self, spots: pd.DataFrame, t: int, images: Mapping[str, Mapping[int, NDArray[np.float32]]]
    ) -> pd.DataFrame:
        """Add what the content and marker channels show at the spots."""
        names = {role: column for role in images if (column := _column_of(role))}
        if self.detector is None or not names:
            return spots
        places = spots[["y_px", "x_px"]].to_numpy(dtype=np.float64)
        unknown = np.full(len(spots), np.nan)
        return spots.assign(
            **{
                column: measure_at_spots(images[role][t], places, self.detector.sigma_px)
                if t in images[role]
                else unknown
                for role, column in names.items()
            }
        )

    def _place(self, spots: pd.DataFrame) -> pd.DataFrame:
        movie = self.movie
        placed = spots.assign(
            time_s=movie.role_times_s("exosome")[spots["frame"].to_numpy()],
            y_um=spots["y_px"] * movie.pixel_size_um,
            x_um=spots["x_px"] * movie.pixel_size_um,
        )
        if self.outlines is None:
            return placed
        there = self.outlines.place(spots[["y_px", "x_px"]].to_numpy())
        centres = self.centres.reindex(there.cell_id).to_numpy()
        beside: dict[str, Any] = dict(zip(schema.MEMBRANE_FRAME, (*there.normal.T, *centres.T)))
        beside |= dict(zip(schema.NEXT_CELL, (there.next_id, there.next_distance_um)))
        return placed.assign(
            cell_id=there.cell_id,
            membrane_distance_um=there.distance_um,
            contour_um=there.contour_um,
            **beside,
        )


def prepared_detector(movie: Movie, settings: Settings) -> Detector:
    """Return the detector that an analysis of a movie would use, without a sweep.

    Raises
    ------
    InputError
        If there is no image of the exosome channel.
    """
    frames = (t for t in range(movie.n_frames) if movie.acquired(t, "exosome"))
    images = (image for t in frames if (image := movie.image(t, "exosome")).any())
    first = list(islice(images, PREPARATION_FRAMES))
    if not first:
        raise InputError(f"{movie.name}: an image of the exosome channel is needed, every frame is black")
    detector = Detector(settings.exosomes, settings.camera, pixel_size_um=movie.pixel_size_um)
    detector.prepare(np.stack(first))
    return detector


def read_ahead(items: Iterable[Item], read: Callable[[Item], Read]) -> Iterator[tuple[Item, Read]]:
    """Yield each item with what `read` makes of it, which one thread does for the next item meanwhile.

    Never more than one item is read ahead, and none after the consumer has stopped. What `read` raises is
    raised where its item would be yielded.
    """
    reader = ThreadPoolExecutor(1, thread_name_prefix="read-ahead")
    waiting: deque[tuple[Item, Future[Read]]] = deque()
    try:
        for item in items:
            waiting.append((item, reader.submit(read, item)))
            if len(waiting) > 1:
                first, future = waiting.popleft()
                yield first, future.result()
        for last, future in waiting:
            yield last, future.result()
    finally:
        reader.shutdown(cancel_futures=True)


def _column_of(role: str) -> str | None:
    """Return the column of the spots that holds a channel's brightness, None for other channels."""
    if role == "content":
        return "content_counts"
    return f"marker_{role.removeprefix('marker:')}" if role.startswith("marker:") else None


def _consecutive(frames: list[int]) -> Iterator[range]:
    """Split sorted frame numbers into ranges without gaps."""
    start = 0
    for i in range(1, len(frames) + 1):
        if i == len(frames) or frames[i] != frames[i - 1] + 1:
            yield range(frames[start], frames[i - 1] + 1)
            start = i
