"""Single frames of cells in every look, strongly randomised, with exact labels: food for a network."""

from __future__ import annotations

from dataclasses import replace

import cv2
import numpy as np
from numpy.typing import NDArray

from exovision.simulation import looks
from exovision.simulation.cells import LYMPHOCYTE, TUMOUR, CellField, CellPreset, rasterise
from exovision.simulation.looks import Image, Look

KINDS = ("membrane", "cytoplasm", "dark_nucleus", "bright_nucleus", "thickness", "phase", "dic", "hollow")
KIND_WEIGHTS = (0.3, 0.16, 0.12, 0.1, 0.1, 0.08, 0.06, 0.08)
DIAMETER_PX = (15.0, 150.0)
MAX_CELLS = 220


def training_frame(
    rng: np.random.Generator, shape: tuple[int, int]
) -> tuple[NDArray[np.float32], NDArray[np.int32]]:
    """Draw one picture of cells and its labels.

    Parameters
    ----------
    rng : numpy.random.Generator
        The only source of randomness.
    shape : tuple of int
        (Y, X), px.

    Returns
    -------
    image : ndarray of shape (Y, X)
        Float32, arbitrary offset and scale; sometimes inverted.
    labels : ndarray of shape (Y, X)
        0 is background; visible cells are 1 to M. One frame in thirty holds no cell.

    Notes
    -----
    Look, kind, size (15–150 px), density, staining, out-of-focus light, debris, exosomes, shading, blur,
    noise, contrast and gamma are all drawn at random.
    """
    diameter = float(np.exp(rng.uniform(*np.log(DIAMETER_PX))))
    field = CellField(
        rng, shape, pixel_size_um=1.0, preset=_preset(rng, diameter), n_cells=_count(rng, shape, diameter)
    )
    field.advance(1e5)
    kind = str(rng.choice(KINDS, p=KIND_WEIGHTS))
    image, labels = _picture(rng, field, kind, diameter)
    image = _clutter(rng, image, labels, diameter)
    return _acquire(rng, image, signed=kind in ("phase", "dic")), _visible(labels)


def _preset(rng: np.random.Generator, diameter: float) -> CellPreset:
    base = TUMOUR if rng.random() < 0.6 else LYMPHOCYTE
    return replace(
        base,
        radius_um=diameter / 2,
        radius_spread=base.radius_spread * rng.uniform(0.5, 2.0),
        elongation=base.elongation * rng.uniform(0, 1.8),
        irregularity=base.irregularity * rng.uniform(0.3, 2.0),
        fluctuation_um=diameter * rng.uniform(0, 0.02),
        speed_um_min=0.0,
        clustering=rng.uniform(0, 1),
    )


def _count(rng: np.random.Generator, shape: tuple[int, int], diameter: float) -> int:
    if rng.random() < 1 / 30:
        return 0
    room = (shape[0] + diameter / 2) * (shape[1] + diameter / 2) / (np.pi / 4 * diameter**2)
    return int(np.clip(rng.poisson(room * rng.uniform(0.1, 1.25)), 1, MAX_CELLS))


def _look(rng: np.random.Generator, kind: str, diameter: float) -> Look:
    thin = float(np.clip(rng.uniform(0.8, 2.5) * diameter / 60, 0.7, 3.5))
    common = Look(
        membrane_sigma_px=thin,
        unevenness=rng.uniform(0.05, 0.6),
        polarity=rng.uniform(0, 0.6),
        spread=rng.uniform(0.05, 0.5),
        dome=rng.uniform(0, 1),
        texture=rng.uniform(0, 0.5),
        texture_px=float(np.clip(diameter * rng.uniform(0.02, 0.12), 1, 10)),
        haze=rng.uniform(0, 0.45),
        haze_px=max(diameter * rng.uniform(0.1, 0.6), 2.0),
        psf_px=rng.uniform(0.6, 1.8),
        nucleus_scale=rng.uniform(0.35, 0.7),
    )
    faint = rng.uniform(0.08, 0.35)
    rim, pale = rng.uniform(0, 0.3), rng.uniform(0.2, 0.9)
    change: dict[str, dict[str, float]] = {
        "membrane": {"cytoplasm": rng.uniform(0, 0.4), "nucleus": rng.choice([0.0, 0.0, -0.5])},
        "cytoplasm": {"membrane": rim, "cytoplasm": 1.0},
        "dark_nucleus": {"membrane": rim, "cytoplasm": 1.0, "nucleus": -pale},
        "bright_nucleus": {"membrane": rim, "cytoplasm": faint, "nucleus": rng.uniform(0.4, 1)},
        "thickness": {"membrane": 0.0, "cytoplasm": 1.0, "dome": 1.0, "nucleus": rng.uniform(0, 0.4)},
        "hollow": {"membrane": rng.uniform(0.2, 0.6), "cytoplasm": 0.6, "nucleus": -pale},
    }
    return replace(common, **change.get(kind, {"membrane": 0.0, "cytoplasm": 1.0, "dome": 0.9, "haze": 0.0}))


