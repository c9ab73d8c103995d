"""Single frames of spots under set conditions: brightness, density, membranes, haze, look-alikes."""

from __future__ import annotations

import math
from dataclasses import dataclass, field

import cv2
import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.spatial import cKDTree

from exovision import schema
from exovision.numerics.psf import add_spot, localisation_bound_px, patch_radius_px
from exovision.simulation import looks
from exovision.simulation.looks import Image
from exovision.simulation.optics import Sensor
from exovision.simulation.scene import Camera

Floats = NDArray[np.float64]

NEIGHBOUR_PX = 9.0
LEAST_SNR, LARGEST_BLUR = 1.5, 1.5
SKIRT_RATIO = 2.5
RING_POINTS, RING_BREADTH = 16, 0.7
"""The spots that a diffraction ring is drawn with, and their width, in widths of the PSF."""
HAZE_PX = 25.0
MEMBRANE_STEP_PX = 0.2
MEMBRANE_UNEVENNESS, MEMBRANE_PATCH_PX = 0.25, 40.0
"""Relative rms of the dye along a membrane, and the length over which it varies."""


@dataclass(frozen=True)
class SpotConditions:
    r"""What a frame of spots holds; the defaults are those of the benchmark.

    Attributes
    ----------
    shape_px : tuple of int
        (Y, X).
    spots : int
        Spots per frame.
    snr : float
        :math:`A/\sqrt{A + b + r^2}` with the peak A, the local background b and the read noise r.
    brightness_spread : float
        Standard deviation of the natural logarithm of the photons.
    sigma_px : float
        Standard deviation of the PSF.
    width_spread : float
        Standard deviation of the natural logarithm of the spots' width: size, focus, motion.
    skirt : float
        Part of a spot's light that lies in a Gaussian of `SKIRT_RATIO` times its width, unlike the model PSF.
    ring : float
        Part of a spot's light that lies in a diffraction ring.
    ring_ratio, ring_lobes : float
        Radius of the ring in widths of the spot, and how much brighter its three lobes are than its mean.
    elongation, elongation_angle : float
        How far the two halves that each spot consists of lie from its middle, in its widths, and in which
        direction, radians from y towards x: astigmatism.
    background : float
        Photo-electrons per px.
    haze : float
        Relative rms of clouds of light.
    membranes : int
        Closed outlines.
    membrane_share : float
        Part of the spots that lie on membranes, where there are any.
    membrane : float
        Photo-electrons per px at the crest of a membrane, above the background.
    membrane_radius_px, membrane_sigma_px : float
        Mean radius of an outline, and the standard deviation of its profile.
    blobs : int
        Look-alikes that count as no spot: out-of-focus and wide puncta as bright as the spots.
    blob_ratio : tuple of float
        Their least and largest width over the PSF's.
    camera : Camera
        Gain, offset, read noise and hot pixels; its quantum efficiency plays no part.
    """

    shape_px: tuple[int, int] = (512, 512)
    spots: int = 500
    snr: float = 4.0
    brightness_spread: float = 0.0
    sigma_px: float = 1.5
    width_spread: float = 0.0
    skirt: float = 0.0
    ring: float = 0.0
    ring_ratio: float = 3.2
    ring_lobes: float = 0.0
    elongation: float = 0.0
    elongation_angle: float = 0.0
    background: float = 6.1
    haze: float = 0.0
    membranes: int = 0
    membrane_share: float = 1.0
    membrane: float = 20.0
    membrane_radius_px: float = 60.0
    membrane_sigma_px: float = 1.7
    blobs: int = 0
    blob_ratio: tuple[float, float] = (1.8, 3.0)
    camera: Camera = field(default_factory=lambda: Camera(hot_pixels=0.0))


@dataclass(frozen=True)
class SpotFrames:
    """Frames and what is in them.

    Attributes
    ----------
    images : ndarray of shape (N, Y, X)
        Camera counts.
    truth : DataFrame
        The contract's truth columns of spots, a row per spot; those dimmer than SNR 1.5
        or wider than 1.5 times the PSF are `ignore`.
    decoys : DataFrame
        `frame y_px x_px kind` of the look-alikes.
    """

    images: NDArray[np.uint16]
    truth: pd.DataFrame
    decoys: pd.DataFrame


