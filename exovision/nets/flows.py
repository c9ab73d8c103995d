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
_ABREAST, _UNWATCHED, _STILL_PX = 32, 8, np.float32(1e-3)
"""Pixels followed together; steps between two looks whether they still move; less than this is still."""


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
            _add_flows(np.pad(labels[box] == index, 1), flows[(slice(None), *box)])
    return flows


@njit(cache=True, nogil=True)
def _add_flows(inside, flows):  # type: ignore[no-untyped-def]  # pragma: no cover
    """Write the flows of one cell, given with a margin of 1 px, into its part of the image."""
    y0, x0 = _middle(inside)
    heat = _diffuse(inside, y0, x0, 2 * (inside.shape[0] + inside.shape[1]))
    for y in range(1, inside.shape[0] - 1):
        for x in range(1, inside.shape[1] - 1):
            if inside[y, x]:
                down, right = heat[y + 1, x] - heat[y - 1, x], heat[y, x + 1] - heat[y, x - 1]
                length = max(np.hypot(down, right), 1e-60)
                flows[0, y - 1, x - 1], flows[1, y - 1, x - 1] = down / length, right / length


@njit(cache=True, nogil=True)
def _middle(inside):  # type: ignore[no-untyped-def]  # pragma: no cover
    """Return the pixel of a cell that is nearest to its centre."""
    n, y_sum, x_sum = 0, 0, 0
    for y in range(inside.shape[0]):
        for x in range(inside.shape[1]):
            if inside[y, x]:
                n, y_sum, x_sum = n + 1, y_sum + y, x_sum + x
    best, y0, x0 = np.inf, 0, 0
    for y in range(inside.shape[0]):
        for x in range(inside.shape[1]):
            away = (y - y_sum / n) ** 2 + (x - x_sum / n) ** 2
            if inside[y, x] and away < best:
                best, y0, x0 = away, y, x
    return y0, x0


@njit(cache=True, nogil=True)
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
    from cellpose import dynamics, utils

    inside = logit > 0
    if not inside.any():
        return np.zeros(logit.shape, dtype=np.int32)
    steps = max(20, round(STEPS_PER_DIAMETER * diameter_px))
    at = np.nonzero(inside)
    ends = follow(flows * inside / np.float32(FLOW_SCALE), np.stack(at), steps)
    with quiet():
        found = dynamics.get_masks_torch(torch.from_numpy(ends).int(), at, logit.shape, max_size_fraction=1.0)
    labels = utils.fill_holes_and_remove_small_masks(found, min_size=min_area_px).astype(np.int32)
    return drop_inconsistent(labels, flows / FLOW_SCALE, max_flow_error)


def follow(
    flows: NDArray[np.float32], starts: NDArray[np.int64], steps: int, *, aligned: bool = False
) -> NDArray[np.float32]:
    """Return where pixels get to by Euler steps along the flows.

    Parameters
    ----------
    flows : ndarray of shape (2, Y, X)
        Along y and x, px per step; 0 where nothing is followed.
    starts : ndarray of shape (2, N)
        (y, x) of the pixels.
    steps : int
    aligned : bool
        Interpolate between the centres of pixels, as Cellpose 3 did on a CPU; else as Cellpose 4 calls
        `torch.nn.functional.grid_sample`, half a pixel off at the borders.

    Returns
    -------
    ndarray of shape (2, N)
        (y, x), px.
    """
    y_scale, x_scale = (np.float32(1 if aligned else side / max(side - 1, 1)) for side in flows.shape[1:])
    offset = np.float32(1.0 if aligned else 0.5)
    ends: NDArray[np.float32] = _follow(
        np.pad(flows, [(0, 0), (1, 1), (1, 1)]), starts, steps, y_scale, x_scale, offset
    )
    return ends


