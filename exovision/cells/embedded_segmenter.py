"""Cells found by the small network that ships with exovision: no download, fast on a CPU."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from exovision.calibration import um_to_px
from exovision.cells.finishing import LARGEST_UM, SMALLEST_UM, onto_membranes
from exovision.nets.cell_finder import CellFinder
from exovision.nets.scaling import has_contrast
from exovision.nets.shipped import weights_file
from exovision.records import LabelStack
from exovision.settings import CellSettings


class EmbeddedSegmenter:
    """Segments every frame at the scale at which cells have the network's working diameter.

    Parameters
    ----------
    settings : CellSettings
        `weights` names another network than the shipped one; `diameter_um` fixes the scale; otherwise the
        first frame with cells does, and then all others use it.
    pixel_size_um : float
        Edge of a pixel, µm.
    device : str
        "auto", "cpu", "cuda", "cuda:N" or "mps".
    labels : LabelStack, optional
        Not used.

    Attributes
    ----------
    diameter_px : float or None
        Typical diameter of a cell; None until known.
    notes : list of str
        What happened on the device, such as a smaller batch.

    Raises
    ------
    SettingsError
        If the device does not exist.
    InputError
        If the weights are missing or damaged.
    """

    def __init__(
        self,
        settings: CellSettings,
        *,
        pixel_size_um: float,
        device: str = "auto",
        labels: LabelStack | None = None,
    ) -> None:
        self.notes: list[str] = []
        self.diameter_px = settings.diameter_um and um_to_px(settings.diameter_um, pixel_size_um)
        self._finder = CellFinder(weights_file(settings), device=device, note=self.notes.append)
        self._range_px = (um_to_px(SMALLEST_UM, pixel_size_um), um_to_px(LARGEST_UM, pixel_size_um))
        self._snaps = settings.snap_to_membrane
        self._pixel_size_um = pixel_size_um
        self._min_area_px = settings.min_area_um2 / pixel_size_um**2

    def segment(self, images: NDArray[np.float32], frames: range) -> NDArray[np.int32]:
        """Label the cells of images of shape (N, Y, X).

        Returns
        -------
        ndarray of shape (N, Y, X)
            0 is background; each frame's cells are 1, 2, …. A frame without contrast has none, nor have
            frames before the first in which cells could be found.

        Notes
        -----
        Each frame is treated alone, so that the result does not depend on how a movie is cut into chunks.
        """
        labels = np.zeros(images.shape, dtype=np.int32)
        usable = [index for index, image in enumerate(images) if has_contrast(image)]
        while usable and self.diameter_px is None:
            self.diameter_px = self._finder.estimate_diameter_px(images[usable[0]], *self._range_px)
            usable = usable if self.diameter_px else usable[1:]
        if not usable or self.diameter_px is None:
            return labels
        labels[usable] = self._finder.find(
            images[usable], diameter_px=self.diameter_px, min_area_px=self._min_area_px
        )
        for index in usable if self._snaps else ():
            labels[index] = onto_membranes(
                labels[index],
                images[index],
                diameter_px=self.diameter_px,
                pixel_size_um=self._pixel_size_um,
            )
        return labels
