"""Stage drift at the precision of single spots: from those that are stuck to the glass and move together."""

from __future__ import annotations

from itertools import combinations

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.linalg import solveh_banded

Floats = NDArray[np.float64]

LONGEST_TRACKS = 80
MIN_COMMON_FRAMES = 8
MIN_FIXED = 3
MAX_CHI2 = 2.0
"""Largest reduced chi-squared of the distance between two spots that are both fixed."""
FLOOR_PX = 0.05
ORIGIN_WEIGHT = 1e6
"""Holds the first frame at 0, px⁻²."""
STAGE_STEP_PX = 0.2
"""Spread of the stage's own steps per frame, which holds the drift together where spots are few."""


def fixed_drift(spots: pd.DataFrame, n_frames: int) -> tuple[Floats | None, int]:
    r"""Find the largest group of exosomes whose mutual distances stay constant, and the drift they show.

    .. math:: p_i(t) = a_i + d(t) + \epsilon_i(t)

    is solved by least squares for the path d of the stage, with a random walk of 0.2 px per frame as prior.

    Parameters
    ----------
    spots : DataFrame
        `exosome_id frame y_px x_px y_se_px x_se_px`; only the 80 longest tracks are used.
    n_frames : int
        T.

    Returns
    -------
    drift_px : ndarray of shape (T, 2) or None
        (y, x) relative to the first frame; None with fewer than three fixed spots.
    fixed : int
        How many spots moved together.

    Notes
    -----
    Spots that ride on one cell move together as well; the largest group in the field is taken for the glass.
    """
    linked = spots.dropna(subset=["exosome_id"])
    lengths = linked["exosome_id"].value_counts()
    chosen = lengths[lengths >= MIN_COMMON_FRAMES].sort_index().nlargest(LONGEST_TRACKS, keep="first").index
    tracks = [track for _, track in linked[linked["exosome_id"].isin(chosen)].groupby("exosome_id")]
    paths = np.full((len(tracks), n_frames, 3), np.nan)
    for path, track in zip(paths, tracks):
        place = track[["y_px", "x_px"]].to_numpy(dtype=np.float64)
        variance = (track[["y_se_px", "x_se_px"]].to_numpy(dtype=np.float64) ** 2).mean(axis=1)
        path[track["frame"].to_numpy(dtype=np.int64)] = np.column_stack([place, variance + FLOOR_PX**2])
    group = _together(paths)
    if len(group) < MIN_FIXED:
        return None, len(group)
    return _common_path(paths[group]), len(group)


def _together(paths: Floats) -> list[int]:
    """Return the largest set of one track and all those that keep their distance from it."""
    friends: list[list[int]] = [[i] for i in range(len(paths))]
    for i, j in combinations(range(len(paths)), 2):
        apart, variance = paths[i, :, :2] - paths[j, :, :2], paths[i, :, 2] + paths[j, :, 2]
        common = np.isfinite(variance)
        if common.sum() >= MIN_COMMON_FRAMES:
            rest = apart[common] - np.average(apart[common], axis=0, weights=1 / variance[common])
            if float((rest**2 / variance[common, None]).mean()) < MAX_CHI2:
                friends[i].append(j)
                friends[j].append(i)
    sizes = [len(group) for group in friends]
    return sorted(friends[sizes.index(max(sizes))]) if sizes else []


def _common_path(paths: Floats) -> Floats:
    """Solve for the path that tracks of shape (N, T, 3) share, shape (T, 2), 0 in the first frame.

    The places of the N tracks are solved for first, after the T frames, which are bound to their neighbours
    alone, have been eliminated: that needs N numbers per frame.
    """
    weight = np.where(np.isfinite(paths[..., 2]), 1 / paths[..., 2], 0.0)
    seen = weight[..., None] * np.nan_to_num(paths[..., :2])
    bands = np.zeros((2, paths.shape[1]))
    bands[1] = weight.sum(axis=0)
    bands[1, :-1] += STAGE_STEP_PX**-2
    bands[1, 1:] += STAGE_STEP_PX**-2
    bands[1, 0] += ORIGIN_WEIGHT
    bands[0, 1:] = -(STAGE_STEP_PX**-2)
    by_frame = solveh_banded(bands, np.column_stack([seen.sum(axis=0), weight.T]))
    alone, per_track = by_frame[:, :2], by_frame[:, 2:]
    places = np.linalg.solve(
        np.diag(weight.sum(axis=1)) - weight @ per_track, seen.sum(axis=1) - weight @ alone
    )
    solved: Floats = alone - per_track @ places
    return solved