@njit(cache=True, nogil=True, error_model="numpy")
def _follow(flows, starts, steps, y_scale, x_scale, half):  # type: ignore[no-untyped-def]  # pragma: no cover
    """Return where pixels (2, N) get to, (y, x) in px, by Euler steps along flows with a margin of 1 px.

    A place y lies at y_scale * y + half in the flows with their margin. Pixels are followed side by side, and
    no further once none of `_ABREAST` has moved by `_STILL_PX` in `_UNWATCHED` steps.
    """
    zero, one = np.float32(0), np.float32(1)
    height, width = flows.shape[1] - 2, flows.shape[2] - 2
    bottom, right, stride = np.float32(height - 1), np.float32(width - 1), np.int32(width + 2)
    downs, rights = flows[0].ravel(), flows[1].ravel()
    ends = np.empty(starts.shape, dtype=np.float32)
    for first in range(0, starts.shape[1], _ABREAST):
        stop = min(first + _ABREAST, starts.shape[1])
        ends[:, first:stop] = starts[:, first:stop]
        y, x = ends[0, first:stop], ends[1, first:stop]
        before = np.full((2, stop - first), -np.inf, dtype=np.float32)
        for step in range(steps):
            if step % _UNWATCHED == 0:
                if np.abs(ends[:, first:stop] - before).max() < _STILL_PX:
                    break
                before = ends[:, first:stop].copy()
            for i in range(len(y)):
                v, u = y[i] * y_scale + half, x[i] * x_scale + half
                row, column = np.int32(v), np.int32(u)
                below, beside = v - np.float32(row), u - np.float32(column)
                upper, lower = (one - below) * (one - beside), below * (one - beside)
                upper_right, lower_right = (one - below) * beside, below * beside
                k = row * stride + column
                down = upper * downs[k] + upper_right * downs[k + 1]
                down += lower * downs[k + stride] + lower_right * downs[k + stride + 1]
                along = upper * rights[k] + upper_right * rights[k + 1]
                along += lower * rights[k + stride] + lower_right * rights[k + stride + 1]
                y[i] = min(max(y[i] + down, zero), bottom)
                x[i] = min(max(x[i] + along, zero), right)
    return ends


def drop_inconsistent(
    labels: NDArray[np.int32], flows: NDArray[np.float32], max_error: float, *, spares_cut: bool = True
) -> NDArray[np.int32]:
    """Drop the cells whose shape would make other flows than the network saw, and number the rest.

    Parameters
    ----------
    labels : ndarray of shape (Y, X)
        0 is background.
    flows : ndarray of shape (2, Y, X)
        Unit flows.
    max_error : float
        Mean squared difference of the flows; above, a cell is dropped.
    spares_cut : bool
        Let cells cut by the border stay: their flows may point to a centre outside the image.

    Returns
    -------
    ndarray of shape (Y, X)
        The other cells as 1, 2, ….
    """
    count = np.bincount(labels.ravel())
    whole = np.ones(count.size, dtype=bool)
    if spares_cut:
        whole[np.unique(np.concatenate([labels[0], labels[-1], labels[:, 0], labels[:, -1]]))] = False
    judged = np.where(whole[labels], labels, 0)
    error = ((flow_targets(judged) - flows) ** 2).sum(axis=0)
    mean = np.bincount(judged.ravel(), weights=error.ravel(), minlength=count.size) / np.maximum(count, 1)
    mean[~whole] = 0.0
    kept = (count > 0) & (mean <= max_error)
    kept[0] = False
    numbers: NDArray[np.int32] = np.where(kept, np.cumsum(kept), 0).astype(np.int32)
    return numbers[labels]


@contextmanager
def quiet() -> Iterator[None]:
    """Keep from the user Cellpose's log lines and torch's warning that sparse tensors are not checked."""
    import torch

    logger = logging.getLogger("cellpose")
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        with torch.sparse.check_sparse_tensor_invariants(enable=False):
            yield
    finally:
        logger.setLevel(level)
