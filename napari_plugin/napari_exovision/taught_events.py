"""What fusion looks like, taught by events whose ends were reviewed; no Qt."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from exovision.errors import InputError
from exovision.events.examples import NUMBERS
from exovision.events.weighing import CLASSES
from exovision.files import write_text
from exovision.io.folders import make_folder
from exovision.nets.fate_judge import FateJudge
from exovision.nets.shipped import weights_file
from exovision.progress import Progress, silent
from exovision.training.event_evaluation import agreement
from exovision.training.events import KEPT_APART, from_reviews, kept_apart, train_events
from exovision.training.reviewed_moments import reviewed_moments, says_fate
from napari_exovision.session import Session
from napari_exovision.teaching import TRIAL, Changes, Lesson, School

SUFFIX = ".txt"


class EventSchool(School):
    """Teaches the network that weighs the fates of docked exosomes; a lesson names a movie of the results."""

    subject = "events"
    hint = (
        "Accept or relabel the ends of dockings in Events and cells > Events, or delete dockings that are "
        "none, then add the movie: what you review in it later counts as well."
    )
    add = "Add this movie's reviewed events"
    figures = {  # noqa: RUF012 (declared as a class variable in the base)
        "right": "likeliest fate right",
        "probability": "probability of the right fate",
        "moments": "events judged",
    }

    def names(self) -> list[str]:
        """Return the names of the movies whose events are learned from."""
        return sorted(path.stem for path in self.lessons.glob(f"*{SUFFIX}"))

    def take(self, session: Session, frame: int) -> str:
        """Add the movie; see `School.take`. The frame does not matter."""
        if session.stored.movie is None:
            raise InputError(f"the movie is needed to teach: {session.stored.problem}")
        if not any(says_fate(annotation) for annotation in session.annotations):
            raise InputError(
                "events that a person accepted or relabelled are needed to teach; review the ends of "
                "dockings in Events and cells > Events"
            )
        name = session.stored.folder.name
        write_text("reviewed events are learned from\n", make_folder(self.lessons) / f"{name}{SUFFIX}")
        return name

    def usual_steps(self, session: Session) -> int:
        """Return how many batches a training has unless more are wanted."""
        return from_reviews(weights_file(session.stored.settings.events)).steps

    def train(
        self,
        session: Session,
        *,
        steps: int | None = None,
        device: str = "auto",
        progress: Progress = silent,
    ) -> Lesson:
        """Go on from the present weights; see `School.train`. Every sixth event is held out."""
        results = self.folder.parent.parent
        reviewed = reviewed_moments([results / name for name in self.names()], progress)
        self.enough(len(reviewed), "reviewed events", least=KEPT_APART)
        settings = session.stored.settings.events
        present = weights_file(settings)
        training = from_reviews(present)
        training = training if steps is None else replace(training, steps=steps)
        trial = make_folder(self.folder / TRIAL)
        weights = train_events(trial, reviewed=reviewed, training=training, device=device, progress=progress)
        aside = reviewed.chosen(kept_apart(reviewed))
        before, after = (
            agreement(_judge(path, device), aside, fusion_prior=settings.fusion_prior)
            for path in (present, weights)
        )
        return Lesson(weights, before, after, len(reviewed) - len(aside), len(aside))

    def changes(self, weights: Path) -> Changes:
        """Return the settings that use the weights."""
        return {"events": {"weights": str(weights), "network": "embedded"}}


def _judge(weights: Path, device: str) -> FateJudge:
    return FateJudge(weights, numbers=NUMBERS, classes=CLASSES, device=device)
