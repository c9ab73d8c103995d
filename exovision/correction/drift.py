"""Stage drift, estimated frame by frame by registration and taken off positions, never off pixels."""

from __future__ import annotations

from functools import lru_cache

import cv2
import numpy as np
import scipy.fft
from numpy.typing import NDArray
from skimage.registration import phase_cross_correlation

UPSAMPLING = 20
ANCHOR_FRAMES = 20
"""Frames are registered with an anchor at most this many frames back, so that errors add up slowly."""
NOISE_QUALITY = 30.0
"""Correlation, times the side of the image in px, that unrelated images reach at their best shift."""
BANDPASS_PX = (1.0, 8.0)
TRUNCATE = 4.0
"""Standard deviations at which the filters' kernels end."""


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
        self._anchor: tuple[NDArray[np.float32], NDArray[np.complex64]] | None = None
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
        spectrum = scipy.fft.fft2(image)
        if self._anchor is None:
            self._set_anchor((image, spectrum), frame, previous)
            return previous, 1.0
        anchor, anchor_spectrum = self._anchor
        shift, _, _ = phase_cross_correlation(
            anchor_spectrum, spectrum, space="fourier", upsample_factor=UPSAMPLING, normalization=None
        )
        quality = _agreement(anchor, image, shift)
        if quality < NOISE_QUALITY / np.sqrt(image.size):
            self.notes.append(f"frame {frame} could not be registered; the drift before it is kept")
            self._set_anchor((image, spectrum), frame, previous)
            return previous, 0.0
        drift = self._anchor_drift - np.asarray(shift, dtype=np.float64)
        if frame - self._anchor_frame >= ANCHOR_FRAMES:
            self._set_anchor((image, spectrum), frame, drift)
        return drift, quality

    def _set_anchor(
        self,
        anchor: tuple[NDArray[np.float32], NDArray[np.complex64]],
        frame: int,
        drift: NDArray[np.float64],
    ) -> None:
        self._anchor, self._anchor_frame, self._anchor_drift = anchor, frame, drift


def _prepare(image: NDArray[np.float32]) -> NDArray[np.float32]:
    """Keep structures of the size of spots and membranes and soften their range."""
    fine, coarse = (_smooth(image, sigma) for sigma in BANDPASS_PX)
    band = fine - coarse
    scale = float(np.median(np.abs(band))) or float(band.std()) or 1.0
    soft: NDArray[np.float32] = np.arcsinh(np.maximum(band, 0) / np.float32(5 * scale)) * _window(image.shape)
    return soft


def _smooth(image: NDArray[np.float32], sigma_px: float) -> NDArray[np.float32]:
    side = 2 * int(TRUNCATE * sigma_px + 0.5) + 1
    blurred = cv2.GaussianBlur(image, (side, side), sigma_px, borderType=cv2.BORDER_REPLICATE)
    return np.asarray(blurred, dtype=np.float32)


@lru_cache(maxsize=1)
def _window(shape: tuple[int, ...]) -> NDArray[np.float32]:
    """Return what fades an image out towards its border."""
    window = np.outer(np.hanning(shape[0]), np.hanning(shape[1])) ** 0.25
    return np.asarray(window, dtype=np.float32)


def _agreement(anchor: NDArray[np.float32], image: NDArray[np.float32], shift: NDArray[np.float64]) -> float:
    """Return the correlation coefficient of the overlapping parts at the nearest whole-pixel shift."""
    dy, dx = (round(float(s)) for s in shift)
    height, width = anchor.shape
    fixed = anchor[max(dy, 0) : height + min(dy, 0), max(dx, 0) : width + min(dx, 0)]
    moved = image[max(-dy, 0) : height + min(-dy, 0), max(-dx, 0) : width + min(-dx, 0)]
    if fixed.size < 64:
        return 0.0
    one, other = fixed - fixed.mean(), moved - moved.mean()
    power = float(np.vdot(one, one)) * float(np.vdot(other, other))
    return float(np.vdot(one, other)) / np.sqrt(power) if power > 0 else 0.0
