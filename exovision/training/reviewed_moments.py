"""Moments whose fate a person looked at in finished results: examples from real movies."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from exovision.curation.annotations import FILE, Annotation, read_annotations
from exovision.curation.events import AFTER_FRAMES, ENDINGS, place_of
from exovision.curation.labels import EditedLabels
from exovision.curation.tracks import corrected_spots
from exovision.errors import InputError
from exovision.events.patches import Moment
from exovision.events.weighing import REST, SPECIAL
from exovision.io.results import open_result
from exovision.pipeline import reanalyse
from exovision.progress import Progress, silent
from exovision.records import Given
from exovision.training.event_examples import EventExamples, join
from exovision.training.movie_moments import Recorder

GROUP = "reviewed"


def reviewed_moments(folders: Sequence[Path], progress: Progress = silent) -> EventExamples:
    """Return the moments whose ends were accepted, relabelled or denied, of finished movies.

    Parameters
    ----------
    folders : sequence of Path
        One movie's folder each (see `exovision.io.results.movie_folders`); those without annotations from the
        plugin are passed over.
    progress : Progress
        Called after every movie; may raise `Cancelled`.

    Returns
    -------
    EventExamples
        `groups` are named reviewed_0, reviewed_1, …: events in order.

    Raises
    ------
    InputError
        If nothing was reviewed, or a movie that was can no longer be opened.
    """
    found: list[EventExamples] = []
    for done, folder in enumerate(folders, start=1):
        if (folder / FILE).exists():
            found.append(_of_movie(folder, first=sum(map(len, found))))
        progress("reading reviewed events", done, len(folders))
    if not sum(map(len, found)):
        raise InputError(
            "events that a person accepted or relabelled are needed to learn from, there are none; review "
            "the ends of dockings in the plugin first"
        )
    return join(found)


def _of_movie(folder: Path, *, first: int) -> EventExamples:
    stored = open_result(folder)
    if stored.movie is None:
        raise InputError(f"{folder}: the movie is needed to learn from it: {stored.problem}")
    annotations = read_annotations(folder / FILE, n_spots=len(stored.spots))
    spots = corrected_spots(stored.spots, annotations)
    labels, recorder = EditedLabels(stored.labels), Recorder()
    labels.repaint(annotations)
    given = Given(
        labels=labels,
        every_frame=stored.settings.cells.segmenter == "labels",
        spots=spots.reset_index(drop=True),
        witness=recorder,
    )
    reanalyse(stored.movie, stored.settings, given, device="cpu")
    classes = np.full(len(recorder.moments), "", dtype="<U16")
    for annotation in annotations:
        place = place_of(spots, annotation)
        name = _class_of(annotation)
        if place is not None and name:
            classes[_meant(recorder.moments, *place, whole=_denies(annotation))] = name
    groups = np.array([f"{GROUP}_{first + k}" for k in np.cumsum(classes != "") - 1], dtype=np.str_)
    return replace(recorder.examples(classes, GROUP), groups=groups).chosen(classes != "")


def says_fate(annotation: Annotation) -> bool:
    """Return whether an annotation says how a docking ended, or that there was none."""
    return bool(_class_of(annotation))


def _class_of(annotation: Annotation) -> str:
    """Return the class that an annotation gives, empty if it says nothing of a fate."""
    values = annotation.values
    if _denies(annotation):
        return REST
    ended = values.get("ending") or (ENDINGS.get(values["kind"]) if annotation.action == "review" else None)
    return "" if ended is None else ended if ended in SPECIAL else REST


def _denies(annotation: Annotation) -> bool:
    return annotation.action == "rule" and not annotation.values["holds"]


def _meant(
    moments: Sequence[Moment], exosome_id: int, first: int, last: int, *, whole: bool
) -> NDArray[np.int64]:
    """Return the moment nearest to the end of an interval of an exosome, or all in the whole of it."""
    own = [i for i, moment in enumerate(moments) if moment.track.exosome_id == exosome_id]
    if whole:
        return np.array([i for i in own if first <= moments[i].last and moments[i].first <= last], dtype=int)
    own = [i for i in own if abs(moments[i].last - last) <= AFTER_FRAMES]
    return np.array(sorted(own, key=lambda i: abs(moments[i].last - last))[:1], dtype=int)
