"""A view of a table with many rows of one height, and keys that act on the chosen row."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from qtpy.QtCore import QEvent, Qt
from qtpy.QtGui import QKeySequence
from qtpy.QtWidgets import QAbstractItemView, QHeaderView, QTableView

from napari_exovision.say import complaining
from napari_exovision.table_model import TableModel

ROW_HEIGHT, COLUMN_WIDTH = 22, 76


class TableView(QTableView):
    """Shows a table; one row at a time is chosen.

    Parameters
    ----------
    model : TableModel

    Attributes
    ----------
    keys : dict of str to callable
        What a key such as "A" or "Ctrl+Z" does while the view has the focus.
    on_row : callable
        Called when another row is chosen.
    """

    def __init__(self, model: TableModel) -> None:
        super().__init__()
        self.keys: dict[str, Callable[[], Any]] = {}
        self.on_row: Callable[[], Any] = _nothing
        self.setModel(model)
        self.setSelectionBehavior(QAbstractItemView.SelectionBehavior.SelectRows)
        self.setSelectionMode(QAbstractItemView.SelectionMode.SingleSelection)
        self.horizontalHeader().setSortIndicator(0, Qt.SortOrder.AscendingOrder)
        self.setSortingEnabled(True)
        self.verticalHeader().setVisible(False)
        # Rows of one height need not be measured one by one.
        self.verticalHeader().setSectionResizeMode(QHeaderView.ResizeMode.Fixed)
        self.verticalHeader().setDefaultSectionSize(ROW_HEIGHT)
        self.horizontalHeader().setDefaultSectionSize(COLUMN_WIDTH)

    def currentChanged(self, current: Any, previous: Any) -> None:  # noqa: N802 (Qt's name)
        """Tell of another row."""
        super().currentChanged(current, previous)
        if current.row() != previous.row():
            self.on_row()

    def event(self, event: Any) -> bool:
        """Keep keys from shortcuts of the window that would take them first."""
        if event.type() == QEvent.Type.ShortcutOverride and _name(event) in self.keys:
            event.accept()
            return True
        return bool(super().event(event))

    def keyPressEvent(self, event: Any) -> None:  # noqa: N802 (Qt's name)
        """Do what a key means, or move about."""
        slot = self.keys.get(_name(event))
        if slot is None:
            super().keyPressEvent(event)
            return
        with complaining():
            slot()


def _nothing() -> None:
    """Do nothing: nobody wants to know of rows."""


def _name(event: Any) -> str:
    return str(QKeySequence(event.keyCombination()).toString())