def spot_frames(conditions: SpotConditions, frames: int, *, seed: int) -> SpotFrames:
    """Draw frames that share nothing but their conditions.

    Parameters
    ----------
    conditions : SpotConditions
    frames : int
        N.
    seed : int
        Of all randomness; the first frames of a longer series are the same.

    Returns
    -------
    SpotFrames
    """
    sensor = Sensor(np.random.default_rng([seed, 0]), conditions.camera, conditions.shape_px)
    images, truth, decoys = [], [], []
    for frame in range(frames):
        rng = np.random.default_rng([seed, 1, frame])
        light, contours = _background(rng, conditions)
        spots = _spots(rng, conditions, light, contours)
        blobs = _blobs(rng, conditions, light)
        truth.append(_truth(frame, spots, conditions, _at(light, spots[:, :2])))
        for y, x, photons, sigma in np.vstack([spots, blobs]):
            _add_spot(light, y, x, photons, sigma, conditions)
        images.append(sensor.expose(light))
        decoys.append(pd.DataFrame({"frame": frame, "y_px": blobs[:, 0], "x_px": blobs[:, 1]}))
    return SpotFrames(
        np.stack(images),
        schema.conform(pd.concat(truth, ignore_index=True), schema.TRUTH_SPOTS),
        schema.conform(pd.concat(decoys, ignore_index=True).assign(kind="blob"), schema.DECOYS),
    )


def photons_at(
    snr: Floats | float, *, background: Floats | float, sigma_px: Floats | float, read_noise: float
) -> Floats:
    r"""Return the photons of a spot, :math:`2\pi\sigma^2 A` with A from the definition of the SNR."""
    square, noise = np.square(snr), np.asarray(background) + read_noise**2
    peak = (square + np.sqrt(square**2 + 4 * square * noise)) / 2
    return np.asarray(peak * 2 * np.pi * np.square(sigma_px), dtype=np.float64)


def add(image: Image, y: float, x: float, photons: float, sigma_px: float) -> None:
    """Add a spot to an image of shape (Y, X) in place, out to five standard deviations."""
    radius = patch_radius_px(5 / 3 * sigma_px)
    add_spot(
        image, float(y), float(x), float(photons), float(sigma_px), radius, np.empty((6, 2 * radius + 1))
    )


def _add_spot(
    light: Image, y: float, x: float, photons: float, sigma: float, conditions: SpotConditions
) -> None:
    """Add a spot with its skirt and ring, in two halves if it is longer than broad."""
    away = conditions.elongation * sigma
    dy, dx = away * math.cos(conditions.elongation_angle), away * math.sin(conditions.elongation_angle)
    halves = ((y, x, photons),) if not away else tuple((y + k * dy, x + k * dx, photons / 2) for k in (-1, 1))
    for half in halves:
        _add_round(light, *half, sigma, conditions)


def _add_round(
    light: Image, y: float, x: float, photons: float, sigma: float, conditions: SpotConditions
) -> None:
    add(light, y, x, (1 - conditions.skirt - conditions.ring) * photons, sigma)
    if conditions.skirt:
        add(light, y, x, conditions.skirt * photons, SKIRT_RATIO * sigma)
    if conditions.ring:
        part, away = conditions.ring * photons / RING_POINTS, conditions.ring_ratio * sigma
        for angle in np.linspace(0, 2 * np.pi, RING_POINTS, endpoint=False):
            lobe = 1 + conditions.ring_lobes * math.cos(3 * angle)
            add(light, y + away * np.sin(angle), x + away * np.cos(angle), lobe * part, RING_BREADTH * sigma)


def _background(rng: np.random.Generator, conditions: SpotConditions) -> tuple[Image, Floats]:
    """Return the light without spots and points along the membranes, shape (K, 2)."""
    shape = conditions.shape_px
    light = np.full(shape, conditions.background, dtype=np.float32)
    if conditions.haze:
        cloud = looks.wide_blur(rng.standard_normal(shape, dtype=np.float32), HAZE_PX)
        light *= np.maximum(1 + conditions.haze * cloud / cloud.std(), 0.1)
    contours = [_contour(rng, conditions) for _ in range(conditions.membranes)]
    if not contours:
        return light, np.empty((0, 2))
    drawn = looks.splat(
        np.vstack([points for points, _ in contours]), np.concatenate([dye for _, dye in contours]), shape
    )
    sigma = conditions.membrane_sigma_px
    crest = conditions.membrane * MEMBRANE_STEP_PX * math.sqrt(2 * math.pi) * sigma
    light += np.float32(crest) * cv2.GaussianBlur(drawn, (0, 0), sigma)
    return light, np.vstack([points for points, _ in contours])


