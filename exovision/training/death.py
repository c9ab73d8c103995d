"""Training of the morphology network on labelled crops of cells."""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from exovision.death.crops import BODIES, ROLES
from exovision.errors import SettingsError
from exovision.nets import weights
from exovision.nets.cell_judge import STATES
from exovision.nets.device import resolve_device
from exovision.nets.morphology import MorphologyNet
from exovision.nets.training import Batch, Course, class_loss, fresh_morphology, train
from exovision.progress import Progress, silent
from exovision.training.crop_batches import CropVariation, chances, draw_batch, targets_of
from exovision.training.labelled_crops import KNOWN, LabelledCrops, folds_by_movie, join, read_labelled
from exovision.training.simulated_crops import simulated_crops

NAME = "death_embedded"
CROP_STREAM = 4


@dataclass(frozen=True)
class DeathTraining:
    """What the morphology network learns from, and for how long.

    Attributes
    ----------
    rehearsal, steps, batch : int
        Batches of simulated cells alone, to begin with; then batches of all; crops in a batch.
    learning_rate, weight_decay : float
        Of AdamW; the rate is the largest of the cycle.
    averaging : float
        Of the weights, see `exovision.nets.training.Course`.
    smoothing : float
        Of the labels.
    balance : float
        0: classes are drawn as often as they occur, which the probabilities then fit; 1: all equally often.
    seed : int
        Fixes weights, simulation and crops.
    simulated : int
        Simulated movies.
    real_share : float
        Share of the crops that come from `data`, if there is any.
    widths : tuple of int
        Features of the network.
    variation : CropVariation
        How crops are varied.
    start : str, optional
        Weights to go on from; `widths` and classes are then theirs, and there is no rehearsal. Fresh ones if
        omitted.
    """

    rehearsal: int = 3000
    steps: int = 800
    batch: int = 64
    learning_rate: float = 2.5e-3
    weight_decay: float = 0.02
    averaging: float = 0.99
    smoothing: float = 0.01
    balance: float = 0.0
    seed: int = 0
    simulated: int = 36
    real_share: float = 0.6
    widths: tuple[int, ...] = (16, 32, 64, 96)
    variation: CropVariation = field(default_factory=CropVariation)
    start: str | None = None


def from_corrections(start: Path, *, seed: int = 0) -> DeathTraining:
    """Return the short training that goes on from known weights with a few corrected cells."""
    return DeathTraining(
        rehearsal=0, steps=150, batch=32, learning_rate=4e-4, seed=seed, simulated=2, start=str(start)
    )


def train_death(
    out: Path,
    *,
    data: Path | None = None,
    training: DeathTraining | None = None,
    hold_out: bool = True,
    device: str = "auto",
    progress: Progress = silent,
) -> Path:
    """Train the morphology network and write `death_embedded.safetensors` and its JSON file.

    Parameters
    ----------
    out : Path
        Folder for the weights.
    data : Path, optional
        Labelled crops, see `exovision.training.labelled_crops.read_labelled`; simulation alone if omitted.
    training : DeathTraining, optional
        Length and seed.
    hold_out : bool
        Never look at one fifth of the movies of `data` (see `unseen`), so that they can judge the result.
    device : str
        "auto", "cpu", "cuda", "cuda:N" or "mps".
    progress : Progress
        Called after every step; may raise `Cancelled`.

    Returns
    -------
    Path
        The weights.

    Raises
    ------
    InputError
        If `data` holds no labelled crops.
    SettingsError
        If there is nothing to learn from, all crops have the same label, or the device does not exist.
    OutputError
        If `out` cannot be written to.
    """
    training = training or DeathTraining()
    resolve_device(device)
    real = None if data is None else read_labelled(data)
    real = real.chosen(~unseen(real)) if real is not None and hold_out else real
    made = simulated_crops(training.seed, training.simulated, progress) if training.simulated else None
    network, facts = learn(real, made, training, device=device, progress=progress)
    path = Path(out) / f"{NAME}.safetensors"
    weights.save(network, path, {**facts, "held_out": hold_out and data is not None})
    return path


def unseen(crops: LabelledCrops) -> NDArray[np.bool_]:
    """Return which crops belong to the movies of the first of five folds, which training leaves out."""
    return np.asarray(folds_by_movie(crops) == 0)


