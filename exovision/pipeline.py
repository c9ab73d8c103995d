"""The analysis of one movie: the only place that knows the order of the stages."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from exovision import schema
from exovision.cells.features import measure
from exovision.cells.outlines import Outlines, zone_areas_um2
from exovision.cells.tracking import CellTracker
from exovision.correction.bleaching import estimate_bleaching
from exovision.correction.drift import DriftEstimator
from exovision.correction.fixed_spots import fixed_drift
from exovision.errors import InputError
from exovision.events.find import find_events
from exovision.exosomes.detection import Detector
from exovision.exosomes.linking import link
from exovision.exosomes.motion import summarise
from exovision.io.label_files import LabelWriter
from exovision.methods import SEGMENTERS, Segmenter
from exovision.progress import Progress, silent
from exovision.records import LabelStack, Movie
from exovision.result import Result
from exovision.settings import Settings

PREPARATION_FRAMES = 8
"""Exosome frames from which camera and PSF are estimated; fixed, so that results do not depend on chunks."""


def analyse(
    movie: Movie,
    settings: Settings | None = None,
    *,
    labels: LabelStack | None = None,
    device: str = "auto",
    progress: Progress = silent,
) -> Result:
    """Find cells and exosomes in a movie and say which exosomes docked where and for how long.

    Parameters
    ----------
    movie : Movie
        Needs the role `exosome`, `cell` or `nucleus`; events need exosomes and cells (or `labels`).
    settings : Settings, optional
        All thresholds; the defaults if omitted.
    labels : LabelStack, optional
        Ready-made label images, one (Y, X) image per frame; replaces the segmentation and keeps its ids.
    device : str
        "auto", "cpu", "cuda", "cuda:N" or "mps".
    progress : Progress
        Called after each chunk; may raise `Cancelled`.

    Returns
    -------
    Result
        The contract's tables, the label images and the summary.

    Raises
    ------
    InputError
        If the movie lacks the channels, holds NaN, or is black throughout.
    """
    started = time.perf_counter()
    settings = settings or Settings()
    if labels is not None:
        cells = settings.cells.model_copy(update={"segmenter": "labels"})
        settings = settings.model_copy(update={"cells": cells})
    _check_channels(movie, labels)
    stream = _Stream(movie, settings, labels, device)
    for chunk in movie.chunks(settings.reading.chunk_frames):
        stream.take(chunk)
        progress("frames", chunk.stop, movie.n_frames)
    return _conclude(stream, started)


def _check_channels(movie: Movie, labels: LabelStack | None) -> None:
    if "exosome" not in movie.roles and movie.cell_role is None and labels is None:
        raise InputError(
            f"{movie.name}: an exosome, cell or nucleus channel is needed, got "
            f"{', '.join(movie.roles) or 'no roles'}; name them with --channels exosome=0,cell=1"
        )


@dataclass
class _Stream:
    """Everything that one pass over the frames gathers; pixels are let go after each chunk."""

    movie: Movie
    settings: Settings
    given: LabelStack | None
    device: str
    spots: list[pd.DataFrame] = field(default_factory=list)
    cells: list[pd.DataFrame] = field(default_factory=list)
    zones: list[pd.DataFrame] = field(default_factory=list)
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
            settings.cells, pixel_size_um=movie.pixel_size_um, keep_ids=self.given is not None
        )
        self.segmenter = self._segmenter()
        self.drift = DriftEstimator()
        self.outlines: Outlines | None = None
        self.current = np.zeros(movie.image_shape, dtype=np.int32)
        self.detector = self._detector()

    def _segmenter(self) -> Segmenter | None:
        if self.given is None and self.cell_role is None:
            self.warnings.append("no cell channel and no labels: spots and tracks only, nothing is placed")
            return None
        segmenter: Segmenter = SEGMENTERS.load(self.settings.cells.segmenter)(
            self.settings.cells,
            pixel_size_um=self.movie.pixel_size_um,
            device=self.device,
            labels=self.given,
        )
        return segmenter

    def _detector(self) -> Detector | None:
        if "exosome" not in self.movie.roles:
            self.warnings.append("no exosome channel: cells only")
            return None
        detector = Detector(
            self.settings.exosomes, self.settings.camera, pixel_size_um=self.movie.pixel_size_um
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

    def take(self, chunk: range) -> None:
        """Analyse one chunk of frames."""
        images = {role: dict(self._images(role, chunk)) for role in self.movie.roles}
        segmented = self._segment(images, chunk)
        exosome = images.get("exosome", {})
        detected = self._detect(exosome)
        registration = exosome or images.get(self.cell_role or "", {})
        for t in chunk:
            self.drift.update(registration.get(t), t)
            if t in segmented:
                self._take_cells(
                    t, segmented[t], {role: images[role][t] for role in images if t in images[role]}
                )
            self.labels.append(self.current)
            if t in detected:
                self.spots.append(self._place(detected[t]))

    def _segment(
        self, images: Mapping[str, Mapping[int, NDArray[np.float32]]], chunk: range
    ) -> dict[int, NDArray[np.int32]]:
        if self.segmenter is None:
            return {}
        if self.given is not None:
            blank = np.zeros((len(chunk), *self.movie.image_shape), dtype=np.float32)
            return dict(zip(chunk, self.segmenter.segment(blank, chunk)))
        role = self.cell_role or ""
        segmented: dict[int, NDArray[np.int32]] = {}
        for run in _consecutive(sorted(images[role])):
            stack = np.stack([images[role][t] for t in run])
            segmented.update(zip(run, self.segmenter.segment(stack, run)))
        return segmented

    def _detect(self, images: Mapping[int, NDArray[np.float32]]) -> dict[int, pd.DataFrame]:
        if self.detector is None:
            return {}
        found: dict[int, pd.DataFrame] = {}
        for run in _consecutive(sorted(images)):
            table = self.detector.detect(np.stack([images[t] for t in run]), run)
            found.update({t: table[table["frame"] == t] for t in run})
        return found

    def _take_cells(
        self, t: int, labels: NDArray[np.int32], images: Mapping[str, NDArray[np.float32]]
    ) -> None:
        self.current = self.tracker.update(labels, t)
        self.outlines = Outlines.from_labels(self.current, pixel_size_um=self.movie.pixel_size_um)
        role = self.cell_role or "exosome"
        self.cells.append(
            measure(
                self.current,
                images,
                pixel_size_um=self.movie.pixel_size_um,
                frame=t,
                time_s=float(self.movie.role_times_s(role)[t]),
            )
        )
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
        centres = self.cells[-1].set_index("cell_id")[["y_um", "x_um"]].reindex(there.cell_id).to_numpy()
        return placed.assign(
            cell_id=there.cell_id,
            membrane_distance_um=there.distance_um,
            contour_um=there.contour_um,
            **dict(zip(schema.MEMBRANE_FRAME, (*there.normal.T, *centres.T))),
            **dict(zip(schema.NEXT_CELL, (there.next_id, there.next_distance_um))),
        )


def _consecutive(frames: list[int]) -> Iterator[range]:
    """Split sorted frame numbers into ranges without gaps."""
    start = 0
    for i in range(1, len(frames) + 1):
        if i == len(frames) or frames[i] != frames[i - 1] + 1:
            yield range(frames[start], frames[i - 1] + 1)
            start = i


def _conclude(stream: _Stream, started: float) -> Result:
    """Make tracks, events and the summary from what the stream gathered."""
    movie, settings = stream.movie, stream.settings
    times_s = stream.times_s()
    spots = _linked(stream, times_s)
    drift = _drift(stream, spots)
    drift_px = np.array(drift["px"])
    spots, exosomes, bleaching = _follow(stream, spots, times_s, drift_px)
    tables = find_events(
        spots,
        exosomes,
        schema.conform(_stack(stream.cells), schema.CELLS),
        stream.tracker.tracks(),
        times_s=times_s,
        drift_um=drift_px * movie.pixel_size_um,
        pixel_size_um=movie.pixel_size_um,
        settings=settings.events,
        zone_areas=_stack(stream.zones, columns=("cell_id", "band_um2", "ring_um2")),
    )
    return Result(
        movie=movie,
        settings=settings,
        spots=tables.spots,
        exosomes=tables.exosomes,
        events=tables.events,
        cells=tables.cells,
        fates=tables.fates,
        labels=stream.labels,
        summary=_summary(stream, tables.summary, drift["notes"]),
        corrections={"drift": drift, "bleaching": bleaching},
        device=stream.device,
        seconds=time.perf_counter() - started,
    )


def _summary(stream: _Stream, events: Mapping[str, Any], on_drift: list[str]) -> dict[str, Any]:
    """Add to the summary of the events what the other stages found and have to say."""
    movie, segmenter, detector = stream.movie, stream.segmenter, stream.detector
    warnings = [*stream.warnings, *stream.skipped(), *getattr(segmenter, "notes", ())]
    warnings += [*(detector.notes if detector else ()), *on_drift, *events["warnings"]]
    return {
        **events,
        "warnings": warnings,
        "notes": list(movie.notes),
        "cell_diameter_um": _diameter_um(segmenter, movie.pixel_size_um),
        "psf_sigma_um": detector.sigma_px * movie.pixel_size_um if detector else None,
    }


def _linked(stream: _Stream, times_s: NDArray[np.float64]) -> pd.DataFrame:
    """Link the spots; those that are neither likely nor borne out by a track are dropped."""
    settings = stream.settings
    columns = {**schema.SPOTS, **dict.fromkeys((*schema.MEMBRANE_FRAME, *schema.NEXT_CELL), schema.FLOAT)}
    spots = schema.conform(_stack(stream.spots), columns)
    stream.spots.clear()
    spots["exosome_id"] = link(
        spots,
        times_s=times_s,
        drift_px=stream.drift.drift_px if settings.correction.drift else None,
        pixel_size_um=stream.movie.pixel_size_um,
        settings=settings.exosomes,
    )
    borne_out = spots["exosome_id"].notna() | (spots["probability"] >= settings.exosomes.min_probability)
    return spots[borne_out].reset_index(drop=True)


def _drift(stream: _Stream, spots: pd.DataFrame) -> dict[str, Any]:
    """Return the stage's path from fixed spots, else from registration."""
    frames = stream.movie.n_frames
    if not stream.settings.correction.drift:
        return {"applied": False, "px": np.zeros((frames, 2)).tolist(), "from": None, "notes": []}
    path, fixed = fixed_drift(spots, frames)
    notes = list(stream.drift.notes)
    if path is None and frames > 1:
        notes.append(f"drift from registration of whole images: only {fixed} spots move together")
    return {
        "applied": True,
        "px": (stream.drift.drift_px if path is None else path).round(3).tolist(),
        "from": "registration" if path is None else f"{fixed} spots fixed to the glass",
        "notes": notes,
    }


