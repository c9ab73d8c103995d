"""A small network that tells how likely a fitted peak is a spot of light the width of the PSF."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from exovision.nets import weights

Images = NDArray[np.float32]


class Perceptron(nn.Sequential):
    """Fully connected layers from some numbers to one logit.

    Parameters
    ----------
    widths : sequence of int
        Inputs, then the hidden units of each layer.
    """

    def __init__(self, widths: Sequence[int]) -> None:
        layers: list[nn.Module] = []
        for inputs, outputs in pairwise(widths):
            layers += [nn.Linear(inputs, outputs), nn.ReLU()]
        super().__init__(*layers, nn.Linear(widths[-1], 1))


class SpotClassifier(nn.Module):
    """Two perceptrons: for spots that were fitted each by itself, and for those fitted with their neighbours.

    Parameters
    ----------
    widths : sequence of int
        Inputs, then the hidden units of each layer.
    """

    def __init__(self, widths: Sequence[int]) -> None:
        super().__init__()
        self.widths = tuple(widths)
        self.alone, self.together = Perceptron(widths), Perceptron(widths)

    def forward(self, x: Tensor) -> Tensor:
        """Map (N, inputs) to the logits of spots that were fitted together, (N, 1)."""
        logits: Tensor = self.together(x)
        return logits


def fresh_classifier(widths: Sequence[int], seed: int) -> SpotClassifier:
    """Return an untrained network whose weights depend on `widths` and `seed` alone."""
    torch.manual_seed(seed)
    return SpotClassifier(widths)


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
        """Return the probability, shape (M,), of spots fitted each by itself, shape (M, inputs)."""
        return _probability(self._network.alone, told)

    def together(self, told: Images) -> Images:
        """Return the probability, shape (M,), of spots fitted with their neighbours, shape (M, inputs)."""
        return _probability(self._network.together, told)


def _probability(network: nn.Module, told: Images) -> Images:
    with torch.inference_mode():
        logits = network(torch.from_numpy(told))[:, 0]
        result: Images = torch.sigmoid(logits).numpy()
    return result
