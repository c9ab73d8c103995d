"""What ties a panel to the rest, undone once, whichever way the panel goes; no Qt."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any
from weakref import WeakMethod

from napari_exovision.hub import Hub


class Ties:
    """The connections of one panel, held without holding the panel.

    Parameters
    ----------
    hub : Hub
        Counts its panels.

    Attributes
    ----------
    hold : bool
        False once they are undone.
    """

    def __init__(self, hub: Hub) -> None:
        self.hold = True
        self._hub = hub
        self._connections: list[tuple[Any, WeakMethod[Callable[..., Any]]]] = []
        self._ends: list[Callable[[], None]] = []
        hub.join(self)

    def connect(self, signal: Any, slot: Callable[..., Any]) -> None:
        """Connect a signal to a method until the ties are undone."""
        signal.connect(slot)
        self._connections.append((signal, WeakMethod(slot)))

    def disconnect(self, signal: Any, slot: Callable[..., Any]) -> None:
        """Undo one connection."""
        signal.disconnect(slot)
        self._connections = [one for one in self._connections if one[0] is not signal or one[1]() != slot]

    def at_end(self, end: Callable[[], None]) -> None:
        """Call a function, which must not hold the panel, when the ties are undone."""
        self._ends.append(end)

    def undo(self, *_: Any) -> None:
        """Undo everything; a second call does nothing."""
        if not self.hold:
            return
        self.hold = False
        for end in self._ends:
            end()
        for signal, reference in self._connections:
            slot = reference()
            if slot is not None:
                signal.disconnect(slot)
        self._connections.clear()
        self._hub.leave(self)
