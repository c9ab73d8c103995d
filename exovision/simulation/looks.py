"""What cells look like in their own channel: stained membranes, bodies, nuclei; phase, DIC, bright field."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

Image = NDArray[np.float32]
DEPOSIT_STEP_PX = 0.35


@dataclass(frozen=True)
class Look:
    """How cells are stained and imaged; brightness is relative to a full cytoplasm or membrane.

    Attributes
    ----------
    membrane, cytoplasm, nucleus : float
        Brightness of the outline, the body and the nucleus (negative: dimmer than the body).
    membrane_sigma_px : float
        Blur of the outline, PSF included, px.
    unevenness : float
        Relative rms of the brightness along the outline.
    polarity : float
        Relative difference of brightness between the two sides of a cell.
    spread : float
        Relative rms of brightness between cells.
    dome : float
        0: a flat body; 1: a body as thick as a half-ellipsoid.
    texture : float
        Relative rms of the grain inside cells.
    texture_px : float
        Size of the grain, px.
    haze, haze_px : float
        Share of out-of-focus light and its width, px.
    psf_px : float
        Gaussian blur of the whole image, px.
    nucleus_scale : float
        Size of the nucleus relative to its cell.
    """

    membrane: float = 1.0
    cytoplasm: float = 0.15
    nucleus: float = 0.0
    membrane_sigma_px: float = 1.5
    unevenness: float = 0.25
    polarity: float = 0.1
    spread: float = 0.2
    dome: float = 0.3
    texture: float = 0.2
    texture_px: float = 4.0
    haze: float = 0.15
    haze_px: float = 15.0
    psf_px: float = 1.2
    nucleus_scale: float = 0.5


LOOKS = {
    "membrane": Look(),
    "cytoplasm": Look(membrane=0.1, cytoplasm=1.0, nucleus=-0.35, dome=0.6, texture=0.25, haze=0.2),
    "nucleus": Look(membrane=0.0, cytoplasm=0.04, nucleus=1.0, dome=0.2, texture=0.3, haze=0.1),
    "phase": Look(membrane=0.0, cytoplasm=1.0, dome=0.9, haze=0.0),
    "dic": Look(membrane=0.0, cytoplasm=1.0, dome=0.9, haze=0.0),
    "brightfield": Look(membrane=0.0, cytoplasm=1.0, dome=0.9, haze=0.0),
    "annexin": Look(membrane=1.0, cytoplasm=0.2, unevenness=0.35, texture=0.3),
    "caspase": Look(membrane=0.0, cytoplasm=0.25, nucleus=1.0, dome=0.2),
    "pi": Look(membrane=0.0, cytoplasm=0.08, nucleus=1.0, dome=0.2, texture=0.3, haze=0.1),
}


@dataclass(frozen=True)
class Stain:
    """The dye of each cell: drawn once, it rides along with the cells.

    Attributes
    ----------
    brightness : ndarray of shape (N,)
        Of each cell.
    along : ndarray of shape (N, K)
        Brightness at each vertex of the outline.
    tile : ndarray of shape (S, S)
        Grain of mean 0 and variance 1 that repeats without a seam.
    shift : ndarray of shape (N, 2)
        Where on the tile each cell lies, px.
    """

    brightness: NDArray[np.float64]
    along: NDArray[np.float64]
    tile: Image
    shift: NDArray[np.float64]


def stain(rng: np.random.Generator, look: Look, n_cells: int, vertices: int, *, tile_px: int = 256) -> Stain:
    """Draw the dye of `n_cells` cells whose outlines have `vertices` vertices."""
    angles = np.linspace(0, 2 * np.pi, vertices, endpoint=False)
    modes = np.arange(2, 25)
    phase = rng.uniform(0, 2 * np.pi, (n_cells, modes.size, 1))
    waves = np.cos(modes[:, None] * angles + phase) * rng.normal(size=phase.shape)
    uneven = look.unevenness * np.sqrt(2 / modes.size) * waves.sum(axis=1)
    polar = look.polarity * np.cos(angles + rng.uniform(0, 2 * np.pi, (n_cells, 1)))
    return Stain(
        brightness=np.exp(rng.normal(0, look.spread, n_cells)),
        along=np.maximum(1 + uneven + polar, 0.05),
        tile=_grain(rng, tile_px, look.texture_px),
        shift=rng.uniform(0, tile_px, (n_cells, 2)),
    )


def render(
    look: Look,
    dye: Stain,
    *,
    outlines: NDArray[np.float64],
    nuclei: NDArray[np.float64],
    labels: NDArray[np.int32],
    nucleus_labels: NDArray[np.int32],
    nucleus_gain: NDArray[np.float64] | None = None,
) -> Image:
    """Render one frame of a cell channel without noise.

    Parameters
    ----------
    look : Look
        What is stained, and the blur in px.
    dye : Stain
        The dye of each cell.
    outlines, nuclei : ndarray of shape (N, K, 2)
        Vertices (y, x), px; NaN for cells that are not there.
    labels, nucleus_labels : ndarray of shape (Y, X)
        The same, rasterised; the values are 1 to N.
    nucleus_gain : ndarray of shape (N,), optional
        Brightness of each nucleus; 1 if omitted.

    Returns
    -------
    ndarray of shape (Y, X)
        Brightness; about 1 on a membrane or in a body of brightness 1.
    """
    strength = np.concatenate([[0.0], dye.brightness]).astype(np.float32)
    body = _body(look, labels) * _grain_of_cells(look, dye, labels, outlines)
    image: Image = look.cytoplasm * body
    if look.nucleus:
        inside = cv2.GaussianBlur((nucleus_labels > 0).astype(np.float32), (0, 0), 1.0)
        grain = _grain_of_cells(look, dye, nucleus_labels, nuclei)
        if nucleus_gain is not None:
            grain = grain * np.concatenate([[0.0], nucleus_gain]).astype(np.float32)[nucleus_labels]
        image = image + inside * (look.nucleus * grain if look.nucleus > 0 else look.nucleus * image)
    image = np.asarray(cv2.GaussianBlur(image * strength[labels], (0, 0), look.psf_px), dtype=np.float32)
    if look.membrane:
        there = np.isfinite(outlines[:, 0, 0])
        weights = dye.along * dye.brightness[:, None]
        image += look.membrane * ring(outlines[there], weights[there], labels.shape, look)
    if look.haze:
        image = (1 - look.haze) * image + 1.5 * look.haze * wide_blur(image, look.haze_px)
    return np.maximum(image, 0).astype(np.float32)


def ring(
    outlines: NDArray[np.float64], weights: NDArray[np.float64], shape: tuple[int, ...], look: Look
) -> Image:
    """Render outlines as blurred lines whose crest is about 1 where the weight is 1.

    Parameters
    ----------
    outlines : ndarray of shape (N, K, 2)
        Vertices (y, x), px.
    weights : ndarray of shape (N, K)
        Brightness at the vertices.
    shape : tuple of int
        (Y, X), px.
    look : Look
        Gives the width, px.

    Returns
    -------
    ndarray of shape (Y, X)
    """
    points, light = _along_edges(outlines, weights)
    line = cv2.GaussianBlur(splat(points, light, shape), (0, 0), look.membrane_sigma_px)
    return np.asarray(line * np.sqrt(2 * np.pi) * look.membrane_sigma_px, dtype=np.float32)


def splat(points: NDArray[np.float64], light: NDArray[np.float64], shape: tuple[int, ...]) -> Image:
    """Share the light of points of shape (M, 2), px, among the four nearest pixels of a (Y, X) image."""
    height, width = shape[0] + 2, shape[1] + 2
    inside = ((points > -1) & (points < np.array(shape[:2]))).all(axis=1)
    points, light = points[inside] + 1, light[inside]
    base = np.floor(points).astype(np.int64)
    part = points - base
    image = np.zeros(height * width)
    for dy in (0, 1):
        for dx in (0, 1):
            share = np.abs(1 - dy - part[:, 0]) * np.abs(1 - dx - part[:, 1])
            index = (base[:, 0] + dy) * width + base[:, 1] + dx
            image += np.bincount(index, weights=share * light, minlength=image.size)[: image.size]
    return image.reshape(height, width)[1:-1, 1:-1].astype(np.float32)


def shading(shape: tuple[int, int], strength: float, angle: float) -> Image:
    """Return uneven illumination of mean about 1, shape (Y, X): a slope and a vignette of ± `strength`."""
    y, x = np.meshgrid(*(np.linspace(-1, 1, n, dtype=np.float32) for n in shape), indexing="ij")
    slope = (np.sin(angle) * y + np.cos(angle) * x) / np.sqrt(2)
    vignette = 0.5 - 0.75 * (x**2 + y**2)
    return np.asarray(1 + strength * (0.6 * slope + 0.4 * vignette), dtype=np.float32)


def phase(labels: NDArray[np.int32], thickness: Image, halo_px: float) -> Image:
    """Return a phase-contrast picture of shape (Y, X) around 0: thick is dark, the rim has a bright halo."""
    body = (labels > 0).astype(np.float32)
    halo = wide_blur(body, halo_px) * (1 - body)
    return np.asarray(1.6 * halo - 0.7 * (thickness - wide_blur(thickness, 3 * halo_px)), dtype=np.float32)


def dic(thickness: Image, angle: float) -> Image:
    """Return a DIC picture of shape (Y, X) around 0: the slope of the thickness along `angle`."""
    smooth = cv2.GaussianBlur(thickness, (0, 0), 1.0)
    slope = np.sin(angle) * np.gradient(smooth, axis=0) + np.cos(angle) * np.gradient(smooth, axis=1)
    return np.asarray(slope / (np.abs(slope).max(initial=0) + 1e-6), dtype=np.float32)


def brightfield(thickness: Image, defocus_px: float, absorption: float) -> Image:
    """Return a bright-field picture of shape (Y, X) around 0: fringes along the rims of somewhat dark bodies.

    Parameters
    ----------
    thickness : ndarray of shape (Y, X)
    defocus_px : float
        Width of the fringes, px; bright inside the rim if positive, dark inside if negative.
    absorption : float
        Light lost in a body of thickness 1.

    Returns
    -------
    ndarray of shape (Y, X)

    Notes
    -----
    Out of focus, brightness follows the curvature of the phase (transport of intensity, Teague 1983,
    doi:10.1364/JOSA.73.001434); here a difference of Gaussians.
    """
    fringes = cv2.GaussianBlur(thickness, (0, 0), 1.0) - wide_blur(thickness, float(np.hypot(1, defocus_px)))
    return np.asarray(np.sign(defocus_px) * fringes - absorption * thickness, dtype=np.float32)


def _along_edges(
    outlines: NDArray[np.float64], weights: NDArray[np.float64]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    step = np.roll(outlines, -1, axis=1) - outlines
    length = np.sqrt((step**2).sum(axis=2)).ravel()
    count = np.maximum(np.ceil(length / DEPOSIT_STEP_PX), 1).astype(np.int64)
    edge = np.repeat(np.arange(count.size), count)
    place = (np.arange(edge.size) - np.repeat(np.cumsum(count) - count, count) + 0.5) / count[edge]
    points = outlines.reshape(-1, 2)[edge] + place[:, None] * step.reshape(-1, 2)[edge]
    change = (np.roll(weights, -1, axis=1) - weights).ravel()
    light = (weights.ravel()[edge] + place * change[edge]) * (length / count)[edge]
    return points, light


def _body(look: Look, labels: NDArray[np.int32]) -> Image:
    if not look.dome:
        return (labels > 0).astype(np.float32)
    depth = edge_depth(labels)
    deepest = np.zeros(int(labels.max(initial=0)) + 1, dtype=np.float32)
    np.maximum.at(deepest, labels.ravel(), depth.ravel())
    hollow = 1 - depth / np.maximum(deepest[labels], 1)
    return np.asarray(
        (1 - look.dome + look.dome * np.sqrt(np.maximum(1 - hollow**2, 0))) * (labels > 0), dtype=np.float32
    )


def edge_depth(labels: NDArray[np.int32]) -> Image:
    """Return the distance of each cell pixel to the nearest pixel of another label, px, shape (Y, X)."""
    same = np.ones(labels.shape, dtype=bool)
    for axis in (0, 1):
        differs = np.diff(labels, axis=axis) != 0
        ahead = [slice(None), slice(None)]
        behind = [slice(None), slice(None)]
        ahead[axis], behind[axis] = slice(1, None), slice(None, -1)
        same[tuple(ahead)] &= ~differs
        same[tuple(behind)] &= ~differs
    inside = (same & (labels > 0)).astype(np.uint8)
    return np.asarray(cv2.distanceTransform(inside, cv2.DIST_L2, 3), dtype=np.float32)


def _grain(rng: np.random.Generator, size: int, grain_px: float) -> Image:
    noise = rng.standard_normal((size, size), dtype=np.float32)
    frequency = np.fft.fftfreq(size)[:, None] ** 2 + np.fft.rfftfreq(size)[None] ** 2
    low_pass = np.exp(-2 * (np.pi * grain_px) ** 2 * frequency)
    smooth = np.fft.irfft2(np.fft.rfft2(noise) * low_pass, s=noise.shape)
    return np.asarray(smooth / (smooth.std() + 1e-9), dtype=np.float32)


def _grain_of_cells(
    look: Look, dye: Stain, labels: NDArray[np.int32], outlines: NDArray[np.float64]
) -> Image:
    if not look.texture or not len(outlines):
        return np.ones(labels.shape, dtype=np.float32)
    origin = np.concatenate([np.zeros((1, 2)), dye.shift - outlines.mean(axis=1)]).astype(np.float32)
    size = dye.tile.shape[0]
    y = np.arange(labels.shape[0], dtype=np.float32)[:, None] + origin[labels, 0]
    x = np.arange(labels.shape[1], dtype=np.float32)[None] + origin[labels, 1]
    grain = cv2.remap(dye.tile, x % size, y % size, cv2.INTER_LINEAR, borderMode=cv2.BORDER_WRAP)
    return np.asarray(np.maximum(1 + look.texture * grain, 0.1), dtype=np.float32)


def wide_blur(image: Image, sigma_px: float) -> Image:
    """Return the image of shape (Y, X) blurred by a wide Gaussian, px, at reduced resolution."""
    shrink = int(np.clip(sigma_px / 3, 1, min(image.shape) // 4 or 1))
    small = cv2.resize(image, None, fx=1 / shrink, fy=1 / shrink, interpolation=cv2.INTER_AREA)
    small = cv2.GaussianBlur(small, (0, 0), max(sigma_px / shrink, 0.3))
    wide = cv2.resize(small, image.shape[::-1], interpolation=cv2.INTER_LINEAR)
    return np.asarray(wide, dtype=np.float32)
