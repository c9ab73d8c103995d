"""The camera of the exosome channel: how counts become photons and how noisy they are."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import convolve
from scipy.stats import theilslopes

from exovision.errors import InputError
from exovision.settings import CameraSettings

Floats = NDArray[np.float64]

TILE_PX = 8
BINS = 12
CALM_QUANTILE = 0.3
"""Tiles above this quantile of variance, among equally bright ones, may hold spots that move."""

LEAST_RISE = 0.3
"""Rise of the variance over the picture, over its median, from which gain and offset are told apart."""

LAPLACE = np.array([[1.0, -2.0, 1.0], [-2.0, 4.0, -2.0], [1.0, -2.0, 1.0]]) / 6.0
"""Removes planes, keeps the deviation of white noise (Immerkær 1996, doi:10.1006/cviu.1996.0060)."""


@dataclass(frozen=True)
class Camera:
    """A linear camera with Poisson noise and read noise.

    Attributes
    ----------
    offset_counts : float
        Counts without light.
    photons_per_count : float
        Photo-electrons per count; with an unknown gain, the value that explains the noise of the movie.
    read_noise_photons : float
        Photo-electrons, rms.
    gain_known : bool
        Whether the gain was given. Only then are photons reported.
    notes : tuple of str
        How unknown values were found, for the report.
    """

    offset_counts: float
    photons_per_count: float
    read_noise_photons: float
    gain_known: bool
    notes: tuple[str, ...] = ()

    def to_photons(
        self, image: NDArray[np.float32], out: NDArray[np.float32] | None = None
    ) -> NDArray[np.float32]:
        """Return an image of any shape in photons above the offset, float32; in `out` if that is given."""
        photons = np.subtract(image, np.float32(self.offset_counts), out=out, dtype=np.float32)
        photons *= np.float32(self.photons_per_count)
        return photons


def estimate_camera(images: NDArray[np.float32], settings: CameraSettings) -> Camera:
    r"""Find the gain and offset that explain a movie's noise; given values are kept.

    .. math:: \mathrm{Var} = (m - o)/k + r^2/k^2

    where m is the mean of a tile of 8 × 8 px in counts, o the offset, k the photons per count and r the read
    noise in photons (photon transfer). The variance is that of differences between consecutive frames or,
    with one frame, of second differences in space; moving spots are avoided by taking a low quantile of
    equally bright tiles.

    Parameters
    ----------
    images : ndarray of shape (N, Y, X)
        Counts, any scale; at least one frame.
    settings : CameraSettings
        Known gain, offset and read noise.

    Returns
    -------
    Camera

    Raises
    ------
    InputError
        If `images` is not a stack of at least one frame.

    Notes
    -----
    Where the background is even, gain and offset cannot be told apart; the offset is then taken three
    standard deviations below the darkest background, which holds for dim backgrounds and makes the gain of
    bright ones too low. A note says so.
    """
    if images.ndim != 3 or not images.size:
        raise InputError(f"images must be (N, Y, X) with N > 0, got shape {images.shape}")
    means, variances = _photon_transfer(images)
    read, known = settings.read_noise_photons, settings.photons_per_count is not None
    notes: list[str] = []
    line = _line(means, variances, read)
    if line is not None and _plausible(line[1], images):
        gain, offset = line
    else:
        offset = float(means[0] - 3 * np.sqrt(variances[0]))
        gain = None
        if settings.offset_counts is None and not known:
            notes.append("camera offset and gain are assumed: the background is too even to measure them")
    if settings.photons_per_count is not None:
        gain = settings.photons_per_count
        offset = float(np.median(means - gain * variances + read**2 / gain))
    if settings.offset_counts is not None:
        offset = settings.offset_counts
        gain = settings.photons_per_count
    if gain is None:
        gain = _gain(means, variances, offset, read)
    return Camera(offset, gain, read, known, tuple(notes))


def _photon_transfer(images: NDArray[np.float32]) -> tuple[Floats, Floats]:
    """Return mean and noise variance, counts and counts², of tiles in bins of rising brightness."""
    if len(images) > 1:
        noise = np.diff(images, axis=0) / np.float32(np.sqrt(2))
    else:
        noise = convolve(images[0], LAPLACE.astype(np.float32), mode="mirror")[None]
    means = _tiles(images.mean(axis=0, dtype=np.float64))
    variances = _tiles(np.mean(noise**2, axis=0, dtype=np.float64))
    order = np.argsort(means, kind="stable")
    dof = TILE_PX**2 * len(noise)
    calm = 1 - 0.524 * np.sqrt(2 / dof)
    parts = [part for part in np.array_split(order, BINS) if part.size]
    floor = _least_variance(images)
    return (
        np.array([np.median(means[part]) for part in parts]),
        np.array([max(np.quantile(variances[part], CALM_QUANTILE) / calm, floor) for part in parts]),
    )


def _tiles(image: Floats) -> Floats:
    """Return the means of whole tiles, shape (M,); a picture smaller than a tile is one tile."""
    rows, columns = (size // TILE_PX for size in image.shape)
    if not rows or not columns:
        return np.array([image.mean()])
    whole = image[: rows * TILE_PX, : columns * TILE_PX]
    tiles: Floats = whole.reshape(rows, TILE_PX, columns, TILE_PX).mean(axis=(1, 3)).ravel()
    return tiles


def _least_variance(images: NDArray[np.float32]) -> float:
    """Return the variance that digitising alone leaves, counts²; keeps noiseless pictures finite."""
    spread = float(images.max() - images.min())
    digital = bool((images[0] == np.round(images[0])).all())
    return max(1 / 12 if digital else 0.0, (1e-4 * spread) ** 2, 1e-12)


def _line(means: Floats, variances: Floats, read: float) -> tuple[float, float] | None:
    """Return gain and offset from the slope of variance against mean, or None where it rises too little."""
    if len(means) < BINS or means[-1] <= means[0]:
        return None
    slope, intercept, low, _ = theilslopes(variances, means)
    rise = slope * (means[-2] - means[1])
    if not (low > 0 and rise > LEAST_RISE * np.median(variances)):
        return None
    return float(1 / slope), float(read**2 * slope - intercept / slope)


def _plausible(offset: float, images: NDArray[np.float32]) -> bool:
    """Tell whether hardly any pixel lies below the offset, and the offset not far below all pixels."""
    low, high = np.quantile(images[0], [0.001, 0.5])
    return bool(low - 2 * (high - low) - abs(low) <= offset <= low + 0.5 * (high - low))


def _gain(means: Floats, variances: Floats, offset: float, read: float) -> float:
    """Return the photons per count that explain the variance at a known offset."""
    light = np.maximum(means - offset, 0.0)
    return float(np.median((light + np.sqrt(light**2 + 4 * variances * read**2)) / (2 * variances)))
