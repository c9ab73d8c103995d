"""Fitted spots judged by the spot classifier."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from torch import nn

from exovision.errors import InputError
from exovision.nets import weights
from exovision.nets.device import BatchRunner, ignore, resolve_device
from exovision.nets.spot_classifier import SpotClassifier

Numbers = NDArray[np.float32]
CPU_SPOTS = 1 << 16
"""Spots in one batch on a CPU."""


class SpotJudge:
    """Gives the logit of the probability of fitted spots.

    Parameters
    ----------
    path : Path
        Weights with their JSON file.
    inputs : tuple of int
        How many numbers the two perceptrons are told; the network must have learned from as many.
    device : str
        "auto", "cpu", "cuda", "cuda:N" or "mps".
    note : callable
        Told when the batch shrinks or the device changes.

    Raises
    ------
    InputError
        If the weights are damaged or of another network.
    SettingsError
        If the device does not exist.
    """

    def __init__(
        self,
        path: Path,
        *,
        inputs: tuple[int, int],
        device: str = "cpu",
        note: Callable[[str], None] = ignore,
    ) -> None:
        network, self.facts = weights.load(path, SpotClassifier)
        learned = tuple(network.shape[part][0] for part in ("alone", "together"))
        if learned != inputs:
            raise InputError(
                f"{path}: a spot classifier of this version, of {inputs} numbers, was wanted, "
                f"got one of {learned}"
            )

        self._alone, self._together = (
            BatchRunner(
                nn.Sequential(nn.Flatten(), part), resolve_device(device), cpu_images=CPU_SPOTS, note=note
            )
            for part in (network.alone, network.together)
        )

    def __call__(self, told: Numbers, *, together: bool) -> Numbers:
        """Return the logits, shape (M,), of spots as `exosomes.probability.describe` tells of them."""
        runner = self._together if together else self._alone
        return runner.run(told[:, :, None, None])[:, 0] if len(told) else np.zeros(0, dtype=np.float32)
