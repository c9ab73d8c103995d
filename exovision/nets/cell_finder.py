"""Cells in images by a flow network: rescale, run, decode, lift; and the scale at which to look."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from exovision.nets import weights
from exovision.nets.device import BatchRunner, ignore, resolve_device
from exovision.nets.flows import decode
from exovision.nets.lifting import lift
from exovision.nets.scaling import measure_diameter_px, normalise, resize
from exovision.nets.unet import FlowUNet

MAX_MAGNIFICATION = 1.5
"""Images are enlarged no more, for speed; the network knows cells down to half its working diameter."""

ZOOM = 1.5
"""Large cells are looked at so much larger than the working diameter, for finer outlines, once that is known;
an image that is not enlarged for the working diameter is not enlarged for this either."""
TRIAL_STEP = 1.4
SURE_SCORE, SAME_LOG_RATIO = 0.75, 0.2
"""Small cells need large images, so they are looked for last, and not once a diameter fitted so well and the
next trial, which fits worse, found the same within this difference of logarithms."""
MIRROR_PX = 16
"""Images go on mirrored beyond their border, so that cells cut by it have their centre in view."""
MIN_WORKING_AREA = 0.01
"""Cells below this share of a cell of working diameter are noise."""


class CellFinder:
    """Finds cells in images with one network.

    Parameters
    ----------
    path : Path
        Weights with their JSON file.
    device : str
        "auto", "cpu", "cuda", "cuda:N" or "mps".
    note : callable
        Told when the batch shrinks or the device changes.

    Attributes
    ----------
    working_diameter_px : float
        Diameter of a cell at the network's scale.

    Raises
    ------
    InputError
        If the weights are damaged.
    SettingsError
        If the device does not exist.
    """

    def __init__(self, path: Path, *, device: str = "auto", note: Callable[[str], None] = ignore) -> None:
        network, facts = weights.load(path, FlowUNet)
        self.working_diameter_px = float(facts["working_diameter_px"])
        self._stride = network.stride
        self._runner = BatchRunner(network, resolve_device(device), note=note)

    def find(
        self, images: NDArray[np.float32], *, diameter_px: float, min_area_px: float = 0.0
    ) -> NDArray[np.int32]:
        """Label the cells of images of shape (N, Y, X).

        Parameters
        ----------
        images : ndarray of shape (N, Y, X)
            Any offset and scale.
        diameter_px : float
            Typical diameter of a cell in these images.
        min_area_px : float
            Smaller cells are dropped, px.

        Returns
        -------
        ndarray of shape (N, Y, X)
            0 is background; each image's cells are 1, 2, ….
        """
        shape = (images.shape[1], images.shape[2])
        small = self._small_shape(shape, max(diameter_px / ZOOM, min(diameter_px, self.working_diameter_px)))
        mirrored = [(0, 0), *[(MIRROR_PX, MIRROR_PX)] * 2]
        resized = np.stack([normalise(resize(image, small)) for image in images])
        output = self._predict(np.pad(resized, mirrored, mode="symmetric"))
        inner = (slice(MIRROR_PX, -MIRROR_PX),) * 2
        found = [self._decode(one, diameter_px * small[0] / shape[0])[inner] for one in output]
        output = output[(..., *inner)]
        labels = [lift(one, probability(out[2]), shape) for one, out in zip(found, output)]
        return np.stack([drop_small(one, min_area_px) for one in labels])

    def estimate_diameter_px(
        self, image: NDArray[np.float32], smallest_px: float, largest_px: float
    ) -> float | None:
        """Find the diameter that the network, shown the image at that scale, finds again.

        Parameters
        ----------
        image : ndarray of shape (Y, X)
        smallest_px, largest_px : float
            Diameters between which to look.

        Returns
        -------
        float or None
            px; None if there are no cells at any scale.
        """
        trials = trial_diameters(image.shape, smallest_px, largest_px, self.working_diameter_px)
        return choose_diameter((trial, *self._look(image, trial)) for trial in trials)

    def _look(self, image: NDArray[np.float32], diameter_px: float) -> tuple[float, float]:
        """Return the median diameter found, px of the image, and the confidence in the cells found."""
        shape = (image.shape[0], image.shape[1])
        small = self._small_shape(shape, diameter_px)
        output = self._predict(normalise(resize(image, small))[None])[0]
        factor = small[0] / shape[0]
        labels = self._decode(output, diameter_px * factor)
        return measure_diameter_px(labels) / factor, confidence(labels, output)

    def _small_shape(self, shape: tuple[int, int], diameter_px: float) -> tuple[int, int]:
        factor = min(self.working_diameter_px / diameter_px, MAX_MAGNIFICATION)
        return max(self._stride, round(shape[0] * factor)), max(self._stride, round(shape[1] * factor))

    def _predict(self, images: NDArray[np.float32]) -> NDArray[np.float32]:
        height, width = images.shape[1:]
        margin = [(0, 0), (0, -height % self._stride), (0, -width % self._stride)]
        padded = np.pad(images, margin, mode="symmetric")
        return self._runner.run(padded)[:, :, :height, :width]

    def _decode(self, output: NDArray[np.float32], diameter_px: float) -> NDArray[np.int32]:
        least = round(MIN_WORKING_AREA * np.pi / 4 * diameter_px**2)
        return decode(output[:2], output[2], diameter_px=diameter_px, min_area_px=max(least, 8))


def trial_diameters(
    shape: tuple[int, ...], smallest_px: float, largest_px: float, working_px: float
) -> list[float]:
    """Return the diameters, px, at which to look for cells in an image of that shape, the largest first.

    Those for which the image would be enlarged more than `MAX_MAGNIFICATION` times, so that they become
    `working_px`, are left out.
    """
    low = max(smallest_px, working_px / MAX_MAGNIFICATION)
    high = max(low, min(largest_px, 0.8 * min(shape)))
    count = 1 + int(np.ceil(np.log(high / low) / np.log(TRIAL_STEP)))
    return [float(trial) for trial in np.geomspace(low, high, count)[::-1]]


def choose_diameter(trials: Iterable[tuple[float, float, float]]) -> float | None:
    """Pick the self-consistent diameter from (tried, found, confidence) of trials, px, the cheapest first.

    No further trial is drawn once one is worse than a sure one before it and finds about the same diameter.
    """
    best, chosen = 0.0, None
    for tried, seen, sure in trials:
        score = sure * np.exp(-2 * np.log(seen / tried) ** 2) if seen > 0 else 0.0
        if score > best:
            best, chosen = score, seen
        elif chosen and seen > 0 and best > SURE_SCORE and abs(np.log(seen / chosen)) < SAME_LOG_RATIO:
            break
    return chosen


def confidence(labels: NDArray[np.int32], output: NDArray[np.float32]) -> float:
    r"""Return how far the labelled cells are all that is probably inside cells, 0–1.

    .. math:: \sum_i p_i m_i \Big/ \sum_i (p_i + m_i - p_i m_i)

    where p is the probability of being inside a cell and m is 1 in labelled cells, 0 elsewhere. Background
    does not count: it is as sure at a scale at which most cells are overlooked.
    """
    inside, labelled = probability(output[2]), labels > 0
    both = float(inside[labelled].sum())
    return both / max(float(inside.sum()) + float(labelled.sum()) - both, 1e-9)


def probability(logit: NDArray[np.float32]) -> NDArray[np.float32]:
    r"""Return :math:`1/(1 + e^{-x})` of logits of any shape, without overflow."""
    return np.asarray(0.5 * (1 + np.tanh(0.5 * logit)), dtype=np.float32)


def drop_small(labels: NDArray[np.int32], min_area_px: float) -> NDArray[np.int32]:
    """Remove the labels of fewer px than `min_area_px` from an image (Y, X) and number the rest 1, 2, …."""
    area = np.bincount(labels.ravel())
    kept = (area > 0) & (area >= min_area_px)
    kept[0] = False
    numbers: NDArray[np.int32] = np.where(kept, np.cumsum(kept), 0).astype(np.int32)
    return numbers[labels]
