"""Label images with corrections on top: only corrected frames are held in memory."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray

from exovision.curation.annotations import Annotation
from exovision.records import LabelStack

Labels = NDArray[np.int32]
Runs = list[list[int]]


class EditedLabels:
    """A `LabelStack` whose frames can be replaced.

    Parameters
    ----------
    original : LabelStack
        Not changed.
    """

    def __init__(self, original: LabelStack) -> None:
        self.original = original
        self._edited: dict[int, Labels] = {}

    def __len__(self) -> int:
        return len(self.original)

    def __getitem__(self, t: int) -> Labels:
        """Return the labels of frame `t`, shape (Y, X); a copy."""
        frame = self._edited[t] if t in self._edited else self.original[t]
        return np.array(frame, dtype=np.int32)

    @property
    def frames(self) -> list[int]:
        """The corrected frames."""
        return sorted(self._edited)

    def put(self, t: int, labels: Labels) -> None:
        """Replace the labels of frame `t`, shape (Y, X); equal ones count as not corrected."""
        if np.array_equal(labels, self.original[t]):
            self._edited.pop(t, None)
        else:
            self._edited[t] = np.array(labels, dtype=np.int32)

    def paint(self, t: int, runs: Runs) -> None:
        """Give pixels of frame `t` new values; `runs` as from `changed_runs`."""
        self.put(t, painted(self[t], runs))

    def reset(self) -> None:
        """Drop all corrections."""
        self._edited.clear()

    def repaint(self, annotations: Iterable[Annotation]) -> None:
        """Forget all painting but that of the annotations."""
        self.reset()
        for annotation in annotations:
            if annotation.action == "paint":
                self.paint(annotation.values["frame"], annotation.values["runs"])

    def copy(self) -> EditedLabels:
        """Return the labels as they are now; later corrections do not reach the copy."""
        twin = EditedLabels(self.original)
        twin._edited = dict(self._edited)
        return twin


def changed_runs(before: Labels, after: Labels) -> Runs:
    """Return the pixels that differ as [start, length, new value] over the flattened images (Y, X)."""
    old, new = before.ravel(), after.ravel()
    changed = np.flatnonzero(old != new)
    if not changed.size:
        return []
    values = new[changed]
    breaks = np.flatnonzero((np.diff(changed) != 1) | (np.diff(values) != 0)) + 1
    starts = np.concatenate([[0], breaks])
    lengths = np.diff(np.concatenate([starts, [changed.size]]))
    runs: Runs = np.stack([changed[starts], lengths, values[starts]], axis=1).astype(int).tolist()
    return runs


def painted(labels: Labels, runs: Runs) -> Labels:
    """Return a copy of a label image (Y, X) with the runs of `changed_runs` applied."""
    flat = labels.ravel().copy()
    for start, length, value in runs:
        flat[start : start + length] = value
    return flat.reshape(labels.shape)
