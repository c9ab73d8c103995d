"""Training of the cell network on simulated frames and on labelled pictures, and its held-out figures."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path

import numpy as np
import tifffile
from numpy.typing import NDArray

from exovision.errors import InputError, SettingsError
from exovision.nets import weights
from exovision.nets.device import resolve_device
from exovision.nets.training import Batch, Course, fresh_network, train
from exovision.nets.unet import FlowUNet
from exovision.progress import Progress, silent
from exovision.simulation.training_frames import training_frame
from exovision.training.samples import Sample, Variation, draw_batch, make_sample

LABELS_SUFFIX = "_labels.tif"
SIMULATION_STREAM, CROP_STREAM = 1, 2


@dataclass(frozen=True)
class CellTraining:
    """What the cell network learns from, and for how long.

    Attributes
    ----------
    steps, batch : int
        Batches, and crops in a batch.
    learning_rate : float
        The largest of the cycle.
    seed : int
        Fixes weights, simulation and crops.
    simulated : int
        Simulated frames.
    frame_px : int
        Side of a simulated frame, px.
    real_share : float
        Share of the crops that come from `data`, if there is any.
    working_diameter_px : float
        Diameter of the median cell at the network's scale, px.
    widths : tuple of int
        Channels of the network.
    variation : Variation
        How crops are varied.
    start : str, optional
        Weights to go on from; `working_diameter_px` and `widths` are then theirs. Fresh ones if omitted.
    """

    steps: int = 3000
    batch: int = 16
    learning_rate: float = 3e-3
    seed: int = 0
    simulated: int = 1500
    frame_px: int = 384
    real_share: float = 0.5
    working_diameter_px: float = 32.0
    widths: tuple[int, ...] = (16, 32, 64, 96)
    variation: Variation = field(default_factory=Variation)
    start: str | None = None


def from_corrections(start: Path, *, seed: int = 0) -> CellTraining:
    """Return the short training that goes on from known weights with a few corrected pictures."""
    return CellTraining(
        steps=150, batch=8, learning_rate=5e-4, seed=seed, simulated=40, real_share=0.6, start=str(start)
    )


def train_cells(
    out: Path,
    *,
    data: Path | None = None,
    training: CellTraining | None = None,
    hold_out: bool = True,
    device: str = "auto",
    progress: Progress = silent,
) -> Path:
    """Train the cell network and write `cells_embedded.safetensors` and its JSON file.

    Parameters
    ----------
    out : Path
        Folder for the weights.
    data : Path, optional
        Folder of pictures `X.tif` with corrected labels `X_labels.tif`; simulated frames alone if omitted.
    training : CellTraining, optional
        Length, seed and mixture.
    hold_out : bool
        Never look at every fifth file by name (see `held_out`), so that they can judge the result.
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
        If `data` holds no labelled pictures or a picture does not fit its labels.
    SettingsError
        If there is nothing to learn from, or the device does not exist.
    OutputError
        If `out` cannot be written to.
    """
    training = training or CellTraining()
    where = resolve_device(device)
    names = [] if data is None else training_names(data, hold_out=hold_out)
    if not names and training.simulated < 1:
        raise SettingsError("training needs pictures: give a data folder or at least one simulated frame")
    training = _as_started(training)
    samples = [*real_samples(data, names, training, progress), *simulated_samples(training, progress)]
    network = _network(training)
    losses = train(
        network,
        _batches(samples, len(names), training),
        Course(steps=training.steps, learning_rate=training.learning_rate),
        device=where,
        progress=progress,
    )
    path = Path(out) / "cells_embedded.safetensors"
    weights.save(
        network,
        path,
        {
            "working_diameter_px": training.working_diameter_px,
            "normalisation": "percentiles 1 and 99.8 of the rescaled frame become 0 and 1",
            "training": {**asdict(training), "start": _sha256(training.start)},
            "pictures": len(names),
            "held_out": hold_out and data is not None,
            "last_loss": float(np.mean(losses[-100:])) if losses else None,
        },
    )
    return path


def _as_started(training: CellTraining) -> CellTraining:
    """Take the scale and the size of the network from the weights to go on from."""
    if training.start is None:
        return training
    network, facts = weights.load(Path(training.start), FlowUNet)
    diameter_px = float(facts["working_diameter_px"])
    return replace(training, working_diameter_px=diameter_px, widths=tuple(network.widths))


def _sha256(start: str | None) -> str | None:
    """Return what tells the weights gone on from, wherever they lay."""
    return None if start is None else hashlib.sha256(Path(start).read_bytes()).hexdigest()


def _network(training: CellTraining) -> FlowUNet:
    if training.start is None:
        return fresh_network(training.widths, training.seed)
    return weights.load(Path(training.start), FlowUNet)[0]


def _batches(samples: Sequence[Sample], n_real: int, training: CellTraining) -> Callable[[int], Batch]:
    chances = np.zeros(len(samples))
    n_simulated = len(samples) - n_real
    real_share = training.real_share if n_simulated and n_real else float(n_real > 0)
    chances[:n_real] = real_share / max(n_real, 1)
    chances[n_real:] = (1 - real_share) / max(n_simulated, 1)

    def next_batch(step: int) -> Batch:
        rng = np.random.default_rng([training.seed, CROP_STREAM, step])
        return draw_batch(samples, chances, rng, training.variation, training.batch)

    return next_batch


def labelled_names(folder: Path) -> list[str]:
    """Return the sorted names X of the pictures `X.tif` that have labels `X_labels.tif`.

    Raises
    ------
    InputError
        If there is none.
    """
    found = sorted(path.name.removesuffix(LABELS_SUFFIX) for path in Path(folder).glob(f"*{LABELS_SUFFIX}"))
    names = [name for name in found if (Path(folder) / f"{name}.tif").is_file()]
    if not names:
        raise InputError(f"{folder}: training needs pictures X.tif with labels X{LABELS_SUFFIX}, found none")
    return names


def held_out(names: Sequence[str]) -> list[str]:
    """Return every fifth name, counted from the first and counted from the fifth, so both are clean."""
    return sorted({*names[::5], *names[4::5]})


def training_names(folder: Path, *, hold_out: bool = True) -> list[str]:
    """Return the names that training may see.

    Raises
    ------
    InputError
        If the folder holds no labelled pictures.
    """
    names = labelled_names(folder)
    kept = set(names) - set(held_out(names)) if hold_out else set(names)
    return sorted(kept)


def read_pair(folder: Path, name: str) -> tuple[NDArray[np.float32], NDArray[np.int32]]:
    """Read a picture and its labels, each of shape (Y, X).

    Raises
    ------
    InputError
        If a file is unreadable or they differ in shape.
    """
    try:
        image = tifffile.imread(Path(folder) / f"{name}.tif")
        labels = tifffile.imread(Path(folder) / f"{name}{LABELS_SUFFIX}")
    except (OSError, ValueError, tifffile.TiffFileError) as error:
        raise InputError(f"{folder}/{name}: picture and labels must be readable TIFF: {error}") from error
    if image.ndim != 2 or image.shape != labels.shape:
        raise InputError(
            f"{folder}/{name}: picture and labels must be (Y, X) and equal, "
            f"got {image.shape} and {labels.shape}"
        )
    return image.astype(np.float32), labels.astype(np.int32)


def real_samples(
    folder: Path | None, names: Sequence[str], training: CellTraining, progress: Progress = silent
) -> list[Sample]:
    """Read the named pictures as samples at the working scale."""
    samples = []
    for done, name in enumerate(names, start=1):
        image, labels = read_pair(Path(folder or "."), name)
        samples.append(make_sample(image, labels, working_diameter_px=training.working_diameter_px))
        progress("reading pictures", done, len(names))
    return samples


def simulated_samples(training: CellTraining, progress: Progress = silent) -> list[Sample]:
    """Simulate frames as samples at the working scale; frame i depends on the seed and i alone."""
    samples = []
    for index in range(training.simulated):
        rng = np.random.default_rng([training.seed, SIMULATION_STREAM, index])
        image, labels = training_frame(rng, (training.frame_px, training.frame_px))
        samples.append(make_sample(image, labels, working_diameter_px=training.working_diameter_px))
        progress("simulating", index + 1, training.simulated)
    return samples
