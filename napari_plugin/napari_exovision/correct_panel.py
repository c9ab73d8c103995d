"""The Correct panel: cells, spots, tracks and events put right by hand, signed, undone, recounted, saved."""

from __future__ import annotations

from typing import Any

import numpy as np
from qtpy.QtCore import QTimer
from qtpy.QtWidgets import (
    QCheckBox,
    QComboBox,
    QFormLayout,
    QGroupBox,
    QHBoxLayout,
    QLabel,
    QLineEdit,
    QListWidget,
    QScrollArea,
    QSpinBox,
    QVBoxLayout,
    QWidget,
)

from exovision.curation.annotations import Annotation
from exovision.curation.events import INTERVALS, add_event
from exovision.curation.tracks import delete_spots, link_spots, merge_tracks, split_track
from exovision.errors import InputError
from napari_exovision.configuration import configured
from napari_exovision.editing import free_cell_id, measure_spot, replace_cell
from napari_exovision.layers import CELLS, SPOTS
from napari_exovision.panel import Panel, button
from napari_exovision.say import complaining, say
from napari_exovision.work import after_correction, correct, recount

SETTLE_MS = 400
LARGEST = 10**9
LOGGED = 200


class CorrectPanel(Panel):
    """Correct an analysis.

    Parameters
    ----------
    napari_viewer : Viewer
    """

    def __init__(self, napari_viewer: Any) -> None:
        super().__init__(napari_viewer)
        self._heard: Any = None
        self._pointed: Any = None
        self._settle = QTimer(self)
        self._settle.setSingleShot(True)
        self._settle.setInterval(SETTLE_MS)
        self._settle.timeout.connect(self._take_painting)
        self._layout()
        self.ties.connect(self.hub.opened, self._opened)
        self._opened(self.hub.session)

    def _layout(self) -> None:
        self.who = QLineEdit(configured().person or self.hub.who)
        self.who.editingFinished.connect(lambda: self.hub.sign(self.who.text()))
        self.hub.sign(self.who.text())
        self.track, self.other = _ids(), _ids()
        self.cell, self.cell_other = _ids(), _ids()
        self.kind, self.start, self.end = QComboBox(), QSpinBox(), QSpinBox()
        self.kind.addItems(INTERVALS)
        self.whole_movie = QCheckBox("in all frames")
        self.whole_movie.setChecked(True)
        self.at_once = QCheckBox("recount after each correction")
        self.at_once.setChecked(self.hub.counts_itself)
        self.at_once.toggled.connect(self._set_at_once)
        self.status, self.log = QLabel(), QListWidget()
        self.status.setWordWrap(True)
        inner = QWidget()
        column = QVBoxLayout(inner)
        for box in (
            self._spot_box(),
            self._track_box(),
            self._event_box(),
            self._cell_box(),
            self._all_box(),
        ):
            column.addWidget(box)
        column.addStretch(1)
        area = QScrollArea()
        area.setWidgetResizable(True)
        area.setWidget(inner)
        QVBoxLayout(self).addWidget(area)
        self.setMinimumWidth(380)

    def _spot_box(self) -> QGroupBox:
        self.point = button("Add spots by clicking", self.toggle_pointing, "click on light in the viewer")
        self.point.setCheckable(True)
        return _box(
            "Spots",
            [self.point],
            [button("Delete selected spots", self.delete_selected, "select them in the layer of spots")],
        )

    def _track_box(self) -> QGroupBox:
        box = _box(
            "Tracks",
            [QLabel("exosome"), self.track, button("of selected spot", self.take_track)],
            [button("Split before this frame", self.split), QLabel("other"), self.other],
            [button("Merge other into exosome", self.merge)],
            [
                button("Link selected spots to exosome", self.link_selected),
                button("Unlink them", self.unlink_selected),
            ],
            [button("Make them a new exosome", self.start_track)],
        )
        box.setToolTip("spots are selected in the layer of spots")
        return box

    def _event_box(self) -> QGroupBox:
        return _box(
            "Events of this exosome",
            [QLabel("kind"), self.kind],
            [
                QLabel("from frame"),
                self.start,
                button("this", lambda: self.start.setValue(self._frame())),
                QLabel("to"),
                self.end,
                button("this", lambda: self.end.setValue(self._frame())),
            ],
            [button("Add event", self.add_event, "accept, relabel and delete are in Events and cells")],
        )

    def _cell_box(self) -> QGroupBox:
        return _box(
            "Cells",
            [button("Paint", self.paint), button("Paint a new cell", self.paint_new)],
            [QLabel("cell"), self.cell, QLabel("other"), self.cell_other, self.whole_movie],
            [
                button("Give cell to other", self.merge_cells, "the same cell under two ids"),
                button("Remove cell", self.remove_cell),
            ],
        )

    def _all_box(self) -> QGroupBox:
        box = _box(
            "Corrections",
            [QLabel("signed by"), self.who],
            [self.at_once, button("Recount now", lambda: self._recount())],
            [button("Undo", self.undo), button("Save corrected tables", self.save)],
            [self.status],
            [self.log],
        )
        self.log.setMinimumHeight(110)
        return box

    # The session

    def _opened(self, session: Any) -> None:
        if self._heard is not None:
            self.ties.disconnect(self._heard.changed, self.refresh)
            self._heard.array.on_touch = _nothing
        self._heard = session
        self._stop_pointing()
        if session is not None:
            self.ties.connect(session.changed, self.refresh)
            session.array.on_touch = self._settle.start
            for box in (self.start, self.end):
                box.setRange(0, session.stored.n_frames - 1)
            if session.stale:
                after_correction(self.hub)
        self.refresh()

    def refresh(self) -> None:
        """Show how many corrections there are and what the last ones were."""
        session = self.hub.session
        self.log.clear()
        if session is None:
            self.status.setText("no analysis yet: run one in the Analyse panel or open a results folder")
            return
        state = "the tables wait for a recount" if session.stale else "the tables hold them all"
        count = len(session.annotations)
        self.status.setText(f"{count} corrections, saved as made; {state}" if count else "no corrections yet")
        self.log.addItems([_line(one) for one in reversed(session.annotations[-LOGGED:])])

    def _frame(self) -> int:
        return self.hub.display.frame() if self.hub.display is not None else 0

    def _selected(self) -> list[int]:
        """Return the rows of the spots that are selected in their layer."""
        layer = self.hub.display.layer(SPOTS) if self.hub.display is not None else None
        if layer is None:
            raise InputError("the layer of spots is needed, it was removed; open the results again")
        rows = layer.features["row"].to_numpy(dtype=np.int64)
        return [int(rows[i]) for i in sorted(layer.selected_data)]

    # Spots and tracks

    def toggle_pointing(self) -> None:
        """Begin or end to add a spot at every click."""
        if self._pointed is not None:
            self._stop_pointing()
            return
        self.session()
        self._pointed = self._on_click
        self.viewer.mouse_drag_callbacks.append(self._pointed)
        self.point.setChecked(True)

    def _stop_pointing(self) -> None:
        if self._pointed in self.viewer.mouse_drag_callbacks:
            self.viewer.mouse_drag_callbacks.remove(self._pointed)
        self._pointed = None
        self.point.setChecked(False)

    def _on_click(self, viewer: Any, event: Any) -> None:
        with complaining():
            self.add_spot_at(float(event.position[-2]), float(event.position[-1]))

    def add_spot_at(self, y_um: float, x_um: float) -> None:
        """Add the spot at a place in the frame that is shown; raises `InputError` if there is none to fit."""
        session = self.session()
        size = session.stored.pixel_size_um
        correct(self.hub, measure_spot(session, self._frame(), y_um / size, x_um / size))

    def delete_selected(self) -> None:
        """Delete the selected spots."""
        self.session()
        correct(self.hub, delete_spots(self._selected()))

    def take_track(self) -> None:
        """Take the exosome of the selected spot for the fields below."""
        session, rows = self.session(), self._selected()
        ids = session.spots.loc[rows, "exosome_id"].dropna().unique()
        if len(ids) != 1:
            raise InputError(f"spots of one exosome are needed, got {len(ids)} exosomes; select one spot")
        self.track.setValue(int(ids[0]))
        own = session.spots[session.spots["exosome_id"] == ids[0]]
        self.start.setValue(int(own["frame"].min()))
        self.end.setValue(int(own["frame"].max()))

    def split(self) -> None:
        """Split the exosome's track before the frame that is shown."""
        correct(self.hub, split_track(self.session().spots, self.track.value(), self._frame()))

    def merge(self) -> None:
        """Make the other track part of the exosome's."""
        correct(self.hub, merge_tracks(self.session().spots, self.track.value(), self.other.value()))

    def link_selected(self) -> None:
        """Link the selected spots to the exosome."""
        self._link(self.track.value())

    def unlink_selected(self) -> None:
        """Take the selected spots out of their tracks."""
        self._link(None)

    def start_track(self) -> None:
        """Make the selected spots a new exosome."""
        self._link(0)

    def _link(self, exosome_id: int | None) -> None:
        spots = self.session().spots
        correct(self.hub, link_spots(spots, self._selected(), exosome_id))

    def add_event(self) -> None:
        """Say that the exosome docked or surfed in the frames given."""
        spots, kind = self.session().spots, self.kind.currentText()
        correct(self.hub, add_event(spots, self.track.value(), kind, self.start.value(), self.end.value()))

    # Cells

    def paint(self) -> None:
        """Choose the layer of cells with its brush, ready to paint the cell that was picked."""
        layer = self._cells()
        self.viewer.layers.selection.active = layer
        layer.mode = "paint"

    def paint_new(self) -> None:
        """Choose the brush with an id that no cell has."""
        self.paint()
        self._cells().selected_label = free_cell_id(self.session())

    def _cells(self) -> Any:
        self.session()
        layer = self.hub.display.layer(CELLS) if self.hub.display is not None else None
        if layer is None:
            raise InputError("the layer of cells is needed, it was removed; open the results again")
        return layer

    def merge_cells(self) -> None:
        """Give the pixels of the cell to the other."""
        self._replace(self.cell_other.value())

    def remove_cell(self) -> None:
        """Make the pixels of the cell background."""
        self._replace(0)

    def _replace(self, by: int) -> None:
        session, frame = self.session(), self._frame()
        frames = range(session.stored.n_frames) if self.whole_movie.isChecked() else range(frame, frame + 1)
        correct(self.hub, *replace_cell(session, self.cell.value(), by, frames))

    def _take_painting(self) -> None:
        with complaining():
            if self.hub.session is not None and self.hub.session.take_painting():
                after_correction(self.hub)

    # All corrections

    def _set_at_once(self, wanted: bool) -> None:
        self.hub.counts_itself = wanted
        after_correction(self.hub)

    def _recount(self) -> None:
        if not self.session().stale:
            raise InputError("corrections are needed to recount, there are none that the tables lack")
        recount(self.hub)

    def undo(self) -> None:
        """Take the last correction back."""
        if not self.session().undo():
            say("there is nothing to undo")
        after_correction(self.hub)

    def save(self) -> None:
        """Write the recounted tables, with report, into the movie's folder."""
        say(f"corrected tables: {self.session().save_corrected()}")

    def close_down(self) -> None:
        """Undo all ties; what was painted last is kept."""
        if self.ties.hold:
            self._settle.stop()
            self._take_painting()
            self._stop_pointing()
            if self._heard is not None:
                self._heard.array.on_touch = _nothing
        super().close_down()


