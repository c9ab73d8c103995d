"""Figures of the morphology network on real nuclei, by five folds over movies, beside a random forest.

    python benchmarks/death.py --data FOLDER/nuclear_phenotypes/mitocheck_64px.npz --out DIR

Needs `scikit-learn` (extra `[benchmark]`). In every fold the network and the forest (histograms of gradients
and brightness) learn from the movies of the other folds, by the same code and settings as `exovision train
death`. Printed, one JSON line each, over all folds together: AUC, average precision and calibration of each
state, AUC of apoptosis against each class of mitosis, the confusion of mitotic stages, the same with crops
magnified, blurred and noisy, simulated cells by subsets of their channels, and cells per second on one
thread. `DIR` gets weights (those that are there already are used), judgements and a figure.
"""

from __future__ import annotations

import argparse
import json
import os
import time
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from exovision.nets.morphology import MorphologyNet
    from exovision.training.death import DeathTraining
    from exovision.training.labelled_crops import LabelledCrops

THREADS = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS", "NUMBA_NUM_THREADS")
TREES = 500
FOLDS = 5
LEFT_OUT = ("OutOfFocus", "Folded")
"""Labels that the figures leave out; the network learns from them."""
CLOSELY = ("forest", "network, as they are", "network, 8 views")
"""Models of which every state is reported."""
CHANGES = {
    "as they are": {},
    "magnified 0.7": {"zoom": 0.7},
    "magnified 1.3": {"zoom": 1.3},
    "blurred, sigma 1 px": {"blur_px": 1.0},
    "noise 0.1 of the contrast": {"noise": 0.1},
}


def forest_features(images: NDArray[np.float32]) -> NDArray[np.float64]:
    """Return histograms of gradients and statistics of brightness of images of shape (N, Y, X)."""
    import numpy as np
    from skimage.feature import hog

    rows = []
    for image in images:
        gradients = hog(image, orientations=8, pixels_per_cell=(8, 8), cells_per_block=(2, 2))
        centre = image[16:48, 16:48]
        brightness = [image.mean(), image.std(), centre.mean(), centre.std()]
        rows.append(np.concatenate([gradients, brightness, np.percentile(image, [1, 10, 50, 90, 99])]))
    return np.array(rows)


def forest(
    features: NDArray[np.float64], crops: LabelledCrops, learn: NDArray[np.bool_], seed: int
) -> NDArray[np.float64]:
    """Return the probabilities (N, 5) that a forest gives all crops after learning from some."""
    import numpy as np
    from sklearn.ensemble import RandomForestClassifier

    from exovision.nets.cell_judge import STATES
    from exovision.training.labelled_crops import KNOWN

    truth = np.array([KNOWN[str(label)] or "" for label in crops.labels])
    learn = learn & (truth != "") & ~np.isin(crops.labels, LEFT_OUT)
    model = RandomForestClassifier(TREES, class_weight="balanced", random_state=seed, n_jobs=1)
    model.fit(features[learn], truth[learn])
    judged = np.zeros((len(crops), len(STATES)))
    judged[:, [STATES.index(name) for name in model.classes_]] = model.predict_proba(features)
    return judged


def trained(
    real: LabelledCrops,
    simulated: LabelledCrops | None,
    training: DeathTraining,
    place: Path,
    start: MorphologyNet | None,
) -> Path:
    """Train on crops, unless the weights are there already, and return the weights."""
    from exovision.nets import weights
    from exovision.training.death import learn as train

    if not place.is_file():
        model, facts = train(real, simulated, training, start=start, device="cpu")
        weights.save(model, place, facts)
    return place


def rehearsed(
    crops: LabelledCrops, simulated: LabelledCrops, training: DeathTraining, place: Path
) -> MorphologyNet:
    """Return the network that simulated cells alone made, the same for every fold."""
    from exovision.nets import weights
    from exovision.nets.morphology import MorphologyNet
    from exovision.training.death import classes_in, rehearse
    from exovision.training.labelled_crops import join

    if not place.is_file():
        classes, states = classes_in(join([crops, simulated]).labels)
        weights.save(rehearse(simulated, classes, states, training, device="cpu"), place, {"states": states})
    return weights.load(place, MorphologyNet)[0]


