"""What the panels of one viewer share: the analysis, the selected event, running tasks; no Qt."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Protocol
from weakref import WeakKeyDictionary

from psygnal import Signal

from exovision.curation.annotations import user_name
from exovision.records import Movie
from napari_exovision.display import Display
from napari_exovision.session import Session


class Stoppable(Protocol):
    """Work in the background that can be told to stop."""

    def cancel(self) -> None:
        """Ask it to stop."""


class Hub:
    """One per viewer; panels connect to its signals and leave when they are closed.

    Attributes
    ----------
    opened : Signal
        Another analysis is under review; carries the session, or None.
    selected : Signal
        An event was chosen; carries its `event_id`.
    weights : Signal
        Weights were kept after training; carries the settings that use them, by stage.
    session : Session or None
    display : Display or None
    who : str
        Signs the corrections.
    counts_itself : bool
        Whether tables are recounted after every correction.
    """

    opened = Signal(object)
    selected = Signal(int)
    weights = Signal(object)

    def __init__(self, viewer: Any) -> None:
        self.viewer = viewer
        self.session: Session | None = None
        self.display: Display | None = None
        self.who = user_name()
        self.counts_itself = True
        self.recounting: Stoppable | None = None
        self._users: list[Any] = []
        self._tasks: list[Stoppable] = []

    def open(self, folder: Path, *, movie: Movie | None = None) -> Session:
        """Review the finished analysis in a folder instead of the present one.

        Raises
        ------
        InputError
            If the folder is damaged; the present analysis then stays.
        """
        return self.take(Session.open(folder, movie=movie))

    def take(self, session: Session) -> Session:
        """Review an analysis instead of the present one."""
        session.who = self.who
        self.close()
        self.session, self.display = session, Display(self.viewer, session)
        self.display.show()
        self.opened.emit(session)
        return session

    def close(self) -> None:
        """End the review and take its layers away."""
        if self.recounting is not None:
            self.recounting.cancel()
        if self.display is not None:
            self.display.close()
        self.session = self.display = None
        self.opened.emit(None)

    def sign(self, who: str) -> None:
        """Sign corrections with this name from now on."""
        self.who = who.strip() or user_name()
        if self.session is not None:
            self.session.who = self.who

    def started(self, task: Stoppable) -> None:
        """Remember a running task, to stop it when the viewer closes."""
        self._tasks.append(task)

    def ended(self, task: Stoppable) -> None:
        """Forget a task."""
        if task in self._tasks:
            self._tasks.remove(task)

    @property
    def busy(self) -> bool:
        """Whether something runs in the background."""
        return bool(self._tasks)

    def join(self, user: Any) -> None:
        """Keep what a panel must do when it goes, also if nobody else remembers the panel."""
        self._users.append(user)
        if self.display is not None:
            self.display.follow()

    def leave(self, user: Any) -> None:
        """Let a panel go; the last one stops all tasks and lets the viewer's signals go."""
        self._users.remove(user)
        if not self._users:
            for task in list(self._tasks):
                task.cancel()
            if self.display is not None:
                self.display.disconnect()


_HUBS: WeakKeyDictionary[Any, Hub] = WeakKeyDictionary()


def hub_of(viewer: Any) -> Hub:
    """Return the hub of a viewer, the same for all its panels."""
    bare = getattr(viewer, "__wrapped__", viewer)
    if bare not in _HUBS:
        _HUBS[bare] = Hub(viewer)
    return _HUBS[bare]
