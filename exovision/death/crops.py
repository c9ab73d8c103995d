"""Crops of cells in every channel, all at one scale and brightness: what the morphology network looks at."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from exovision.nets.scaling import measure_diameter_px, resize

Image = NDArray[np.float32]
Labels = NDArray[np.int32]
Pixels = tuple[NDArray[np.int64], NDArray[np.int64], Labels]

CROP_PX = 64
"""Side of a crop."""
WINDOW_DIAMETERS = 2.4
"""Side of a crop in diameters of the movie's typical cell, or nucleus for the channel of nuclei: as in crops
of 64 px around nuclei of 26.6 px, the median interphase nucleus of those that the network learns from."""
NUCLEUS_SHARE = 0.6
"""Diameter of a nucleus relative to its cell where only one of them can be measured."""
NUCLEUS_RANGE = (0.3, 1.0)
"""Shares that are believed when both can be measured."""

DEATH_STAINS = ("annexin", "caspase", "pi")
"""Stains that healthy cells lack: their brightness counts in the noise of the frame, not of the crop."""
BODIES = ("cell", "nucleus")
"""Channels that show what a cell looks like."""
ROLES = (*BODIES, *DEATH_STAINS)
"""The channels of a crop, in order."""

DARK, BRIGHT = 5.0, 99.0
"""Percentiles of a crop, the upper one of its middle, that become 0 and 1."""
LEAST_CONTRAST = 1e-4
"""Less than this share of the brightness is rounding."""
BRIGHTEST = 2.0
SAMPLES_ALONG = 128
"""Rows and columns, at least, from which the noise of an image is taken."""
STAIN_SCALE = 5.0


@dataclass(frozen=True)
class Sizes:
    """How large things usually are in a movie.

    Attributes
    ----------
    cell_px, nucleus_px : float
        Diameters of the typical cell and nucleus, px.
    """

    cell_px: float
    nucleus_px: float

    def of(self, role: str) -> float:
        """Return the diameter that sets the scale of a channel's crops, px."""
        return self.nucleus_px if role == "nucleus" else self.cell_px


def typical_sizes(labels: Labels, nuclei: Image | None, *, labelled: str) -> Sizes | None:
    """Measure the typical cell and nucleus in one frame.

    Parameters
    ----------
    labels : ndarray of shape (Y, X)
        0 is background.
    nuclei : ndarray of shape (Y, X), optional
        The channel of nuclei, counts.
    labelled : str
        "cell" or "nucleus": what the labels are outlines of.

    Returns
    -------
    Sizes or None
        None without cells.
    """
    diameter_px = measure_diameter_px(labels)
    if diameter_px == 0:
        return None
    if labelled == "nucleus":
        return Sizes(diameter_px / NUCLEUS_SHARE, diameter_px)
    share = NUCLEUS_SHARE if nuclei is None else _nucleus_share(labels, nuclei)
    return Sizes(diameter_px, share * diameter_px)


def _nucleus_share(labels: Labels, nuclei: Image) -> float:
    """Return the median over cells of the root of the share of a cell that is brighter than half its peak."""
    inside = labels > 0
    dark = float(np.median(nuclei[~inside])) if not inside.all() else float(nuclei.min())
    peak = np.zeros(int(labels.max()) + 1, dtype=np.float32)
    np.maximum.at(peak, labels[inside], nuclei[inside] - np.float32(dark))
    areas = np.bincount(labels[inside])
    bright = np.bincount(
        labels[inside], weights=nuclei[inside] - dark > 0.5 * peak[labels[inside]], minlength=areas.size
    )
    shares = np.sqrt(bright[areas > 0] / areas[areas > 0])
    return float(np.clip(np.median(shares), *NUCLEUS_RANGE))


def cut(
    labels: Labels, images: Mapping[str, Image], *, sizes: Sizes, roles: Sequence[str] = ROLES
) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
    """Cut the crops of every cell of one frame.

    Parameters
    ----------
    labels : ndarray of shape (Y, X)
        A value is the `cell_id`, 0 is background.
    images : mapping of str to ndarray of shape (Y, X)
        Counts of the channels that there are, by role.
    sizes : Sizes
        Of the movie.
    roles : sequence of str
        The channels R wanted.

    Returns
    -------
    ids : ndarray of shape (N,)
        The cells, ascending.
    crops : ndarray of shape (N, R, 64, 64)
        Around the centroid, in the channel of nuclei around that of the light inside the cell; NaN where a
        channel is missing. Beyond the border the image goes on mirrored.
    """
    present = np.unique(labels)
    ids = np.asarray(present[present > 0], dtype=np.int64)
    crops = np.full((ids.size, len(roles), CROP_PX, CROP_PX), np.nan, dtype=np.float32)
    inside = _inside(labels)
    middles = _centres(inside, ids)
    for k, role in enumerate(roles if ids.size else ()):
        if role in images:
            image = images[role]
            centres = _centres(inside, ids, image) if role == "nucleus" else middles
            crops[:, k] = _cut_one(
                in_noise(image) if role in DEATH_STAINS else image, centres, sizes.of(role)
            )
    return ids, finish(crops, roles)


