"""Cells in images by a Cellpose model: normalise, resize, run in tiles, put together, decode."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

from exovision.nets.cell_finder import choose_diameter, confidence, trial_diameters
from exovision.nets.cellpose_models import CellposeModel, load_model
from exovision.nets.device import BatchRunner, ignore, resolve_device
from exovision.nets.flows import FLOW_SCALE, drop_inconsistent, follow, quiet
from exovision.nets.scaling import measure_diameter_px, normalise

Images = NDArray[np.float32]

HIGH_PERCENTILE = 99.0
OVERLAP = 0.1
"""Share of a tile's edge that it shares with the next, as in Cellpose."""
STEPS = 200
"""Euler steps where a cell has the network's diameter; in proportion elsewhere."""
TILES_AT_ONCE = 128
"""Tiles of several images that are held together, at least those of one image."""


class Thresholds(NamedTuple):
    """What a cell must be to count.

    Attributes
    ----------
    flow : float
        Largest mean squared difference of the unit flows seen and those that a cell's shape would make;
        0: no limit.
    logit : float
        Least logit of a pixel of a cell.
    area_px : float
        Least area, px.
    """

    flow: float = 0.4
    logit: float = 0.0
    area_px: float = 15.0


class CellposeFinder:
    """Finds cells in images with a model of Cellpose 1 to 4, as Cellpose itself would.

    Parameters
    ----------
    path : Path
        The model file.
    device : str
        "auto", "cpu", "cuda", "cuda:N" or "mps".
    note : callable
        Told when the batch shrinks or the device changes.

    Attributes
    ----------
    model : CellposeModel

    Raises
    ------
    InputError
        If the file is no such model.
    SettingsError
        If the device does not exist.

    Notes
    -----
    Flows and logits are those of Cellpose 3.1.1.3, or 4.2, and so are cells, but that none is dropped for
    covering more than 40 % of the image (doi:10.1038/s41592-020-01018-x).
    """

    def __init__(self, path: Path, *, device: str = "auto", note: Callable[[str], None] = ignore) -> None:
        place = resolve_device(device)
        self.model: CellposeModel = load_model(path)
        self._runner = BatchRunner(self.model.network, place, bytes_per_px=self.model.bytes_per_px, note=note)

    @property
    def on_cpu(self) -> bool:
        """Whether the network runs on a CPU, from the start or since a GPU ran out of memory."""
        return self._runner.device.type == "cpu"

    def find(self, images: Images, *, diameter_px: float | None, thresholds: Thresholds) -> NDArray[np.int32]:
        """Label the cells of images.

        Parameters
        ----------
        images : ndarray of shape (N, Y, X)
            Any offset and scale.
        diameter_px : float or None
            Typical diameter of a cell in these images; None: as large as the network wants to see them.
        thresholds : Thresholds

        Returns
        -------
        ndarray of shape (N, Y, X)
            0 is background; each image's cells are 1, 2, ….
        """
        factor = self._factor(diameter_px)
        labels = np.zeros(images.shape, dtype=np.int32)
        for index, output in enumerate(self._outputs(images, factor)):
            labels[index] = self._decode(output, int(STEPS / factor), thresholds)
        return labels

    def flows(self, images: Images, *, diameter_px: float | None) -> Images:
        """Return flows along y and x, times `FLOW_SCALE`, and logits of images (N, Y, X): (N, 3, Y, X)."""
        return np.stack(list(self._outputs(images, self._factor(diameter_px))))

    def estimate_diameter_px(self, image: Images, smallest_px: float, largest_px: float) -> float | None:
        """Find the diameter between two that the network, shown the image (Y, X) at that scale, finds again.

        Returns
        -------
        float or None
            px; None if there are no cells at any scale.
        """
        trials = trial_diameters(image.shape, smallest_px, largest_px, self.model.diameter_px)
        return choose_diameter((trial, *self._look(image, trial)) for trial in trials)

    def _look(self, image: Images, diameter_px: float) -> tuple[float, float]:
        """Return the median diameter found, px of the image, and the share of the image explained."""
        factor = self._factor(diameter_px)
        output = self._run(_resized(normalise(image, high_percentile=HIGH_PERCENTILE), factor)[None])[0]
        labels = self._decode(output, STEPS, Thresholds())
        return measure_diameter_px(labels) / factor, confidence(labels, output)

    def _factor(self, diameter_px: float | None) -> float:
        return 1.0 if diameter_px is None else self.model.diameter_px / diameter_px

    def _outputs(self, images: Images, factor: float) -> Iterator[Images]:
        """Yield the network's output (3, Y, X) for each image, at the image's own size."""
        shape = images.shape[1:]
        tiles = np.prod([max(1.0, factor * side / self.model.tile_px) for side in shape])
        together = max(1, int(TILES_AT_ONCE / tiles))
        for first in range(0, len(images), together):
            few = (
                normalise(one, high_percentile=HIGH_PERCENTILE) for one in images[first : first + together]
            )
            for output in self._run(np.stack([_resized(image, factor) for image in few])):
                yield output if factor == 1.0 else _enlarged(output, shape)

    def _run(self, images: Images) -> Images:
        """Map images (N, V, U) at the network's scale to its output (N, 3, V, U), in overlapping tiles."""
        from cellpose import transforms

        edge, (height, width) = self.model.tile_px, images.shape[1:]
        least = (edge, edge) if self.model.fixed_tiles else None
        above, below, left, right = transforms.get_pad_yx(height, width, min_size=least)
        padded = np.pad(images, [(0, 0), (above, below), (left, right)])
        cut = [transforms.make_tiles(one[None], bsize=edge, tile_overlap=OVERLAP) for one in padded]
        tiles = np.concatenate([one[0].reshape(-1, 1, *one[0].shape[-2:]) for one in cut])
        absent = np.zeros((len(tiles), self.model.channels - 1, *tiles.shape[2:]), dtype=np.float32)
        seen = self._runner.run(np.concatenate([tiles, absent], axis=1)).reshape(
            len(images), -1, 3, *tiles.shape[2:]
        )
        whole = [transforms.average_tiles(one, *places) for one, (_, *places) in zip(seen, cut)]
        inner = (slice(above, above + height), slice(left, left + width))
        return np.stack([one[(..., *inner)] for one in whole]).astype(np.float32)

    def _decode(self, output: Images, steps: int, thresholds: Thresholds) -> NDArray[np.int32]:
        """Label the cells of one output (3, Y, X)."""
        import torch
        from cellpose import dynamics, utils

        flows, logit = output[:2] / np.float32(FLOW_SCALE), output[2]
        inside = logit > thresholds.logit
        if not inside.any():
            return np.zeros(logit.shape, dtype=np.int32)
        at = np.nonzero(inside)
        ends = follow(flows * inside, np.stack(at), steps, aligned=self.model.aligned)
        with quiet():
            found = dynamics.get_masks_torch(
                torch.from_numpy(ends).int(), at, logit.shape, max_size_fraction=1.0
            )
        labels = found.astype(np.int32)
        if thresholds.flow > 0:
            labels = drop_inconsistent(labels, flows, thresholds.flow, spares_cut=False)
        filled = utils.fill_holes_and_remove_small_masks(labels, min_size=max(1, round(thresholds.area_px)))
        return np.asarray(filled, dtype=np.int32)


def _resized(image: Images, factor: float) -> Images:
    if factor == 1.0:
        return image
    shape = [max(1, int(side * factor)) for side in image.shape]
    return np.asarray(cv2.resize(image, shape[::-1], interpolation=cv2.INTER_LINEAR), dtype=np.float32)


def _enlarged(output: Images, shape: tuple[int, ...]) -> Images:
    """Resample an output (3, V, U) to (3, Y, X)."""
    large = cv2.resize(output.transpose(1, 2, 0), shape[::-1], interpolation=cv2.INTER_LINEAR)
    return np.ascontiguousarray(large.transpose(2, 0, 1), dtype=np.float32)
