"""Cells found by a Cellpose model: cpsam, or a user's own file of Cellpose 1 to 4."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from exovision.calibration import um_to_px
from exovision.cells.finishing import LARGEST_UM, SMALLEST_UM, onto_membranes
from exovision.nets.cellpose_finder import CellposeFinder, Thresholds
from exovision.nets.scaling import has_contrast, measure_diameter_px
from exovision.nets.shipped import weights_file
from exovision.records import LabelStack
from exovision.settings import CellSettings

GPU_FRAMES = 64
"""More frames than this at once fill no GPU better."""


class CellposeSegmenter:
    """Segments every frame as Cellpose would, then moves outlines onto stained membranes.

    Parameters
    ----------
    settings : CellSettings
        `weights` names the model. `diameter_um` sets the scale; without it cpsam sees images as they are, a
        U-Net that a user trained looks for cells of the size it learned from, and for Cellpose's own U-Nets
        the first frame with cells tells the size, and then all others use it.
    pixel_size_um : float
        Edge of a pixel, µm.
    device : str
        "auto", "cpu", "cuda", "cuda:N" or "mps".
    labels : LabelStack, optional
        Not used.

    Attributes
    ----------
    diameter_px : float or None
        Diameter at which cells are looked for; None until known, and where the model needs none.
    notes : list of str
        At which size cells are looked for, if nobody said it, and what happened on the device, such as a
        smaller batch.

    Raises
    ------
    SettingsError
        If the device does not exist.
    InputError
        If the model is not there, or is no Cellpose model.
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
        self._finder = CellposeFinder(weights_file(settings), device=device, note=self.notes.append)
        self.diameter_px = self._known_diameter_px(settings, pixel_size_um)
        self._range_px = (um_to_px(SMALLEST_UM, pixel_size_um), um_to_px(LARGEST_UM, pixel_size_um))
        self._snaps = settings.snap_to_membrane
        self._pixel_size_um = pixel_size_um
        self._thresholds = Thresholds(
            flow=settings.flow_threshold,
            logit=settings.cellprob_threshold,
            area_px=settings.min_area_um2 / pixel_size_um**2,
        )

    def _known_diameter_px(self, settings: CellSettings, pixel_size_um: float) -> float | None:
        if settings.diameter_um is not None:
            return um_to_px(settings.diameter_um, pixel_size_um)
        trained_px = self._finder.model.trained_px
        if trained_px is not None:
            self.notes.append(
                f"cells are looked for at a diameter of {trained_px:.0f} px, that of the cells the model was "
                "trained on; cells.diameter_um sets another"
            )
        return trained_px

    @property
    def frames_at_once(self) -> int:
        """Frames that gain from going together; on a CPU, where one may take a minute, there are none."""
        return 1 if self._finder.on_cpu else GPU_FRAMES

    def segment(self, images: NDArray[np.float32], frames: range) -> NDArray[np.int32]:
        """Label the cells of images of shape (N, Y, X).

        Returns
        -------
        ndarray of shape (N, Y, X)
            0 is background; each frame's cells are 1, 2, …. A frame without contrast has none, nor have
            frames before the first in which cells could be found where the size of cells is found.

        Notes
        -----
        Each frame is treated alone, so that the result does not depend on how a movie is cut into chunks.
        """
        labels = np.zeros(images.shape, dtype=np.int32)
        usable = [index for index, image in enumerate(images) if has_contrast(image)]
        finds = not self._finder.model.any_size
        while finds and usable and self.diameter_px is None:
            self.diameter_px = self._finder.estimate_diameter_px(images[usable[0]], *self._range_px)
            usable = usable if self.diameter_px else usable[1:]
        if usable:
            labels[usable] = self._finder.find(
                images[usable], diameter_px=self.diameter_px, thresholds=self._thresholds
            )
        for index in usable if self._snaps else ():
            labels[index] = self._snapped(labels[index], images[index])
        return labels

    def _snapped(self, labels: NDArray[np.int32], image: NDArray[np.float32]) -> NDArray[np.int32]:
        diameter_px = self.diameter_px or measure_diameter_px(labels)
        return onto_membranes(labels, image, diameter_px=diameter_px, pixel_size_um=self._pixel_size_um)
