"""Between label images and flows: training targets, and decoding through Cellpose's dynamics."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
from numba import njit
from numpy.typing import NDArray
from scipy import ndimage

FLOW_SCALE = 5.0
"""Factor on the unit flows in the network's output, as in Cellpose (doi:10.1038/s41592-020-01018-x)."""

STEPS_PER_DIAMETER = 3.0
"""Euler steps of the decoding per cell diameter: a pixel on the rim needs half a diameter at unit speed."""


def flow_targets(labels: NDArray[np.int32]) -> NDArray[np.float32]:
    """Compute the unit flows that lead from every pixel to the centre of its cell.

    Parameters
    ----------
    labels : ndarray of shape (Y, X)
        0 is background; ids need not be consecutive.

    Returns
    -------
    ndarray of shape (2, Y, X)
        Flow along y and along x, unit length inside the cells, 0 outside: the normalised gradient of a heat
        that is fed into the centre of the cell and diffuses in it (doi:10.1038/s41592-020-01018-x).

    Notes
    -----
    Cellpose's own function gives the same field but iterates all cells as often as the largest needs; this
    one is several times faster and lets no heat of a touching cell bend the flow.
    """
    flows = np.zeros((2, *labels.shape), dtype=np.float32)
    for index, box in enumerate(ndimage.find_objects(labels), start=1):
        if box is not None:
            inside = labels[box] == index
            flows[(slice(None), *box)][:, inside] = _flows_of_one(np.pad(inside, 1))[:, 1:-1, 1:-1][:, inside]
    return flows


def _flows_of_one(inside: NDArray[np.bool_]) -> NDArray[np.float64]:
    y, x = np.nonzero(inside)
    nearest = int(np.argmin((y - y.mean()) ** 2 + (x - x.mean()) ** 2))
    heat = _diffuse(inside, int(y[nearest]), int(x[nearest]), 2 * sum(inside.shape))
    flow = np.zeros((2, *inside.shape))
    flow[0, 1:-1] = heat[2:] - heat[:-2]
    flow[1, :, 1:-1] = heat[:, 2:] - heat[:, :-2]
    length: NDArray[np.float64] = flow / np.maximum(np.hypot(flow[0], flow[1]), 1e-60)
    return length


@njit(cache=True)
def _diffuse(
    inside: NDArray[np.bool_], y0: int, x0: int, steps: int
) -> NDArray[np.float64]:  # pragma: no cover
    heat = np.zeros(inside.shape)
    new = np.zeros(inside.shape)
    for _ in range(steps):
        heat[y0, x0] += 1.0
        for y in range(1, inside.shape[0] - 1):
            for x in range(1, inside.shape[1] - 1):
                if inside[y, x]:
                    upper = heat[y - 1, x - 1] + heat[y - 1, x] + heat[y - 1, x + 1]
                    same = heat[y, x - 1] + heat[y, x] + heat[y, x + 1]
                    lower = heat[y + 1, x - 1] + heat[y + 1, x] + heat[y + 1, x + 1]
                    new[y, x] = (upper + same + lower) / 9.0
        heat, new = new, heat
    return heat


def decode(
    flows: NDArray[np.float32],
    logit: NDArray[np.float32],
    *,
    diameter_px: float,
    max_flow_error: float = 0.4,
    min_area_px: int = 15,
) -> NDArray[np.int32]:
    """Follow the flows and label the pixels that end at the same place.

    Parameters
    ----------
    flows : ndarray of shape (2, Y, X)
        Flow along y and x, times `FLOW_SCALE`.
    logit : ndarray of shape (Y, X)
        Positive inside cells.
    diameter_px : float
        Typical diameter; sets how many steps are followed.
    max_flow_error : float
        Mean squared difference of the unit flows given and those of the shape found; above, it is dropped.
    min_area_px : int
        Smaller cells are dropped, px.

    Returns
    -------
    ndarray of shape (Y, X)
        0 is background, cells are 1, 2, ….
    """
    import torch
    from cellpose import dynamics

    if not (logit > 0).any():
        return np.zeros(logit.shape, dtype=np.int32)
    with _quiet():
        labels = dynamics.compute_masks(
            flows,
            logit,
            niter=max(20, round(STEPS_PER_DIAMETER * diameter_px)),
            flow_threshold=None,
            min_size=min_area_px,
            max_size_fraction=1.0,
            device=torch.device("cpu"),
        ).astype(np.int32)
    return _without_inconsistent(labels, flows / FLOW_SCALE, max_flow_error)


def _without_inconsistent(
    labels: NDArray[np.int32], flows: NDArray[np.float32], max_error: float
) -> NDArray[np.int32]:
    """Drop the cells whose shape would make other flows than the network saw, and number the rest.

    Cells cut by the border stay: their flows may point to a centre outside the image.
    """
    error = ((flow_targets(labels) - flows) ** 2).sum(axis=0)
    count = np.bincount(labels.ravel())
    mean = np.bincount(labels.ravel(), weights=error.ravel()) / np.maximum(count, 1)
    mean[np.unique(np.concatenate([labels[0], labels[-1], labels[:, 0], labels[:, -1]]))] = 0.0
    kept = (count > 0) & (mean <= max_error)
    kept[0] = False
    numbers: NDArray[np.int32] = np.where(kept, np.cumsum(kept), 0).astype(np.int32)
    return numbers[labels]


@contextmanager
def _quiet() -> Iterator[None]:
    """Keep from the user Cellpose's log lines and torch's warning that sparse tensors are not checked."""
    import torch

    logger = logging.getLogger("cellpose.dynamics")
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        with torch.sparse.check_sparse_tensor_invariants(enable=False):
            yield
    finally:
        logger.setLevel(level)
