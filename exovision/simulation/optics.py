"""The exosome channel without noise, and the camera that records it."""

from __future__ import annotations

import math
from collections.abc import Sequence

import cv2
import numpy as np
from numpy.typing import NDArray

from exovision.numerics.psf import add_spot, patch_radius_px
from exovision.simulation.looks import Image, shading, wide_blur
from exovision.simulation.release import add_glow
from exovision.simulation.scene import Camera, Scene
from exovision.simulation.sightings import Sighting

CLOUD_UM, CLOUD_TAU_S = 3.0, 20.0
BODY_BLUR_PX = 2.0
LARGEST_COUNT = np.iinfo(np.uint16).max


class Sensor:
    """An sCMOS camera with its own hot pixels.

    Parameters
    ----------
    rng : numpy.random.Generator
    camera : Camera
    shape : tuple of int
        (Y, X).
    """

    def __init__(self, rng: np.random.Generator, camera: Camera, shape: tuple[int, int]) -> None:
        self._rng, self._camera = rng, camera
        hot = rng.random(shape) < camera.hot_pixels
        self._dark = np.where(hot, rng.exponential(camera.hot_electrons, shape), 0.0)

    def expose(self, electrons: Image) -> NDArray[np.uint16]:
        """Record expected photo-electrons of shape (Y, X) as camera counts, with shot and read noise."""
        camera = self._camera
        caught = self._rng.poisson(np.maximum(electrons, 0) + self._dark)
        read = caught + self._rng.normal(0, camera.read_noise_electrons, electrons.shape)
        counts = np.rint(camera.offset_counts + read / camera.electrons_per_count)
        return np.clip(counts, 0, LARGEST_COUNT).astype(np.uint16)


