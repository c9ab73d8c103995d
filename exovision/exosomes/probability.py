"""The probability that a fitted peak is a spot of light the width of the PSF."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from exovision.exosomes.camera import Camera
from exovision.exosomes.spot_finder import Found
from exovision.nets.spot_classifier import SpotJudge
from exovision.numerics.spot_evidence import (
    CHI2,
    LONG_Z,
    LOOK_SIDE,
    RIDGE_Z,
    TOTAL_SE,
    WIDTH,
    WIDTH_SE,
    WIDTH_Z,
)
from exovision.numerics.spot_fits import BACKGROUND, TOTAL

MEASURES = 12
INPUTS = 2 * LOOK_SIDE**2 + MEASURES
"""Numbers that the network is told of a spot: two pictures, and measures."""


def describe(found: Found, *, camera: Camera, sigma_px: float, area_px: float) -> NDArray[np.float32]:
    """Return what the network is told of the spots of one frame.

    Parameters
    ----------
    found : Found
        All fitted peaks of the frame, shape (M,).
    camera : Camera
        Its read noise counts.
    sigma_px : float
        Standard deviation of the PSF, px.
    area_px : float
        Of the frame, px².

    Returns
    -------
    ndarray of shape (M, INPUTS)
        The looks, then the ridge beneath, significance, width and its error, excess width and length in
        standard errors, misfit, background and PSF, then what the frame holds: the density of peaks and the
        median and 90 % quantile of their significance; each brought to the order of one.
    """
    spots, evidence = found.spots, found.evidence
    noise = camera.read_noise_photons**2
    told = np.empty((len(spots), INPUTS), dtype=np.float32)
    if not len(spots):
        return told
    told[:, : 2 * LOOK_SIDE**2] = found.looks.reshape(len(spots), -1)
    significance = np.log(np.clip(spots[:, TOTAL] / evidence[:, TOTAL_SE], 0.1, 1e3)) - 2
    measures = (
        np.arcsinh(evidence[:, RIDGE_Z] / 3),
        significance,
        3 * np.log(np.clip(evidence[:, WIDTH] / sigma_px, 0.2, 5.0)),
        np.log(np.clip(evidence[:, WIDTH_SE], 1e-3, 3.0)) + 2,
        np.arcsinh(np.clip(evidence[:, WIDTH_Z], -1e3, 1e3)),
        np.arcsinh(np.clip(evidence[:, LONG_Z], 0, 1e3)),
        2 * np.log(np.clip(evidence[:, CHI2], 0.1, 1e3)),
        np.log(np.clip(spots[:, BACKGROUND] + noise, 0.1, 1e6)) - 2,
        np.full(len(spots), 2 * np.log(sigma_px) - 1),
        np.full(len(spots), np.log(len(spots) * sigma_px**2 / area_px) / 2 + 3),
        np.full(len(spots), np.median(significance)),
        np.full(len(spots), np.quantile(significance, 0.9)),
    )
    told[:, -MEASURES:] = np.column_stack(measures)
    return told


@dataclass(frozen=True)
class Probability:
    """Tells how likely the spots of one movie are.

    Attributes
    ----------
    judge : SpotJudge
        The network.
    camera : Camera
    sigma_px : float
        Standard deviation of the PSF, px.
    area_px : float
        Of a frame, px².
    """

    judge: SpotJudge
    camera: Camera
    sigma_px: float
    area_px: float

    def alone(self, found: Found) -> NDArray[np.float32]:
        """Return the probability, shape (M,), of spots that were fitted each by itself."""
        return self.judge.alone(self._described(found))

    def together(self, found: Found) -> NDArray[np.float32]:
        """Return the probability, shape (M,), of spots that were fitted with their neighbours."""
        return self.judge.together(self._described(found))

    def _described(self, found: Found) -> NDArray[np.float32]:
        return describe(found, camera=self.camera, sigma_px=self.sigma_px, area_px=self.area_px)
