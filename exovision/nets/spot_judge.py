"""Fitted spots judged by the spot classifier."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from exovision.errors import InputError
from exovision.nets import weights
from exovision.nets.spot_classifier import SpotClassifier

Numbers = NDArray[np.float32]


class SpotJudge:
    """Gives the logit of the probability of fitted spots.

    Parameters
    ----------
    path : Path
        Weights with their JSON file.
    inputs : tuple of int
        How many numbers the two perceptrons are told; the network must have learned from as many.

    Raises
    ------
    InputError
        If the weights are damaged or of another network.
    """

    def __init__(self, path: Path, *, inputs: tuple[int, int]) -> None:
        self._network, self.facts = weights.load(path, SpotClassifier)
        learned = tuple(self._network.shape[part][0] for part in ("alone", "together"))
        if learned != inputs:
            raise InputError(
                f"{path}: a spot classifier of this version, of {inputs} numbers, was wanted, "
                f"got one of {learned}"
            )

    def __call__(self, told: Numbers, *, together: bool) -> Numbers:
        """Return the logits, shape (M,), of spots as `exosomes.probability.describe` tells of them."""
        network = self._network.together if together else self._network.alone
        with torch.inference_mode():
            logits: Numbers = network(torch.from_numpy(told))[:, 0].numpy()
        return logits
