"""The Teach panel: corrections become lessons for what finds and judges, compared on what was held out."""

from __future__ import annotations

from typing import Any

from qtpy.QtWidgets import (
    QComboBox,
    QFormLayout,
    QGroupBox,
    QHBoxLayout,
    QHeaderView,
    QLabel,
    QListWidget,
    QProgressBar,
    QSpinBox,
    QTableWidget,
    QTableWidgetItem,
    QVBoxLayout,
)

from exovision.errors import InputError
from napari_exovision.panel import Panel, button
from napari_exovision.say import complaining, say
from napari_exovision.schools import SCHOOLS
from napari_exovision.teaching import Lesson, School
from napari_exovision.work import Task

MOST_STEPS = 100_000


class TeachPanel(Panel):
    """Teach what finds cells and spots and what judges cells.

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
        self.subject, self.hint, self.pictures = QComboBox(), QLabel(), QListWidget()
        self.subject.addItems(list(SCHOOLS))
        self.hint.setWordWrap(True)
        self.status, self.bar = QLabel(), QProgressBar()
        self.status.setWordWrap(True)
        self.bar.setVisible(False)
        self.steps = QSpinBox()
        self.steps.setRange(1, MOST_STEPS)
        self.add_button = button("", self.take, "as corrected now; an earlier version is replaced")
        self.train_button = button("Train", self.train, "in the background, from the present weights on")
        self.stop_button = button("Stop", self.stop)
        self.keep_button = button("Keep the new weights", self.keep, "the Analyse panel then uses them")
        self.discard_button = button("Discard them", self.discard)
        self.figures = QTableWidget(0, 2)
        self.figures.setHorizontalHeaderLabels(["before", "after"])
        self.figures.horizontalHeader().setSectionResizeMode(QHeaderView.ResizeMode.Stretch)
        self.figures.setMaximumHeight(160)
        column = QVBoxLayout(self)
        for box in (self._lessons_box(), self._training_box()):
            column.addWidget(box)
        column.addStretch(1)
        self.setMinimumWidth(360)
        self.subject.currentTextChanged.connect(lambda _: self._chosen())
        self._chosen()

    def _lessons_box(self) -> QGroupBox:
        box = QGroupBox("What to learn from")
        form = QFormLayout(box)
        form.addRow("teach", self.subject)
        form.addRow(self.hint)
        form.addRow(self.add_button)
        form.addRow(self.pictures)
        form.addRow(button("Remove the chosen one", self.drop))
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
        form.addRow(QLabel("on what training never saw:"))
        form.addRow(self.figures)
        return box

    def _opened(self, session: Any) -> None:
        if self.lesson is None:
            self._chosen()
        else:
            self._list()

    def _chosen(self) -> None:
        """Show what is needed to teach the chosen subject, and what was gathered for it."""
        with complaining():
            self.discard()
        kind = SCHOOLS[self.subject.currentText()]
        self.hint.setText(kind.hint)
        self.add_button.setText(kind.add)
        self.figures.setRowCount(len(kind.figures))
        self.figures.setVerticalHeaderLabels(list(kind.figures.values()))
        self.status.clear()
        self._list()
        if self.hub.session is not None:
            with complaining():
                self.steps.setValue(self.school().usual_steps(self.hub.session))

    def school(self) -> School:
        """Return the school of the chosen subject; raises `InputError` if no analysis is under review."""
        return SCHOOLS[self.subject.currentText()].beside(self.session())

    def _list(self) -> None:
        self.pictures.clear()
        if self.hub.session is not None:
            self.pictures.addItems(self.school().names())

    def take(self) -> None:
        """Add the frame that is shown, or the cells that were corrected."""
        session, display = self.session(), self.hub.display
        session.take_painting()
        name = self.school().take(session, display.frame() if display is not None else 0)
        self._list()
        say(f"{name} added")

    def drop(self) -> None:
        """Remove the chosen example."""
        chosen = self.pictures.currentItem()
        if chosen is None:
            raise InputError("an example is needed; choose one in the list")
        self.school().drop(chosen.text())
        self._list()

    def train(self) -> None:
        """Train in the background and compare before and after."""
        session, school, steps = self.session(), self.school(), self.steps.value()
        self.discard()
        self.task = Task(
            self.hub,
            f"teaching {school.subject}",
            lambda progress: school.train(session, steps=steps, progress=progress),
            self._trained,
            step=self._on_step,
            ended=self._on_end,
        )
        self._set_state()

    def _trained(self, lesson: Lesson) -> None:
        self.lesson = lesson
        for column, figures in enumerate((lesson.before, lesson.after)):
            for line, name in enumerate(self.school().figures):
                self.figures.setItem(line, column, QTableWidgetItem(f"{figures[name]:.3f}"))
        self.status.setText(
            f"learned from: {lesson.learned}; held out to judge: {lesson.held_out}; keep or discard"
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
        school = self.school()
        path = school.keep(self.lesson)
        self.lesson = None
        self.hub.weights.emit(school.changes(path))
        stages = ", ".join(school.changes(path))
        self.status.setText(f"kept: {path}; the Analyse panel uses them in the settings of {stages}")
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
        self.subject.setEnabled(not busy)
        self.steps.setEnabled(SCHOOLS[self.subject.currentText()].learns_in_steps and not busy)
        self.train_button.setEnabled(not busy)
        self.stop_button.setEnabled(busy)
        self.keep_button.setEnabled(self.lesson is not None and not busy)
        self.discard_button.setEnabled(self.lesson is not None and not busy)
