"""The browser's page of cells: fates as a table, the lifeline of one, its states put right, keys to go on."""

from __future__ import annotations

from typing import Any

from qtpy.QtCore import Qt
from qtpy.QtWidgets import (
    QComboBox,
    QGridLayout,
    QHBoxLayout,
    QLabel,
    QSpinBox,
    QSplitter,
    QVBoxLayout,
    QWidget,
)

from exovision import schema
from exovision.curation.states import STATES, accept_life, rule_state
from exovision.errors import InputError
from napari_exovision.painter import Painter, PictureLabel
from napari_exovision.panel import Panel, button
from napari_exovision.pictures import lifeline_picture
from napari_exovision.say import say
from napari_exovision.table import FATE_COLUMNS, UNREVIEWED, Browsable, FateFilter, reviewed
from napari_exovision.table_model import TableModel
from napari_exovision.table_view import TableView
from napari_exovision.work import correct

ALL = "all"
EXITS = ("died", "divided", "left_field", "track_lost", "movie_end")
LARGEST = 10**9


class CellsPage(QWidget):
    """Browse the cells of an analysis and correct their states.

    Parameters
    ----------
    panel : Panel
        The browser that the page is part of.
    filter_events : callable
        Shows the events of one cell, by its id.
    undo : callable
        Takes the last correction back.
    """

    def __init__(self, panel: Panel, filter_events: Any, undo: Any) -> None:
        super().__init__()
        self.panel, self.hub = panel, panel.hub
        self._filter_events, self._undo = filter_events, undo
        self.fates = TableModel(Browsable(_no_fates(), FATE_COLUMNS))
        self.painter = Painter(self._show_life, panel)
        panel.ties.at_end(self.painter.pool.stop)
        self._quiet = False
        self._layout()

    def _layout(self) -> None:
        self.table = TableView(self.fates)
        self.table.on_row = self.visit
        self.table.keys = {
            "A": self.accept,
            "N": self.next_unreviewed,
            "Ctrl+Z": self._undo,
            **{str(i): _calling(self.set_state, state) for i, state in enumerate(STATES, start=1)},
        }
        self.counts, self.life = QLabel(), PictureLabel("choose a cell")
        below = QWidget()
        lower = QVBoxLayout(below)
        lower.setContentsMargins(0, 0, 0, 0)
        for part in (self._keys(), self._span(), self._states()):
            lower.addLayout(part)
        lower.addWidget(self.life, 1)
        split = QSplitter(Qt.Orientation.Vertical)
        split.addWidget(self.table)
        split.addWidget(below)
        split.setSizes([220, 440])
        column = QVBoxLayout(self)
        column.addLayout(self._filters())
        column.addWidget(self.counts)
        column.addWidget(split, 1)

    def _filters(self) -> QHBoxLayout:
        self.exit, self.review, self.mode = QComboBox(), QComboBox(), QComboBox()
        self.exit.addItems([ALL, *EXITS])
        self.review.addItems([ALL, UNREVIEWED, "accepted", "corrected"])
        self.mode.addItems([ALL, "apoptotic", "lytic", "unresolved"])
        row = QHBoxLayout()
        for name, box in (("exit", self.exit), ("death", self.mode), ("review", self.review)):
            row.addWidget(QLabel(name))
            row.addWidget(box, 1)
            box.currentTextChanged.connect(lambda _: self.apply_filter())
        return row

    def _keys(self) -> QHBoxLayout:
        row = QHBoxLayout()
        for made in (
            button("Accept (A)", self.accept, "the fate and the states of the cell are right"),
            button("Next (N)", self.next_unreviewed, "the next cell that nobody looked at"),
            button("Undo (Ctrl+Z)", self._undo),
            button("Its events", self.show_events, "show only the events of this cell"),
        ):
            row.addWidget(made)
        return row

    def _span(self) -> QHBoxLayout:
        self.first, self.last = QSpinBox(), QSpinBox()
        row = QHBoxLayout()
        for name, box in (("from frame", self.first), ("to", self.last)):
            box.setRange(0, LARGEST)
            row.addWidget(QLabel(name))
            row.addWidget(box, 1)
            row.addWidget(button("this", _calling(self._take_frame, box), "the frame that is shown"))
        row.addWidget(QLabel("the cell is"))
        return row

    def _states(self) -> QGridLayout:
        grid = QGridLayout()
        for number, state in enumerate(STATES):
            made = button(f"{state.replace('_', ' ')} ({number + 1})", _calling(self.set_state, state))
            grid.addWidget(made, number // 3, number % 3)
        return grid

    # What is shown

    def refresh(self) -> None:
        """Show the session's cells as they are now; the chosen cell stays chosen."""
        session, chosen = self.hub.session, self.chosen()
        table = _no_fates() if session is None else reviewed(session.fates, session.fate_reviews)
        content = Browsable(table, FATE_COLUMNS)
        if self.fates.content.order is not None:
            column, descending = self.fates.content.order
            content.sort(column, descending=descending)
        self.fates.put(content)
        self.apply_filter()
        if session is None:
            self.life.show_picture(None, "choose a cell")
        elif chosen is not None:
            # The viewer must not jump back when a recount ends.
            self._quiet = True
            self.choose(int(chosen["cell_id"]))
            self._quiet = False

    def apply_filter(self) -> None:
        """Show the cells that pass the filter, and count them."""
        wanted = FateFilter(*(_wanted(box) for box in (self.exit, self.mode, self.review)))
        content = self.fates.content
        self.fates.rearrange(lambda: content.show(wanted.mask(content.table)))
        exits = ", ".join(f"{name.replace('_', ' ')} {n}" for name, n in content.counts("exit").items())
        seen = sum(count for name, count in content.counts("review").items() if name)
        shown = f"{len(content)} of {len(content.table)} cells"
        self.counts.setText(f"{shown}: {exits or 'none'}; reviewed {seen}")

    def chosen(self) -> dict[str, Any] | None:
        """Return the fate of the chosen cell, None if there is none."""
        row = self.table.currentIndex().row()
        return self.fates.content.record(row) if 0 <= row < len(self.fates.content) else None

    def choose(self, cell_id: int) -> None:
        """Choose a cell, if it is shown."""
        self._choose_row(self.fates.content.find("cell_id", cell_id))

    def _choose_row(self, row: int | None) -> None:
        if row is not None:
            before = self.table.currentIndex().row()
            self.table.setCurrentIndex(self.fates.index(row, 0))
            self.table.scrollTo(self.fates.index(row, 0))
            if before == row:
                self.visit()

    def visit(self) -> None:
        """Show the chosen cell in the viewer, and its lifeline."""
        session, fate = self.hub.session, self.chosen()
        if session is None or fate is None:
            return
        cell_id = int(fate["cell_id"])
        self.painter.ask(lambda: lifeline_picture(session, cell_id))
        if self._quiet:
            return
        self.first.setValue(int(fate["first_frame"]))
        self.last.setValue(int(fate["last_frame"]))
        first = session.cells[session.cells["cell_id"] == cell_id].head(1)
        if len(first) and self.hub.display is not None:
            at = first.iloc[0]
            self.hub.display.go_to(int(at["frame"]), float(at["y_um"]), float(at["x_um"]))

    def _show_life(self, pixels: Any) -> None:
        self.life.show_picture(pixels)

    def _take_frame(self, box: QSpinBox) -> None:
        box.setValue(self.hub.display.frame() if self.hub.display is not None else 0)

    # Corrections

    def _cell(self) -> int:
        fate = self.chosen()
        if fate is None:
            raise InputError("a cell is needed; choose one in the table of cells")
        return int(fate["cell_id"])

    def show_events(self) -> None:
        """Show only the events of the chosen cell."""
        self._filter_events(self._cell())

    def set_state(self, state: str) -> None:
        """Say what the chosen cell is in the frames given."""
        session, cell_id = self.panel.session(), self._cell()
        span = self.first.value(), self.last.value()
        correct(self.hub, rule_state(session.fates, session.annotations, cell_id, state, *span))

    def accept(self) -> None:
        """Say that the chosen cell's fate is right, and go to the next that nobody looked at."""
        self.panel.session()
        row = self.table.currentIndex().row()
        correct(self.hub, accept_life(self._cell()))
        self._go_on(row)

    def next_unreviewed(self) -> None:
        """Go to the next cell that nobody looked at."""
        self._go_on(self.table.currentIndex().row())

    def _go_on(self, after: int) -> None:
        content = self.fates.content
        row = content.next_where((content.table["review"] == "").to_numpy(dtype=bool), after)
        if row is None:
            say("every cell shown was looked at")
        self._choose_row(row)


def _no_fates() -> Any:
    return schema.empty(schema.FATES).assign(review="")


def _wanted(box: QComboBox) -> str:
    return "" if box.currentText() == ALL else box.currentText()


def _calling(function: Any, *arguments: Any) -> Any:
    return lambda: function(*arguments)