def _picture(
    rng: np.random.Generator, field: CellField, kind: str, diameter: float
) -> tuple[Image, NDArray[np.int32]]:
    look = _look(rng, kind, diameter)
    outlines = field.outlines()
    nuclei = field.nuclei(look.nucleus_scale)
    labels = rasterise(outlines, field.ids, field.shape)
    inner = rasterise(nuclei, field.ids, field.shape) if look.nucleus else labels
    dye = looks.stain(rng, look, field.ids.size, outlines.shape[1])
    image = looks.render(look, dye, outlines=outlines, nuclei=nuclei, labels=labels, nucleus_labels=inner)
    if kind == "phase":
        image = looks.phase(labels, image, max(diameter * rng.uniform(0.04, 0.12), 1.5))
    elif kind == "dic":
        image = looks.dic(image, rng.uniform(0, 2 * np.pi))
    return image, labels


def _clutter(rng: np.random.Generator, image: Image, labels: NDArray[np.int32], diameter: float) -> Image:
    """Add exosomes, puncta inside cells, debris and out-of-focus clouds."""
    area = image.size
    for density, sigma, strength in (
        (rng.choice([0, 3e-4, 1.5e-3]), rng.uniform(1.0, 2.2), rng.uniform(0.3, 2.0)),
        (rng.choice([0, 0, 6e-4]), rng.uniform(1.5, 3.0), rng.uniform(0.3, 1.5)),
        (rng.choice([0, 0, 6e-5]), rng.uniform(3.0, 0.1 * diameter + 3.5), rng.uniform(0.2, 1.0)),
        (rng.choice([0, 3e-5]), 0.5 * diameter + 4, rng.uniform(0.05, 0.4)),
    ):
        count = rng.poisson(area * float(density))
        if count:
            points = rng.uniform(0, 1, (count, 2)) * (np.array(image.shape) - 1)
            light = 2 * np.pi * sigma**2 * strength * rng.lognormal(0, 0.5, count)
            blob = looks.splat(points, light, image.shape)
            image = image + _blur(blob, sigma)
    return image


def _blur(image: Image, sigma_px: float) -> Image:
    if sigma_px >= 4:
        return looks.wide_blur(image, sigma_px)
    return np.asarray(cv2.GaussianBlur(image, (0, 0), sigma_px), dtype=np.float32)


def _acquire(rng: np.random.Generator, image: Image, *, signed: bool) -> Image:
    if rng.random() < 0.4:
        image = _blur(image, rng.uniform(0.5, 2.5))
    if signed:
        image = image - image.min() + np.float32(0.5)
    image = image + np.float32(rng.choice([0.02, 0.1, 0.4]) * rng.uniform(0.5, 1.5))
    rows, columns = image.shape
    image = image * looks.shading((rows, columns), rng.uniform(0, 0.35), rng.uniform(0, 2 * np.pi))
    photons = np.float32(np.exp(rng.uniform(np.log(4), np.log(400))))
    noise = rng.standard_normal((rows, columns), dtype=np.float32)
    image = image * photons + np.sqrt(image * photons + np.float32(2.5)) * noise
    if rng.random() < 0.3:
        image = _blur(image, rng.uniform(0.4, 1.0))
    low, high = image.min(), image.max()
    image = ((image - low) / max(float(high - low), 1e-6)) ** np.float32(np.exp(rng.uniform(-0.6, 0.6)))
    return np.asarray(1 - image if rng.random() < 0.12 else image, dtype=np.float32)


def _visible(labels: NDArray[np.int32]) -> NDArray[np.int32]:
    present = np.bincount(labels.ravel()) > 0
    present[0] = False
    return np.where(present, np.cumsum(present), 0).astype(np.int32)[labels]
