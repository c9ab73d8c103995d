"""Crops of cells judged by a morphology network: calibrated probabilities of the states."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from exovision.errors import InputError
from exovision.nets import weights
from exovision.nets.device import BatchRunner, ignore, resolve_device
from exovision.nets.morphology import MorphologyNet

STATES = ("live", "mitotic", "apoptotic", "lytic", "debris")
"""What a cell can be, in the order of the probabilities."""
CPU_CELLS = 64
"""Cells in one batch on a CPU."""
MOST_UNSEEN = 0.5
"""A cell more likely of a class without a state, such as out of focus, has no probabilities."""


class CellJudge:
    """Judges cells with one network.

    Parameters
    ----------
    path : Path
        Weights with their JSON file.
    device : str
        "auto", "cpu", "cuda", "cuda:N" or "mps".
    views : int
        Turned and mirrored views (1–8) over which the probabilities are averaged; the cost grows with them.
    note : callable
        Told when the batch shrinks or the device changes.

    Attributes
    ----------
    roles : tuple of str
        The channels R of a crop, in order.
    needs : tuple of str
        Without any of these channels the network knows too little of cells to judge them.

    Raises
    ------
    InputError
        If the weights are damaged.
    SettingsError
        If the device does not exist.
    """

    def __init__(
        self, path: Path, *, device: str = "auto", views: int = 1, note: Callable[[str], None] = ignore
    ) -> None:
        network, facts = weights.load(path, MorphologyNet)
        self.roles, self._views = network.roles, views
        try:
            self.needs = tuple(facts["needs"])
            self._temperature = float(facts["temperature"])
            self._groups = grouping(network.classes, facts["states"])
        except (KeyError, TypeError, ValueError) as error:
            raise InputError(
                f"{path}: weights must be as `exovision train death` wrote them; missing: {error}"
            ) from error
        self._runner = BatchRunner(network, resolve_device(device), cpu_images=CPU_CELLS, note=note)

    @property
    def on_cpu(self) -> bool:
        """Whether batches run on the CPU now."""
        return self._runner.device.type == "cpu"

    def judge(self, crops: NDArray[np.float32]) -> NDArray[np.float64]:
        """Give each cell its probabilities.

        Parameters
        ----------
        crops : ndarray of shape (N, R, Y, X)
            As `exovision.death.crops.cut` makes them.

        Returns
        -------
        ndarray of shape (N, 5)
            In the order of `STATES`; a row sums to 1, or is NaN where a crop holds no channel or the cell
            cannot be judged.
        """
        judged = np.full((len(crops), len(STATES)), np.nan)
        seen = np.isfinite(crops[:, :, 0, 0]).any(axis=1) if len(crops) else np.zeros(0, dtype=bool)
        if seen.any():
            judged[seen] = group(self.classes_of(crops[seen]), self._groups)
        return judged

    def classes_of(self, crops: NDArray[np.float32]) -> NDArray[np.float64]:
        """Return the probabilities (N, K) of the network's own classes for crops of shape (N, R, Y, X)."""
        seen = [self._runner.run(turned(crops, view)) for view in range(self._views)]
        mean: NDArray[np.float64] = np.mean([softmax(one / self._temperature) for one in seen], axis=0)
        return mean


def turned(crops: NDArray[np.float32], view: int) -> NDArray[np.float32]:
    """Return one of the eight turns and mirror images of crops of shape (N, R, Y, X); 0 leaves them."""
    quarter = np.rot90(crops, view % 4, axes=(2, 3))
    return quarter[..., ::-1] if view >= 4 else quarter


def softmax(logits: NDArray[np.float32]) -> NDArray[np.float64]:
    """Return probabilities of logits of shape (N, K), rows summing to 1."""
    raised = np.exp(logits.astype(np.float64) - logits.max(axis=1, keepdims=True))
    shares: NDArray[np.float64] = raised / raised.sum(axis=1, keepdims=True)
    return shares


def grouping(classes: Sequence[str], states: Mapping[str, str | None]) -> NDArray[np.float64]:
    """Return the matrix (K, 5) that adds up the classes of each state; a class without state is in none."""
    return np.array([[float(states[name] == state) for state in STATES] for name in classes])


def group(classes: NDArray[np.float64], groups: NDArray[np.float64]) -> NDArray[np.float64]:
    """Add up class probabilities (N, K) to states (N, 5), NaN where a class without state is likelier."""
    sums = classes @ groups
    known = sums.sum(axis=1, keepdims=True)
    shares: NDArray[np.float64] = np.where(known >= 1 - MOST_UNSEEN, sums / np.maximum(known, 1e-12), np.nan)
    return shares