class ExosomeLight:
    """The light of a channel of vesicles, frame after frame.

    Parameters
    ----------
    rng : numpy.random.Generator
    scene : Scene
        Optics, background and vesicles; `imaging.shape_px` is the shape of all images.
    role : str
        "exosome" or "content".
    """

    def __init__(self, rng: np.random.Generator, scene: Scene, role: str = "exosome") -> None:
        self._rng, self._scene, self._role = rng, scene, role
        imaging = scene.imaging
        self._shade = shading(imaging.shape_px, imaging.shading, rng.uniform(0, 2 * np.pi))
        self._clouds = self._cloud()

    def background(self, bodies: Image, cell_photons: Image) -> Image:
        """Return the light of one frame without vesicles; clouds of haze drift on at each call.

        Parameters
        ----------
        bodies : ndarray of shape (Y, X)
            1 inside cells, 0 outside.
        cell_photons : ndarray of shape (Y, X)
            Light of the cell channel, photons, a share of which bleeds through.

        Returns
        -------
        ndarray of shape (Y, X)
            Expected photo-electrons per pixel.
        """
        imaging, cells = self._scene.imaging, self._scene.cells
        keep = math.exp(-imaging.frame_interval_s / CLOUD_TAU_S)
        self._clouds = keep * self._clouds + math.sqrt(1 - keep**2) * self._cloud()
        even = imaging.background_photons
        if self._role == "content":
            even = self._scene.exosomes.labels.content_background_photons
        haze = even * np.maximum(1 + imaging.haze * self._clouds, 0.1)
        glow = cells.autofluorescence_photons * cv2.GaussianBlur(bodies, (0, 0), BODY_BLUR_PX)
        light = haze + glow + imaging.bleed * cell_photons
        return np.asarray(self._scene.camera.quantum_efficiency * light * self._shade, dtype=np.float32)

    def electrons(self, sighting: Sighting) -> float:
        """Return the photo-electrons of one particle in one frame, at its place in the field."""
        share = sighting.share
        if self._role == "content" and sighting.content_share is not None:
            share = sighting.content_share
        return self._electrons(sighting, share)

    def _electrons(self, sighting: Sighting, share: float) -> float:
        rows, columns = self._shade.shape
        y, x = sighting.places_px.mean(axis=0)
        shade = self._shade[int(np.clip(round(y), 0, rows - 1)), int(np.clip(round(x), 0, columns - 1))]
        one = sighting.particle
        light = (one.content_photons if self._role == "content" else one.photons) * share
        return float(self._scene.camera.quantum_efficiency * light * shade)

    def sigma_px(self, sighting: Sighting) -> float:
        r"""Return the width of a spot at its height over focus, :math:`\sigma\sqrt{1+(z/\sigma_z)^2}`, px."""
        imaging = self._scene.imaging
        blur = math.sqrt(1 + (sighting.z_um / imaging.psf_sigma_z_um) ** 2)
        return imaging.psf_sigma_um / imaging.pixel_size_um * blur

    def add(self, image: Image, sightings: Sequence[Sighting]) -> None:
        """Add particles, smeared along their way in the exposure, and label that left them, in place.

        Parameters
        ----------
        image : ndarray of shape (Y, X)
        sightings : sequence of Sighting
        """
        for sighting in sightings:
            part = self.electrons(sighting) / len(sighting.places_px)
            for place in sighting.places_px:
                _add(image, place, part, self.sigma_px(sighting))
            if self._role in sighting.glows:
                add_glow(image, sighting.glows[self._role], self._electrons(sighting, 1.0))

    def add_passing(self, image: Image) -> NDArray[np.float64]:
        r"""Add free vesicles, blurred by diffusion in the exposure t and in focus for a part of it, in place.

        Returns
        -------
        ndarray of shape (M, 4)
            y, x in px, photo-electrons and width :math:`\sqrt{\sigma^2 + 2Dt/3}` in px of each.
        """
        imaging, vesicles = self._scene.imaging, self._scene.exosomes
        area_um2 = float(np.prod(image.shape)) * imaging.pixel_size_um**2
        count = int(self._rng.poisson(vesicles.free_per_um2 * area_um2))
        width_um = math.sqrt(
            imaging.psf_sigma_um**2 + 2 * vesicles.free_diffusion_um2_s * imaging.exposure_s / 3
        )
        in_focus = min(vesicles.free_focus_s / imaging.exposure_s, 1.0)
        places = self._rng.uniform(0, 1, (count, 2)) * np.array(image.shape) - 0.5
        bright = vesicles.photons_median * self._rng.lognormal(0, math.log(vesicles.photons_gsd), count)
        light = self._scene.camera.quantum_efficiency * in_focus * bright
        sigma = width_um / imaging.pixel_size_um
        for place, one in zip(places, light):
            _add(image, place, float(one), sigma)
        return np.column_stack([places, light, np.full(count, sigma)])

    def add_content(self, image: Image, passing: NDArray[np.float64]) -> None:
        """Add the content of free vesicles, as `add_passing` returned them, to its channel in place."""
        vesicles = self._scene.exosomes
        ratio = vesicles.labels.content_photons_median / vesicles.photons_median
        for y, x, light, sigma in passing:
            _add(image, np.array([y, x]), ratio * light, sigma)

    def _cloud(self) -> Image:
        shape = self._scene.imaging.shape_px
        wide = wide_blur(
            self._rng.standard_normal(shape, dtype=np.float32), CLOUD_UM / self._scene.imaging.pixel_size_um
        )
        return np.asarray((wide - wide.mean()) / max(float(wide.std()), 1e-6), dtype=np.float32)


def _add(image: Image, place: NDArray[np.float64], total: float, sigma_px: float) -> None:
    radius = patch_radius_px(5 / 3 * sigma_px)
    rows, columns = image.shape
    if -radius < place[0] < rows + radius and -radius < place[1] < columns + radius:
        scratch = np.empty((6, 2 * radius + 1))
        add_spot(image, float(place[0]), float(place[1]), total, sigma_px, radius, scratch)
