"""The Results panel: finished folders opened, their headline, charts, report and tables."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from qtpy.QtCore import QUrl
from qtpy.QtGui import QDesktopServices
from qtpy.QtWidgets import (
    QComboBox,
    QFileDialog,
    QHBoxLayout,
    QLabel,
    QScrollArea,
    QSizePolicy,
    QVBoxLayout,
    QWidget,
)

from exovision.errors import InputError
from exovision.io.results import REPORT, movie_folders
from exovision.report.wording import chance_in_words, dwell_in_words, headline
from napari_exovision.painter import Painter, PictureLabel
from napari_exovision.panel import Panel, button
from napari_exovision.pictures import chart_pictures
from napari_exovision.say import complaining, say, warn
from napari_exovision.session import CORRECTED


class ResultsPanel(Panel):
    """Open and read finished results.

    Parameters
    ----------
    napari_viewer : Viewer
    """

    def __init__(self, napari_viewer: Any) -> None:
        super().__init__(napari_viewer)
        self._folders: dict[str, Path] = {}
        self._heard: Any = None
        self.painter = Painter(self._show_charts, self)
        self.ties.at_end(self.painter.pool.stop)
        self._layout()
        self.ties.connect(self.hub.opened, self._opened)
        self._opened(self.hub.session)

    def _layout(self) -> None:
        self.movie, self.text = QComboBox(), QLabel()
        self.movie.activated.connect(self._choose)
        self.text.setWordWrap(True)
        self.charts = QVBoxLayout()
        inner = QWidget()
        column = QVBoxLayout(inner)
        column.addWidget(self.text)
        column.addLayout(self.charts)
        column.addStretch(1)
        area = QScrollArea()
        area.setWidgetResizable(True)
        area.setWidget(inner)
        layout = QVBoxLayout(self)
        layout.addWidget(button("Open results folder…", self.ask_folder, "of `exovision run` or this plugin"))
        layout.addWidget(self.movie)
        row = QHBoxLayout()
        row.addWidget(button("Open report", self.open_report))
        row.addWidget(button("Open folder", self.open_folder, "tables, ROIs and tracks for other programs"))
        row.addWidget(button("Save corrected tables", self.save))
        layout.addLayout(row)
        layout.addWidget(area, 1)
        self.setMinimumWidth(400)

    def ask_folder(self) -> None:
        """Ask for a results folder and open it."""
        path = QFileDialog.getExistingDirectory(self, "Results folder")
        if path:
            self.open_results(Path(path))

    def open_results(self, out: Path) -> None:
        """Open a results folder: its first movie, the others in the list.

        Raises
        ------
        InputError
            If it is none, or damaged.
        """
        folders = {folder.name: folder for folder in movie_folders(out)}
        self.hub.open(next(iter(folders.values())))
        self._folders = folders
        self.movie.clear()
        self.movie.addItems(list(folders))
        session = self.session()
        if session.stored.problem:
            warn(f"only tables and cells are shown: {session.stored.problem}")

    def _choose(self, index: int) -> None:
        with complaining():
            self.hub.open(self._folders[self.movie.itemText(index)])

    def _opened(self, session: Any) -> None:
        if self._heard is not None:
            self.ties.disconnect(self._heard.changed, self.refresh)
        self._heard = session
        if session is not None:
            self.ties.connect(session.changed, self.refresh)
            name = session.stored.folder.name
            if name not in self._folders:
                self._folders = {name: session.stored.folder}
                self.movie.clear()
                self.movie.addItems([name])
            self.movie.setCurrentText(name)
        self.refresh()

    def refresh(self) -> None:
        """Show the headline and the charts of the session as it is now."""
        session = self.hub.session
        if session is None:
            self.text.setText("no analysis yet: run one in the Analyse panel or open a results folder")
            self._show_charts({})
            return
        summary = session.summary
        parts = [headline(summary), chance_in_words(summary["chance"]), dwell_in_words(summary["dwell"])]
        parts += [f"Note: {text}" for text in summary["warnings"]]
        if session.stale:
            parts.insert(0, "Corrections wait for a recount; these are the numbers before.")
        self.text.setText("\n\n".join(parts))
        self.painter.ask(lambda: chart_pictures(session))

    def _show_charts(self, pictures: dict[str, Any]) -> None:
        while (item := self.charts.takeAt(0)) is not None:
            item.widget().deleteLater()
        for name, pixels in pictures.items():
            label = PictureLabel("", tall=True)
            label.show_picture(pixels)
            title = QLabel(name)
            title.setSizePolicy(QSizePolicy.Policy.Preferred, QSizePolicy.Policy.Fixed)
            self.charts.addWidget(title)
            self.charts.addWidget(label)

    def _folder(self) -> Path:
        """Return the folder of the tables shown: the corrected ones once they are saved."""
        folder = self.session().stored.folder
        return folder / CORRECTED if (folder / CORRECTED / REPORT).is_file() else folder

    def open_report(self) -> None:
        """Open the report in the browser."""
        report = self._folder() / REPORT
        if not report.is_file():
            raise InputError(f"{report}: the report was wanted, it is not there; run the movie again")
        QDesktopServices.openUrl(QUrl.fromLocalFile(str(report)))

    def open_folder(self) -> None:
        """Open the folder of tables in the file manager."""
        QDesktopServices.openUrl(QUrl.fromLocalFile(str(self._folder())))

    def save(self) -> None:
        """Write the recounted tables, with report, into the movie's folder."""
        say(f"corrected tables: {self.session().save_corrected()}")
