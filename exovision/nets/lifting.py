"""Labels found at the network's working scale, lifted to full resolution with a smooth outline."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from exovision.nets.scaling import resize

REACH_PX = 2
SMOOTHING_PX = 0.7


def lift(labels: NDArray[np.int32], share: NDArray[np.float32], shape: tuple[int, int]) -> NDArray[np.int32]:
    """Draw labels at full resolution: outlines where the interpolated share of cell is one half.

    Parameters
    ----------
    labels : ndarray of shape (V, U)
        Cells at the working scale; 0 is background.
    share : ndarray of shape (V, U)
        Probability, or share of the pixel, that is inside any cell; 0–1.
    shape : tuple of int
        (Y, X) of the full resolution.

    Returns
    -------
    ndarray of shape (Y, X)
        The same ids. Where cells touch, a pixel goes to the cell whose smoothed shape is strongest there.

    Notes
    -----
    The network learned the covered share of each pixel, which crosses one half at the outline: so the
    outline is placed to a fraction of a working pixel.
    """
    solid = np.where((labels > 0) & (share < 0.5), np.float32(1), share)
    inside = resize(solid, shape) > 0.5
    strongest = np.zeros(shape, dtype=np.float32)
    lifted = np.zeros(shape, dtype=np.int32)
    for index, box in enumerate(ndimage.find_objects(labels), start=1):
        if box is not None:
            region, shape_there = _enlarge(labels[box] == index, box, labels.shape, shape)
            wins = (shape_there > strongest[region]) & inside[region]
            strongest[region][wins] = shape_there[wins]
            lifted[region][wins] = index
    return lifted


def _enlarge(
    mask: NDArray[np.bool_], box: tuple[slice, ...], small: tuple[int, ...], large: tuple[int, int]
) -> tuple[tuple[slice, slice], NDArray[np.float32]]:
    """Interpolate one smoothed shape; pixel centres of both grids are aligned."""
    padded = np.pad(mask, REACH_PX + 1).astype(np.float32)
    smooth = cv2.GaussianBlur(padded, (0, 0), SMOOTHING_PX)
    factor = [small[axis] / large[axis] for axis in (0, 1)]
    start = [max(0, int((box[axis].start - REACH_PX) / factor[axis])) for axis in (0, 1)]
    stop = [min(large[axis], int(np.ceil((box[axis].stop + REACH_PX) / factor[axis]))) for axis in (0, 1)]
    origin = [(start[axis] + 0.5) * factor[axis] - 0.5 - (box[axis].start - REACH_PX - 1) for axis in (0, 1)]
    matrix = np.array([[factor[1], 0, origin[1]], [0, factor[0], origin[0]]])
    size = (stop[1] - start[1], stop[0] - start[0])
    there = cv2.warpAffine(smooth, matrix, size, flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP)
    return (slice(start[0], stop[0]), slice(start[1], stop[1])), np.asarray(there, dtype=np.float32)
