"""Deformable cells that move slowly, push each other aside and never overlap."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from exovision.simulation.dying import Forms

SECONDS_PER_MINUTE = 60.0
FIRST_MODE, LAST_MODE = 2, 9
FLUCTUATION_TAU_S, SHAPE_TAU_S, HEADING_TAU_S = 40.0, 1800.0, 600.0
CONTACT_SHARPNESS = 30.0
NEIGHBOURS = 18
ABSENT_PX = 1e7
"""Cells that are not there are kept so far away that they touch none."""


@dataclass(frozen=True)
class CellPreset:
    """How the cells of one kind look and move.

    Attributes
    ----------
    radius_um, radius_spread : float
        Median radius, µm, and its relative standard deviation.
    elongation : float
        Largest ratio of the long axis to the radius, minus one.
    irregularity : float
        Relative rms amplitude of the slowly changing outline.
    fluctuation_um : float
        Rms amplitude of the fast outline fluctuation, µm.
    speed_um_min : float
        Migration speed, µm/min.
    clustering : float
        Probability that a cell is placed beside another one.
    """

    radius_um: float = 8.0
    radius_spread: float = 0.15
    elongation: float = 0.6
    irregularity: float = 0.09
    fluctuation_um: float = 0.15
    speed_um_min: float = 0.3
    clustering: float = 0.3


TUMOUR = CellPreset()
LYMPHOCYTE = CellPreset(
    radius_um=4.3,
    radius_spread=0.18,
    elongation=0.08,
    irregularity=0.02,
    fluctuation_um=0.1,
    speed_um_min=0.6,
    clustering=0.75,
)
PRESETS = {"tumour": TUMOUR, "lymphocyte": LYMPHOCYTE}


class CellField:
    """Cells whose outlines are closed polygons around moving centres.

    A vertex keeps its place on the membrane for all time, so that an exosome that is docked at a
    fractional vertex number rides along with it.

    Parameters
    ----------
    rng : numpy.random.Generator
        The only source of randomness.
    shape : tuple of int
        (Y, X) of the image, px; cells also lie across and just beyond its border.
    pixel_size_um : float
        Edge of a pixel, µm.
    preset : CellPreset
        Size, shape and motion.
    n_cells : int
        Number of cells, those beyond the border included.
    n_placed : int, optional
        How many are there from the start, the first ones; all if omitted. The others come by `bear`.
    vertices : int
        Vertices K per outline.
    margin : float
        How far beyond the border centres may lie, in cell radii; negative keeps whole cells inside.

    Attributes
    ----------
    ids : ndarray of shape (N,)
        Stable cell ids from 1 to N.
    centres : ndarray of shape (N, 2)
        Centres (y, x), px.
    radii : ndarray of shape (N,)
        Radii, px.
    """

    def __init__(
        self,
        rng: np.random.Generator,
        shape: tuple[int, int],
        *,
        pixel_size_um: float,
        preset: CellPreset = TUMOUR,
        n_cells: int = 40,
        n_placed: int | None = None,
        vertices: int = 128,
        margin: float = 0.5,
    ) -> None:
        self._rng, self.shape, self._preset, self._pixel = rng, shape, preset, pixel_size_um
        self.ids = np.arange(1, n_cells + 1, dtype=np.int32)
        spread = np.clip(rng.normal(0, preset.radius_spread, n_cells), -0.35, 0.5)
        self.radii = preset.radius_um / pixel_size_um * (1 + spread)
        self._lower = np.full(2, -margin * preset.radius_um / pixel_size_um)
        self._upper = np.array(shape) - 1 - self._lower
        placed = self.radii[:n_placed]
        self.centres = np.full((n_cells, 2), -ABSENT_PX)
        self.centres[: placed.size] = _place(rng, placed, self._lower, self._upper, preset.clustering)
        self._heading = rng.uniform(0, 2 * np.pi, n_cells)
        self._axis = rng.uniform(0, np.pi, n_cells)
        self._stretch = 1 + preset.elongation * rng.uniform(0, 1, n_cells)
        self.angles = np.linspace(0, 2 * np.pi, vertices, endpoint=False)
        modes = np.arange(FIRST_MODE, LAST_MODE + 1)
        waves = np.outer(modes, self.angles)
        self._basis = np.concatenate([np.cos(waves), np.sin(waves)])
        amplitude = np.tile(modes**-1.5, 2)
        self._amplitude = amplitude / np.sqrt(0.5 * (amplitude**2).sum())
        self._mode_tau_s = FLUCTUATION_TAU_S * FIRST_MODE / np.tile(modes, 2)
        self._slow = rng.normal(size=(n_cells, amplitude.size))
        self._fast = rng.normal(size=(n_cells, amplitude.size))
        self._own_radii = self.radii.copy()
        self._forms: Forms | None = None

    def take(self, forms: Forms) -> None:
        """Give every cell its shape of now; cells that are not there have outlines of NaN from here on."""
        self._forms = forms
        self.radii = np.where(forms.present, self._own_radii * forms.scale, 1.0)
        gone = np.flatnonzero(~forms.present)
        self.centres[gone] = -ABSENT_PX * (1 + gone[:, None])

    def bear(self, row: int, parent: int, offset_px: NDArray[np.float64]) -> None:
        """Put a daughter beside the centre (y, x), px, of its parent, with its parent's own radius."""
        self.centres[row] = self.centres[parent] + offset_px
        self._own_radii[row] = self._own_radii[parent]

    @property
    def whole_radii(self) -> NDArray[np.float64]:
        """Radii, px, of the cells when they neither divide nor die, shape (N,)."""
        return self._own_radii

    def advance(self, dt_s: float) -> None:
        """Move the cells and let their outlines fluctuate for `dt_s` seconds."""
        self._slow = _relax(self._rng, self._slow, dt_s / SHAPE_TAU_S)
        self._fast = _relax(self._rng, self._fast, dt_s / self._mode_tau_s)
        self._heading += self._rng.normal(0, np.sqrt(2 * dt_s / HEADING_TAU_S), self.ids.size)
        step = self._preset.speed_um_min / SECONDS_PER_MINUTE / self._pixel * dt_s
        steps = step * np.stack([np.sin(self._heading), np.cos(self._heading)], axis=1)
        if self._forms is not None:
            steps = steps * self._forms.mobility[:, None] + self._forms.drift_um_s / self._pixel * dt_s
        self.centres += steps
        self.centres += 0.2 * _repulsion(self.centres, self.radii)
        outside = ((self.centres < self._lower) | (self.centres > self._upper)).any(axis=1)
        inwards = (self._lower + self._upper) / 2 - self.centres
        self._heading[outside] = np.arctan2(inwards[outside, 0], inwards[outside, 1])

    def outlines(self) -> NDArray[np.float64]:
        """Return the outlines at the present time.

        Returns
        -------
        ndarray of shape (N, K, 2)
            Vertices (y, x), px; outlines of different cells never cross.
        """
        outlines = self.centres[:, None] + _without_overlap(self._free_shapes(), self.centres, self.radii)
        if self._forms is not None:
            outlines[~self._forms.present] = np.nan
        return outlines

    def nuclei(self, scale: float = 0.5) -> NDArray[np.float64]:
        """Return nucleus outlines of shape (N, K, 2), px, `scale` times the size of their cells."""
        inner = self.outlines() - self.centres[:, None]
        smooth = np.fft.irfft(np.fft.rfft(inner, axis=1)[:, :4], n=inner.shape[1], axis=1)
        return self.centres[:, None] + scale * smooth

    def labels(self) -> NDArray[np.int32]:
        """Return the label image, shape (Y, X): a pixel belongs to the outline that its centre is inside."""
        return rasterise(self.outlines(), self.ids, self.shape)

    def _free_shapes(self) -> NDArray[np.float64]:
        slow = self._preset.irregularity * (self._slow * self._amplitude) @ self._basis
        fast = self._preset.fluctuation_um / self._pixel * (self._fast * self._amplitude) @ self._basis
        stretch = self._stretch[:, None]
        if self._forms is not None:
            free = 1 - self._forms.roundness[:, None]
            slow, stretch = slow * free, 1 + (stretch - 1) * free
            fast = fast * free + self._forms.blebs / self._pixel
        radius = self.radii[:, None] * np.maximum(1 + slow, 0.4) + fast
        along, across = radius * np.cos(self.angles), radius * np.sin(self.angles)
        along, across = along * stretch, across / stretch
        cos, sin = np.cos(self._axis)[:, None], np.sin(self._axis)[:, None]
        return np.stack([along * sin + across * cos, along * cos - across * sin], axis=2)


