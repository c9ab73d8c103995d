"""Training of the network of fates on simulated moments, single events and whole movies."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize_scalar
from scipy.special import log_softmax

from exovision.errors import SettingsError
from exovision.events.examples import NUMBERS, ROLES
from exovision.events.weighing import CLASSES
from exovision.io.folders import make_folder
from exovision.nets import weights
from exovision.nets.cell_judge import turned
from exovision.nets.device import BatchRunner, resolve_device
from exovision.nets.fate_net import FateNet
from exovision.nets.training import Batch, Course, class_loss, fresh_fates, train
from exovision.progress import Progress, silent
from exovision.training.event_examples import EventExamples, join, read_examples, write_examples
from exovision.training.movie_moments import movie_moments
from exovision.training.single_moments import single_moments

NAME = "events_embedded"
MOVIE_STREAM, SINGLE_STREAM, BATCH_STREAM = 5, 6, 7
SET_SIZE = 40
"""Single events of one labelling, timing and light."""
KEPT_APART = 6
"""Every sixth movie or set is kept apart, to find the temperature."""
VIEWS = 8


@dataclass(frozen=True)
class EventTraining:
    """What the network of fates learns from, and for how long.

    Attributes
    ----------
    movies, sets : int
        Simulated movies, and sets of 40 single events.
    steps, batch : int
        Batches, and moments in one.
    movie_share, reviewed_share : float
        Share of the simulated moments that come from movies; and how many reviewed ones there are for each
        simulated one.
    learning_rate, weight_decay, averaging
        As for `exovision.nets.training.Course`.
    noise : float
        Standard deviation of what is added to the numbers that the network is told.
    seed : int
        Fixes weights, simulation and batches.
    widths, hidden
        Of the network.
    start : str, optional
        Weights to go on from, whose shape the network then has; fresh ones if omitted.
    """

    movies: int = 80
    sets: int = 60
    steps: int = 1500
    batch: int = 128
    movie_share: float = 0.6
    reviewed_share: float = 0.4
    learning_rate: float = 2e-3
    weight_decay: float = 0.2
    averaging: float = 0.995
    noise: float = 0.3
    seed: int = 0
    widths: tuple[int, ...] = (12, 20, 28)
    hidden: int = 48
    start: str | None = None


def from_reviews(start: Path, *, seed: int = 0) -> EventTraining:
    """Return the short training that goes on from known weights with a few reviewed events."""
    return EventTraining(
        movies=0, sets=4, steps=150, batch=32, learning_rate=4e-4, seed=seed, start=str(start)
    )


def train_events(
    out: Path,
    *,
    reviewed: EventExamples | None = None,
    training: EventTraining | None = None,
    device: str = "auto",
    progress: Progress = silent,
) -> Path:
    """Train the network of fates and write `events_embedded.safetensors` and its JSON file.

    Parameters
    ----------
    out : Path
        Folder for the weights and the examples, which take most of the time and are used again.
    reviewed : EventExamples, optional
        Moments that a person looked at (see `exovision.training.reviewed_moments`), besides simulation.
    training : EventTraining, optional
    device : str
        "auto", "cpu", "cuda", "cuda:N" or "mps".
    progress : Progress
        Called after every movie, set and step; may raise `Cancelled`.

    Returns
    -------
    Path
        The weights.

    Raises
    ------
    SettingsError
        If there is nothing to learn from, or the device does not exist.
    InputError
        If examples that are there already, or the weights to go on from, are damaged.
    OutputError
        If `out` cannot be written to.
    """
    training = training or EventTraining()
    resolve_device(device)
    made = simulated_examples(
        make_folder(out), seed=training.seed, movies=training.movies, sets=training.sets, progress=progress
    )
    examples = made if reviewed is None else join([made, reviewed])
    network, facts = learn(examples, training, device=device, progress=progress)
    path = Path(out) / f"{NAME}.safetensors"
    weights.save(network, path, {**facts, "reviewed": 0 if reviewed is None else len(reviewed)})
    return path


def simulated_examples(
    folder: Path, *, seed: int, movies: int, sets: int, progress: Progress = silent
) -> EventExamples:
    """Simulate movies and single events, and keep what the analysis sees of them.

    Parameters
    ----------
    folder : Path
        Examples that are there are used again.
    seed : int
        Movie i and set i depend on it and i alone.
    movies, sets : int
        How many; a set has 40 events of one labelling, timing and light.
    progress : Progress
        Called after every movie and set; may raise `Cancelled`.

    Returns
    -------
    EventExamples
        `groups` are named movie_0, …, single_0, ….

    Raises
    ------
    SettingsError
        If both numbers are 0.
    InputError, OutputError
        If files there are damaged, or cannot be written.
    """
    if movies + sets < 1:
        raise SettingsError("training needs examples: ask for at least one movie or one set of events")

    def one_movie(k: int) -> EventExamples:
        return movie_moments(np.random.default_rng([seed, MOVIE_STREAM, k]), f"movie_{k}")

    def one_set(k: int) -> EventExamples:
        return single_moments(np.random.default_rng([seed, SINGLE_STREAM, k]), SET_SIZE, f"single_{k}")

    kinds = {"movie": (movies, one_movie), "single": (sets, one_set)}
    parts = []
    for kind, (count, make) in kinds.items():
        path = folder / f"{kind}_examples_{seed}_{count}.npz"
        if count and not path.exists():
            write_examples(_made(count, make, progress), path)
        parts += [read_examples(path)] if count else []
    return join(parts)


def _made(count: int, make: Callable[[int], EventExamples], progress: Progress) -> EventExamples:
    parts = []
    for k in range(count):
        parts.append(make(k))
        progress("simulating", k + 1, count)
    return join(parts)


def learn(
    examples: EventExamples, training: EventTraining, *, device: str = "auto", progress: Progress = silent
) -> tuple[FateNet, dict[str, Any]]:
    """Train a network; every sixth movie, set and reviewed moment serves to find the temperature alone.

    Parameters
    ----------
    examples : EventExamples
    training, device, progress
        As for `train_events`.

    Returns
    -------
    network : FateNet
        In evaluation mode, on the CPU.
    facts : dict
        What `exovision.nets.fate_judge` needs to know of it, and how it was trained.

    Raises
    ------
    InputError
        If the weights to go on from are damaged.
    SettingsError
        If a class has no example and there are no weights to go on from, or the device does not exist.
    """
    apart = kept_apart(examples)
    own, others = examples.chosen(~apart), examples.chosen(apart)
    network = _beginning(own, training)
    chances = _chances(own, training)
    shares = [float(chances[own.classes == name].sum()) for name in CLASSES]
    losses = train(
        network,
        _batches(own, chances, training),
        Course(training.steps, training.learning_rate, training.weight_decay, training.averaging),
        loss=class_loss(0.0, shares),
        device=resolve_device(device),
        progress=progress,
    )
    judged = others if len(others) else own
    return network, {
        "told": list(NUMBERS),
        "temperature": _temperature(logits_of(network, judged), judged.classes),
        "training": asdict(training),
        "moments": len(own),
        "last_loss": float(np.mean(losses[-100:])) if losses else None,
    }


def _beginning(examples: EventExamples, training: EventTraining) -> FateNet:
    """Return the network to train."""
    if training.start is not None:
        return weights.load(Path(training.start), FateNet)[0]
    missing = sorted(set(CLASSES) - set(examples.classes.tolist()))
    if missing:
        raise SettingsError(f"training needs examples of {', '.join(missing)}; ask for more movies or sets")
    return fresh_fates(CLASSES, len(NUMBERS), len(ROLES), training.widths, training.hidden, training.seed)


def kept_apart(examples: EventExamples) -> NDArray[np.bool_]:
    """Return which examples come from every sixth movie or set, and every sixth reviewed one."""
    numbers = np.array([int(group.rsplit("_", 1)[1]) for group in examples.groups], dtype=np.int64)
    return np.asarray(numbers % KEPT_APART == KEPT_APART - 1)


def logits_of(network: FateNet, examples: EventExamples) -> NDArray[np.float64]:
    """Return the network's logits (N, K), computed on the CPU."""
    runner = BatchRunner(network, resolve_device("cpu"), cpu_images=64)
    logits: NDArray[np.float64] = runner.run(examples.pictures.astype(np.float32)).astype(np.float64)
    return logits


