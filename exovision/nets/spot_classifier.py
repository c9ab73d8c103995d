"""A small network that tells how likely a fitted peak is a spot of light the width of the PSF."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from exovision.nets import weights
from exovision.numerics.spot_evidence import CHI2, LONG_Z, LOOK_SIDE, TOTAL_SE, WIDTH, WIDTH_SE, WIDTH_Z
from exovision.numerics.spot_fits import BACKGROUND, TOTAL

MEASURES = 8
INPUTS = 2 * LOOK_SIDE**2 + MEASURES

Floats = NDArray[np.float64]
Images = NDArray[np.float32]


class Perceptron(nn.Sequential):
    """Fully connected layers from `INPUTS` numbers to one logit.

    Parameters
    ----------
    widths : sequence of int
        Hidden units of each layer.
    """

    def __init__(self, widths: Sequence[int]) -> None:
        layers: list[nn.Module] = []
        for inputs, outputs in zip((INPUTS, *widths), widths):
            layers += [nn.Linear(inputs, outputs), nn.ReLU()]
        super().__init__(*layers, nn.Linear(widths[-1], 1))


class SpotClassifier(nn.Module):
    """Two perceptrons: for spots that were fitted each by itself, and for those fitted with their neighbours.

    Parameters
    ----------
    widths : sequence of int
        Hidden units of each layer.
    """

    def __init__(self, widths: Sequence[int] = (64, 32)) -> None:
        super().__init__()
        self.widths = tuple(widths)
        self.alone, self.together = Perceptron(widths), Perceptron(widths)

    def forward(self, x: Tensor) -> Tensor:
        """Map (N, INPUTS) to the logits of spots that were fitted together, (N, 1)."""
        logits: Tensor = self.together(x)
        return logits


def inputs(spots: Floats, evidence: Floats, looks: Images, *, noise: float, sigma_px: float) -> Images:
    """Return what the network is told of fitted spots.

    Parameters
    ----------
    spots : ndarray of shape (M, 5)
        Columns of `numerics.spot_fits`.
    evidence : ndarray of shape (M, 10)
        Columns of `numerics.spot_evidence`.
    looks : ndarray of shape (M, 2, LOOK_SIDE, LOOK_SIDE)
        As `numerics.spot_evidence.looks`.
    noise : float
        Read-noise variance, photons².
    sigma_px : float
        Standard deviation of the PSF, px.

    Returns
    -------
    ndarray of shape (M, INPUTS)
        The looks, then significance, width and its error, excess width and length in standard errors,
        misfit, background and PSF, each brought to the order of one.
    """
    told = np.empty((len(spots), INPUTS), dtype=np.float32)
    told[:, : 2 * LOOK_SIDE**2] = looks.reshape(len(spots), -1)
    significance = spots[:, TOTAL] / evidence[:, TOTAL_SE]
    told[:, -8] = np.log(np.clip(significance, 0.1, 1e3)) - 2
    told[:, -7] = 3 * np.log(np.clip(evidence[:, WIDTH] / sigma_px, 0.2, 5.0))
    told[:, -6] = np.log(np.clip(evidence[:, WIDTH_SE], 1e-3, 3.0)) + 2
    told[:, -5] = np.arcsinh(np.clip(evidence[:, WIDTH_Z], -1e3, 1e3))
    told[:, -4] = np.arcsinh(np.clip(evidence[:, LONG_Z], 0, 1e3))
    told[:, -3] = 2 * np.log(np.clip(evidence[:, CHI2], 0.1, 1e3))
    told[:, -2] = np.log(np.clip(spots[:, BACKGROUND] + noise, 0.1, 1e6)) - 2
    told[:, -1] = 2 * np.log(sigma_px) - 1
    return told


class SpotJudge:
    """Gives the probability of fitted spots with one network.

    Parameters
    ----------
    path : Path
        Weights with their JSON file.

    Raises
    ------
    InputError
        If the weights are damaged or of another network.
    """

    def __init__(self, path: Path) -> None:
        self._network, self.facts = weights.load(path, SpotClassifier)

    def alone(self, told: Images) -> Images:
        """Return the probability, shape (M,), of spots fitted each by itself, from `inputs`."""
        return _probability(self._network.alone, told)

    def together(self, told: Images) -> Images:
        """Return the probability, shape (M,), of spots fitted with their neighbours, from `inputs`."""
        return _probability(self._network.together, told)


def _probability(network: nn.Module, told: Images) -> Images:
    with torch.inference_mode():
        logits = network(torch.from_numpy(told))[:, 0]
        result: Images = torch.sigmoid(logits).numpy()
    return result
