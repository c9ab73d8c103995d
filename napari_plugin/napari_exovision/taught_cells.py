"""Cells taught by frames whose outlines were put right; no Qt."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
import tifffile

from exovision.errors import InputError
from exovision.io.folders import make_folder
from exovision.nets.shipped import shipped_file, weights_file
from exovision.progress import Progress, silent
from exovision.settings import CellSettings
from exovision.training.cells import from_corrections, held_out, labelled_names, train_cells
from exovision.training.evaluation import evaluate_cells
from napari_exovision.session import Session
from napari_exovision.teaching import TRIAL, Changes, Lesson, School


class CellSchool(School):
    """Teaches the cell network."""

    subject = "cells"
    hint = "Correct the cells of a frame in the Correct panel, then add the frame."
    add = "Add this frame"
    figures = {  # noqa: RUF012 (declared as a class variable in the base)
        "ap50": "AP at IoU .5",
        "ap75": "AP at IoU .75",
        "ap90": "AP at IoU .9",
        "boundary_px": "outline, px",
    }

    def names(self) -> list[str]:
        """Return the names of the frames gathered so far."""
        return labelled_names(self.lessons) if any(self.lessons.glob("*_labels.tif")) else []

    def take(self, session: Session, frame: int) -> str:
        """Add a frame with its cells as they are now; see `School.take`."""
        movie = session.stored.movie
        if movie is None or movie.cell_role is None or not movie.acquired(frame, movie.cell_role):
            why = session.stored.problem or f"there is no image of the cells in frame {frame}"
            raise InputError(f"an image of the cells is needed to teach: {why}")
        labels = session.labels[frame]
        if not labels.any():
            raise InputError(f"frame {frame} has no cells to teach; paint them or choose another frame")
        lessons = make_folder(self.lessons)
        name = f"{session.stored.name}_t{frame:05d}"
        tifffile.imwrite(lessons / f"{name}.tif", movie.image(frame, movie.cell_role))
        tifffile.imwrite(lessons / f"{name}_labels.tif", labels.astype(np.int32))
        return name

    def usual_steps(self, session: Session) -> int:
        """Return how many batches a training has unless more are wanted."""
        return from_corrections(self._present(session)).steps

    def train(
        self,
        session: Session,
        *,
        steps: int | None = None,
        device: str = "auto",
        progress: Progress = silent,
    ) -> Lesson:
        """Go on from the present weights; see `School.train`. The session's pixel size holds for all."""
        names = self.names()
        self.enough(len(names), "taught frames")
        present = self._present(session)
        training = from_corrections(present)
        training = training if steps is None else replace(training, steps=steps)
        trial = make_folder(self.folder / TRIAL)
        judge = partial(
            evaluate_cells,
            data=self.lessons,
            simulated=0,
            pixel_size_um=session.stored.pixel_size_um,
            device=device,
            progress=progress,
        )
        before = self._means(judge(present))
        weights = train_cells(trial, data=self.lessons, training=training, device=device, progress=progress)
        kept_back = len(held_out(names))
        return Lesson(weights, before, self._means(judge(weights)), len(names) - kept_back, kept_back)

    def _present(self, session: Session) -> Path:
        """Return the embedded network's weights, those that come along where Cellpose found cells."""
        settings = session.stored.settings.cells
        return shipped_file(CellSettings) if settings.segmenter == "cellpose" else weights_file(settings)

    def _means(self, figures: Mapping[str, Mapping[str, float]]) -> dict[str, float]:
        return {name: _mean(figures, name) for name in self.figures}

    def changes(self, weights: Path) -> Changes:
        """Return the settings that use the weights."""
        return {"cells": {"weights": str(weights), "segmenter": "embedded"}}


def _mean(figures: Mapping[str, Mapping[str, float]], name: str) -> float:
    """Return a figure over all sets, weighted by their pictures."""
    images = sum(values["images"] for values in figures.values())
    total = sum(values["images"] * values[name] for values in figures.values())
    return float(total / images) if images else float("nan")