def _contour(rng: np.random.Generator, conditions: SpotConditions) -> tuple[Floats, Floats]:
    """Draw a wavy closed outline: points a fixed step apart, shape (K, 2), and the dye at each."""
    radius = conditions.membrane_radius_px * rng.uniform(0.7, 1.3)
    centre = rng.uniform(0, 1, 2) * np.array(conditions.shape_px)
    angle = np.linspace(0, 2 * np.pi, 4096, endpoint=False)
    away = np.full_like(angle, radius)
    for order in range(2, 9):
        away += (
            radius * 0.15 / order * rng.standard_normal() * np.cos(order * angle + rng.uniform(0, 2 * np.pi))
        )
    fine = centre + away[:, None] * np.column_stack([np.sin(angle), np.cos(angle)])
    along = np.concatenate([[0.0], np.cumsum(np.hypot(*np.diff(fine, axis=0, append=fine[:1]).T))])
    step = np.arange(0, along[-1], MEMBRANE_STEP_PX)
    points = np.column_stack([np.interp(step, along, np.append(part, part[0])) for part in fine.T])
    waves = max(round(along[-1] / MEMBRANE_PATCH_PX), 1)
    dye = np.ones(len(step))
    for order in range(1, waves + 1):
        phase = rng.uniform(0, 2 * np.pi)
        dye += (
            MEMBRANE_UNEVENNESS * math.sqrt(2 / waves) * np.cos(2 * np.pi * order * step / along[-1] + phase)
        )
    return points, np.maximum(dye, 0.1)


def _spots(rng: np.random.Generator, conditions: SpotConditions, light: Image, contours: Floats) -> Floats:
    """Draw y, x, photons and sigma of each spot, shape (M, 4), bright enough for the SNR where it lies."""
    shape = np.array(conditions.shape_px)
    places = rng.uniform(0, 1, (conditions.spots, 2)) * shape - 0.5
    inside = contours[((contours >= 0) & (contours <= shape - 1)).all(axis=1)]
    if len(inside):
        moored = rng.random(conditions.spots) < conditions.membrane_share
        places[moored] = inside[rng.integers(len(inside), size=moored.sum())]
    sigma = conditions.sigma_px * rng.lognormal(0, conditions.width_spread, conditions.spots)
    background = _at(light, places)
    spread = rng.lognormal(0, conditions.brightness_spread, conditions.spots)
    read = conditions.camera.read_noise_electrons
    photons = spread * photons_at(conditions.snr, background=background, sigma_px=sigma, read_noise=read)
    return np.column_stack([places, photons, sigma])


def _blobs(rng: np.random.Generator, conditions: SpotConditions, light: Image) -> Floats:
    """Draw look-alikes with the peak brightness of spots, shape (M, 4)."""
    places = rng.uniform(0, 1, (conditions.blobs, 2)) * np.array(conditions.shape_px) - 0.5
    ratio = rng.uniform(*conditions.blob_ratio, conditions.blobs)
    photons = ratio**2 * photons_at(
        conditions.snr,
        background=_at(light, places),
        sigma_px=conditions.sigma_px,
        read_noise=conditions.camera.read_noise_electrons,
    )
    return np.column_stack([places, photons, ratio * conditions.sigma_px])


def _at(light: Image, places: Floats) -> Floats:
    rows, columns = np.clip(np.rint(places).astype(np.int64), 0, np.array(light.shape) - 1).T
    return np.asarray(light[rows, columns], dtype=np.float64)


def _truth(frame: int, spots: Floats, conditions: SpotConditions, background: Floats) -> pd.DataFrame:
    """Return the truth columns of one frame; `background` is the light beneath each spot, electrons."""
    camera = conditions.camera
    places, photons, sigma = spots[:, :2], spots[:, 2], spots[:, 3]
    peak = photons / (2 * np.pi * sigma**2)
    snr = peak / np.sqrt(peak + background + camera.read_noise_electrons**2)
    near = cKDTree(places).query_ball_point(places, NEIGHBOUR_PX, return_length=True)
    return pd.DataFrame(
        {
            "frame": frame,
            "y_px": places[:, 0],
            "x_px": places[:, 1],
            "photons": photons,
            "counts": photons / camera.electrons_per_count,
            "background": background / camera.electrons_per_count,
            "sigma_px": sigma,
            "snr": snr,
            "crlb_px": _bounds(spots, background, camera.read_noise_electrons),
            "isolated": near == 1,
            "ignore": (snr < LEAST_SNR) | (sigma > LARGEST_BLUR * conditions.sigma_px),
        }
    )


def _bounds(spots: Floats, background: Floats, read_noise: float) -> Floats:
    """Return the Cramér–Rao bound of each spot, rms of both coordinates, px."""
    rows = []
    for (y, x, photons, sigma), level in zip(spots, background):
        phases = (float(part - round(part)) for part in (y, x))
        both = [
            localisation_bound_px(
                photons, sigma_px=sigma, background=level, read_noise=read_noise, phase=phase
            )
            for phase in phases
        ]
        rows.append(math.hypot(*both) / math.sqrt(2))
    return np.array(rows)
