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


class Panel(QWidget):
    """A panel whose connections are kept in a list and undone when it is closed or deleted.

    Parameters
    ----------
    napari_viewer : Viewer
    """

    def __init__(self, napari_viewer: Any) -> None:
        super().__init__()
        self.viewer = napari_viewer
        self.hub = hub_of(napari_viewer)
        self.hub.join()
        self._connections: list[tuple[Any, Callable[..., Any]]] = []
        self._open = True
        self.destroyed.connect(self._leave_later())

    def listen(self, signal: Any, slot: Callable[..., Any]) -> None:
        """Connect a signal until the panel is closed."""
        signal.connect(slot)
        self._connections.append((signal, slot))

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
        """Undo all connections; called once."""
        if not self._open:
            return
        self._open = False
        for signal, slot in self._connections:
            signal.disconnect(slot)
        self._connections.clear()
        self.hub.leave()

    def closeEvent(self, event: Any) -> None:  # noqa: N802 (Qt's name)
        """Undo all connections."""
        self.close_down()
        super().closeEvent(event)

    def event(self, event: Any) -> bool:
        """Undo all connections also when the dock around the panel is deleted."""
        if event.type() == QEvent.Type.DeferredDelete:
            self.close_down()
        return bool(super().event(event))

    def _leave_later(self) -> Callable[[], None]:
        state = self.__dict__

        def leave() -> None:
            if state.get("_open"):
                state["_open"] = False
                for signal, slot in state["_connections"]:
                    signal.disconnect(slot)
                state["hub"].leave()

        return leave


def button(text: str, slot: Callable[[], Any], tip: str = "") -> QPushButton:
    """Return a button whose errors become notifications."""

    def clicked() -> None:
        with complaining():
            slot()

    made = QPushButton(text)
    made.clicked.connect(clicked)
    made.setToolTip(tip)
    return made
