"""Cells: overlap of label images frame by frame, distance of outlines, and whether ids persist."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.ndimage import find_objects, uniform_filter1d
from scipy.spatial import cKDTree
from skimage.measure import find_contours

from exovision.errors import InputError
from exovision.numerics.assignment import assign_pairs
from exovision.records import LabelStack
from exovision.scoring.scores import Value, average, median, proportion

IOU_LEVELS = (0.5, 0.75, 0.9)
SAME_CELL_IOU = 0.5
"""Overlap above which a result's cell is the true cell."""
CLOSE_RATIO = 3
"""Points per contour vertex in the outline that distances are measured to."""
SMOOTHED_VERTICES = 5
"""Neighbouring vertices averaged: from corner to corner of two pixelated outlines it is too short a way."""
BORDER_PX = 3
"""Outlines nearer to the image's edge than this are not compared: there the edge cuts the cell."""


@dataclass(frozen=True)
class CellMatch:
    """What the comparison of two label stacks found, frame by frame.

    Attributes
    ----------
    frames : DataFrame
        `frame n_truth n_result`, and `hits_50 hits_75 hits_90`: cells that match at this IoU.
    pairs : DataFrame
        Cells that match at IoU ≥ 0.5: `frame truth_cell result_cell iou boundary_px`; the last is the mean
        absolute distance between the outlines, NaN where the cell lies wholly at the border.
    """

    frames: pd.DataFrame
    pairs: pd.DataFrame


def match_cells(result: LabelStack | Sequence[Any], truth: LabelStack | Sequence[Any]) -> CellMatch:
    """Match the cells of two stacks of label images; one frame is in memory at a time.

    Parameters
    ----------
    result, truth : label stack, sequence of ndarray of shape (Y, X), or ndarray of shape (T, Y, X)
        0 is background.

    Returns
    -------
    CellMatch

    Raises
    ------
    InputError
        If the stacks are empty, or differ in length or image shape.
    """
    if len(truth) == 0:
        raise InputError("label stacks must have at least one frame, got none")
    if len(result) != len(truth):
        raise InputError(
            f"label stacks must have the same frames, got {len(result)} (result) and {len(truth)} (truth)"
        )
    frames, pairs = [], []
    for t in range(len(truth)):
        found, true = np.asarray(result[t]), np.asarray(truth[t])
        if found.shape != true.shape or true.ndim != 2:
            raise InputError(
                f"label images must be (Y, X) and of the same shape, got {found.shape} (result) and "
                f"{true.shape} (truth) in frame {t}"
            )
        counts, matched = _match_frame(found, true)
        frames.append({"frame": t, **counts})
        pairs.append(matched.assign(frame=t))
    columns = ["frame", "truth_cell", "result_cell", "iou", "boundary_px"]
    return CellMatch(pd.DataFrame(frames), pd.concat(pairs, ignore_index=True)[columns])


def _match_frame(result: NDArray[Any], truth: NDArray[Any]) -> tuple[dict[str, int], pd.DataFrame]:
    table, n_truth, n_result = overlaps(result, truth)
    counts = {"n_truth": n_truth, "n_result": n_result}
    for level in IOU_LEVELS:
        enough = table[table["iou"] >= level]
        chosen = assign_pairs(*(enough[c].to_numpy() for c in ("truth_cell", "result_cell", "iou")))
        counts[f"hits_{100 * level:.0f}"] = len(chosen)
    enough = table[table["iou"] >= SAME_CELL_IOU].reset_index(drop=True)
    matched = enough.iloc[assign_pairs(*(enough[c].to_numpy() for c in ("truth_cell", "result_cell", "iou")))]
    found_at, true_at = find_objects(result), find_objects(truth)
    distance = [
        _boundary_px(result, truth, r, t, _union(found_at[r - 1], true_at[t - 1]))
        for t, r in zip(matched["truth_cell"].to_list(), matched["result_cell"].to_list())
    ]
    return counts, matched.assign(boundary_px=np.array(distance, dtype=np.float64))


def overlaps(result: NDArray[Any], truth: NDArray[Any]) -> tuple[pd.DataFrame, int, int]:
    """Return the overlaps of all touching pairs of cells, and how many cells there are.

    Parameters
    ----------
    result, truth : ndarray of shape (Y, X)
        Label images.

    Returns
    -------
    DataFrame
        `truth_cell result_cell iou`.
    int, int
        Number of true and of found cells.
    """
    true_ids, true_index, true_area = np.unique(truth, return_inverse=True, return_counts=True)
    found_ids, found_index, found_area = np.unique(result, return_inverse=True, return_counts=True)
    code = true_index.ravel() * found_ids.size + found_index.ravel()
    shared = np.bincount(code, minlength=true_ids.size * found_ids.size).reshape(
        true_ids.size, found_ids.size
    )
    i, j = np.nonzero(shared)
    keep = (true_ids[i] > 0) & (found_ids[j] > 0)
    i, j = i[keep], j[keep]
    iou = shared[i, j] / (true_area[i] + found_area[j] - shared[i, j])
    table = pd.DataFrame(
        {"truth_cell": true_ids[i].astype(np.intp), "result_cell": found_ids[j].astype(np.intp), "iou": iou}
    )
    return table, int((true_ids > 0).sum()), int((found_ids > 0).sum())


