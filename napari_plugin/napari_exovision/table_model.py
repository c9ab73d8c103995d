"""A Qt model over a browsable table: it is asked only for the cells in view."""

from __future__ import annotations

from typing import Any

from qtpy.QtCore import QAbstractTableModel, QModelIndex, Qt
from qtpy.QtGui import QColor

from exovision.report.style import GREEN, ORANGE
from napari_exovision.table import Browsable

REVIEW_COLOURS = {"accepted": GREEN, "corrected": ORANGE}
ROOT = QModelIndex()


class TableModel(QAbstractTableModel):
    """Shows a `Browsable`.

    Parameters
    ----------
    content : Browsable
    """

    def __init__(self, content: Browsable) -> None:
        super().__init__()
        self.content = content

    def put(self, content: Browsable) -> None:
        """Show another table."""
        self.beginResetModel()
        self.content = content
        self.endResetModel()

    def rearrange(self, change: Any) -> None:
        """Filter or sort the table by calling `change`."""
        self.beginResetModel()
        change()
        self.endResetModel()

    def rowCount(self, parent: QModelIndex = ROOT) -> int:  # noqa: N802 (Qt's name)
        """Return the number of rows shown."""
        return 0 if parent.isValid() else len(self.content)

    def columnCount(self, parent: QModelIndex = ROOT) -> int:  # noqa: N802 (Qt's name)
        """Return the number of columns."""
        return 0 if parent.isValid() else len(self.content.names)

    def data(self, index: QModelIndex, role: int = Qt.ItemDataRole.DisplayRole) -> Any:
        """Return the text of a cell, or its colour."""
        if not index.isValid():
            return None
        if role == Qt.ItemDataRole.DisplayRole:
            return self.content.text(index.row(), index.column())
        if role == Qt.ItemDataRole.ForegroundRole and self.content.names[index.column()] == "review":
            colour = REVIEW_COLOURS.get(self.content.text(index.row(), index.column()))
            return QColor(colour) if colour else None
        return None

    def headerData(  # noqa: N802 (Qt's name)
        self, section: int, orientation: Qt.Orientation, role: int = Qt.ItemDataRole.DisplayRole
    ) -> Any:
        """Return the heading of a column."""
        if role == Qt.ItemDataRole.DisplayRole and orientation == Qt.Orientation.Horizontal:
            return self.content.headings[section]
        return None

    def sort(self, column: int, order: Qt.SortOrder = Qt.SortOrder.AscendingOrder) -> None:
        """Sort by a column."""
        if column >= 0:
            descending = order == Qt.SortOrder.DescendingOrder
            self.rearrange(lambda: self.content.sort(column, descending=descending))
