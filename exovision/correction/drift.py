"""Stage drift, estimated frame by frame by registration and taken off positions, never off pixels."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from skimage.filters import difference_of_gaussians
from skimage.registration import phase_cross_correlation

UPSAMPLING = 20
ANCHOR_FRAMES = 20
"""Frames are registered with an anchor at most this many frames back, so that errors add up slowly."""
NOISE_QUALITY = 30.0
"""Correlation, times the side of the image in px, that unrelated images reach at their best shift."""
BANDPASS_PX = (1.0, 8.0)


class DriftEstimator:
    """Follows the stage: a position in the stage's frame is the observed one minus the drift.

    Attributes
    ----------
    notes : list of str
        What could not be registered.

    Notes
    -----
    Each frame is registered with an anchor frame, itself registered with the one before, on band-passed
    images (Guizar-Sicairos 2008, doi:10.1364/OL.33.000156). Moving cells with more contrast than everything
    fixed to the glass are followed instead of the stage.
    """

    def __init__(self) -> None:
        self.notes: list[str] = []
        self._drift: list[NDArray[np.float64]] = []
        self._quality: list[float] = []
        self._anchor: NDArray[np.float32] | None = None
        self._anchor_frame = 0
        self._anchor_drift = np.zeros(2)

    def update(self, image: NDArray[np.float32] | None, frame: int) -> NDArray[np.float64]:
        """Take the next frame and return its drift (y, x) in px relative to the first.

        Parameters
        ----------
        image : ndarray of shape (Y, X), optional
            Counts; None or an image without contrast keeps the drift of the frame before.
        frame : int
            Frames come in order, each once.
        """
        previous = self._drift[-1] if self._drift else np.zeros(2)
        drift, quality = previous, 0.0
        if image is not None and float(np.ptp(image)) > 0 and min(image.shape) >= 16:
            drift, quality = self._register(_prepare(image), frame, previous)
        self._drift.append(drift)
        self._quality.append(quality)
        return drift

    @property
    def drift_px(self) -> NDArray[np.float64]:
        """Drift (y, x) of every frame so far, shape (T, 2), px."""
        return np.array(self._drift).reshape(-1, 2)

    @property
    def quality(self) -> NDArray[np.float64]:
        """Normalised correlation with the anchor, shape (T,); 0 where a frame was not registered."""
        return np.array(self._quality)

    def _register(
        self, image: NDArray[np.float32], frame: int, previous: NDArray[np.float64]
    ) -> tuple[NDArray[np.float64], float]:
        if self._anchor is None:
            self._set_anchor(image, frame, previous)
            return previous, 1.0
        shift, _, _ = phase_cross_correlation(
            self._anchor, image, upsample_factor=UPSAMPLING, normalization=None
        )
        quality = _agreement(self._anchor, image, shift)
        if quality < NOISE_QUALITY / np.sqrt(image.size):
            self.notes.append(f"frame {frame} could not be registered; the drift before it is kept")
            self._set_anchor(image, frame, previous)
            return previous, 0.0
        drift = self._anchor_drift - np.asarray(shift, dtype=np.float64)
        if frame - self._anchor_frame >= ANCHOR_FRAMES:
            self._set_anchor(image, frame, drift)
        return drift, quality

    def _set_anchor(self, image: NDArray[np.float32], frame: int, drift: NDArray[np.float64]) -> None:
        self._anchor, self._anchor_frame, self._anchor_drift = image, frame, drift


def _prepare(image: NDArray[np.float32]) -> NDArray[np.float32]:
    """Keep structures of the size of spots and membranes and soften their range."""
    band = difference_of_gaussians(image, *BANDPASS_PX)
    scale = float(np.median(np.abs(band))) or float(band.std()) or 1.0
    window = np.outer(np.hanning(image.shape[0]), np.hanning(image.shape[1])) ** 0.25
    soft: NDArray[np.float32] = (np.arcsinh(np.maximum(band, 0) / (5 * scale)) * window).astype(np.float32)
    return soft


def _agreement(anchor: NDArray[np.float32], image: NDArray[np.float32], shift: NDArray[np.float64]) -> float:
    """Return the correlation coefficient of the overlapping parts at the nearest whole-pixel shift."""
    dy, dx = (round(float(s)) for s in shift)
    height, width = anchor.shape
    fixed = anchor[max(dy, 0) : height + min(dy, 0), max(dx, 0) : width + min(dx, 0)]
    moved = image[max(-dy, 0) : height + min(-dy, 0), max(-dx, 0) : width + min(-dx, 0)]
    if fixed.size < 64 or not fixed.std() or not moved.std():
        return 0.0
    return float(np.corrcoef(fixed.ravel(), moved.ravel())[0, 1])