def _follow(
    stream: _Stream, spots: pd.DataFrame, times_s: NDArray[np.float64], drift_px: NDArray[np.float64]
) -> tuple[pd.DataFrame, pd.DataFrame, dict[str, Any]]:
    """Return the spots with corrected counts, a row per exosome, and what the bleaching correction did."""
    movie, settings = stream.movie, stream.settings
    bleaching = estimate_bleaching(spots, times_s, enabled=settings.correction.bleaching)
    spots["counts_corrected"] = spots["counts"] / bleaching.factor[spots["frame"].to_numpy(dtype=np.int64)]
    exosomes = summarise(spots, times_s=times_s, drift_px=drift_px, pixel_size_um=movie.pixel_size_um)
    facts = {
        "applied": bleaching.used,
        "tau_s": bleaching.tau_s,
        "tau_s_lo": bleaching.tau_lo_s,
        "tau_s_hi": bleaching.tau_hi_s,
        "factor": bleaching.factor.round(5).tolist(),
        "notes": [bleaching.note],
    }
    return spots, exosomes, facts


def _stack(tables: list[pd.DataFrame], columns: tuple[str, ...] = ()) -> pd.DataFrame:
    filled = [table for table in tables if len(table)]
    return pd.concat(filled, ignore_index=True) if filled else pd.DataFrame(columns=list(columns))


def _diameter_um(segmenter: Segmenter | None, pixel_size_um: float) -> float | None:
    diameter_px = getattr(segmenter, "diameter_px", None)
    return None if diameter_px is None else float(diameter_px) * pixel_size_um
