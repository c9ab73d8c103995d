"""Annotations: what a person corrected, by whom and when, kept as one JSON line each."""

from __future__ import annotations

import getpass
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal, get_args

import exovision
from exovision.errors import InputError
from exovision.files import write_text

Action = Literal["link", "delete", "add", "paint", "rule", "review", "state", "life"]
FILE = "annotations.jsonl"
"""The file's name, beside the tables that it corrects."""


@dataclass(frozen=True)
class Annotation:
    """One correction.

    Attributes
    ----------
    action : str
        link: `spots` get `exosome_id` (None: unlinked). delete: `spots` go. add: a spot with the columns of
        `spot`. paint: in `frame`, `runs` of (start, length, value) over the flattened label image. rule: the
        interval from the first to the last of two `spots` is (`holds`) a `kind` of event or not, with its
        `ending`. review: the event of `kind` over `spots` was looked at and found right. state: `cell_id` is
        in a `state` from `first_frame` to `last_frame`. life: the fate of `cell_id` was looked at and found
        right.
    values : mapping
        As above; a spot is named by its row in the table that was analysed, added ones count on.
    who : str
        Name of the person.
    when : str
        UTC, ISO 8601.
    """

    action: Action
    values: Mapping[str, Any]
    who: str = field(default_factory=lambda: user_name())
    when: str = field(default_factory=lambda: datetime.now(UTC).isoformat(timespec="seconds"))

    @property
    def changes_tables(self) -> bool:
        """Whether tables must be recounted for it, or only a person's consent was noted."""
        return self.action not in ("review", "life")


def user_name() -> str:
    """Return the login name of the person at work, or "unknown"."""
    try:
        return getpass.getuser()
    except (OSError, KeyError, ImportError):
        return "unknown"


def write_annotations(annotations: Iterable[Annotation], path: Path, *, n_spots: int) -> None:
    """Write annotations, whole or not at all.

    Parameters
    ----------
    annotations : iterable of Annotation
    path : Path
    n_spots : int
        Rows of the spots table that they name; checked when they are read.

    Raises
    ------
    OutputError
        If the file cannot be written.
    """
    head = {"exovision": exovision.__version__, "spots": n_spots}
    lines = [head, *({"when": a.when, "who": a.who, "action": a.action, **a.values} for a in annotations)]
    write_text("".join(json.dumps(line, ensure_ascii=False) + "\n" for line in lines), path)


def read_annotations(path: Path, *, n_spots: int) -> list[Annotation]:
    """Read what `write_annotations` wrote; nothing if there is no such file.

    Raises
    ------
    InputError
        If the file is damaged, or made for another table of spots.
    """
    if not path.exists():
        return []
    try:
        lines = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines() if line.strip()]
        head, rows = lines[0], lines[1:]
        annotations = [_annotation(row) for row in rows]
        known = int(head["spots"])
    except (OSError, ValueError, LookupError, TypeError, AttributeError) as error:
        reason = str(error) or type(error).__name__
        raise InputError(
            f"{path}: annotations as exovision writes them were wanted, got: {reason}; remove the file"
        ) from error
    if known != n_spots:
        raise InputError(
            f"{path}: annotations of these results were wanted, they were made for {known} spots and there "
            f"are {n_spots}: the movie was analysed again; move the file away to go on without them"
        )
    return annotations


def _annotation(row: dict[str, Any]) -> Annotation:
    action, who, when = row.pop("action"), str(row.pop("who")), str(row.pop("when"))
    if action not in get_args(Action):
        raise ValueError(f"unknown action {action!r}")
    return Annotation(action, row, who, when)


def count_by_person(annotations: Sequence[Annotation]) -> dict[str, int]:
    """Return how many annotations each person made."""
    counts: dict[str, int] = {}
    for annotation in annotations:
        counts[annotation.who] = counts.get(annotation.who, 0) + 1
    return counts