def learn(
    real: LabelledCrops | None,
    simulated: LabelledCrops | None,
    training: DeathTraining,
    *,
    start: MorphologyNet | None = None,
    device: str = "auto",
    progress: Progress = silent,
) -> tuple[MorphologyNet, dict[str, Any]]:
    """Train a network on all of the crops.

    Parameters
    ----------
    real, simulated : LabelledCrops or None
        One at least.
    training, device, progress
        As for `train_death`.
    start : MorphologyNet, optional
        What `rehearse` gave for the same simulated cells and classes; it is not changed.

    Returns
    -------
    network : MorphologyNet
        In evaluation mode, on the CPU.
    facts : dict
        What `exovision.nets.cell_judge` needs to know of it, and how it was trained.

    Raises
    ------
    InputError
        If the weights to go on from are damaged.
    SettingsError
        If there is nothing to learn from, all crops have the same label and there are no weights to go on
        from, or the device does not exist.
    """
    sets = [one for one in (real, simulated) if one is not None]
    if not sets:
        raise SettingsError("training needs crops: give labelled ones or at least one simulated movie")
    resolve_device(device)
    crops = join(sets)
    needs = needed(crops if real is None else real)
    if training.start is not None:
        network, known = weights.load(Path(training.start), MorphologyNet)
        states, needs = known["states"], [*dict.fromkeys([*known["needs"], *needs])]
    else:
        classes, states = classes_in(crops.labels)
        if simulated is not None and start is None:
            start = rehearse(simulated, classes, states, training, device=device, progress=progress)
        fresh = fresh_morphology(ROLES, classes, training.widths, training.seed)
        network = copy.deepcopy(start) if start else fresh
    losses = _train(network, sets, states, training, steps=training.steps, device=device, progress=progress)
    return network, {
        "states": states,
        "needs": needs,
        "temperature": 1.0,
        "training": asdict(training),
        "crops": len(crops),
        "movies": int(np.unique(crops.movies).size),
        "last_loss": float(np.mean(losses[-100:])) if losses else None,
    }


def rehearse(
    simulated: LabelledCrops,
    classes: Sequence[str],
    states: Mapping[str, str | None],
    training: DeathTraining,
    *,
    device: str = "auto",
    progress: Progress = silent,
) -> MorphologyNet:
    """Return a network that has learned `classes` from simulated cells alone, for real ones to come.

    Parameters
    ----------
    simulated : LabelledCrops
    classes, states
        As `classes_in` gives them for all labels to come.
    training, device, progress
        As for `train_death`.
    """
    network = fresh_morphology(ROLES, classes, training.widths, training.seed)
    _train(network, [simulated], states, training, steps=training.rehearsal, device=device, progress=progress)
    return network


def _train(
    network: MorphologyNet,
    sets: Sequence[LabelledCrops],
    states: Mapping[str, str | None],
    training: DeathTraining,
    *,
    steps: int,
    device: str,
    progress: Progress,
) -> list[float]:
    crops = join(sets)
    targets = targets_of(crops.labels, network.classes, states)
    return train(
        network,
        _batches(crops, _shares(sets, training), targets, training),
        Course(steps, training.learning_rate, training.weight_decay, training.averaging),
        loss=class_loss(training.smoothing),
        device=resolve_device(device),
        progress=progress,
    )


def classes_in(labels: NDArray[np.str_]) -> tuple[list[str], dict[str, str | None]]:
    """Return the network's classes for these labels, and the state of each.

    A state is a class of its own only where no class that stands for it is among the labels.

    Raises
    ------
    SettingsError
        If there is only one.
    """
    found = sorted({str(label) for label in labels})
    finer = {KNOWN[label] for label in found if label not in STATES}
    classes = [label for label in found if label not in finer]
    if len(classes) < 2:
        raise SettingsError(f"training needs crops with different labels, got only {', '.join(found)}")
    return classes, {label: KNOWN[label] for label in classes}


def needed(crops: LabelledCrops) -> list[str]:
    """Return the channels one of which must be there to judge a cell: those that show bodies in these crops.

    What is known from simulation alone may help, but does not suffice.
    """
    shown = [role for k, role in enumerate(ROLES) if np.isfinite(crops.crops[:, k, 0, 0]).any()]
    return [role for role in shown if role in BODIES] or shown


def _shares(sets: Sequence[LabelledCrops], training: DeathTraining) -> NDArray[np.float64]:
    """Return how likely each crop is picked: the first set has its share, the others the rest."""
    parts = [1.0] if len(sets) == 1 else [training.real_share, 1 - training.real_share]
    shares = [part * chances(one.labels, training.balance) for part, one in zip(parts, sets)]
    return np.concatenate(shares)


def _batches(
    crops: LabelledCrops,
    shares: NDArray[np.float64],
    targets: NDArray[np.float32],
    training: DeathTraining,
) -> Callable[[int], Batch]:
    def next_batch(step: int) -> Batch:
        rng = np.random.default_rng([training.seed, CROP_STREAM, step])
        picked = rng.choice(len(crops), size=training.batch, p=shares)
        return draw_batch(crops, targets, picked, rng, training.variation)

    return next_batch
