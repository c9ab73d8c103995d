"""How a long computation tells where it is and learns that it should stop."""

from __future__ import annotations

from typing import Protocol


class Progress(Protocol):
    """A callback that is told how far a stage has come; it may raise `Cancelled` to stop the work."""

    def __call__(self, stage: str, done: int, total: int) -> None:
        """Report that `done` of `total` units of `stage` are complete."""


def silent(stage: str, done: int, total: int) -> None:
    """Ignore the report: the default when nobody watches."""
