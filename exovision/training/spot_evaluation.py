"""Held-out figures of the spot classifier, as its model card states them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from exovision.nets.shipped import SPOTS, shipped_or_own
from exovision.nets.spot_classifier import SpotJudge
from exovision.progress import Progress, silent
from exovision.scoring.spots import flag
from exovision.training.spot_pictures import simulated_picture, verdicts
from exovision.training.spots import HELD_OUT_STREAM, chance, fit_picture

BINS = 10


def evaluate_spots(
    weights: Path | None = None,
    *,
    simulated: int = 200,
    frame_px: int = 224,
    seed: int = 0,
    progress: Progress = silent,
) -> dict[str, dict[str, float]]:
    """Find the spots of simulated frames that training never draws, and judge the probabilities.

    Parameters
    ----------
    weights : Path, optional
        The network; the shipped one if omitted.
    simulated : int
        Frames.
    frame_px : int
        Side of a frame, px.
    seed : int
        Of the frames.
    progress : Progress
        Called after every frame; may raise `Cancelled`.

    Returns
    -------
    dict of str to dict of str to float
        For "alone" and "together": the `peaks` that count, expected calibration error `ece`, and `precision`,
        `recall` and `f1` of spots with a probability of at least one half.
    """
    judge = SpotJudge(weights or shipped_or_own(SPOTS, None))
    gathered: dict[str, list[tuple[NDArray[np.float32], NDArray[np.bool_], int]]] = {
        "alone": [],
        "together": [],
    }
    for index in range(simulated):
        picture = simulated_picture([seed, HELD_OUT_STREAM, index], frame_px)
        sought = int((~flag(picture.truth, "ignore", default=False)).sum())
        for name, rows in gathered.items():
            found = fit_picture(picture, judge if name == "together" else None)
            probability = getattr(chance(picture, judge), name)(found)
            verdict = verdicts(picture, found)
            counts = verdict != "forgiven"
            rows.append((probability[counts], (verdict == "hit")[counts], sought))
        progress("evaluating", index + 1, simulated)
    return {name: _figures(rows) for name, rows in gathered.items()}


def _figures(rows: list[tuple[NDArray[np.float32], NDArray[np.bool_], int]]) -> dict[str, float]:
    probability = np.concatenate([row[0] for row in rows]).astype(np.float64)
    real = np.concatenate([row[1] for row in rows])
    sought = sum(row[2] for row in rows)
    bins = np.minimum((probability * BINS).astype(int), BINS - 1)
    surplus = np.bincount(bins, weights=probability - real, minlength=BINS)
    called = probability >= 0.5
    hits = int((called & real).sum())
    return {
        "peaks": len(real),
        "ece": float(np.abs(surplus).sum() / max(len(real), 1)),
        "precision": hits / max(int(called.sum()), 1),
        "recall": hits / max(sought, 1),
        "f1": 2 * hits / max(int(called.sum()) + sought, 1),
    }
