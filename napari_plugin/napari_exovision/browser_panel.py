"""The browser: events and cells as tables, pictures of the chosen one, keys to accept, relabel and go on."""

from __future__ import annotations

from typing import Any

import pandas as pd
from qtpy.QtCore import Qt, QTimer
from qtpy.QtWidgets import (
    QComboBox,
    QDoubleSpinBox,
    QGridLayout,
    QHBoxLayout,
    QLabel,
    QLineEdit,
    QSplitter,
    QTabWidget,
    QVBoxLayout,
    QWidget,
)

from exovision import schema
from exovision.curation.events import ENDINGS, INTERVALS, accept_event, delete_event, relabel_event
from exovision.errors import InputError
from napari_exovision.cells_page import CellsPage
from napari_exovision.layers import EVENTS
from napari_exovision.painter import Painter, PictureLabel
from napari_exovision.panel import Panel, button
from napari_exovision.pictures import strip_picture
from napari_exovision.say import say
from napari_exovision.table import EVENT_COLUMNS, UNREVIEWED, Browsable, Filter, reviewed
from napari_exovision.table_model import TableModel
from napari_exovision.table_view import TableView
from napari_exovision.work import after_correction, correct

ALL = "all"
KINDS = (*INTERVALS, *ENDINGS)
"""The kinds of event that this version calls; number keys relabel in this order."""
DELAY_MS = 120


