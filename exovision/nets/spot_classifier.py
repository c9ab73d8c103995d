"""A small network that tells how likely a fitted peak is a spot of light the width of the PSF."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import Any

import torch
from torch import Tensor, nn


class Perceptron(nn.Sequential):
    """Fully connected layers from some numbers, (N, inputs) or (N, inputs, 1, 1), to one logit.

    Parameters
    ----------
    widths : sequence of int
        Inputs, then the hidden units of each layer.
    """

    def __init__(self, widths: Sequence[int]) -> None:
        layers: list[nn.Module] = [nn.Flatten()]
        for inputs, outputs in pairwise(widths):
            layers += [nn.Linear(inputs, outputs), nn.ReLU()]
        super().__init__(*layers, nn.Linear(widths[-1], 1))


class SpotClassifier(nn.Module):
    """Two perceptrons: for spots that were fitted each by itself, and for those fitted with their neighbours.

    Parameters
    ----------
    alone, together : sequence of int
        Inputs of each, then the hidden units of its layers.
    """

    def __init__(self, alone: Sequence[int] = (1, 1), together: Sequence[int] = (1, 1)) -> None:
        super().__init__()
        self.shape: dict[str, Any] = {"alone": tuple(alone), "together": tuple(together)}
        self.alone, self.together = Perceptron(alone), Perceptron(together)

    def forward(self, x: Tensor) -> Tensor:
        """Map (N, inputs) to the logits of spots that were fitted together, (N, 1)."""
        logits: Tensor = self.together(x)
        return logits


def fresh_classifier(alone: Sequence[int], together: Sequence[int], seed: int) -> SpotClassifier:
    """Return an untrained network whose weights depend on its shape and `seed` alone."""
    torch.manual_seed(seed)
    return SpotClassifier(alone, together)
