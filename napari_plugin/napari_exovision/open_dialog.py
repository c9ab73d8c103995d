"""Asks for a movie and for what its file may not say: axes, or the pattern of a folder of single images."""

from __future__ import annotations

from pathlib import Path

from qtpy.QtWidgets import (
    QDialog,
    QDialogButtonBox,
    QFileDialog,
    QFormLayout,
    QHBoxLayout,
    QLineEdit,
    QWidget,
)

from napari_exovision.opening import Opened, open_movies
from napari_exovision.panel import button


class OpenDialog(QDialog):
    """A path, and how to read it."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setWindowTitle("Open a movie")
        self.path, self.axes, self.pattern = QLineEdit(), QLineEdit(), QLineEdit()
        self.axes.setPlaceholderText("only if the file does not say them, such as TYX or TC2YX")
        self.pattern.setPlaceholderText("of a folder of single images, such as t(?P<t>\\d+)_c(?P<c>\\d)")
        row = QHBoxLayout()
        row.addWidget(self.path)
        row.addWidget(button("File…", self._ask_file))
        row.addWidget(button("Folder…", self._ask_folder))
        form = QFormLayout(self)
        form.addRow("file or folder", row)
        form.addRow("axes", self.axes)
        form.addRow("pattern", self.pattern)
        buttons = QDialogButtonBox(
            QDialogButtonBox.StandardButton.Ok | QDialogButtonBox.StandardButton.Cancel
        )
        buttons.accepted.connect(self.accept)
        buttons.rejected.connect(self.reject)
        form.addRow(buttons)
        self.setMinimumWidth(560)

    def _ask_file(self) -> None:
        path, _ = QFileDialog.getOpenFileName(self, "Movie", filter="TIFF (*.tif *.tiff *.btf);;all (*)")
        self.path.setText(path or self.path.text())

    def _ask_folder(self) -> None:
        self.path.setText(QFileDialog.getExistingDirectory(self, "Folder of images") or self.path.text())

    def movies(self) -> list[Opened]:
        """Open what was chosen; raises `InputError` or `SettingsError` if that is impossible."""
        return open_movies(Path(self.path.text()), axes=self.axes.text(), pattern=self.pattern.text())


def ask_movies(parent: QWidget) -> list[Opened]:
    """Ask for movies and open them; none if the user gave up."""
    dialog = OpenDialog(parent)
    return dialog.movies() if dialog.exec() else []
