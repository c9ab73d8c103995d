"""Held-out figures of the morphology network, as its model card states them."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from exovision.death.crops import ROLES
from exovision.nets.cell_judge import STATES, CellJudge
from exovision.progress import Progress, silent
from exovision.scoring.classifier import average_precision, calibration_error, roc_auc
from exovision.training.death import unseen
from exovision.training.labelled_crops import KNOWN, read_labelled
from exovision.training.simulated_crops import simulated_crops

HELD_OUT_SEED = 601
"""Added to the seed of simulated movies that training never draws from."""
SUBSETS = (
    ("nucleus",),
    ("cell",),
    ("cell", "pi"),
    ("cell", "annexin", "pi"),
    ("cell", "nucleus"),
    ("nucleus", "annexin", "pi"),
    ROLES,
)
"""Channels that simulated cells are judged by."""

Figures = dict[str, float]


def evaluate_death(
    weights: Path,
    *,
    data: Path | None = None,
    simulated: int = 10,
    seed: int = 0,
    views: int = 1,
    device: str = "auto",
    progress: Progress = silent,
) -> dict[str, Figures]:
    """Judge crops of movies that training never saw, and score the result.

    Parameters
    ----------
    weights : Path
        The network.
    data : Path, optional
        Labelled crops, see `exovision.training.labelled_crops.read_labelled`; those of the movies that
        training with `hold_out` leaves out are judged.
    simulated : int
        Simulated movies, from seeds that training does not use.
    seed : int
        Of the simulated movies.
    views : int
        Turned and mirrored views averaged.
    device : str
        "auto", "cpu", "cuda", "cuda:N" or "mps".
    progress : Progress
        Called after every simulated movie; may raise `Cancelled`.

    Returns
    -------
    dict of str to dict of str to float
        For the labelled crops and for the simulated ones with each of `SUBSETS`, by state, the figures of
        `state_figures`.

    Raises
    ------
    InputError
        If `data` holds no labelled crops, or the weights are damaged.
    """
    judge = CellJudge(weights, device=device, views=views)
    figures: dict[str, Figures] = {}
    if data is not None:
        crops = read_labelled(data)
        crops = crops.chosen(unseen(crops))
        judged = judge.judge(crops.crops.astype(np.float32))
        figures |= {f"labelled, {state}": values for state, values in by_state(judged, crops.labels).items()}
    if simulated:
        crops = simulated_crops(seed + HELD_OUT_SEED, simulated, progress)
        for roles in SUBSETS:
            if set(roles) & set(judge.needs):
                judged = judge.judge(only(crops.crops, roles))
                name = f"simulated, {' + '.join(roles)}"
                found = by_state(judged, crops.labels)
                figures |= {f"{name}, {state}": values for state, values in found.items()}
    return figures


def only(crops: NDArray[np.float16], roles: Sequence[str]) -> NDArray[np.float32]:
    """Return crops (N, R, 64, 64) without the channels that are not among `roles`."""
    kept = np.array([role in roles for role in ROLES])
    return np.where(kept[:, None, None], crops, np.nan).astype(np.float32)


def by_state(judged: NDArray[np.float64], labels: NDArray[np.str_]) -> dict[str, Figures]:
    """Score each state that labels of shape (N,) name or stand for."""
    there = {KNOWN[str(label)] for label in labels}
    return {state: state_figures(judged, labels, state) for state in STATES if state in there}


def state_figures(judged: NDArray[np.float64], labels: NDArray[np.str_], state: str) -> Figures:
    """Score the probabilities (N, 5) of one state against labels (N,).

    Returns
    -------
    dict
        `crops` and how many are `positive`; `auc`, `ap`, expected calibration error `ece`; for each class of
        another state, `auc against CLASS`. Cells that could not be judged count as probability 0, labels
        without a state not at all.
    """
    probability = np.nan_to_num(judged[:, STATES.index(state)])
    truth = np.array([KNOWN[str(label)] or "" for label in labels])
    known, positive = truth != "", truth == state
    figures = {
        "crops": float(known.sum()),
        "positive": float(positive.sum()),
        "auc": roc_auc(probability[known], positive[known]),
        "ap": average_precision(probability[known], positive[known]),
        "ece": calibration_error(probability[known], positive[known]),
    }
    for name in sorted({str(label) for label in labels[known & ~positive]}):
        pair = positive | (labels == name)
        figures[f"auc against {name}"] = roc_auc(probability[pair], positive[pair])
    return figures


def agreement(judged: NDArray[np.float64], labels: NDArray[np.str_]) -> Figures:
    """Compare the probabilities (N, 5) of all states with the states that labels (N,) name or stand for.

    Returns
    -------
    dict
        `crops` with a state; `right`, the share whose likeliest state is theirs; `probability`, the mean
        probability of their state, a cell that cannot be judged having 0.
    """
    truth = [KNOWN[str(label)] for label in labels]
    rows = np.flatnonzero([state is not None for state in truth])
    columns = [STATES.index(str(truth[row])) for row in rows]
    chance = np.nan_to_num(judged[rows])
    own = chance[np.arange(len(rows)), columns]
    right = (own > 0) & (own == chance.max(axis=1, initial=0.0))
    return {
        "crops": float(len(rows)),
        "right": float(right.mean()) if len(rows) else float("nan"),
        "probability": float(own.mean()) if len(rows) else float("nan"),
    }
