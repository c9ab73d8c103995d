"""Training of the spot classifier on simulated pictures."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from exovision.errors import SettingsError
from exovision.exosomes.probability import MEASURES, describe, inputs, sigmoid
from exovision.exosomes.spot_finder import Found, Judge
from exovision.nets import weights
from exovision.nets.device import resolve_device
from exovision.nets.shipped import SHIPPED
from exovision.nets.spot_classifier import fresh_classifier
from exovision.nets.spot_judge import SpotJudge
from exovision.nets.training import Batch, Course, logit_loss, train
from exovision.numerics.spot_evidence import LOOK_SIDE
from exovision.progress import Progress, silent
from exovision.scoring.classifier import calibration_error
from exovision.settings import ExosomeSettings
from exovision.training.spot_pictures import Picture, simulated_picture

Numbers = NDArray[np.float32]
Floats = NDArray[np.float64]
INPUTS = inputs(1), inputs(2)
PICTURE_STREAM, BATCH_STREAM, HELD_OUT_STREAM = 1, 2, 3


@dataclass(frozen=True)
class SpotTraining:
    """What the spot classifier learns from, and for how long.

    Attributes
    ----------
    simulated : int
        Simulated pictures.
    side_px : int
        Of a simulated picture, px.
    steps, batch : int
        Batches for each of the two perceptrons, and spots in a batch.
    learning_rate : float
        The largest of the cycle.
    seed : int
        Fixes weights, simulation and batches.
    alone, together : tuple of int
        Hidden units of the layers of the two perceptrons.
    """

    simulated: int = 1600
    side_px: int = 256
    steps: int = 7000
    batch: int = 1024
    learning_rate: float = 3e-3
    seed: int = 0
    alone: tuple[int, ...] = (64, 24)
    together: tuple[int, ...] = (128, 48)


Examples = tuple[Numbers, Numbers]
"""What is told of fitted peaks, shape (M, inputs), and whether each is a spot, 0 or 1, shape (M,)."""


def train_network(out: Path, training: SpotTraining, *, device: str, progress: Progress = silent) -> Path:
    """Train the spot classifier on simulated pictures and write weights and their JSON file.

    Parameters
    ----------
    out : Path
        Folder for the weights.
    training : SpotTraining
        Length and seed.
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
    SettingsError
        If there is no picture to learn from, or the device does not exist.
    OutputError
        If `out` cannot be written to.

    Notes
    -----
    The perceptron for spots that were fitted each by itself learns first: it chooses the peaks that are then
    fitted with their neighbours, from which the other learns.
    """
    where = resolve_device(device)
    if training.simulated < 1:
        raise SettingsError("training needs pictures: ask for at least one simulated picture")
    pictures = []
    for index in range(training.simulated):
        pictures.append(simulated_picture([training.seed, PICTURE_STREAM, index], training.side_px))
        progress("simulating", index + 1, training.simulated)
    shapes = (INPUTS[0], *training.alone), (INPUTS[1], *training.together)
    network = fresh_classifier(*shapes, training.seed)
    path = Path(out) / f"{SHIPPED[ExosomeSettings]}.safetensors"
    course = Course(steps=training.steps, learning_rate=training.learning_rate, weight_decay=1e-2, half=False)
    for together, part in ((False, network.alone), (True, network.together)):
        examples = gather(pictures, SpotJudge(path, inputs=INPUTS) if together else None, progress)
        batches = _batches(examples, training)
        train(part, batches, course, loss=logit_loss, device=where, progress=progress)
        weights.save(network, path, {"training": asdict(training)})
    return path


def gather(pictures: Iterable[Picture], judge: SpotJudge | None, progress: Progress = silent) -> Examples:
    """Fit the spots of pictures, with their neighbours if the judge of those fitted alone is given.

    Returns
    -------
    told : ndarray of shape (M, inputs)
        As `exosomes.probability.describe`.
    real : ndarray of shape (M,)
        1 for a spot, 0 for a false alarm; what is neither is left out.
    """
    told = [np.empty((0, inputs(1 if judge is None else 2)), dtype=np.float32)]
    real = [np.empty(0, dtype=np.float32)]
    for done, picture in enumerate(pictures, start=1):
        found = _found(picture, judge, ridges=bool(done % 2))
        verdict = picture.verdicts(found)
        counts = verdict != "forgiven"
        told.append(_told(picture, found)[counts])
        real.append((verdict == "hit")[counts].astype(np.float32))
        progress("fitting spots", done, done)
    return np.concatenate(told), np.concatenate(real)


def _told(picture: Picture, found: Found) -> Numbers:
    return describe(found, camera=picture.camera, sigma_px=picture.sigma_px, area_px=picture.image.size)


def _found(picture: Picture, judge: SpotJudge | None, *, ridges: bool) -> Found:
    """Return spots fitted together, or alone: those of the fast path, or those that are to be chosen from."""
    if judge is not None:
        return picture.find(together=True, judge=chance(picture, judge))
    if not ridges:
        return picture.find(together=False)
    seen: list[Found] = [Found.none(together=False)]

    def look(found: Found) -> Floats:
        seen.append(found)
        return np.zeros(len(found.spots))

    picture.find(together=True, judge=look)
    return seen[-1]


def chance(picture: Picture, judge: SpotJudge) -> Judge:
    """Return what tells the probability of the spots of a picture."""
    return lambda found: sigmoid(judge(_told(picture, found), together=found.together))


def _batches(examples: Examples, training: SpotTraining) -> Callable[[int], Batch]:
    """Return the batch of a step: spots drawn at random, each turned and mirrored at random."""
    told, real = examples

    def next_batch(step: int) -> Batch:
        rng = np.random.default_rng([training.seed, BATCH_STREAM, step])
        rows = rng.integers(len(real), size=training.batch)
        chosen = told[rows]
        turn(chosen)
        return chosen[:, :, None, None], real[rows, None]

    return next_batch


def turn(told: Numbers) -> None:
    """Turn and mirror the looks of spots in place: each eighth of the rows in another of the eight ways."""
    seen = told[:, :-MEASURES].reshape(len(told), -1, LOOK_SIDE, LOOK_SIDE).copy()
    for way, rows in enumerate(np.array_split(np.arange(len(told)), 8)):
        turned = np.rot90(seen[rows], way % 4, axes=(2, 3))
        seen[rows] = turned[..., ::-1] if way >= 4 else turned
    told[:, :-MEASURES] = seen.reshape(len(told), -1)


def evaluate_network(path: Path, training: SpotTraining, *, pictures: int = 100) -> dict[str, float]:
    """Judge the spots of simulated pictures that training does not draw.

    Returns
    -------
    dict
        `peaks`, how many were fitted together; `precision` and `recall` of those of a probability of one half
        or more, among them; `ece`, the expected calibration error.
    """
    judge = SpotJudge(path, inputs=INPUTS)
    streams = ([training.seed, HELD_OUT_STREAM, index] for index in range(pictures))
    told, real = gather((simulated_picture(one, training.side_px) for one in streams), judge)
    likely, is_spot = sigmoid(judge(told, together=True)), real > 0.5
    called = likely >= 0.5
    return {
        "peaks": float(len(real)),
        "precision": float(is_spot[called].mean()),
        "recall": float(called[is_spot].mean()),
        "ece": calibration_error(likely, is_spot),
    }
