"""Cells taught by corrected frames: gathered, learned from, compared on frames held out; no Qt."""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from functools import partial
from pathlib import Path

import numpy as np
import tifffile

from exovision.errors import InputError
from exovision.io.folders import make_folder
from exovision.nets.shipped import cell_weights
from exovision.progress import Progress, silent
from exovision.training.cells import from_corrections, held_out, labelled_names, train_cells
from exovision.training.evaluation import evaluate_cells
from napari_exovision.session import Session

PICTURES, TRIAL, KEPT = "pictures", "trial", "weights"
LEAST = 2
Figures = Mapping[str, Mapping[str, float]]


@dataclass(frozen=True)
class Lesson:
    """What training brought.

    Attributes
    ----------
    weights : Path
        Of the trial; not used until they are kept.
    before, after : mapping
        Held-out figures of the present weights and of the new ones.
    learned, held_out : int
        How many pictures were learned from, and how many judged both.
    """

    weights: Path
    before: Figures
    after: Figures
    learned: int
    held_out: int


class School:
    """The folder of pictures and weights, shared by all movies of a results folder.

    Parameters
    ----------
    folder : Path
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    @classmethod
    def beside(cls, session: Session) -> School:
        """Return the school of a results folder."""
        return cls(session.stored.folder.parent / "teaching")

    def names(self) -> list[str]:
        """Return the names of the pictures gathered so far."""
        pictures = self.folder / PICTURES
        return labelled_names(pictures) if any(pictures.glob("*_labels.tif")) else []

    def take(self, session: Session, frame: int) -> str:
        """Add a frame with its cells as they are now; an earlier version of it is replaced.

        Returns
        -------
        str
            The picture's name.

        Raises
        ------
        InputError
            If the movie is not there, the frame has no image of the cells, or no cell.
        OutputError
            If the folder cannot be written to.
        """
        movie = session.stored.movie
        if movie is None or movie.cell_role is None or not movie.acquired(frame, movie.cell_role):
            why = session.stored.problem or f"there is no image of the cells in frame {frame}"
            raise InputError(f"an image of the cells is needed to teach: {why}")
        labels = session.labels[frame]
        if not labels.any():
            raise InputError(f"frame {frame} has no cells to teach; paint them or choose another frame")
        pictures = make_folder(self.folder / PICTURES)
        name = f"{session.stored.name}_t{frame:05d}"
        tifffile.imwrite(pictures / f"{name}.tif", movie.image(frame, movie.cell_role))
        tifffile.imwrite(pictures / f"{name}_labels.tif", labels.astype(np.int32))
        return name

    def drop(self, name: str) -> None:
        """Remove a picture."""
        for suffix in (".tif", "_labels.tif"):
            (self.folder / PICTURES / f"{name}{suffix}").unlink(missing_ok=True)

    def train(
        self,
        session: Session,
        *,
        steps: int | None = None,
        device: str = "auto",
        progress: Progress = silent,
    ) -> Lesson:
        """Go on from the present weights with the pictures, and judge both on those held out.

        Parameters
        ----------
        session : Session
            Its settings name the present weights; its pixel size holds for the pictures.
        steps : int, optional
            Batches to learn from.
        device : str
        progress : Progress

        Raises
        ------
        InputError
            If there are fewer than two pictures.
        """
        names = self.names()
        if len(names) < LEAST:
            raise InputError(f"at least {LEAST} taught frames are needed, got {len(names)}; add some")
        present = cell_weights(session.stored.settings.cells)
        training = from_corrections(present)
        training = training if steps is None else replace(training, steps=steps)
        pictures, trial = self.folder / PICTURES, make_folder(self.folder / TRIAL)
        judge = partial(
            evaluate_cells,
            data=pictures,
            simulated=0,
            pixel_size_um=session.stored.pixel_size_um,
            device=device,
            progress=progress,
        )
        before = judge(present)
        weights = train_cells(trial, data=pictures, training=training, device=device, progress=progress)
        after = judge(weights)
        kept_back = len(held_out(names))
        return Lesson(weights, before, after, len(names) - kept_back, kept_back)

    def keep(self, lesson: Lesson) -> Path:
        """Keep the weights of a trial under a name of their own.

        Raises
        ------
        OutputError
            If the folder cannot be written to.
        """
        kept = make_folder(self.folder / KEPT)
        stamp = datetime.now(UTC).strftime("%Y%m%d-%H%M%S")
        path = kept / f"cells_{stamp}.safetensors"
        shutil.copyfile(lesson.weights, path)
        shutil.copyfile(lesson.weights.with_suffix(".json"), path.with_suffix(".json"))
        self.discard(lesson)
        return path

    def discard(self, lesson: Lesson) -> None:
        """Remove the weights of a trial."""
        for path in (lesson.weights, lesson.weights.with_suffix(".json")):
            path.unlink(missing_ok=True)
