"""How a long computation tells where it is and learns that it should stop."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Protocol


class Progress(Protocol):
    """A callback that is told how far a stage has come; it may raise `Cancelled` to stop the work."""

    def __call__(self, stage: str, done: int, total: int) -> None:
        """Report that `done` of `total` units of `stage` are complete."""


Watcher = Callable[[str], Progress]
"""Gives the progress callback for the movie of that name."""


def silent(stage: str, done: int, total: int) -> None:
    """Ignore the report: the default when nobody watches."""


@contextmanager
def progress_bars() -> Iterator[Watcher]:
    """Show one bar per movie on a terminal's standard error, nothing elsewhere."""
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeRemainingColumn
    from rich.progress import Progress as Bars

    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    console = Console(stderr=True)
    with Bars(*columns, console=console, transient=True, disable=not console.is_terminal) as bars:

        def watch(name: str) -> Progress:
            task = bars.add_task(name)

            def advance(stage: str, done: int, total: int) -> None:
                bars.update(task, description=f"{name}: {stage}", completed=done, total=total)

            return advance

        yield watch
