"""The segmenter that has nothing to do: label images came with the movie."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from exovision.errors import InputError
from exovision.records import LabelStack
from exovision.settings import CellSettings


class LabelsSegmenter:
    """Returns ready-made label images.

    Parameters
    ----------
    settings : CellSettings
        Not used: given labels are taken as they are.
    pixel_size_um : float
        Not used.
    device : str
        Not used.
    labels : LabelStack
        One image of shape (Y, X) per frame.

    Raises
    ------
    InputError
        If there are no labels.
    """

    def __init__(
        self,
        settings: CellSettings,
        *,
        pixel_size_um: float,
        device: str = "auto",
        labels: LabelStack | None = None,
    ) -> None:
        if labels is None:
            raise InputError("the segmenter 'labels' needs label images, got none; give them with --labels")
        self._labels = labels

    def segment(self, images: NDArray[np.float32], frames: range) -> NDArray[np.int32]:
        """Return the given labels of these frames, shape (N, Y, X).

        Raises
        ------
        InputError
            If a frame has no labels, or they differ in shape from the images of shape (N, Y, X).
        """
        if frames.stop > len(self._labels):
            raise InputError(
                f"labels must cover every frame, got {len(self._labels)} for a movie with frame "
                f"{frames.stop - 1}; give one label image per frame"
            )
        chosen = [self._labels[frame] for frame in frames]
        for frame, labels in zip(frames, chosen):
            if labels.shape != images.shape[1:]:
                raise InputError(
                    f"labels must be as large as the images, {images.shape[1:]}, got {labels.shape} in "
                    f"frame {frame}"
                )
        return np.stack(chosen) if chosen else np.zeros(images.shape, dtype=np.int32)
