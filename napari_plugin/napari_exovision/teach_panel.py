"""The Teach panel: corrected frames become lessons for the cell network, judged on frames held out."""

from __future__ import annotations

from typing import Any

from qtpy.QtWidgets import (
    QFormLayout,
    QGroupBox,
    QHBoxLayout,
    QLabel,
    QListWidget,
    QProgressBar,
    QSpinBox,
    QTableWidget,
    QTableWidgetItem,
    QVBoxLayout,
)

from exovision.errors import InputError
from exovision.nets.shipped import cell_weights
from exovision.training.cells import from_corrections
from napari_exovision.panel import Panel, button
from napari_exovision.say import complaining, say
from napari_exovision.teaching import Lesson, School
from napari_exovision.work import Task

FIGURES = {
    "ap50": "AP at IoU .5",
    "ap75": "AP at IoU .75",
    "ap90": "AP at IoU .9",
    "boundary_px": "outline, px",
}
MOST_STEPS = 100_000


class TeachPanel(Panel):
    """Teach the cell network.

    Parameters
    ----------
    napari_viewer : Viewer
    """

    def __init__(self, napari_viewer: Any) -> None:
        super().__init__(napari_viewer)
        self.task: Task[Lesson] | None = None
        self.lesson: Lesson | None = None
        self._layout()
        self.ties.connect(self.hub.opened, self._opened)
        self._opened(self.hub.session)

    def _layout(self) -> None:
        self.pictures, self.status, self.bar = QListWidget(), QLabel(), QProgressBar()
        self.status.setWordWrap(True)
        self.bar.setVisible(False)
        self.steps = QSpinBox()
        self.steps.setRange(1, MOST_STEPS)
        self.train_button = button("Train", self.train, "in the background, from the present weights on")
        self.stop_button = button("Stop", self.stop)
        self.keep_button = button("Keep the new weights", self.keep, "the Analyse panel then uses them")
        self.discard_button = button("Discard them", self.discard)
        self.figures = QTableWidget(len(FIGURES), 2)
        self.figures.setHorizontalHeaderLabels(["before", "after"])
        self.figures.setVerticalHeaderLabels(list(FIGURES.values()))
        self.figures.setMaximumHeight(160)
        column = QVBoxLayout(self)
        for box in (self._lessons_box(), self._training_box()):
            column.addWidget(box)
        column.addStretch(1)
        self.setMinimumWidth(360)
        self._set_state()

    def _lessons_box(self) -> QGroupBox:
        box = QGroupBox("Frames to learn from")
        form = QFormLayout(box)
        hint = QLabel("Correct the cells of a frame in the Correct panel, then add the frame.")
        hint.setWordWrap(True)
        form.addRow(hint)
        row = QHBoxLayout()
        row.addWidget(button("Add this frame", self.take, "with its cells as they are now"))
        row.addWidget(button("Remove the chosen one", self.drop))
        form.addRow(row)
        form.addRow(self.pictures)
        return box

    def _training_box(self) -> QGroupBox:
        box = QGroupBox("Training")
        form = QFormLayout(box)
        form.addRow("steps", self.steps)
        for parts in ((self.train_button, self.stop_button), (self.keep_button, self.discard_button)):
            row = QHBoxLayout()
            for part in parts:
                row.addWidget(part)
            form.addRow(row)
        form.addRow(self.bar)
        form.addRow(self.status)
        form.addRow(QLabel("on frames that training never saw:"))
        form.addRow(self.figures)
        return box

    def _opened(self, session: Any) -> None:
        self._list()
        if session is not None:
            with complaining():
                present = cell_weights(session.stored.settings.cells)
                self.steps.setValue(from_corrections(present).steps)

    def school(self) -> School:
        """Return the school of the analysis under review; raises `InputError` if there is none."""
        return School.beside(self.session())

    def _list(self) -> None:
        self.pictures.clear()
        if self.hub.session is not None:
            self.pictures.addItems(self.school().names())

    def take(self) -> None:
        """Add the frame that is shown."""
        session, display = self.session(), self.hub.display
        session.take_painting()
        name = self.school().take(session, display.frame() if display is not None else 0)
        self._list()
        say(f"{name} added")

    def drop(self) -> None:
        """Remove the chosen frame."""
        chosen = self.pictures.currentItem()
        if chosen is None:
            raise InputError("a frame is needed; choose one in the list")
        self.school().drop(chosen.text())
        self._list()

    def train(self) -> None:
        """Train in the background and compare before and after."""
        session, school, steps = self.session(), self.school(), self.steps.value()
        self.discard()
        self.task = Task(
            self.hub,
            "teaching cells",
            lambda progress: school.train(session, steps=steps, progress=progress),
            self._trained,
            step=self._on_step,
            ended=self._on_end,
        )
        self._set_state()

    def _trained(self, lesson: Lesson) -> None:
        self.lesson = lesson
        for column, figures in enumerate((lesson.before, lesson.after)):
            for line, name in enumerate(FIGURES):
                value = _mean(figures, name)
                self.figures.setItem(line, column, QTableWidgetItem(f"{value:.3f}"))
        self.status.setText(
            f"frames learned from: {lesson.learned}; held out to judge: {lesson.held_out}; keep or discard"
        )

    def stop(self) -> None:
        """Stop the training."""
        if self.task is not None:
            self.task.cancel()
            self.status.setText("stopping…")

    def keep(self) -> None:
        """Keep the new weights and use them from the next analysis on."""
        if self.lesson is None:
            raise InputError("new weights are needed to keep; train first")
        path = self.school().keep(self.lesson)
        self.lesson = None
        self.hub.weights.emit(str(path))
        self.status.setText(f"kept: {path}; the Analyse panel uses them in the setting cells > weights")
        self._set_state()

    def discard(self) -> None:
        """Forget the new weights."""
        if self.lesson is not None:
            self.school().discard(self.lesson)
            self.lesson = None
            self.status.setText("discarded; the weights in use are as before")
        self.figures.clearContents()
        self._set_state()

    def _on_step(self, stage: str, done: int, total: int) -> None:
        self.bar.setRange(0, max(total, 1))
        self.bar.setValue(done)
        self.status.setText(f"{stage}: {done} of {total}")

    def _on_end(self) -> None:
        stopped = self.task is not None and self.task.stopping
        self.task = None
        if not self.ties.hold:
            return
        if stopped:
            self.status.setText("stopped")
        self._set_state()

    def _set_state(self) -> None:
        busy = self.task is not None
        self.bar.setVisible(busy)
        self.train_button.setEnabled(not busy)
        self.stop_button.setEnabled(busy)
        self.keep_button.setEnabled(self.lesson is not None and not busy)
        self.discard_button.setEnabled(self.lesson is not None and not busy)


def _mean(figures: Any, name: str) -> float:
    """Return a figure over all sets, weighted by their pictures."""
    images = sum(values["images"] for values in figures.values())
    total = sum(values["images"] * values[name] for values in figures.values())
    return float(total / images) if images else float("nan")
