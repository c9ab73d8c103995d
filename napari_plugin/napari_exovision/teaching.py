"""What is taught from corrections: gathered, learned from, compared on what was held out; no Qt."""

from __future__ import annotations

import shutil
from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, ClassVar

from exovision.errors import InputError
from exovision.io.folders import make_folder
from exovision.progress import Progress, silent
from napari_exovision.session import Session

LESSONS, TRIAL, KEPT = "lessons", "trial", "weights"
LEAST = 2
"""Lessons, at least: one to learn from and one to judge by."""
Changes = Mapping[str, Mapping[str, Any]]


@dataclass(frozen=True)
class Lesson:
    """What training brought.

    Attributes
    ----------
    weights : Path
        Of the trial; not used until they are kept.
    before, after : mapping of str to float
        Held-out figures of the present model and of the new one.
    learned, held_out : int
        How many examples were learned from, and how many judged both.
    """

    weights: Path
    before: Mapping[str, float]
    after: Mapping[str, float]
    learned: int
    held_out: int


class School(ABC):
    """The folder of examples and weights of one thing to teach, shared by all movies of a results folder.

    Parameters
    ----------
    folder : Path

    Attributes
    ----------
    subject : str
        What is taught.
    hint : str
        What a person does before adding.
    add : str
        What one addition is.
    figures : mapping of str to str
        The figures of a lesson and what they are called.
    learns_in_steps : bool
        Whether the number of batches can be chosen.
    """

    subject: ClassVar[str]
    hint: ClassVar[str]
    add: ClassVar[str]
    figures: ClassVar[Mapping[str, str]]
    learns_in_steps: ClassVar[bool] = True

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    @classmethod
    def beside(cls, session: Session) -> School:
        """Return the school of a results folder."""
        return cls(session.stored.folder.parent / "teaching" / cls.subject)

    @property
    def lessons(self) -> Path:
        """The folder of examples."""
        return self.folder / LESSONS

    @staticmethod
    def enough(count: int, what: str, least: int = LEAST) -> None:
        """Check that there are examples to learn from and to judge by.

        Raises
        ------
        InputError
            If there are fewer than `least`.
        """
        if count < least:
            raise InputError(f"at least {least} {what} are needed to teach, got {count}; add some")

    @abstractmethod
    def names(self) -> list[str]:
        """Return the names of the examples gathered so far."""

    @abstractmethod
    def take(self, session: Session, frame: int) -> str:
        """Add what was corrected; an earlier version of it is replaced.

        Parameters
        ----------
        session : Session
        frame : int
            The one shown; counts where frames are taught.

        Returns
        -------
        str
            The example's name.

        Raises
        ------
        InputError
            If there is nothing to learn from.
        OutputError
            If the folder cannot be written to.
        """

    @abstractmethod
    def usual_steps(self, session: Session) -> int:
        """Return how many batches a training has unless more are wanted."""

    @abstractmethod
    def train(
        self,
        session: Session,
        *,
        steps: int | None = None,
        device: str = "auto",
        progress: Progress = silent,
    ) -> Lesson:
        """Go on from the present model with the examples, and judge both on those held out.

        Parameters
        ----------
        session : Session
            Its settings name the present model.
        steps : int, optional
            Batches to learn from.
        device : str
        progress : Progress

        Raises
        ------
        InputError
            If there are too few examples.
        """

    @abstractmethod
    def changes(self, weights: Path) -> Changes:
        """Return the settings, by stage, that use the weights."""

    def drop(self, name: str) -> None:
        """Remove an example."""
        for path in self.lessons.glob(f"{name}*"):
            if path.name.removeprefix(name) in (".tif", ".npz", ".txt", "_labels.tif", "_spots.csv"):
                path.unlink()

    def keep(self, lesson: Lesson) -> Path:
        """Keep the weights of a trial under a name of their own.

        Raises
        ------
        OutputError
            If the folder cannot be written to.
        """
        kept = make_folder(self.folder / KEPT)
        stamp = datetime.now(UTC).strftime("%Y%m%d-%H%M%S")
        for path in self._files(lesson.weights):
            shutil.copyfile(path, kept / f"{self.subject}_{stamp}{path.suffix}")
        self.discard(lesson)
        return kept / f"{self.subject}_{stamp}{lesson.weights.suffix}"

    def discard(self, lesson: Lesson) -> None:
        """Remove the weights of a trial."""
        for path in self._files(lesson.weights):
            path.unlink(missing_ok=True)

    @staticmethod
    def _files(weights: Path) -> set[Path]:
        return {weights, weights.with_suffix(".json")}
