"""The probability that a fitted peak is a spot of light the width of the PSF."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from exovision.exosomes.camera import Camera
from exovision.exosomes.spot_finder import Found
from exovision.nets.spot_classifier import SpotJudge, inputs


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
    """
    noise = camera.read_noise_photons**2
    return inputs(found.spots, found.evidence, found.looks, noise=noise, sigma_px=sigma_px, area_px=area_px)


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