def _union(a: tuple[slice, ...], b: tuple[slice, ...]) -> tuple[slice, ...]:
    return tuple(slice(min(p.start, q.start), max(p.stop, q.stop)) for p, q in zip(a, b))


def _boundary_px(
    result: NDArray[Any], truth: NDArray[Any], found: int, true: int, box: tuple[slice, ...]
) -> float:
    """Return the mean absolute distance between two outlines in px, without what lies at the image border."""
    masks = result[box] == found, truth[box] == true
    if np.array_equal(*masks):
        return 0.0
    corner = np.array([part.start for part in box])
    (ends_a, close_a), (ends_b, close_b) = (_outline(mask, corner) for mask in masks)
    distances = [
        cKDTree(close).query(_away_from_border(ends, truth.shape))[0]
        for ends, close in ((ends_a, close_b), (ends_b, close_a))
    ]
    together = np.concatenate(distances)
    return float(together.mean()) if together.size else float("nan")


def _outline(
    mask: NDArray[np.bool_], corner: NDArray[np.intp]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return the vertices of a mask's outline, and denser points along it; shapes (N, 2), px."""
    contours: list[NDArray[np.float64]] = find_contours(np.pad(mask, 1).astype(np.float32), 0.5)
    smooth = [uniform_filter1d(c[:-1], SMOOTHED_VERTICES, axis=0, mode="wrap") for c in contours]
    parts = np.arange(CLOSE_RATIO)[:, None, None] / CLOSE_RATIO
    dense = [(c + parts * (np.roll(c, -1, axis=0) - c)).reshape(-1, 2) for c in smooth]
    shift = corner - 1
    return np.concatenate(smooth) + shift, np.concatenate(dense) + shift


def _away_from_border(points: NDArray[np.float64], shape: tuple[int, ...]) -> NDArray[np.float64]:
    away = (points >= BORDER_PX) & (points <= np.array(shape) - 1 - BORDER_PX)
    kept: NDArray[np.float64] = points[away.all(axis=1)]
    return kept


def score_cells(match: CellMatch, *, pixel_size_um: float | None = None) -> dict[str, Value]:
    """Return every metric of cells.

    Parameters
    ----------
    match : CellMatch
    pixel_size_um : float, optional
        µm; without it boundary errors are in px. A column `pixel_size_um` of the pairs goes first.

    Returns
    -------
    dict of str to Metric or str
        `cells.ap50 ap75 ap90`: TP/(TP + FP + FN) per frame, averaged over frames with any cell;
        `cells.boundary_mean_um boundary_median_um` over matched cells and frames; `cells.id_stability`:
        matched true cells that keep the result's id to the next frame.
    """
    frames, pairs = match.frames, match.pairs
    values: dict[str, Value] = {}
    for level in IOU_LEVELS:
        hits = frames[f"hits_{100 * level:.0f}"].to_numpy(dtype=np.float64)
        union = (frames["n_truth"] + frames["n_result"]).to_numpy(dtype=np.float64) - hits
        values[f"cells.ap{100 * level:.0f}"] = average(
            hits[union > 0] / union[union > 0], of="frames with cells"
        )
    size = pairs.get("pixel_size_um", pixel_size_um)
    unit = "px" if size is None else "um"
    error = pairs["boundary_px"] * (1.0 if size is None else size)
    values[f"cells.boundary_mean_{unit}"] = average(error, of="matched cells away from the border")
    values[f"cells.boundary_median_{unit}"] = median(error, of="matched cells away from the border")
    values["cells.id_stability"] = _id_stability(pairs)
    return values


def _id_stability(pairs: pd.DataFrame) -> Value:
    now = pairs[["frame", "truth_cell", "result_cell"]]
    steps = now.merge(now.assign(frame=now["frame"] - 1), on=["frame", "truth_cell"], suffixes=("", "_next"))
    kept = int((steps["result_cell"] == steps["result_cell_next"]).sum())
    return proportion(kept, len(steps), of="true cells matched in consecutive frames")


def cells_score(
    result: NDArray[Any] | LabelStack | Sequence[Any],
    truth: NDArray[Any] | LabelStack | Sequence[Any],
    *,
    pixel_size_um: float | None = None,
) -> dict[str, Value]:
    """Compare two label images or stacks and return every metric of cells.

    Parameters
    ----------
    result, truth : ndarray of shape (Y, X) or (T, Y, X), or label stack
        0 is background; a silver reference such as instrument-made masks may stand for truth.
    pixel_size_um : float, optional
        µm; without it boundary errors are in px.

    Returns
    -------
    dict of str to Metric or str
        As `score_cells`.

    Raises
    ------
    InputError
        If lengths or shapes differ.
    """
    found, true = (
        stack[None] if isinstance(stack, np.ndarray) and stack.ndim == 2 else stack
        for stack in (result, truth)
    )
    return score_cells(match_cells(found, true), pixel_size_um=pixel_size_um)
