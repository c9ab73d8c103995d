"""Images as a network sees them: at its working scale, with normalised brightness."""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

LOW_PERCENTILE, HIGH_PERCENTILE = 1.0, 99.8
MIN_CONTRAST = 1e-6


def measure_diameter_px(labels: NDArray[np.int32]) -> float:
    r"""Return the median diameter of the labelled cells in px, 0 without cells.

    .. math:: d = 2\sqrt{A/\pi}

    where A is a cell's area. Cells cut by the border count only where there are no others.
    """
    areas = np.bincount(labels.ravel())
    border = np.concatenate([labels[0], labels[-1], labels[:, 0], labels[:, -1]])
    whole = areas.copy()
    whole[np.unique(border)] = 0
    usable = whole[1:] if (whole[1:] > 0).any() else areas[1:]
    usable = usable[usable > 0]
    return float(2 * np.sqrt(np.median(usable) / np.pi)) if usable.size else 0.0


def resize(image: NDArray[np.float32], shape: tuple[int, int]) -> NDArray[np.float32]:
    """Resample an image to (Y, X) `shape`: by area when it shrinks, cubic when it grows."""
    grows = shape[0] > image.shape[0]
    method = cv2.INTER_CUBIC if grows else cv2.INTER_AREA
    return np.asarray(cv2.resize(image, shape[::-1], interpolation=method), dtype=np.float32)


def normalise(image: NDArray[np.float32], *, high_percentile: float = HIGH_PERCENTILE) -> NDArray[np.float32]:
    """Map the 1st percentile to 0 and a high one to 1; an image without contrast becomes all 0.

    Parameters
    ----------
    image : ndarray of shape (Y, X)
    high_percentile : float

    Returns
    -------
    ndarray of shape (Y, X)
    """
    low, high = np.percentile(image, [LOW_PERCENTILE, high_percentile])
    if not has_contrast(np.array([low, high])):
        return np.zeros_like(image)
    return np.asarray((image - np.float32(low)) / np.float32(high - low), dtype=np.float32)


def has_contrast(image: NDArray[np.floating[Any]]) -> bool:
    """Tell whether an image of any shape is more than one value and rounding errors."""
    low, high = float(image.min()), float(image.max())
    return high - low > MIN_CONTRAST * max(abs(low), abs(high))
