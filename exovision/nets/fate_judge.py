"""Moments judged by a network of fates: log-likelihoods of the special fates and of the rest."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from exovision.errors import InputError
from exovision.nets import weights
from exovision.nets.device import BatchRunner, ignore, resolve_device
from exovision.nets.fate_net import FateNet

CPU_MOMENTS = 64
"""Moments in one batch on a CPU."""


class FateJudge:
    """Judges moments with one network.

    Parameters
    ----------
    path : Path
        Weights with their JSON file.
    numbers : sequence of str
        What the last plane of a moment begins with; the network must have learned the same.
    classes : sequence of str
        In the order of the result.
    device : str
        "auto", "cpu", "cuda", "cuda:N" or "mps".
    note : callable
        Told when the batch shrinks or the device changes.

    Raises
    ------
    InputError
        If the weights are damaged, or were made for other moments.
    SettingsError
        If the device does not exist.
    """

    def __init__(
        self,
        path: Path,
        *,
        numbers: tuple[str, ...],
        classes: tuple[str, ...],
        device: str = "auto",
        note: Callable[[str], None] = ignore,
    ) -> None:
        network, facts = weights.load(path, FateNet)
        try:
            self._temperature = float(facts["temperature"])
            if tuple(facts["told"]) != numbers or network.classes != classes:
                raise ValueError("they were made for moments of another version")
        except (KeyError, TypeError, ValueError) as error:
            raise InputError(
                f"{path}: weights of `exovision train events` of this version were wanted, got: {error}"
            ) from error
        self._runner = BatchRunner(network, resolve_device(device), cpu_images=CPU_MOMENTS, note=note)

    def log_likelihoods(self, pictures: NDArray[np.float32]) -> NDArray[np.float64]:
        """Return the log-likelihood of each class up to a constant, (N, K), of moments (N, F, P, P)."""
        found: NDArray[np.float64] = self._runner.run(pictures).astype(np.float64) / self._temperature
        return found