def _nothing() -> None:
    """Do nothing: nobody waits for painting."""


def _ids() -> QSpinBox:
    box = QSpinBox()
    box.setRange(0, LARGEST)
    return box


def _box(title: str, *rows: list[QWidget]) -> QGroupBox:
    box = QGroupBox(title)
    form = QFormLayout(box)
    for parts in rows:
        row = QHBoxLayout()
        for part in parts:
            row.addWidget(part)
        form.addRow(row)
    return box


def _line(annotation: Annotation) -> str:
    """Return an annotation in one line."""
    values = annotation.values
    said = {
        "link": lambda: f"{len(values['spots'])} spots to exosome {values['exosome_id'] or 'none'}",
        "delete": lambda: f"{len(values['spots'])} spots deleted",
        "add": lambda: f"spot added in frame {values['spot']['frame']}",
        "paint": lambda: f"cells painted in frame {values['frame']}",
        "rule": lambda: f"{values['ending'] or values['kind']}: {'yes' if values['holds'] else 'no'}",
        "review": lambda: f"{values['kind']} accepted",
        "state": lambda: (
            f"cell {values['cell_id']} {values['state']} in frames {values['first_frame']} to "
            f"{values['last_frame']}"
        ),
        "life": lambda: f"cell {values['cell_id']} accepted",
    }
    return f"{annotation.when[:16].replace('T', ' ')}  {annotation.who}: {said[annotation.action]()}"