def changed(
    crops: NDArray[np.float32], *, zoom: float = 1.0, blur_px: float = 0.0, noise: float = 0.0
) -> NDArray[np.float32]:
    """Return crops (N, R, Y, X) as another magnification or a worse camera would give them; NaN stays."""
    import cv2
    import numpy as np

    from exovision.death.crops import finish

    rng = np.random.default_rng(0)
    side = crops.shape[-1]
    matrix = cv2.getRotationMatrix2D(((side - 1) / 2, (side - 1) / 2), 0, zoom)
    out = np.array(crops)
    for image in out.reshape(-1, side, side):
        if np.isfinite(image[0, 0]):
            image[:] = cv2.warpAffine(image, matrix, (side, side), borderMode=cv2.BORDER_REFLECT)
            image[:] = cv2.GaussianBlur(image, (0, 0), blur_px) if blur_px else image
            image += noise * rng.standard_normal(image.shape, dtype=np.float32)
    return finish(out)


def cross_validate(
    crops: LabelledCrops, features: NDArray[np.float64], training: DeathTraining, out: Path, *, folds: int
) -> dict[str, NDArray[np.float64]]:
    """Return the probabilities (N, 5) of every crop by models that learned from other movies only."""
    import numpy as np

    from exovision.nets.cell_judge import STATES, CellJudge
    from exovision.training.labelled_crops import folds_by_movie
    from exovision.training.simulated_crops import simulated_crops

    beside, start = None, None
    missing = any(not (out / f"fold_{k}.safetensors").is_file() for k in range(folds))
    if training.simulated and missing:
        beside = simulated_crops(training.seed, training.simulated)
        start = rehearsed(crops, beside, training, out / "rehearsed.safetensors")
    fold = folds_by_movie(crops, FOLDS)
    names = ("forest", "network, 8 views", *(f"network, {change}" for change in CHANGES))
    judged = {name: np.full((len(crops), len(STATES)), np.nan) for name in names}
    for k in range(folds):
        test = fold == k
        judged["forest"][test] = forest(features, crops, ~test, training.seed)[test]
        path = trained(crops.chosen(~test), beside, training, out / f"fold_{k}.safetensors", start)
        images = crops.crops[test].astype(np.float32)
        judged["network, 8 views"][test] = CellJudge(path, device="cpu", views=8).judge(images)
        for change, how in CHANGES.items():
            judged[f"network, {change}"][test] = CellJudge(path, device="cpu").judge(changed(images, **how))
    return judged


def confusion(judged: NDArray[np.float64], labels: NDArray[np.str_]) -> dict[str, dict[str, int]]:
    """Count, for each class of label, the states judged likeliest."""
    import numpy as np

    from exovision.nets.cell_judge import STATES

    answers = np.where(
        np.isnan(judged).any(axis=1), "unknown", np.array(STATES)[np.nan_to_num(judged).argmax(axis=1)]
    )
    return {
        str(label): {
            str(state): int(((labels == label) & (answers == state)).sum())
            for state in np.unique(answers[labels == label])
        }
        for label in np.unique(labels)
    }


def cost(path: Path, images: NDArray[np.float32], *, cells: int = 40, times: int = 15) -> dict[str, Any]:
    """Measure cells per second on one thread, in batches of one frame of 40 cells."""
    import numpy as np

    from exovision.nets.cell_judge import CellJudge

    judge = CellJudge(path, device="cpu")
    spent = []
    for k in range(times + 1):
        start = time.process_time()
        judge.judge(images[k * cells : (k + 1) * cells])
        spent.append(time.process_time() - start)
    median = float(np.median(spent[1:]))
    return {"set": "cost, one thread", "cells_per_s": cells / median, "cpu_s_per_40_cells": median}