def _inside(labels: Labels) -> Pixels:
    """Return rows, columns and owners of the pixels inside cells."""
    flat = np.flatnonzero(labels)
    y, x = np.divmod(flat, labels.shape[1])
    return y, x, labels.ravel()[flat]


def _centres(inside: Pixels, ids: NDArray[np.int64], image: Image | None = None) -> NDArray[np.float64]:
    """Return the centroids (y, x) of the cells, or of the squared light above the dark, px."""
    y, x, owner = inside
    weights = np.ones(owner.size)
    if image is not None:
        dark = np.percentile(image[::4, ::4], DARK)
        weights = np.maximum(image[y, x] - dark, LEAST_CONTRAST) ** 2
    total = np.bincount(owner, weights=weights)[ids]
    sums = [np.bincount(owner, weights=weights * along)[ids] for along in (y, x)]
    return np.stack([one / total for one in sums], axis=1)


def _cut_one(image: Image, centres: NDArray[np.float64], diameter_px: float) -> NDArray[np.float32]:
    """Rescale an image so that `diameter_px` has its place in a crop, and cut around (y, x) `centres`."""
    factor = CROP_PX / (WINDOW_DIAMETERS * diameter_px)
    shape = (max(1, round(image.shape[0] * factor)), max(1, round(image.shape[1] * factor)))
    padded = np.pad(resize(image, shape), CROP_PX // 2, mode="symmetric")
    scale = np.array(shape) / np.array(image.shape)
    corners = np.rint((centres + 0.5) * scale).astype(np.int64)
    return np.stack([padded[y : y + CROP_PX, x : x + CROP_PX] for y, x in corners])


def in_noise(image: Image) -> Image:
    """Return how far pixels are above the median of the frame in units of its noise, compressed.

    Notes
    -----
    The noise is the median absolute deviation, scaled to a standard deviation; large images are sampled.
    """
    step = max(1, min(image.shape) // SAMPLES_ALONG)
    sample = image[::step, ::step]
    middle = np.float32(np.median(sample))
    noise = np.float32(1.4826 * np.median(np.abs(sample - middle)))
    return np.asarray(np.arcsinh((image - middle) / max(noise, np.float32(1.0))) / STAIN_SCALE, np.float32)


def finish(crops: NDArray[np.float32], roles: Sequence[str] = ROLES) -> NDArray[np.float32]:
    """Standardise the channels of crops (N, R, 64, 64) that count in the crop's own brightness; NaN stays."""
    for k, role in enumerate(roles):
        there = np.isfinite(crops[:, k, 0, 0])
        if role not in DEATH_STAINS and there.any():
            crops[there, k] = standardise(crops[there, k])
    return crops


def standardise(crops: NDArray[np.float32]) -> NDArray[np.float32]:
    """Map the dark of crops of shape (N, 64, 64) to 0 and the bright of their middle to 1.

    Notes
    -----
    What is bright in the middle sets the scale, so that a bright neighbour does not.
    """
    flat = crops.reshape(len(crops), -1)
    dark = np.percentile(flat, DARK, axis=1)[:, None, None]
    bright = np.percentile(crops[:, _middle(crops.shape[1:])], BRIGHT, axis=1)[:, None, None]
    least = LEAST_CONTRAST * np.maximum(np.abs(dark), np.abs(bright)) + LEAST_CONTRAST
    scaled = (crops - dark) / np.maximum(bright - dark, least)
    return np.asarray(np.clip(scaled, -BRIGHTEST, BRIGHTEST), dtype=np.float32)


def _middle(shape: tuple[int, ...]) -> NDArray[np.bool_]:
    y, x = np.ogrid[: shape[0], : shape[1]]
    middle: NDArray[np.bool_] = np.hypot(y - (shape[0] - 1) / 2, x - (shape[1] - 1) / 2) < 0.31 * shape[0]
    return middle
