"""Training pictures of cells at the working diameter, with flow targets, and random crops of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from exovision.nets.flows import flow_targets
from exovision.nets.scaling import measure_diameter_px, normalise, resize

LARGEST_SIDE_PX = 640


@dataclass(frozen=True)
class Sample:
    """A picture at the working scale.

    Attributes
    ----------
    image : ndarray of shape (Y, X)
        Normalised brightness, float16.
    target : ndarray of shape (3, Y, X)
        Unit flow along y and x, share of the pixel inside cells; float16.
    """

    image: NDArray[np.float16]
    target: NDArray[np.float16]


@dataclass(frozen=True)
class Variation:
    """How strongly crops are varied.

    Attributes
    ----------
    crop_px : int
        Side of a crop.
    scale : tuple of float
        Smallest and largest magnification; log-uniform.
    gamma : float
        Largest absolute logarithm of the gamma exponent.
    invert, blur, noise, shade, halo : float
        Probabilities of inverted contrast, blur, noise, uneven light and a halo as of phase imaging.
    """

    crop_px: int = 128
    scale: tuple[float, float] = (0.5, 1.6)
    gamma: float = 0.5
    invert: float = 0.1
    blur: float = 0.25
    noise: float = 0.5
    shade: float = 0.3
    halo: float = 0.2


def make_sample(
    image: NDArray[np.float32], labels: NDArray[np.int32], *, working_diameter_px: float
) -> Sample:
    """Rescale a picture so that its median cell has the working diameter, and compute its targets.

    Parameters
    ----------
    image : ndarray of shape (Y, X)
        Any offset and scale.
    labels : ndarray of shape (Y, X)
        0 is background.
    working_diameter_px : float
        The median diameter after rescaling, px.

    Returns
    -------
    Sample
        The middle of the picture if it would be larger than 640 px.
    """
    diameter = measure_diameter_px(labels)
    factor = working_diameter_px / diameter if diameter > 0 else 0.5
    side = max(16, round(LARGEST_SIDE_PX / factor))
    window = tuple(slice(max(0, (n - side) // 2), max(0, (n - side) // 2) + side) for n in labels.shape)
    image, labels = image[window], labels[window]
    shape = (max(16, round(labels.shape[0] * factor)), max(16, round(labels.shape[1] * factor)))
    small = cv2.resize(
        np.ascontiguousarray(labels.astype(np.float32)), shape[::-1], interpolation=cv2.INTER_NEAREST_EXACT
    )
    share = resize((labels > 0).astype(np.float32), shape)
    target = np.concatenate([flow_targets(small.astype(np.int32)), np.clip(share, 0, 1)[None]])
    scaled = resize(image.astype(np.float32), shape)
    return Sample(image=normalise(scaled).astype(np.float16), target=target.astype(np.float16))


def draw_crop(
    sample: Sample, rng: np.random.Generator, variation: Variation
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Cut a random, turned, mirrored, rescaled and re-lit crop.

    Returns
    -------
    image : ndarray of shape (1, S, S)
    target : ndarray of shape (4, S, S)
        Unit flow along y and x, share of the pixel inside cells, weight (0 outside the picture).
    """
    matrix, turn = _placement(sample, rng, variation)
    size = (variation.crop_px, variation.crop_px)
    channels = np.concatenate([sample.target, np.ones_like(sample.target[:1])]).astype(np.float32)
    warped = cv2.warpAffine(np.moveaxis(channels, 0, -1), matrix, size, flags=cv2.INTER_LINEAR)
    flow_x, flow_y = turn @ np.stack([warped[..., 1].ravel(), warped[..., 0].ravel()])
    target = np.stack([flow_y.reshape(size), flow_x.reshape(size), warped[..., 2], warped[..., 3] > 0.99])
    picture = sample.image.astype(np.float32)
    image = cv2.warpAffine(picture, matrix, size, flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REFLECT)
    return vary(np.asarray(image, dtype=np.float32), rng, variation)[None], target.astype(np.float32)


def _placement(
    sample: Sample, rng: np.random.Generator, variation: Variation
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return the 2 x 3 matrix (x, y) of the crop and its orthogonal part, which turns the flows."""
    angle = rng.uniform(0, 2 * np.pi)
    mirror = rng.choice([-1.0, 1.0])
    turn = np.array([[np.cos(angle), -mirror * np.sin(angle)], [np.sin(angle), mirror * np.cos(angle)]])
    zoom = float(np.exp(rng.uniform(*np.log(variation.scale))))
    centre = rng.uniform(0, 1, 2) * (np.array(sample.image.shape) - 1)
    if rng.random() < 0.7:
        y, x = np.nonzero(sample.target[2] > 0.5)
        if y.size:
            pick = rng.integers(y.size)
            centre = np.array([y[pick], x[pick]], dtype=np.float64)
    centre = _away_from_border(centre, sample.image.shape, 0.4 * variation.crop_px / zoom)
    middle = np.full(2, (variation.crop_px - 1) / 2)
    shift = middle - zoom * turn @ centre[::-1]
    return np.column_stack([zoom * turn, shift]), turn


def _away_from_border(
    centre: NDArray[np.float64], shape: tuple[int, ...], margin_px: float
) -> NDArray[np.float64]:
    last = np.array(shape) - 1.0
    margin = np.minimum(margin_px, last / 2)
    return np.clip(centre, margin, last - margin)


def vary(image: NDArray[np.float32], rng: np.random.Generator, variation: Variation) -> NDArray[np.float32]:
    """Change gamma, contrast, sharpness, noise and light of a normalised image of shape (Y, X)."""
    clipped = np.clip(image, 0, 1.5)
    varied = clipped ** np.float32(np.exp(rng.uniform(-variation.gamma, variation.gamma)))
    if rng.random() < variation.halo:
        wide = cv2.GaussianBlur(varied, (0, 0), float(rng.uniform(4, 20)))
        varied = 0.5 + varied - np.float32(rng.uniform(0.4, 1.0)) * wide
    if rng.random() < variation.invert:
        varied = 1 - varied
    if rng.random() < variation.shade:
        angle, slope = rng.uniform(0, 2 * np.pi), rng.uniform(0, 0.4)
        y, x = np.meshgrid(*(np.linspace(-1, 1, n) for n in image.shape), indexing="ij")
        varied = varied * (1 + slope * (np.sin(angle) * y + np.cos(angle) * x)).astype(np.float32)
    if rng.random() < variation.blur:
        blurred = cv2.GaussianBlur(varied, (0, 0), float(rng.uniform(0.4, 1.5)))
        varied = np.asarray(blurred, dtype=np.float32)
    if rng.random() < variation.noise:
        varied = varied + rng.uniform(0, 0.15) * rng.standard_normal(image.shape, dtype=np.float32)
    gain, offset = rng.uniform(0.75, 1.25), rng.uniform(-0.1, 0.1)
    return np.asarray(gain * varied + offset, dtype=np.float32)


def draw_batch(
    samples: Sequence[Sample],
    chances: NDArray[np.float64],
    rng: np.random.Generator,
    variation: Variation,
    size: int,
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Draw `size` crops of samples picked with the given chances: (N, 1, S, S) and (N, 4, S, S)."""
    picked = rng.choice(len(samples), size=size, p=chances)
    images, targets = zip(*(draw_crop(samples[index], rng, variation) for index in picked))
    return np.stack(images), np.stack(targets)
