"""The parts of the pipeline that can be exchanged: their Protocols and the registry of implementations."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from importlib import import_module
from typing import Any, Generic, Protocol, TypeVar

import numpy as np
from numpy.typing import NDArray

from exovision.errors import SettingsError


class Segmenter(Protocol):
    """Finds cells in single frames."""

    def segment(self, images: NDArray[np.float32], frames: range) -> NDArray[np.int32]:
        """Label the cells of a chunk of frames.

        Parameters
        ----------
        images : ndarray of shape (N, Y, X)
            Counts of the cell or nucleus channel.
        frames : range
            The N frame numbers.

        Returns
        -------
        ndarray of shape (N, Y, X)
            0 is background; ids are unique in a frame and not yet linked over time.
        """


Factory = TypeVar("Factory")


@dataclass(frozen=True)
class Registry(Generic[Factory]):
    """Named implementations of one Protocol, imported when they are asked for.

    Attributes
    ----------
    kind : str
        What is registered, for messages.
    places : mapping of str to str
        Name to `module:attribute`.
    """

    kind: str
    places: Mapping[str, str]

    def load(self, name: str) -> Any:
        """Return the factory registered under `name`.

        Raises
        ------
        SettingsError
            If the name is unknown; the message lists the known ones.
        """
        if name not in self.places:
            raise SettingsError(f"unknown {self.kind} {name!r}; known: {', '.join(sorted(self.places))}")
        module, attribute = self.places[name].split(":")
        return getattr(import_module(module), attribute)


SEGMENTERS: Registry[Segmenter] = Registry(
    "segmenter",
    {
        "cellpose": "exovision.cells.cellpose_segmenter:CellposeSegmenter",
        "embedded": "exovision.cells.embedded_segmenter:EmbeddedSegmenter",
        "labels": "exovision.cells.labels_segmenter:LabelsSegmenter",
    },
)
