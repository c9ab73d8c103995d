"""The cell channels of one frame: cells as they are now, debris and stained vesicles, camera noise."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from exovision.numerics.psf import add_spot, patch_radius_px
from exovision.simulation import looks
from exovision.simulation.cells import CellField, rasterise
from exovision.simulation.dying import Dyes, Nucleus
from exovision.simulation.looks import Image, Look
from exovision.simulation.optics import Sensor
from exovision.simulation.scene import Scene

Floats = NDArray[np.float64]
Labels = NDArray[np.int32]

UNSTAINED = ("phase", "dic", "brightfield")
STAINS = ("nucleus", "annexin", "caspase", "pi")
PHASE_CONTRAST, PHASE_HALO_UM = 0.5, 1.2
DIC_CONTRAST, DIC_ANGLE = 0.5, np.pi / 4
DIC_STEEP_PERCENTILE = 98.0
"""Of the slopes in cells: it has the contrast of DIC, so that one steep place does not dim all the rest."""
BRIGHTFIELD_CONTRAST, BRIGHTFIELD_DEFOCUS_UM, BRIGHTFIELD_ABSORPTION = 0.6, 0.8, 0.15
LEAK = 0.03
"""Brightness of annexin, caspase reporter and PI in a live cell, relative to full stain."""


@dataclass(frozen=True)
class Blob:
    """A round piece of light that belongs to no cell.

    Attributes
    ----------
    place_px : ndarray of shape (2,)
        (y, x).
    sigma_px : float
    peak : mapping of str to float
        Brightness at its centre by role, relative to a stained cell.
    """

    place_px: Floats
    sigma_px: float
    peak: Mapping[str, float]


@dataclass(frozen=True)
class Vitality:
    """What living, dividing and dying does to the looks of one frame.

    Attributes
    ----------
    nuclei : mapping of int to Nucleus
        By row, of the cells that are there.
    dyes : Dyes
    blobs : tuple of Blob
    """

    nuclei: Mapping[int, Nucleus]
    dyes: Dyes
    blobs: tuple[Blob, ...] = ()


@dataclass(frozen=True)
class Painting:
    """The cells of one frame: outlines (N, K, 2), labels (Y, X), counts and photons (Y, X) by role."""

    outlines: Floats
    labels: Labels
    images: Mapping[str, NDArray[np.uint16]]
    photons: Mapping[str, Image]


def filmed_roles(scene: Scene) -> tuple[str, ...]:
    """Return the cell channels of a scene, in their order in the file."""
    stains = tuple(role for role in STAINS if getattr(scene.cells, f"{role}_photons"))
    return ("cell", *stains) if scene.imaging.cell_channel or not stains else stains


class Painter:
    """Draws the cell channels of a field of simulated cells.

    Parameters
    ----------
    scene : Scene
    rng : numpy.random.Generator
        Draws the dyes.
    camera_rng : numpy.random.Generator
    field : CellField
    parents : sequence of int, optional
        The row of each cell's parent, −1 for none: daughters are as bright as their parent.
    """

    def __init__(
        self,
        scene: Scene,
        rng: np.random.Generator,
        camera_rng: np.random.Generator,
        field: CellField,
        parents: Sequence[int] = (),
    ) -> None:
        self._scene = scene
        psf_px = scene.imaging.psf_sigma_um / scene.imaging.pixel_size_um
        self._roles = filmed_roles(scene)
        names = {role: scene.cells.look if role == "cell" else role for role in self._roles}
        self._looks = {
            role: replace(looks.LOOKS[name], membrane_sigma_px=psf_px, psf_px=psf_px)
            for role, name in names.items()
        }
        count, vertices = field.ids.size, field.angles.size
        self._dyes = {role: looks.stain(rng, look, count, vertices) for role, look in self._looks.items()}
        for dye in self._dyes.values():
            for row, parent in enumerate(parents):
                if parent >= 0:
                    dye.brightness[row] = dye.brightness[parent]
        shape = scene.imaging.shape_px
        angle = rng.uniform(0, 2 * np.pi)
        self._shade = looks.shading(shape, scene.imaging.shading, angle)
        self._sensors = {role: Sensor(camera_rng, scene.camera, shape) for role in self._roles}

    def paint(self, field: CellField, drift_px: Floats, vitality: Vitality | None = None) -> Painting:
        """Return the cells of now, moved by the drift of the stage (y, x), px."""
        cells, efficiency = self._scene.cells, self._scene.camera.quantum_efficiency
        outlines = field.outlines() + drift_px
        labels = draw_present(outlines, field.ids, field.shape)
        photons = {}
        for role, look in self._looks.items():
            nuclei = self._nuclei(field, outlines, look, vitality)
            light = self._shine(role, field, outlines, labels, nuclei, vitality)
            for blob in vitality.blobs if vitality else ():
                _add_blob(light, blob, drift_px, blob.peak.get(role, 0.0))
            strength = cells.photons if role == "cell" else getattr(cells, f"{role}_photons")
            photons[role] = strength * light
        if "cell" not in self._roles:
            outlines = self._nuclei(field, outlines, self._looks["nucleus"], vitality)
            labels = draw_present(outlines, field.ids, field.shape)
        images = {
            role: self._sensors[role].expose(efficiency * self._shade * (light + cells.background_photons))
            for role, light in photons.items()
        }
        return Painting(outlines, labels, images, photons)

    def _shine(
        self,
        role: str,
        field: CellField,
        outlines: Floats,
        labels: Labels,
        nuclei: Floats,
        vitality: Vitality | None,
    ) -> Image:
        """Return the light of the cells in one channel."""
        look, dye, gain = self._looks[role], self._dyes[role], None
        inner = labels
        if look.nucleus:
            inner = draw_present(nuclei, field.ids, field.shape)
        if vitality is not None:
            inner = _with_fragments(inner, nuclei, field.ids, vitality) if look.nucleus else inner
            gain = _gains(vitality, field.ids.size)
            dye = replace(dye, brightness=dye.brightness * _level(role, look, vitality.dyes))
        image = looks.render(
            look,
            dye,
            outlines=outlines,
            nuclei=nuclei,
            labels=labels,
            nucleus_labels=inner,
            nucleus_gain=gain,
        )
        if role == "cell" and self._scene.cells.look in UNSTAINED:
            lit = 1 + _contrast(self._scene.cells.look, labels, image, self._scene.imaging.pixel_size_um)
            return np.asarray(np.maximum(lit, 0.05), dtype=np.float32)
        return image

    def _nuclei(self, field: CellField, outlines: Floats, look: Look, vitality: Vitality | None) -> Floats:
        """Return the outlines of the nuclei, fragments still together, px."""
        nuclei: Floats = field.nuclei(look.nucleus_scale) + outlines.mean(axis=1, keepdims=True)
        nuclei -= field.outlines().mean(axis=1, keepdims=True)
        if vitality is None:
            return nuclei
        for row, nucleus in vitality.nuclei.items():
            centre = nuclei[row].mean(axis=0)
            radius = look.nucleus_scale * float(field.whole_radii[row])
            nuclei[row] = centre + _nucleus_outline(nucleus, nuclei[row] - centre, radius, field.angles)
        return nuclei


def draw_present(outlines: Floats, ids: Labels, shape: tuple[int, int]) -> Labels:
    """Return the label image, shape (Y, X), of the outlines (N, K, 2) that are not NaN."""
    there = np.isfinite(outlines[:, 0, 0])
    return rasterise(outlines[there], ids[there], shape)


def _nucleus_outline(nucleus: Nucleus, own: Floats, radius_px: float, angles: Floats) -> Floats:
    """Return the outline (K, 2) of a nucleus about its centre, px."""
    long, short = nucleus.axes
    if long == short:
        size = max(float(np.sqrt((own**2).sum(axis=1).mean())), 1e-6)
        return np.asarray(own / size * radius_px * long, dtype=np.float64)
    along, across = long * np.cos(angles), short * np.sin(angles)
    cos, sin = np.cos(nucleus.angle), np.sin(nucleus.angle)
    turned = np.column_stack([along * sin + across * cos, along * cos - across * sin])
    return np.asarray(radius_px * turned, dtype=np.float64)


def _with_fragments(inner: Labels, nuclei: Floats, ids: Labels, vitality: Vitality) -> Labels:
    """Return the labels of nuclei with those in pieces drawn as pieces."""
    turn = np.linspace(0, 2 * np.pi, 24, endpoint=False)
    circle = np.column_stack([np.sin(turn), np.cos(turn)])
    broken = {row: nucleus for row, nucleus in vitality.nuclei.items() if len(nucleus.pieces)}
    if not broken:
        return inner
    inner = np.where(np.isin(inner, ids[list(broken)]), 0, inner)
    for k in range(max(len(nucleus.pieces) for nucleus in broken.values())):
        rows = [row for row, nucleus in broken.items() if k < len(nucleus.pieces)]
        discs = []
        for row in rows:
            centre = nuclei[row].mean(axis=0)
            radius = np.sqrt(((nuclei[row] - centre) ** 2).sum(axis=1).mean()) / broken[row].axes[0]
            y, x, size = broken[row].pieces[k]
            discs.append(centre + radius * (np.array([y, x]) + size * circle))
        inner = np.maximum(inner, rasterise(np.stack(discs), ids[rows], (inner.shape[0], inner.shape[1])))
    return inner.astype(np.int32)


def _gains(vitality: Vitality, n_cells: int) -> Floats:
    gains = np.ones(n_cells)
    for row, nucleus in vitality.nuclei.items():
        gains[row] = nucleus.gain
    return gains


def _contrast(look: str, labels: Labels, thickness: Image, pixel_size_um: float) -> Image:
    """Return how unstained cells change the light that shines through them, relative to it."""
    if look == "phase":
        return PHASE_CONTRAST * looks.phase(labels, thickness, PHASE_HALO_UM / pixel_size_um)
    if look == "dic":
        relief = looks.dic(thickness, DIC_ANGLE)
        steep = np.abs(relief[labels > 0])
        usual = np.percentile(steep, DIC_STEEP_PERCENTILE) if steep.size else 1.0
        return np.asarray(DIC_CONTRAST / max(usual, 1e-6) * relief, dtype=np.float32)
    fringes_px = BRIGHTFIELD_DEFOCUS_UM / pixel_size_um
    return BRIGHTFIELD_CONTRAST * looks.brightfield(thickness, fringes_px, BRIGHTFIELD_ABSORPTION)


def _level(role: str, look: Look, dyes: Dyes) -> Floats:
    """Return the brightness of each cell's dye in one channel."""
    if role == "nucleus":
        return np.ones_like(dyes.body)
    if role == "cell":
        return dyes.membrane if look.membrane > look.cytoplasm else dyes.body
    level: Floats = getattr(dyes, role)
    return LEAK + (1 - LEAK) * level


def _add_blob(image: Image, blob: Blob, drift_px: Floats, peak: float) -> None:
    radius = patch_radius_px(blob.sigma_px)
    y, x = blob.place_px + drift_px
    inside = -radius < y < image.shape[0] + radius and -radius < x < image.shape[1] + radius
    if peak and inside:
        scratch = np.empty((6, 2 * radius + 1))
        add_spot(
            image, float(y), float(x), peak * 2 * np.pi * blob.sigma_px**2, blob.sigma_px, radius, scratch
        )
