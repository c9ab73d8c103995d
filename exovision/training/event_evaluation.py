"""Figures of the network of fates on simulated moments that training never saw, beside the models alone."""

from __future__ import annotations

from functools import partial
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit, logit, softmax

from exovision.events.examples import NUMBERS
from exovision.events.weighing import CLASSES, log_prior
from exovision.nets.fate_judge import FateJudge
from exovision.progress import Progress, silent
from exovision.scoring.classifier import average_precision, calibration_error, roc_auc
from exovision.settings import EventSettings
from exovision.training.event_examples import EventExamples, join
from exovision.training.events import kept_apart, simulated_examples

HELD_OUT_SEED = 601
"""Added to the seed of the examples that training never draws from."""
RARE = 0.01
"""Recall is given at the ratio that so small a share of the other moments exceeds."""

Figures = dict[str, float]


def evaluate_events(
    weights: Path,
    folder: Path,
    *,
    reviewed: EventExamples | None = None,
    movies: int = 20,
    sets: int = 20,
    seed: int = 0,
    device: str = "auto",
    progress: Progress = silent,
) -> dict[str, Figures]:
    """Judge moments that training never saw, and score fusion against all the rest.

    Parameters
    ----------
    weights : Path
        The network.
    folder : Path
        Where examples are kept.
    reviewed : EventExamples, optional
        Moments that a person looked at; those that training kept apart are judged.
    movies, sets : int
        Simulated movies and sets of 40 single events, of seeds that training does not use.
    seed : int
        Of training.
    device : str
        "auto", "cpu", "cuda", "cuda:N" or "mps".
    progress : Progress
        Called after every movie and set; may raise `Cancelled`.

    Returns
    -------
    dict of str to dict of str to float
        For movies, single and reviewed events, of the network and of the models of the light alone: the
        figures of `fusion_figures`; and how many moments an analysis with default settings would call
        fusions (`called`), and how many of these are (`called_right`).

    Raises
    ------
    InputError
        If the weights are damaged.
    """
    judge = FateJudge(weights, numbers=NUMBERS, classes=CLASSES, device=device)
    held_out = simulated_examples(
        folder, seed=seed + HELD_OUT_SEED, movies=movies, sets=sets, progress=progress
    )
    if reviewed is not None:
        held_out = join([held_out, reviewed.chosen(kept_apart(reviewed))])
    likely = judge.log_likelihoods(held_out.pictures.astype(np.float32))
    figures = {}
    for kind in ("movie", "single", "reviewed"):
        chosen = held_out.of_kind(kind)
        if chosen.any():
            part = held_out.chosen(chosen)
            for name, score in (
                ("network", partial(network_scores, part, likely[chosen])),
                ("models alone", partial(model_scores, part)),
            ):
                found = fusion_figures(part, score()) | _calls(part, score(EventSettings().fusion_prior))
                figures[f"{kind} moments, {name}"] = found
    return figures


def _calls(examples: EventExamples, probability: NDArray[np.float64]) -> Figures:
    called = probability >= EventSettings().fate_min_probability
    right = called & (examples.classes == CLASSES[0])
    return {"called": float(called.sum()), "called_right": float(right.sum())}


def agreement(judge: FateJudge, examples: EventExamples, *, fusion_prior: float) -> Figures:
    """Compare what an analysis holds likely, at its prior, with what a person said.

    Parameters
    ----------
    judge : FateJudge
    examples : EventExamples
    fusion_prior : float
        Probability of fusion, and of hemifusion and kiss-and-run each, among docked exosomes.

    Returns
    -------
    dict
        `moments`; `right`, the share whose likeliest class is theirs; `probability`, the mean probability of
        their class.
    """
    likely = judge.log_likelihoods(examples.pictures.astype(np.float32))
    probability = softmax(likely + log_prior(fusion_prior), axis=1)
    columns = np.array([CLASSES.index(str(name)) for name in examples.classes], dtype=np.int64)
    return {
        "moments": float(len(examples)),
        "right": float(np.mean(probability.argmax(axis=1) == columns)),
        "probability": float(probability[np.arange(len(columns)), columns].mean()),
    }


def network_scores(
    examples: EventExamples, likely: NDArray[np.float64], fusion_prior: float | None = None
) -> NDArray[np.float64]:
    """Return the probability of fusion from log-likelihoods (N, K), at the examples' shares or a prior."""
    shares = np.array([np.mean(examples.classes == name) for name in CLASSES])
    prior = np.log(np.maximum(shares, 1e-9)) if fusion_prior is None else log_prior(fusion_prior)
    probability: NDArray[np.float64] = softmax(likely + prior, axis=1)[:, 0]
    return probability


def model_scores(examples: EventExamples, fusion_prior: float | None = None) -> NDArray[np.float64]:
    """Return the probability of fusion by the models alone; at the examples' share without a prior."""
    share = np.mean(examples.classes == CLASSES[0]) if fusion_prior is None else fusion_prior
    probability: NDArray[np.float64] = expit(examples.ratios + logit(np.clip(share, 1e-9, 1 - 1e-9)))
    return probability


def fusion_figures(examples: EventExamples, probability: NDArray[np.float64]) -> Figures:
    """Score probabilities of fusion.

    Returns
    -------
    dict
        `moments` and how many are `fusions`; `auc`, `ap`, expected calibration error `ece`; and `recall` of
        fusions where one in a hundred other moments is held for one.
    """
    true = examples.classes == CLASSES[0]
    limit = np.quantile(probability[~true], 1 - RARE) if not true.all() else np.nan
    return {
        "moments": float(len(true)),
        "fusions": float(true.sum()),
        "auc": roc_auc(probability, true),
        "ap": average_precision(probability, true),
        "ece": calibration_error(probability, true),
        "recall": float(np.mean(probability[true] > limit)) if true.any() else float("nan"),
    }
