"""Spots taught by frames in which they were put right; no Qt."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from exovision.errors import InputError
from exovision.io.folders import make_folder
from exovision.progress import Progress, silent
from exovision.sweep import prepared_detector
from exovision.training.cells import held_out
from exovision.training.spots import (
    SUFFIX,
    evaluate_spots,
    examples_of,
    read_examples,
    train_spots,
    write_examples,
)
from napari_exovision.session import Session
from napari_exovision.teaching import TRIAL, Changes, Lesson, School


class SpotSchool(School):
    """Teaches what makes a peak of light a spot."""

    subject = "spots"
    hint = (
        "In the Correct panel, delete and add spots of a frame until it shows all and nothing else, then add "
        "the frame."
    )
    add = "Add this frame"
    figures = {  # noqa: RUF012 (declared as a class variable in the base)
        "precision": "precision",
        "recall": "recall",
        "f1": "F1",
        "ece": "calibration error",
    }
    learns_in_steps = False

    def names(self) -> list[str]:
        """Return the names of the frames gathered so far."""
        return sorted(path.name.removesuffix(SUFFIX) for path in self.lessons.glob(f"*{SUFFIX}"))

    def take(self, session: Session, frame: int) -> str:
        """Add a frame with its spots as they are now; see `School.take`."""
        movie = session.stored.movie
        if movie is None or "exosome" not in movie.roles or not movie.acquired(frame, "exosome"):
            why = session.stored.problem or f"there is no exosome image in frame {frame}"
            raise InputError(f"an image of the exosome channel is needed to teach: {why}")
        detector = prepared_detector(movie, session.stored.settings)
        own = session.spots[session.spots["frame"] == frame]
        places = own[["y_px", "x_px"]].to_numpy(dtype=np.float64)
        table = examples_of(detector.evidence(movie.image(frame, "exosome")), places)
        if not len(table):
            raise InputError(f"frame {frame} shows no peak of light to learn from; choose another frame")
        name = f"{session.stored.name}_t{frame:05d}"
        write_examples(table, make_folder(self.lessons) / f"{name}{SUFFIX}")
        return name

    def usual_steps(self, session: Session) -> int:
        """Return 1: the best fit is found at once."""
        return 1

    def train(
        self,
        session: Session,
        *,
        steps: int | None = None,
        device: str = "auto",
        progress: Progress = silent,
    ) -> Lesson:
        """Fit from the present model on; see `School.train`."""
        names = self.names()
        self.enough(len(names), "taught frames")
        settings = session.stored.settings.exosomes
        present = None if settings.weights is None else Path(settings.weights)
        examples = read_examples(self.lessons, progress=progress)
        weights = train_spots(make_folder(self.folder / TRIAL), examples, start=present)
        before, after = (
            evaluate_spots(examples, path, min_probability=settings.min_probability)
            for path in (present, weights)
        )
        kept_back = len(held_out(names))
        return Lesson(weights, before, after, len(names) - kept_back, kept_back)

    def changes(self, weights: Path) -> Changes:
        """Return the settings that use the model."""
        return {"exosomes": {"weights": str(weights)}}