class BrowserPanel(Panel):
    """Browse the events and cells of an analysis.

    Parameters
    ----------
    napari_viewer : Viewer
    """

    def __init__(self, napari_viewer: Any) -> None:
        super().__init__(napari_viewer)
        self.events = TableModel(Browsable(_no_events(), EVENT_COLUMNS))
        self.painter = Painter(self._show_strip, self)
        self.ties.at_end(self.painter.pool.stop)
        self.cells = CellsPage(self, self.filter_cell, self.undo)
        self._layout()
        self._keys()
        self._later = QTimer(self)
        self._later.setSingleShot(True)
        self._later.setInterval(DELAY_MS)
        self._later.timeout.connect(self._visit)
        self._heard: Any = None
        self._quiet = False
        self.ties.connect(self.hub.opened, self._opened)
        self.ties.connect(self.hub.selected, self.choose)
        self._opened(self.hub.session)

    def _layout(self) -> None:
        self.counts = QLabel("no analysis yet: run one in the Analyse panel or open a results folder")
        self.counts.setWordWrap(True)
        self.kind, self.review = QComboBox(), QComboBox()
        self.kind.addItems([ALL, *KINDS])
        self.review.addItems([ALL, UNREVIEWED, "accepted", "corrected"])
        self.cell, self.exosome, self.least = QLineEdit(), QLineEdit(), QDoubleSpinBox()
        self.least.setRange(0, 1)
        self.least.setSingleStep(0.05)
        self.table = TableView(self.events)
        self.table.on_row = self._row_changed
        self.strip = PictureLabel("choose an event")
        self.tabs = QTabWidget()
        self.tabs.addTab(self._event_page(), "Events")
        self.tabs.addTab(self.cells, "Cells")
        column = QVBoxLayout(self)
        column.addWidget(self.tabs)
        self.setMinimumWidth(500)
        for change in (self.kind.currentTextChanged, self.review.currentTextChanged):
            change.connect(lambda _: self.apply_filter())
        for line in (self.cell, self.exosome):
            line.textChanged.connect(lambda _: self.apply_filter())
        self.least.valueChanged.connect(lambda _: self.apply_filter())

    def _event_page(self) -> QWidget:
        filters = QGridLayout()
        rows = (
            (("kind", self.kind), ("review", self.review)),
            (("cell", self.cell), ("exosome", self.exosome), ("probability from", self.least)),
        )
        for line, parts in enumerate(rows):
            row = QHBoxLayout()
            for name, part in parts:
                row.addWidget(QLabel(name))
                row.addWidget(part, 1)
            filters.addLayout(row, line, 0)
        keys = QHBoxLayout()
        for made in (
            button("Accept (A)", self.accept_event, "the event is right"),
            button("Next (N)", self.next_unreviewed, "the next event that nobody looked at"),
            button("Delete (Del)", self.delete_event, "there is no such event"),
            button("Undo (Ctrl+Z)", self.undo),
        ):
            keys.addWidget(made)
        labels = QGridLayout()
        for number, kind in enumerate(KINDS):
            name = f"Relabel {kind.replace('_', ' ')} ({number + 1})"
            labels.addWidget(button(name, _calling(self.relabel_event, kind)), number // 2, number % 2)
        page, below = QWidget(), QWidget()
        lower = QVBoxLayout(below)
        lower.setContentsMargins(0, 0, 0, 0)
        for row in (keys, labels):
            lower.addLayout(row)
        lower.addWidget(self.strip, 1)
        split = QSplitter(Qt.Orientation.Vertical)
        split.addWidget(self.table)
        split.addWidget(below)
        split.setSizes([300, 360])
        column = QVBoxLayout(page)
        column.addLayout(filters)
        column.addWidget(self.counts)
        column.addWidget(split, 1)
        return page

    def _keys(self) -> None:
        """Bind keys that work while the table has the focus."""
        self.table.keys = {
            "A": self.accept_event,
            "N": self.next_unreviewed,
            "Del": self.delete_event,
            "Ctrl+Z": self.undo,
            **{str(i): _calling(self.relabel_event, kind) for i, kind in enumerate(KINDS, start=1)},
        }

    # What is shown

    def _opened(self, session: Any) -> None:
        if self._heard is not None:
            self.ties.disconnect(self._heard.changed, self.refresh)
        self._heard = session
        if session is not None:
            self.ties.connect(session.changed, self.refresh)
        self._listen_to_layer()
        self.refresh()

    def _listen_to_layer(self) -> None:
        """Choose an event in the table when its mark is chosen in the viewer."""
        layer = self.hub.display.layer(EVENTS) if self.hub.display is not None else None
        if layer is not None:
            self.ties.connect(layer.selected_data.events.items_changed, self._mark_chosen)

    def _mark_chosen(self, *_: Any) -> None:
        layer = self.hub.display.layer(EVENTS) if self.hub.display is not None else None
        if layer is not None and len(layer.selected_data) == 1:
            self.choose(int(layer.features["event_id"].iloc[next(iter(layer.selected_data))]))

    def refresh(self) -> None:
        """Show the session's events and cells as they are now; the chosen event stays chosen."""
        session = self.hub.session
        chosen = self.chosen()
        table = _no_events() if session is None else reviewed(session.events, session.reviews)
        self.events.put(_sorted_as(self.events.content, Browsable(table, EVENT_COLUMNS)))
        self.cells.refresh()
        self.apply_filter()
        if session is None:
            self.strip.show_picture(None, "choose an event")
        elif chosen is not None:
            # The viewer must not jump back when a recount ends.
            self._quiet = True
            self._choose_like(chosen)
            self._quiet = False

    def apply_filter(self) -> None:
        """Show the events that pass the filter, and count them."""
        wanted = Filter(
            kind="" if self.kind.currentText() == ALL else self.kind.currentText(),
            review="" if self.review.currentText() == ALL else self.review.currentText(),
            cell_id=_whole(self.cell),
            exosome_id=_whole(self.exosome),
            least_probability=self.least.value(),
        )
        content = self.events.content
        self.events.rearrange(lambda: content.show(wanted.mask(content.table)))
        kinds = ", ".join(
            f"{name.replace('_', ' ')} {count}" for name, count in content.counts("kind").items()
        )
        seen = sum(count for name, count in content.counts("review").items() if name)
        session = self.hub.session
        waits = "; corrections wait for a recount" if session is not None and session.stale else ""
        self.counts.setText(
            f"{len(content)} of {len(content.table)} events: {kinds or 'none'}; reviewed {seen}{waits}"
        )

    def chosen(self) -> dict[str, Any] | None:
        """Return the chosen event, None if there is none."""
        row = self.table.currentIndex().row()
        return self.events.content.record(row) if 0 <= row < len(self.events.content) else None

    def choose(self, event_id: int) -> None:
        """Choose an event by its number, if it is shown."""
        self._choose_row(self.events.content.find("event_id", event_id))

    def _choose_like(self, before: dict[str, Any]) -> None:
        """Choose the event that was chosen before a recount gave events new numbers."""
        content = self.events.content
        same = (
            content.table[["exosome_id", "start_frame"]] == [before["exosome_id"], before["start_frame"]]
        ).all(axis=1)
        kind = same & (content.table["kind"] == before["kind"])
        found = content.next_where((kind if kind.any() else same).to_numpy(dtype=bool, na_value=False), -1)
        self._choose_row(found)

    def _choose_row(self, row: int | None) -> None:
        if row is not None:
            self.table.setCurrentIndex(self.events.index(row, 0))
            self.table.scrollTo(self.events.index(row, 0))

    def _row_changed(self) -> None:
        if not self._quiet:
            self._later.start()

    def _visit(self) -> None:
        """Show the chosen event in the viewer and its strip."""
        event, session, display = self.chosen(), self.hub.session, self.hub.display
        if event is None or session is None or display is None:
            return
        if not (pd.isna(event["y_um"]) or pd.isna(event["x_um"])):
            display.go_to(int(event["start_frame"]), float(event["y_um"]), float(event["x_um"]))
        self.painter.ask(lambda: strip_picture(session, event))

    def _show_strip(self, pixels: Any) -> None:
        self.strip.show_picture(pixels, "no spot of this event has a place on a membrane")

    def filter_cell(self, cell_id: int) -> None:
        """Show only the events of a cell."""
        self.cell.setText(str(cell_id))
        self.tabs.setCurrentIndex(0)

    # Corrections

    def _event(self) -> dict[str, Any]:
        event = self.chosen()
        if event is None:
            raise InputError("an event is needed; choose one in the table")
        return event

    def accept_event(self) -> None:
        """Say that the chosen event is right, and go to the next one that nobody looked at."""
        session, event = self.session(), self._event()
        row = self.table.currentIndex().row()
        correct(self.hub, accept_event(session.spots, event))
        self._go_on(row)

    def relabel_event(self, kind: str) -> None:
        """Say that the chosen event is of another kind."""
        session, event = self.session(), self._event()
        correct(self.hub, *relabel_event(session.events, session.spots, event, kind))

    def delete_event(self) -> None:
        """Say that the chosen event is none."""
        session = self.session()
        correct(self.hub, delete_event(session.events, session.spots, self._event()))

    def next_unreviewed(self) -> None:
        """Go to the next event that nobody looked at."""
        self._go_on(self.table.currentIndex().row())

    def _go_on(self, after: int) -> None:
        content = self.events.content
        row = content.next_where((content.table["review"] == "").to_numpy(dtype=bool), after)
        if row is None:
            say("every event shown was looked at")
        self._choose_row(row)

    def undo(self) -> None:
        """Take the last correction back."""
        if not self.session().undo():
            say("there is nothing to undo")
        after_correction(self.hub)


def _no_events() -> pd.DataFrame:
    return schema.empty(schema.EVENTS).assign(review="")


def _sorted_as(before: Browsable, after: Browsable) -> Browsable:
    """Sort a new table as the one before it."""
    if before.order is not None:
        column, descending = before.order
        after.sort(column, descending=descending)
    return after


def _whole(line: QLineEdit) -> int | None:
    text = line.text().strip()
    return int(text) if text.isdecimal() else None


def _calling(function: Any, *arguments: Any) -> Any:
    return lambda: function(*arguments)
