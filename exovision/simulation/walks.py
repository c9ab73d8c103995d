"""Exosomes that walk, and what a detector would tell of them: tables without pictures, to score linking."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components
from scipy.spatial import cKDTree
from scipy.special import expit, ndtr

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

MODES = ("free", "confined", "directed")
UNRESOLVED_PX = 2.0
"""Exosomes nearer than this are one detection."""
SE_AT_SNR_1_PX, SE_POWER = 0.75, -1.15
"""The Cramér-Rao bound at σ = 1.5 px and a background of 6.1 photons, as a power of the SNR."""
LIGHT_ERROR, FLICKER = 0.6, 0.05
"""Relative error of the counts times the SNR, and relative rms by which the light itself fluctuates."""
FILTER_GAIN, FILTER_THRESHOLD, BLINK = 1.9, 3.6, 0.02
"""A spot is missed if its noisy matched-filter response is below the threshold, or while it is dark."""
SURE_LOGIT, FALSE_LOGIT, LOGIT_SPREAD = 3.0, -0.5, 1.5
COUNTS_PER_SNR = 150.0


@dataclass(frozen=True)
class WalkConditions:
    """How many exosomes there are, how they move, and how well they are seen.

    Attributes
    ----------
    shape_px : tuple of int
        (Y, X).
    frames : int
    exosomes : int
        In each frame, on average.
    shares : tuple of float
        Of free, confined and directed motion.
    step_px, step_spread : float
        Median standard deviation of a free step per axis, and the standard deviation of its logarithm.
    confinement_px : float
        Standard deviation, per axis, of a confined exosome about its place.
    speed_px : float
        Of directed motion, px per frame.
    life_frames : float
        Mean time from arrival to departure.
    snr, snr_spread : float
        Median SNR and the standard deviation of its logarithm.
    false : float
        False detections, as a share of the exosomes.
    """

    shape_px: tuple[int, int] = (512, 512)
    frames: int = 60
    exosomes: int = 1000
    shares: tuple[float, float, float] = (0.4, 0.4, 0.2)
    step_px: float = 1.3
    step_spread: float = 0.4
    confinement_px: float = 0.5
    speed_px: float = 2.0
    life_frames: float = 40.0
    snr: float = 4.0
    snr_spread: float = 0.4
    false: float = 0.05


@dataclass(frozen=True)
class Walks:
    """What walked, and what was seen of it.

    Attributes
    ----------
    truth : DataFrame
        `frame y_px x_px exosome_id snr mode`, a row per exosome and frame.
    spots : DataFrame
        Detections, sorted by frame: `frame y_px x_px y_se_px x_se_px counts snr probability`.
    """

    truth: pd.DataFrame
    spots: pd.DataFrame


def walks(conditions: WalkConditions, *, seed: int) -> Walks:
    """Let exosomes walk, arrive and leave, and detect them.

    Parameters
    ----------
    conditions : WalkConditions
    seed : int
        Of all randomness.

    Returns
    -------
    Walks

    Notes
    -----
    Exosomes nearer than two pixels are one detection at their centre of light with their summed counts;
    faint ones are missed, all blink, false detections are faint and lie anywhere. Walkers are reflected at
    the borders, so that the density stays.
    """
    rng = np.random.default_rng(seed)
    truth = _walk(rng, conditions)
    seen = [_detect(rng, rows, conditions) for _, rows in truth.groupby("frame", sort=True)]
    return Walks(truth, pd.concat(seen, ignore_index=True))


def _walk(rng: np.random.Generator, conditions: WalkConditions) -> pd.DataFrame:
    """Return the truth, each exosome from its arrival to its departure."""
    lives = rng.poisson(conditions.exosomes * (1 + conditions.frames / conditions.life_frames))
    length = rng.geometric(1 / conditions.life_frames, lives)
    there = rng.random(lives) < conditions.life_frames / (conditions.life_frames + conditions.frames)
    first = np.where(there, 0, rng.integers(1, max(conditions.frames, 2), lives))
    last = np.minimum(first + length, conditions.frames)
    mode = rng.choice(len(MODES), lives, p=np.array(conditions.shares) / sum(conditions.shares))
    snr = conditions.snr * rng.lognormal(0, conditions.snr_spread, lives)
    frames = np.concatenate([np.arange(a, b) for a, b in zip(first, last)])
    owner = np.repeat(np.arange(lives), last - first)
    path = np.empty((len(owner), 2))
    steps = _steps(rng, conditions, mode, owner, frames == first[owner])
    starts = np.flatnonzero(frames == first[owner])
    for start, stop, which in zip(starts, [*starts[1:], len(owner)], owner[starts]):
        path[start:stop] = _path(steps[start:stop], conditions, int(mode[which]))
    size = np.array(conditions.shape_px)
    inside = np.abs((path + 0.5) % (2 * size) - size)
    table = {"frame": frames, "y_px": size[0] - inside[:, 0] - 0.5, "x_px": size[1] - inside[:, 1] - 0.5}
    named = pd.DataFrame(
        {**table, "exosome_id": owner + 1, "snr": snr[owner], "mode": np.array(MODES)[mode[owner]]}
    )
    return named.sort_values(["frame", "exosome_id"]).reset_index(drop=True)


def _steps(
    rng: np.random.Generator, conditions: WalkConditions, mode: Ints, owner: Ints, first: NDArray[np.bool_]
) -> Floats:
    """Return the starts and the random part of every step, shape (N, 2), px."""
    lives = len(mode)
    scale = conditions.step_px * rng.lognormal(0, conditions.step_spread, lives)
    scale = np.choose(mode, [scale, np.full(lives, conditions.confinement_px), 0.2 * scale])
    steps = rng.standard_normal((len(owner), 2)) * scale[owner][:, None]
    heading = rng.uniform(0, 2 * np.pi, lives)
    speed = np.where(mode == MODES.index("directed"), conditions.speed_px * rng.lognormal(0, 0.3, lives), 0.0)
    turned = heading[owner] + np.cumsum(rng.normal(0, 0.1, len(owner)))
    steps += speed[owner][:, None] * np.column_stack([np.sin(turned), np.cos(turned)])
    steps[first] = rng.uniform(0, 1, (int(first.sum()), 2)) * np.array(conditions.shape_px) - 0.5
    return steps


def _path(steps: Floats, conditions: WalkConditions, mode: int) -> Floats:
    """Return the places of one exosome; a confined one forgets where it was over about two frames."""
    if MODES[mode] != "confined":
        return np.asarray(np.cumsum(steps, axis=0))
    path = np.zeros_like(steps)
    for i in range(1, len(steps)):
        path[i] = 0.6 * path[i - 1] + 0.8 * steps[i]
    return np.asarray(path + steps[0], dtype=np.float64)


def _detect(rng: np.random.Generator, rows: pd.DataFrame, conditions: WalkConditions) -> pd.DataFrame:
    """Return the detections of one frame."""
    places, snr = _merged(rows[["y_px", "x_px"]].to_numpy(), rows["snr"].to_numpy())
    n_false = rng.poisson(conditions.false * conditions.exosomes)
    places = np.vstack([places, rng.uniform(0, 1, (n_false, 2)) * np.array(conditions.shape_px) - 0.5])
    real = np.arange(len(places)) < len(snr)
    chance = (1 - BLINK) * ndtr(FILTER_GAIN * snr - FILTER_THRESHOLD)
    snr = np.concatenate([snr, 1.9 * rng.lognormal(0, 0.2, n_false)])
    counts = (
        COUNTS_PER_SNR
        * snr
        * rng.lognormal(0, FLICKER, len(snr))
        * (1 + LIGHT_ERROR / snr * rng.standard_normal(len(snr)))
    )
    counts = np.maximum(counts, 0.2 * COUNTS_PER_SNR)
    se = SE_AT_SNR_1_PX * snr**SE_POWER
    table = pd.DataFrame(
        {
            "frame": int(rows["frame"].iloc[0]),
            **dict(zip(("y_px", "x_px"), (places + se[:, None] * rng.standard_normal(places.shape)).T)),
            "y_se_px": se,
            "x_se_px": se,
            "counts": counts,
            "snr": np.maximum(counts / COUNTS_PER_SNR, 0.5),
            "probability": expit(
                np.where(real, SURE_LOGIT, FALSE_LOGIT) + LOGIT_SPREAD * rng.standard_normal(len(snr))
            ),
        }
    )
    seen = np.concatenate([rng.random(len(chance)) < chance, np.ones(n_false, dtype=bool)])
    return table[seen].sort_values(["y_px", "x_px"])


def _merged(places: Floats, snr: Floats) -> tuple[Floats, Floats]:
    """Return places and SNR of what can be told apart: the centres of light of groups, and their sums."""
    near = cKDTree(places).query_pairs(UNRESOLVED_PX, output_type="ndarray")
    graph = coo_array((np.ones(len(near)), (near[:, 0], near[:, 1])), shape=(len(places), len(places)))
    _, group = connected_components(graph, directed=False)
    light = np.bincount(group, weights=snr)
    centre = [np.bincount(group, weights=snr * axis) / light for axis in places.T]
    return np.column_stack(centre), np.asarray(light, dtype=np.float64)
