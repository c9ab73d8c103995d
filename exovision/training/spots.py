"""Training of the spot classifier on simulated frames and on pictures with clicked spots."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray

from exovision.errors import SettingsError
from exovision.exosomes.probability import Probability
from exovision.exosomes.spot_finder import Found
from exovision.nets import weights
from exovision.nets.device import resolve_device
from exovision.nets.spot_classifier import INPUTS, SpotClassifier, SpotJudge, inputs
from exovision.nets.training import Batch, Course, logit_loss, train
from exovision.numerics.spot_evidence import LOOK_SIDE
from exovision.progress import Progress, silent
from exovision.training.spot_pictures import Picture, clicked_pictures, simulated_picture, verdicts

WEIGHTS_NAME = "spots_embedded.safetensors"
BATCH_STREAM, HELD_OUT_STREAM = 2, 3

Floats = NDArray[np.float32]


@dataclass(frozen=True)
class SpotTraining:
    """What the spot classifier learns from, and for how long.

    Attributes
    ----------
    simulated : int
        Simulated frames.
    frame_px : int
        Side of a simulated frame, px.
    steps, batch : int
        Batches for each of the two perceptrons, and spots in a batch.
    learning_rate : float
        The largest of the cycle.
    clicked_share : float
        Share of the spots that come from clicked pictures, if there are any.
    seed : int
        Fixes weights, simulation and batches.
    widths : tuple of int
        Hidden units of the network's layers.
    """

    simulated: int = 1500
    frame_px: int = 224
    steps: int = 6000
    batch: int = 512
    learning_rate: float = 3e-3
    clicked_share: float = 0.3
    seed: int = 0
    widths: tuple[int, ...] = (64, 32)


@dataclass(frozen=True)
class Examples:
    """Fitted peaks and whether they are spots.

    Attributes
    ----------
    told : ndarray of shape (M, INPUTS)
        As `nets.spot_classifier.inputs`.
    real : ndarray of shape (M,)
        1 for a spot, 0 for a false alarm.
    clicked : ndarray of shape (M,)
        Whether it comes from a clicked picture.
    """

    told: Floats
    real: Floats
    clicked: NDArray[np.bool_]


def train_spots(
    out: Path,
    *,
    data: Path | None = None,
    training: SpotTraining | None = None,
    device: str = "auto",
    progress: Progress = silent,
) -> Path:
    """Train the spot classifier and write `spots_embedded.safetensors` and its JSON file.

    Parameters
    ----------
    out : Path
        Folder for the weights.
    data : Path, optional
        Folder of pictures `X.tif` with clicked spots `X_points.csv`; simulated frames alone if omitted.
    training : SpotTraining, optional
        Length, seed and mixture.
    device : str
        "auto", "cpu", "cuda", "cuda:N" or "mps".
    progress : Progress
        Called after every picture and step; may raise `Cancelled`.

    Returns
    -------
    Path
        The weights.

    Raises
    ------
    InputError
        If `data` holds no clicked pictures or they cannot be read.
    SettingsError
        If there is nothing to learn from, or the device does not exist.
    OutputError
        If `out` cannot be written to.

    Notes
    -----
    The perceptron for spots that were fitted each by itself learns first: it chooses the peaks that are then
    fitted with their neighbours, from which the other learns.
    """
    training = training or SpotTraining()
    where = resolve_device(device)
    clicked = [] if data is None else clicked_pictures(data)
    if not clicked and training.simulated < 1:
        raise SettingsError("training needs pictures: give a data folder or at least one simulated frame")
    pictures = [*clicked]
    for index in range(training.simulated):
        pictures.append(simulated_picture([training.seed, 1, index], training.frame_px))
        progress("simulating", index + 1, training.simulated)
    torch.manual_seed(training.seed)
    network = SpotClassifier(training.widths)
    path = Path(out) / WEIGHTS_NAME
    facts: dict[str, Any] = {"training": asdict(training), "pictures": len(clicked)}
    for name in ("alone", "together"):
        judge = SpotJudge(path) if name == "together" else None
        examples = _examples(pictures, judge, progress)
        _learn(getattr(network, name), examples, training, where, progress)
        facts[f"examples_{name}"] = len(examples.real)
        weights.save(network, path, facts)
    return path


def _examples(pictures: Sequence[Picture], judge: SpotJudge | None, progress: Progress) -> Examples:
    """Fit the spots of pictures, together if a judge of those fitted alone is given."""
    told, real, clicked = [], [], []
    for done, picture in enumerate(pictures, start=1):
        found, probability = fit_picture(picture, judge)
        verdict = verdicts(picture, found)
        counts = verdict != "forgiven"
        told.append(_told(picture, found)[counts])
        real.append((verdict == "hit")[counts].astype(np.float32))
        clicked.append(np.full(counts.sum(), picture.clicked))
        progress("fitting spots", done, len(pictures))
    return Examples(np.concatenate(told), np.concatenate(real), np.concatenate(clicked))


def fit_picture(picture: Picture, judge: SpotJudge | None) -> tuple[Found, Floats]:
    """Find the spots of a picture, together if there is a judge, and their probabilities (1 without one)."""
    if judge is None:
        found = picture.finder(together=False).find(picture.image)
        return found, np.ones(len(found.spots), dtype=np.float32)
    chance = Probability(judge, picture.camera, picture.sigma_px)
    found = picture.finder(together=True, judge=chance.alone).find(picture.image)
    return found, chance.together(found)


def _told(picture: Picture, found: Found) -> Floats:
    noise = picture.camera.read_noise_photons**2
    return inputs(found.spots, found.evidence, found.looks, noise=noise, sigma_px=picture.sigma_px)


def _learn(
    network: torch.nn.Module,
    examples: Examples,
    training: SpotTraining,
    device: torch.device,
    progress: Progress,
) -> None:
    course = Course(steps=training.steps, learning_rate=training.learning_rate)
    train(network, _batches(examples, training), course, device=device, loss_of=logit_loss, progress=progress)


def _batches(examples: Examples, training: SpotTraining) -> Callable[[int], Batch]:
    """Return the batch of a step: spots drawn at random, each turned and mirrored at random."""
    kinds = [np.flatnonzero(~examples.clicked), np.flatnonzero(examples.clicked)]
    clicked = round(training.batch * training.clicked_share) if len(kinds[1]) else 0
    clicked = training.batch if not len(kinds[0]) else clicked

    def next_batch(step: int) -> Batch:
        rng = np.random.default_rng([training.seed, BATCH_STREAM, step])
        rows = np.concatenate(
            [
                rng.choice(kind, size=count)
                for kind, count in zip(kinds, (training.batch - clicked, clicked))
                if count
            ]
        )
        told = examples.told[rows]
        turned(told, rng)
        return told, examples.real[rows, None]

    return next_batch


def turned(told: Floats, rng: np.random.Generator) -> None:
    """Turn and mirror the looks of spots, in place, by one of the eight ways for each eighth of them."""
    picture = told[:, : INPUTS - 8].reshape(len(told), 2, LOOK_SIDE, LOOK_SIDE)
    way = rng.integers(8, size=len(told))
    for k in range(8):
        chosen = way == k
        changed = np.rot90(picture[chosen], k % 4, axes=(2, 3))
        picture[chosen] = changed[..., ::-1] if k >= 4 else changed
    told[:, : INPUTS - 8] = picture.reshape(len(told), -1)
