"""The probability that a fitted peak is a spot of light the width of the PSF."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from exovision.exosomes.camera import Camera
from exovision.exosomes.spot_finder import Found
from exovision.nets.spot_classifier import SpotJudge, inputs


@dataclass(frozen=True)
class Probability:
    """Tells how likely the spots of one movie are.

    Attributes
    ----------
    judge : SpotJudge
        The network.
    camera : Camera
        Its read noise counts.
    sigma_px : float
        Standard deviation of the PSF, px.
    """

    judge: SpotJudge
    camera: Camera
    sigma_px: float

    def alone(self, found: Found) -> NDArray[np.float32]:
        """Return the probability, shape (M,), of spots that were fitted each by itself."""
        return self.judge.alone(self._told(found))

    def together(self, found: Found) -> NDArray[np.float32]:
        """Return the probability, shape (M,), of spots that were fitted with their neighbours."""
        return self.judge.together(self._told(found))

    def _told(self, found: Found) -> NDArray[np.float32]:
        noise = self.camera.read_noise_photons**2
        return inputs(found.spots, found.evidence, found.looks, noise=noise, sigma_px=self.sigma_px)
