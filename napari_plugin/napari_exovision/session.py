"""One analysis under review: its tables, the corrections, and what both together give; no Qt."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pandas as pd
from psygnal import Signal

from exovision.curation.annotations import FILE, Annotation, read_annotations, write_annotations
from exovision.curation.events import review_states, rulings
from exovision.curation.labels import EditedLabels, changed_runs
from exovision.curation.states import fate_reviews, state_rulings
from exovision.curation.tracks import corrected_spots
from exovision.errors import InputError
from exovision.io.results import StoredResult, open_result
from exovision.pipeline import reanalyse
from exovision.progress import Progress, silent
from exovision.records import Given, Movie
from exovision.result import Result
from napari_exovision.lazy import LabelFrames

CORRECTED = "corrected"
"""The folder, inside the movie's, for tables recounted from corrections."""
PLACED = ("cell_id", "membrane_distance_um", "contour_um", "state")


@dataclass(frozen=True)
class Recount:
    """Tables recounted from corrections.

    Attributes
    ----------
    result : Result
    rows : Index
        The names of the rows of `result.spots`, as annotations use them.
    corrections : list of Annotation
        What went in.
    """

    result: Result
    rows: pd.Index[Any]
    corrections: list[Annotation]


class Session:
    """An analysis that a person looks through and corrects.

    Parameters
    ----------
    stored : StoredResult
    annotations : sequence of Annotation
        Made before.

    Attributes
    ----------
    changed : Signal
        Emitted after every correction, undo and recount.
    labels : EditedLabels
    array : LabelFrames
        The labels as napari shows and paints them.
    who : str
        Signs the annotations.
    """

    changed = Signal()

    def __init__(
        self, stored: StoredResult, annotations: Sequence[Annotation] = (), *, who: str = ""
    ) -> None:
        self.stored = stored
        self.annotations = list(annotations)
        self.who = who
        self.labels = EditedLabels(stored.labels)
        shape = stored.record["shape"]
        self.array = LabelFrames(self.labels, (int(shape["T"]), int(shape["Y"]), int(shape["X"])))
        self._steps = [1] * len(self.annotations)
        self._recount: Recount | None = None
        self._repaint()
        self._spots = self._corrected()

    @classmethod
    def open(cls, folder: Path, *, movie: Movie | None = None) -> Session:
        """Open a finished movie folder with the corrections made in it before.

        Raises
        ------
        InputError
            If the folder or its annotations are damaged.
        """
        stored = open_result(folder, movie=movie)
        return cls(stored, read_annotations(folder / FILE, n_spots=len(stored.spots)))

    @property
    def spots(self) -> pd.DataFrame:
        """Corrected spots; the index names the rows."""
        return self._spots

    @property
    def exosomes(self) -> pd.DataFrame:
        """A row per exosome, of the last count."""
        return self._tables.exosomes

    @property
    def events(self) -> pd.DataFrame:
        """A row per event, of the last count."""
        return self._tables.events

    @property
    def cells(self) -> pd.DataFrame:
        """A row per cell and frame, of the last count."""
        return self._tables.cells

    @property
    def fates(self) -> pd.DataFrame:
        """A row per cell, of the last count."""
        return self._tables.fates

    @property
    def summary(self) -> Mapping[str, Any]:
        """The summary of the last count."""
        return self._tables.summary

    @property
    def _tables(self) -> StoredResult | Result:
        return self.stored if self._recount is None else self._recount.result

    @property
    def stale(self) -> bool:
        """Whether corrections were made that the tables do not hold yet."""
        return self._corrections() != (self._recount.corrections if self._recount else [])

    @property
    def reviews(self) -> pd.Series[Any]:
        """For each event "accepted", "corrected" or ""."""
        return review_states(self.events, self.spots, self.annotations)

    @property
    def fate_reviews(self) -> pd.Series[Any]:
        """For each cell "accepted", "corrected" or ""."""
        return fate_reviews(self.fates, self.annotations)

    def add(self, *annotations: Annotation) -> None:
        """Take corrections as one step: show them, and write them to the folder.

        Raises
        ------
        OutputError
            If the folder cannot be written to; the corrections are then not taken.
        """
        signed = [replace(a, who=self.who or a.who) for a in annotations]
        self._write([*self.annotations, *signed])
        self.annotations += signed
        self._steps.append(len(signed))
        for annotation in signed:
            if annotation.action == "paint":
                self.labels.paint(annotation.values["frame"], annotation.values["runs"])
        self._after()

    def undo(self) -> bool:
        """Take back the last step; False if there is none.

        Raises
        ------
        OutputError
            If the folder cannot be written to.
        """
        if not self._steps:
            return False
        kept = self.annotations[: -self._steps[-1]]
        self._write(kept)
        self._steps.pop()
        self.annotations = kept
        if not self._corrections():
            self._recount = None
        self._repaint()
        self._after()
        return True

    def take_painting(self) -> bool:
        """Turn what was painted since the last call into annotations; False if nothing changed."""
        touched, self.array.touched = self.array.touched, {}
        painted = [
            Annotation("paint", {"frame": t, "runs": runs})
            for t, before in sorted(touched.items())
            if (runs := changed_runs(before, self.labels[t]))
        ]
        if painted:
            self.add(*painted)
        return bool(painted)

    def recount(self, *, device: str = "auto", progress: Progress = silent) -> Recount:
        """Recount all tables from the corrected cells, spots, tracks and events; does not change the session.

        Raises
        ------
        InputError
            If the movie is not there any more.
        """
        movie = self.stored.movie
        if movie is None:
            raise InputError(
                f"the movie is needed to recount the tables: {self.stored.problem}; the corrections are kept"
            )
        corrections = self._corrections()
        spots = corrected_spots(self.stored.spots, corrections)
        given = Given(
            labels=self.labels.copy(),
            every_frame=self.stored.settings.cells.segmenter == "labels",
            spots=spots,
            rulings=rulings(spots, corrections),
            states=state_rulings(corrections),
        )
        result = reanalyse(movie, self.stored.settings, given, device=device, progress=progress)
        kept = spots.index[spots["frame"].isin(result.spots["frame"].unique())]
        return Recount(result, kept, corrections)

    def adopt(self, recount: Recount) -> None:
        """Show recounted tables."""
        self._recount = recount
        self._after()

    def save_corrected(self) -> Path:
        """Write the recounted tables, with report, beside the original ones; returns the folder.

        Raises
        ------
        InputError
            If there are no corrections, or they are not recounted yet.
        OutputError
            If the folder cannot be written to.
        """
        if self._recount is None or self.stale:
            raise InputError("recounted tables are wanted to save; correct something and recount first")
        folder = self.stored.folder / CORRECTED
        self._recount.result.save(folder)
        return folder

    def _corrections(self) -> list[Annotation]:
        """Return the annotations that change tables."""
        return [annotation for annotation in self.annotations if annotation.changes_tables]

    def _write(self, annotations: Sequence[Annotation]) -> None:
        write_annotations(annotations, self.stored.folder / FILE, n_spots=len(self.stored.spots))

    def _after(self) -> None:
        self._spots = self._corrected()
        self.changed.emit()

    def _repaint(self) -> None:
        self.labels.repaint(self.annotations)
        self.array.touched.clear()

    def _corrected(self) -> pd.DataFrame:
        """Return the corrected spots with their places and states of the last recount."""
        table = corrected_spots(self.stored.spots, self.annotations)
        if self._recount is None:
            return table
        placed = self._recount.result.spots.set_axis(self._recount.rows)[list(PLACED)]
        rows = table.index.intersection(placed.index)
        for name in PLACED:
            table.loc[rows, name] = placed.loc[rows, name]
        return table