def picture(
    judged: dict[str, NDArray[np.float64]], crops: LabelledCrops, known: NDArray[np.bool_], place: Path
) -> None:
    """Draw ROC and precision-recall of apoptosis, calibration, and the crops judged worst."""
    import matplotlib
    import numpy as np

    matplotlib.use("Agg")
    from matplotlib import pyplot as plt

    from exovision.nets.cell_judge import STATES
    from exovision.training.labelled_crops import KNOWN

    truth = np.array([KNOWN[str(label)] or "" for label in crops.labels])
    positive = known & (truth == "apoptotic")
    figure = plt.figure(figsize=(12, 7.5), layout="constrained")
    grid = figure.add_gridspec(4, 12)
    roc, recall, reliability = (figure.add_subplot(grid[:2, k : k + 4]) for k in (0, 4, 8))
    for name in ("forest", "network, as they are", "network, 8 views"):
        score = np.nan_to_num(judged[name][:, STATES.index("apoptotic")])[known]
        hits = np.cumsum(positive[known][np.argsort(-score, kind="stable")])
        ranks = np.arange(1, hits.size + 1)
        roc.plot((ranks - hits) / (hits.size - hits[-1]), hits / hits[-1], label=name)
        recall.plot(hits / hits[-1], hits / ranks, label=name)
        index = np.minimum((score * 10).astype(int), 9)
        there = np.bincount(index, minlength=10) > 0
        counts = np.bincount(index, minlength=10)[there]
        said = np.bincount(index, weights=score, minlength=10)[there] / counts
        was = np.bincount(index, weights=positive[known], minlength=10)[there] / counts
        reliability.plot(said, was, "o-", label=name)
    reliability.plot([0, 1], [0, 1], color="0.7", zorder=0)
    roc.set(
        xlabel="false alarms, share of other cells", ylabel="apoptoses found", xlim=(0, 0.2), ylim=(0.5, 1)
    )
    recall.set(xlabel="apoptoses found", ylabel="precision", ylim=(0, 1.02))
    reliability.set(xlabel="probability of apoptosis", ylabel="share that was")
    recall.legend()
    score = np.nan_to_num(judged["network, 8 views"][:, STATES.index("apoptotic")])
    wrong = np.where(known, np.abs(score - positive), -1.0)
    nucleus = crops.crops[:, 1].astype(np.float32)
    for row, chosen in enumerate((positive, known & ~positive)):
        for column, k in enumerate(np.argsort(-np.where(chosen, wrong, -1.0), kind="stable")[:12]):
            axes = figure.add_subplot(grid[2 + row, column])
            axes.imshow(nucleus[k], cmap="gray", vmin=0, vmax=1.2)
            axes.set_title(f"{str(crops.labels[k])[:11]}\n{score[k]:.2f}", fontsize=7)
            axes.axis("off")
    figure.savefig(place, dpi=110)
    plt.close(figure)


def main() -> None:
    """Print one JSON line per set."""
    os.environ.update(dict.fromkeys(THREADS, "1"))
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--data", type=Path, required=True, help="labelled crops of nuclei, npz")
    parser.add_argument("--out", type=Path, required=True, help="folder for weights, judgements, figure")
    parser.add_argument("--steps", type=int, help="batches to learn from in each fold")
    parser.add_argument("--simulated", type=int, help="simulated movies to learn from beside the nuclei")
    parser.add_argument("--folds", type=int, default=FOLDS, help="stop after so many of the five folds")
    parser.add_argument("--unseen", type=int, default=6, help="simulated movies for the figures")
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()

    import numpy as np
    import torch

    from exovision.training.death import DeathTraining
    from exovision.training.death_evaluation import evaluate_death, state_figures
    from exovision.training.labelled_crops import folds_by_movie, read_labelled

    torch.set_num_threads(1)
    options.out.mkdir(parents=True, exist_ok=True)
    crops = read_labelled(options.data)
    counted = ~np.isin(crops.labels, LEFT_OUT)
    with np.load(options.data) as archive:
        features = forest_features(archive["images"].astype(np.float32))
    training = DeathTraining(seed=options.seed)
    training = replace(
        training,
        steps=training.steps if options.steps is None else options.steps,
        simulated=training.simulated if options.simulated is None else options.simulated,
    )
    started = time.time()
    counted &= folds_by_movie(crops, FOLDS) < options.folds
    judged = cross_validate(crops, features, training, options.out, folds=options.folds)
    np.savez_compressed(options.out / "judged.npz", labels=crops.labels, movies=crops.movies, **judged)
    for name, values in judged.items():
        for state in ("apoptotic", "mitotic", "live") if name in CLOSELY else ("apoptotic",):
            scored = state_figures(values[counted], crops.labels[counted], state)
            print(json.dumps({"set": name, "state": state, **scored}), flush=True)
    for name, figures in evaluate_death(
        options.out / "fold_0.safetensors", simulated=options.unseen, device="cpu"
    ).items():
        print(json.dumps({"set": name, **figures}))
    for name in CLOSELY:
        print(json.dumps({"confusion": name, **confusion(judged[name][counted], crops.labels[counted])}))
    images = crops.crops.astype(np.float32)
    print(json.dumps(cost(options.out / "fold_0.safetensors", images)))
    picture(judged, crops, counted, options.out / "death.png")
    print(
        json.dumps({"minutes": (time.time() - started) / 60, "seed": options.seed, "steps": training.steps})
    )


if __name__ == "__main__":
    main()