def _temperature(logits: NDArray[np.float64], classes: NDArray[np.str_]) -> float:
    """Return what logits must be divided by to be likeliest (doi:10.48550/arXiv.1706.04599)."""
    right = np.array([CLASSES.index(str(name)) for name in classes])
    prior = np.log(np.maximum(np.bincount(right, minlength=len(CLASSES)) / len(right), 1e-9))

    def surprise(log_temperature: float) -> float:
        logs = log_softmax(logits / np.exp(log_temperature) + prior, axis=1)
        return -float(logs[np.arange(len(right)), right].mean())

    return float(np.exp(minimize_scalar(surprise, bounds=(-1.5, 1.5), method="bounded").x))


def _chances(examples: EventExamples, training: EventTraining) -> NDArray[np.float64]:
    """Return how likely each example is drawn; every kind of examples that there is has its share."""
    shares = {
        "reviewed": training.reviewed_share,
        "movie": training.movie_share,
        "single": 1 - training.movie_share,
    }
    kinds = {kind: examples.of_kind(kind) for kind in shares}
    parts = [shares[kind] * mask / mask.sum() for kind, mask in kinds.items() if mask.any()]
    chances = np.sum(parts, axis=0)
    return np.asarray(chances / chances.sum(), dtype=np.float64)


def _batches(
    examples: EventExamples, chances: NDArray[np.float64], training: EventTraining
) -> Callable[[int], Batch]:
    targets = np.stack([examples.classes == name for name in CLASSES], axis=1).astype(np.float32)

    def next_batch(step: int) -> Batch:
        rng = np.random.default_rng([training.seed, BATCH_STREAM, step])
        picked = rng.choice(len(examples), size=training.batch, p=chances)
        images = examples.pictures[picked].astype(np.float32)
        views = rng.integers(VIEWS, size=len(picked))
        images = np.stack([turned_moment(image, int(view)) for image, view in zip(images, views)])
        told = images[:, -1].reshape(len(images), -1)
        told[:, 2 : len(NUMBERS)] += rng.normal(0, training.noise, (len(images), len(NUMBERS) - 2))
        return images.astype(np.float32), targets[picked]

    return next_batch


def turned_moment(image: NDArray[np.float32], view: int) -> NDArray[np.float32]:
    """Return one of the eight turns and mirror images of a moment (F, P, P), its normal turned with it."""
    y, x = (float(value) for value in image[-1].ravel()[:2])
    for _ in range(view % 4):
        y, x = -x, y
    told = image[-1].copy()
    told.ravel()[:2] = y, -x if view >= 4 else x
    return np.concatenate([turned(image[None, :-1], view)[0], told[None]])
