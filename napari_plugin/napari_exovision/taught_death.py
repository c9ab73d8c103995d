"""What dying cells look like, taught by cells whose states were put right; no Qt."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from exovision.curation.states import state_rulings
from exovision.death.crops import BODIES, Sizes, cut, typical_sizes
from exovision.errors import InputError
from exovision.io.folders import make_folder
from exovision.nets.cell_judge import CellJudge
from exovision.nets.shipped import weights_file
from exovision.progress import Progress, silent
from exovision.records import Movie
from exovision.training.death import from_corrections, train_death, unseen
from exovision.training.death_evaluation import agreement
from exovision.training.labelled_crops import LabelledCrops, join, read_labelled, write_labelled
from exovision.training.simulated_crops import STATES
from napari_exovision.session import Session
from napari_exovision.teaching import TRIAL, Changes, Lesson, School

MOST_FRAMES = 40
"""Of one state of one cell; more look alike."""


class DeathSchool(School):
    """Teaches the network that judges what cells look like."""

    subject = "death"
    hint = (
        "Say what some cells are along their lifelines (Events and cells > Cells), then add them: every cell "
        "with a state of yours, in the frames that you named."
    )
    add = "Add the corrected cells of this movie"
    figures = {  # noqa: RUF012 (declared as a class variable in the base)
        "right": "likeliest state right",
        "probability": "probability of the right state",
        "crops": "cells and frames judged",
    }

    def names(self) -> list[str]:
        """Return the names of the movies whose cells were gathered."""
        return sorted(path.stem for path in self.lessons.glob("*.npz"))

    def take(self, session: Session, frame: int) -> str:
        """Add all cells with states decided by a person; see `School.take`. The frame does not matter."""
        movie = session.stored.movie
        if movie is None or not set(BODIES) & set(movie.roles):
            why = session.stored.problem or "there is no channel of cells or nuclei"
            raise InputError(f"images of the cells are needed to teach: {why}")
        wanted = _wanted(session)
        if not wanted:
            raise InputError(
                "cells with states decided by a person are needed to teach; say what some are in Events and "
                "cells > Cells"
            )
        crops = _cut_all(session, movie, wanted)
        name = session.stored.name
        write_labelled(crops, make_folder(self.lessons) / f"{name}.npz")
        return name

    def usual_steps(self, session: Session) -> int:
        """Return how many batches a training has unless more are wanted."""
        return from_corrections(weights_file(session.stored.settings.death)).steps

    def train(
        self,
        session: Session,
        *,
        steps: int | None = None,
        device: str = "auto",
        progress: Progress = silent,
    ) -> Lesson:
        """Go on from the present weights; see `School.train`. Whole cells are held out, one in five."""
        if not self.names():
            self.enough(0, "cells")
        crops = read_labelled(self.lessons)
        cells = np.unique(crops.movies).size
        self.enough(cells, "cells")
        present = weights_file(session.stored.settings.death)
        training = from_corrections(present)
        training = training if steps is None else replace(training, steps=steps)
        aside = crops.chosen(unseen(crops))
        before = _judged(present, aside, device)
        trial = make_folder(self.folder / TRIAL)
        weights = train_death(trial, data=self.lessons, training=training, device=device, progress=progress)
        after = _judged(weights, aside, device)
        kept_back = int(np.unique(aside.movies).size)
        return Lesson(weights, before, after, cells - kept_back, kept_back)

    def changes(self, weights: Path) -> Changes:
        """Return the settings that use the weights."""
        return {"death": {"weights": str(weights), "morphology": "embedded"}}


def _judged(weights: Path, crops: LabelledCrops, device: str) -> dict[str, float]:
    judge = CellJudge(weights, device=device)
    return agreement(judge.judge(crops.crops.astype(np.float32)), crops.labels)


def _wanted(session: Session) -> dict[int, dict[int, str]]:
    """Return by frame which cells a person decided on, and what they then look like."""
    wanted: dict[int, dict[int, str]] = {}
    for ruling in state_rulings(session.annotations):
        frames = np.arange(ruling.first_frame, min(ruling.last_frame + 1, len(session.labels)))
        picked = np.unique(np.linspace(0, len(frames) - 1, min(len(frames), MOST_FRAMES)).round().astype(int))
        for frame in frames[picked].tolist():
            wanted.setdefault(frame, {})[ruling.cell_id] = STATES[ruling.state]
    return wanted


def _cut_all(session: Session, movie: Movie, wanted: dict[int, dict[int, str]]) -> LabelledCrops:
    sizes, sets = _sizes(session, movie), []
    for frame, states in sorted(wanted.items()):
        labels = session.labels[frame]
        chosen = np.where(np.isin(labels, list(states)), labels, 0).astype(np.int32)
        if sizes is None or not chosen.any():
            continue
        ids, crops = cut(chosen, _images(movie, frame), sizes=sizes)
        named = [f"{session.stored.name} cell {cell}" for cell in ids.tolist()]
        told = [states[cell] for cell in ids.tolist()]
        sets.append(LabelledCrops(crops.astype(np.float16), np.array(told), np.array(named)))
    if not sets:
        raise InputError("the corrected cells are in none of their frames; correct cells that are there")
    return join(sets)


def _images(movie: Movie, frame: int) -> dict[str, NDArray[np.float32]]:
    return {role: movie.image(frame, role) for role in movie.roles if movie.acquired(frame, role)}


def _sizes(session: Session, movie: Movie) -> Sizes | None:
    """Return the scale that an analysis uses: that of the first frame with cells."""
    labelled = "nucleus" if movie.cell_role == "nucleus" else "cell"
    for frame in range(movie.n_frames):
        labels = session.labels[frame]
        if labels.any():
            return typical_sizes(labels, _images(movie, frame).get("nucleus"), labelled=labelled)
    return None
