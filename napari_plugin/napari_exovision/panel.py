"""The base of the panels: they share the viewer's hub and leave nothing behind."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from qtpy.QtCore import QEvent
from qtpy.QtWidgets import QPushButton, QWidget

from exovision.errors import InputError
from napari_exovision.hub import hub_of
from napari_exovision.say import complaining
from napari_exovision.session import Session
from napari_exovision.ties import Ties


class Panel(QWidget):
    """A panel that leaves nothing behind when it is closed, removed or deleted.

    Parameters
    ----------
    napari_viewer : Viewer
    """

    def __init__(self, napari_viewer: Any) -> None:
        self._docked = False
        super().__init__()
        self.viewer = napari_viewer
        self.hub = hub_of(napari_viewer)
        self.ties = Ties(self.hub)
        self.destroyed.connect(self.ties.undo)

    def session(self) -> Session:
        """Return the analysis under review.

        Raises
        ------
        InputError
            If there is none.
        """
        if self.hub.session is None:
            raise InputError("an analysis is needed; run one in the Analyse panel or open a results folder")
        return self.hub.session

    def close_down(self) -> None:
        """Undo all ties; what the panel was about to do is not done."""
        self.ties.undo()

    def event(self, event: Any) -> bool:
        """Undo all ties also when napari takes the panel out of its dock."""
        if event.type() == QEvent.Type.ParentChange:
            if self.parent() is None and self._docked:
                self.close_down()
            self._docked = self.parent() is not None
        return bool(super().event(event))

    def closeEvent(self, event: Any) -> None:  # noqa: N802 (Qt's name)
        """Undo all ties."""
        self.close_down()
        super().closeEvent(event)


def button(text: str, slot: Callable[[], Any], tip: str = "") -> QPushButton:
    """Return a button whose errors become notifications."""

    def clicked() -> None:
        with complaining():
            slot()

    made = QPushButton(text)
    made.clicked.connect(clicked)
    made.setToolTip(tip)
    return made
