"""Examples of moments with what truly happened: simulated, kept on disk, joined and split."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from exovision.errors import InputError, OutputError

Mask = NDArray[np.bool_]


@dataclass(frozen=True)
class EventExamples:
    """Moments as the network sees them, and their classes.

    Attributes
    ----------
    pictures : ndarray of shape (N, F, P, P)
        float16; see `exovision.events.examples.picture`.
    classes : ndarray of shape (N,)
        Of `exovision.events.weighing.CLASSES`.
    ratios : ndarray of shape (N,)
        Log-likelihood ratio of fusion that the models of the light give alone.
    groups : ndarray of shape (N,)
        The movie, or the set of single events, that each comes from.
    """

    pictures: NDArray[np.float16]
    classes: NDArray[np.str_]
    ratios: NDArray[np.float64]
    groups: NDArray[np.str_]

    def __len__(self) -> int:
        return len(self.classes)

    def chosen(self, mask: Mask) -> EventExamples:
        """Return the examples where `mask` is true."""
        return EventExamples(self.pictures[mask], self.classes[mask], self.ratios[mask], self.groups[mask])

    def of_kind(self, kind: str) -> Mask:
        """Return which examples belong to the groups named `kind`_0, `kind`_1, …."""
        return np.asarray(np.char.startswith(self.groups, f"{kind}_"))


def join(parts: Sequence[EventExamples]) -> EventExamples:
    """Return all examples of one or more sets."""
    filled = [part for part in parts if len(part)] or list(parts[:1])
    return EventExamples(
        np.concatenate([part.pictures for part in filled]),
        np.concatenate([part.classes for part in filled]),
        np.concatenate([part.ratios for part in filled]),
        np.concatenate([part.groups for part in filled]),
    )


def write_examples(examples: EventExamples, path: Path) -> None:
    """Write examples to an .npz file.

    Raises
    ------
    OutputError
        If it cannot be written.
    """
    try:
        np.savez(
            path, pictures=examples.pictures, classes=examples.classes, ratios=examples.ratios,
            groups=examples.groups,
        )  # fmt: skip
    except OSError as error:
        raise OutputError(f"{path}: examples could not be written: {error.strerror or error}") from error


def read_examples(path: Path) -> EventExamples:
    """Read what `write_examples` wrote.

    Raises
    ------
    InputError
        If the file is damaged or something else.
    """
    try:
        with np.load(path, allow_pickle=False) as held:
            return EventExamples(held["pictures"], held["classes"], held["ratios"], held["groups"])
    except (OSError, ValueError, KeyError, EOFError) as error:
        raise InputError(
            f"{path}: examples as `exovision train events` writes them were wanted, got: {error}; remove the "
            "file to make them anew"
        ) from error