def rasterise(
    outlines: NDArray[np.float64], ids: NDArray[np.int32], shape: tuple[int, int]
) -> NDArray[np.int32]:
    """Draw polygons that do not overlap into a label image.

    Parameters
    ----------
    outlines : ndarray of shape (N, K, 2)
        Vertices (y, x), px.
    ids : ndarray of shape (N,)
        The value of each polygon.
    shape : tuple of int
        (Y, X), px.

    Returns
    -------
    ndarray of shape (Y, X)
        A pixel has the value of the polygon that its centre lies inside, else 0.

    Notes
    -----
    Every edge adds plus or minus the id to the row at its crossing; a sum along the row then gives the id.
    """
    start, stop = outlines, np.roll(outlines, -1, axis=1)
    lower = np.where((start[..., 0] < stop[..., 0])[..., None], start, stop).reshape(-1, 2)
    upper = np.where((start[..., 0] < stop[..., 0])[..., None], stop, start).reshape(-1, 2)
    sign = np.where(start[..., 0] < stop[..., 0], 1, -1) * _orientation(outlines)[:, None] * ids[:, None]
    first = np.clip(np.ceil(lower[:, 0]), 0, shape[0]).astype(np.int64)
    count = np.clip(np.ceil(upper[:, 0]), 0, shape[0]).astype(np.int64) - first
    edge = np.repeat(np.arange(count.size), count)
    row = first[edge] + np.arange(edge.size) - np.repeat(np.cumsum(count) - count, count)
    slope = (upper[edge, 1] - lower[edge, 1]) / np.maximum(upper[edge, 0] - lower[edge, 0], 1e-12)
    column = np.clip(np.ceil(lower[edge, 1] + (row - lower[edge, 0]) * slope), 0, shape[1]).astype(np.int64)
    width = shape[1] + 1
    steps = np.bincount(row * width + column, weights=sign.ravel()[edge], minlength=shape[0] * width)
    turns = np.rint(steps).astype(np.int32).reshape(shape[0], width)
    labels = np.cumsum(turns, axis=1, dtype=np.int32)[:, :-1]
    return np.where((labels < 0) | (labels > ids.max(initial=0)), 0, labels).astype(np.int32)


