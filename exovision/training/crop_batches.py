"""Batches of labelled crops: turned, mirrored, rescaled, re-lit, and with channels left out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from exovision.death.crops import BODIES, CROP_PX, DEATH_STAINS, ROLES, STAIN_SCALE, finish
from exovision.nets.training import Batch
from exovision.training.labelled_crops import LabelledCrops

STAINS = [ROLES.index(role) for role in DEATH_STAINS]
SHAPES = [ROLES.index(role) for role in BODIES]


@dataclass(frozen=True)
class CropVariation:
    """How much crops are varied while a network learns.

    Attributes
    ----------
    scale : tuple of float
        Least and largest magnification.
    shift_px : float
        Largest displacement, px.
    gamma, blur, noise : float
        Chance of a change of contrast, of a blur, of noise.
    alone : float
        Chance that a single channel stays, of the cell or of its nucleus.
    drop : float
        Otherwise the chance that each channel beyond one of these is left out.
    """

    scale: tuple[float, float] = (0.75, 1.33)
    shift_px: float = 2.0
    gamma: float = 0.5
    blur: float = 0.25
    noise: float = 0.4
    alone: float = 0.4
    drop: float = 0.5


def chances(labels: NDArray[np.str_], balance: float) -> NDArray[np.float64]:
    """Return how likely each of N crops is picked: as its class is frequent, to the power 1 - `balance`."""
    _, index, sizes = np.unique(labels, return_inverse=True, return_counts=True)
    weights = sizes[index].astype(np.float64) ** -balance
    shares: NDArray[np.float64] = weights / weights.sum()
    return shares


def targets_of(
    labels: NDArray[np.str_], classes: Sequence[str], states: Mapping[str, str | None]
) -> NDArray[np.float32]:
    """Return which classes each label allows, (N, K): its own, or all of the state it names."""
    return np.array(
        [[name == label or states[name] == label for name in classes] for label in labels], dtype=np.float32
    )


def draw_batch(
    crops: LabelledCrops,
    targets: NDArray[np.float32],
    picked: NDArray[np.int64],
    rng: np.random.Generator,
    variation: CropVariation,
) -> Batch:
    """Return varied crops (N, R, 64, 64) and the targets (N, K) of the `picked` ones."""
    images = np.stack([vary(crops.crops[i].astype(np.float32), rng, variation) for i in picked])
    return finish(images), targets[picked]


def vary(
    crop: NDArray[np.float32], rng: np.random.Generator, variation: CropVariation
) -> NDArray[np.float32]:
    """Turn, mirror, rescale, shift and re-light one crop of shape (R, 64, 64), and leave channels out."""
    there = np.flatnonzero(np.isfinite(crop[:, 0, 0]))
    kept = _kept(there, rng, variation.alone, variation.drop)
    turned = _turned(crop[kept], rng, variation)
    varied = np.full_like(crop, np.nan)
    for role, image in zip(kept, turned):
        varied[role] = _stained(image, rng) if role in STAINS else _lit(image, rng, variation)
    return varied


def _kept(there: NDArray[np.int64], rng: np.random.Generator, alone: float, drop: float) -> NDArray[np.int64]:
    """Choose channels: one that shows the cell's body always stays, if there is one."""
    if there.size < 2:
        return there
    bodies = there[np.isin(there, SHAPES)]
    first = rng.choice(bodies if bodies.size else there)
    if rng.random() < alone:
        return np.array([first])
    stays = (rng.random(there.size) >= drop) | (there == first)
    return np.asarray(there[stays])


def _turned(
    images: NDArray[np.float32], rng: np.random.Generator, variation: CropVariation
) -> NDArray[np.float32]:
    angle, mirror = rng.uniform(0, 2 * np.pi), rng.choice([-1.0, 1.0])
    zoom = float(np.exp(rng.uniform(*np.log(variation.scale))))
    turn = zoom * np.array(
        [[np.cos(angle), -mirror * np.sin(angle)], [np.sin(angle), mirror * np.cos(angle)]]
    )
    middle = np.full(2, (CROP_PX - 1) / 2)
    shift = middle - turn @ middle + rng.uniform(-variation.shift_px, variation.shift_px, 2)
    matrix, size = np.column_stack([turn, shift]), (CROP_PX, CROP_PX)
    warped = [
        cv2.warpAffine(one, matrix, size, flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REFLECT)
        for one in images
    ]
    return np.asarray(warped, dtype=np.float32)


def _lit(
    image: NDArray[np.float32], rng: np.random.Generator, variation: CropVariation
) -> NDArray[np.float32]:
    """Change sharpness, contrast and noise of an image in which the cell spans 0 to 1."""
    if rng.random() < variation.blur:
        image = np.asarray(cv2.GaussianBlur(image, (0, 0), float(rng.uniform(0.4, 1.2))), dtype=np.float32)
    if rng.random() < variation.gamma:
        image = np.sign(image) * np.abs(image) ** np.float32(np.exp(rng.uniform(-0.3, 0.3)))
    if rng.random() < variation.noise:
        image = image + rng.uniform(0, 0.08) * rng.standard_normal(image.shape, dtype=np.float32)
    return np.asarray(image, dtype=np.float32)


def _stained(image: NDArray[np.float32], rng: np.random.Generator) -> NDArray[np.float32]:
    """Change the strength of a stain that counts in units of noise, compressed."""
    gain = np.float32(np.exp(rng.uniform(-0.7, 0.7)))
    strength = gain * np.sinh(STAIN_SCALE * image)
    return np.asarray(np.arcsinh(strength) / STAIN_SCALE, dtype=np.float32)
