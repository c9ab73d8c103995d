"""Outlines of single frames brought onto stained membranes, whatever network found the cells."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from exovision.calibration import um_to_px
from exovision.cells.compartments import fill_compartments
from exovision.cells.membrane import snap_to_membrane

SMALLEST_UM, LARGEST_UM = 4.0, 60.0
"""Diameters between which the typical cell is looked for, µm: small lymphocyte to spread tumour cell."""

USUAL_SIGMA_UM = 0.13
"""PSF standard deviation of a high-aperture objective."""
REACH_DIAMETERS = 2 / 32
"""Outlines move by no more than this: two pixels of the image as the embedded network sees it."""
LEAST_REACH_PX = 1.5


def onto_membranes(
    labels: NDArray[np.int32], image: NDArray[np.float32], *, diameter_px: float, pixel_size_um: float
) -> NDArray[np.int32]:
    """Fill cells cut by the border up to their membranes and move outlines onto membranes close by.

    Parameters
    ----------
    labels : ndarray of shape (Y, X)
        0 is background.
    image : ndarray of shape (Y, X)
        Counts of the cell channel.
    diameter_px : float
        Typical diameter of a cell; sets how far an outline may move, px.
    pixel_size_um : float
        Edge of a pixel, µm.

    Returns
    -------
    ndarray of shape (Y, X)
        The same ids; unchanged without a stained membrane, or where cells are too small for it to matter.
    """
    reach_px = REACH_DIAMETERS * diameter_px
    if reach_px < LEAST_REACH_PX:
        return labels
    sigma_px = max(um_to_px(USUAL_SIGMA_UM, pixel_size_um), 1.0)
    return snap_to_membrane(fill_compartments(labels, image), image, reach_px=reach_px, sigma_px=sigma_px)