def _orientation(outlines: NDArray[np.float64]) -> NDArray[np.int64]:
    y, x = outlines[..., 0], outlines[..., 1]
    doubled_area = (y * np.roll(x, -1, axis=1) - x * np.roll(y, -1, axis=1)).sum(axis=1)
    return np.where(doubled_area > 0, 1, -1)


def _relax(
    rng: np.random.Generator, values: NDArray[np.float64], ratio: float | NDArray[np.float64]
) -> NDArray[np.float64]:
    keep = np.exp(-np.asarray(ratio))
    relaxed: NDArray[np.float64] = keep * values + np.sqrt(1 - keep**2) * rng.normal(size=values.shape)
    return relaxed


def _repulsion(
    centres: NDArray[np.float64], radii: NDArray[np.float64], contact: float = 0.9
) -> NDArray[np.float64]:
    offset = centres[:, None] - centres[None]
    distance = np.sqrt((offset**2).sum(axis=2)) + 1e-9
    overlap = np.maximum(contact * (radii[:, None] + radii[None]) - distance, 0)
    np.fill_diagonal(overlap, 0)
    push: NDArray[np.float64] = 0.5 * (offset / distance[..., None] * overlap[..., None]).sum(axis=1)
    return push


def _place(
    rng: np.random.Generator,
    radii: NDArray[np.float64],
    lower: NDArray[np.float64],
    upper: NDArray[np.float64],
    clustering: float,
) -> NDArray[np.float64]:
    centres = rng.uniform(lower, np.maximum(upper, lower + 1), (radii.size, 2))
    for i in range(1, radii.size):
        if rng.random() < clustering:
            beside, angle = rng.integers(i), rng.uniform(0, 2 * np.pi)
            reach = 0.9 * (radii[i] + radii[beside])
            centres[i] = centres[beside] + reach * np.array([np.sin(angle), np.cos(angle)])
    for _ in range(30):
        push = _repulsion(centres, radii)
        centres = np.clip(centres + push, lower, upper) + rng.normal(
            0, 0.02 * radii.min(initial=1), (radii.size, 2)
        )
        if np.abs(push).max(initial=0) < 0.02 * radii.max(initial=1):
            break
    return centres


def _without_overlap(
    shapes: NDArray[np.float64], centres: NDArray[np.float64], radii: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Pull vertices back behind the straight border between neighbours; the corner is rounded."""
    n = radii.size
    if n < 2:
        return shapes
    offset = centres[None] - centres[:, None]
    distance = np.maximum(np.sqrt((offset**2).sum(axis=2)), 1e-6)
    border = distance * radii[:, None] / (radii[:, None] + radii[None])
    np.fill_diagonal(border, np.inf)
    nearest = np.argsort(border, axis=1)[:, : min(NEIGHBOURS, n - 1)]
    rows = np.arange(n)[:, None]
    gap, limit = distance[rows, nearest], border[rows, nearest]
    direction = offset[rows, nearest] / gap[..., None]
    reach = np.maximum(np.einsum("nkd,nmd->nkm", shapes, direction), 0) / limit[:, None]
    log_sum = np.log1p((np.minimum(reach, 50) ** CONTACT_SHARPNESS).sum(axis=2))
    pulled: NDArray[np.float64] = shapes * np.exp(-log_sum / CONTACT_SHARPNESS)[..., None]
    return pulled
