"""One event at a membrane, drawn at once: where everything is, its light frame by frame, and the truth."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtr

from exovision.simulation.fates import (
    CHEMISTRIES,
    FOCUS_LOSS_UM,
    Contact,
    draw_course,
    draw_log_uniform,
    released,
)
from exovision.simulation.identifiable import View, identifiable, merger_identifiable
from exovision.simulation.release import Glow, Optics, add_glow
from exovision.simulation.scene import Camera, Labels
from exovision.simulation.sightings import APPROACH_S, BAND_UM, STANDOFF_UM, UPTAKE_DEPTH_UM

Floats = NDArray[np.float64]
Limits = tuple[float, float]

KINDS: Mapping[str, str | None] = {
    "fused": "fusion",
    "hemifused": "hemifusion",
    "kiss_and_run": "kiss_and_run",
    "taken_up": "uptake",
    "aggregated": "aggregation",
    "leaving": "detachment",
    "detached": "loss_unresolved",
    "bleached": "loss_unresolved",
    "left_focus": "loss_unresolved",
    "unchanged": None,
}
"""The contract's kind of each cause; "leaving" is a detachment that is seen, "detached" one that is not."""
DOCKED_D_UM2_S, LEAVING_D_UM2_S = 0.01, 0.02
BODY_BLUR_PX = 2.0


@dataclass(frozen=True)
class PatchConditions:
    """What a set of patch sequences holds; pairs are limits between which events differ.

    Attributes
    ----------
    labels : Labels
        Chemistry, diffusion, quenching, release times.
    shares : mapping of str to float
        Relative numbers of each of `KINDS`.
    size_px, before, after : int
        Edge of a patch, and frames before and after the event.
    frame_interval_s : tuple of float
        Drawn on a logarithmic scale, as photons and background.
    exposure_s : float
        At most; never longer than the interval.
    photons, background_photons : tuple of float
        Of a vesicle per frame, and per pixel.
    content_ratio : tuple of float
        Light of a vesicle in the content channel, relative to that in the exosome channel.
    body_photons, membrane_photons : tuple of float
        Per pixel, of the cell's body and of the crest of its membrane, in the exosome channel.
    bleach_tau_frames : tuple of float
    pixel_size_um, psf_sigma_um, psf_sigma_z_um : float
    flat_share : float
        Share on membrane that faces the camera.
    curvature_radius_um : tuple of float
        Of the outline.
    membrane_speed_um_s : tuple of float
        Of the membrane along its normal; the patch follows by whole pixels.
    leaving_speed_um_s, focus_speed_um_s : tuple of float
        Of a vesicle that is seen to leave, and of one that leaves the focus.
    neighbour_share : float
        Share of events with another vesicle on the membrane in view.
    passing : float
        Blurred free vesicles per patch and frame.
    judged : bool
        Whether the ideal observer decides which events can be told; takes most of the time.
    camera : Camera
        Hot pixels play no part.
    """

    labels: Labels = field(
        default_factory=lambda: Labels(
            lipid_diffusion_um2_s=(0.15, 2.0), quench=(0.0, 0.85), release_tau_s=(0.02, 3.0)
        )
    )
    shares: Mapping[str, float] = field(default_factory=lambda: dict.fromkeys(KINDS, 1.0))
    size_px: int = 17
    before: int = 12
    after: int = 20
    frame_interval_s: Limits = (0.05, 5.0)
    exposure_s: float = 0.05
    photons: Limits = (80.0, 800.0)
    background_photons: Limits = (2.0, 40.0)
    content_ratio: Limits = (0.4, 1.5)
    body_photons: Limits = (0.5, 4.0)
    membrane_photons: Limits = (0.2, 3.0)
    bleach_tau_frames: Limits = (200.0, 3000.0)
    pixel_size_um: float = 0.108
    psf_sigma_um: float = 0.13
    psf_sigma_z_um: float = 0.35
    flat_share: float = 0.3
    curvature_radius_um: Limits = (3.0, 15.0)
    membrane_speed_um_s: Limits = (0.001, 0.02)
    leaving_speed_um_s: Limits = (0.05, 1.0)
    focus_speed_um_s: Limits = (0.1, 0.6)
    neighbour_share: float = 0.3
    passing: float = 0.02
    judged: bool = False
    camera: Camera = field(default_factory=Camera)


class SingleEvent:
    """One event: its plan, drawn at once, and its light."""

    def __init__(self, rng: np.random.Generator, conditions: PatchConditions, cause: str) -> None:
        self._rng, self._is, self._cause = rng, conditions, cause
        self.interval_s = draw_log_uniform(rng, conditions.frame_interval_s)
        steps = np.arange(-conditions.before, conditions.after) + 1 - rng.uniform(0, 1)
        self.times_s = steps * self.interval_s
        self._optics = Optics(
            conditions.pixel_size_um,
            conditions.psf_sigma_um,
            conditions.psf_sigma_z_um,
            min(conditions.exposure_s, self.interval_s),
        )
        self._flat = bool(rng.random() < conditions.flat_share)
        self._chemistry = CHEMISTRIES[conditions.labels.chemistry]
        self._course = draw_course(rng, conditions.labels, "detached" if cause == "leaving" else cause)
        efficiency = conditions.camera.quantum_efficiency
        exosome = efficiency * draw_log_uniform(rng, conditions.photons)
        content = exosome * draw_log_uniform(rng, conditions.content_ratio)
        self._light = {"exosome": exosome, "content": content}
        self._even = {
            role: efficiency * draw_log_uniform(rng, conditions.background_photons)
            for role in ("exosome", "content")
        }
        self._fade = np.exp(-np.arange(steps.size) / draw_log_uniform(rng, conditions.bleach_tau_frames))
        self._draw_way()

    def _draw_way(self) -> None:
        """Draw where the membrane and the vesicle are in each frame."""
        rng, drawn, pixel = self._rng, self._is, self._optics.pixel_size_um
        angle = rng.uniform(0, 2 * np.pi)
        self._normal = np.array([np.sin(angle), np.cos(angle)])
        self._tangent = np.array([self._normal[1], -self._normal[0]])
        self._radius_px = draw_log_uniform(rng, drawn.curvature_radius_um) / pixel
        self._inside_um = rng.uniform(0.8, 4.0) if self._flat else -STANDOFF_UM
        speed = draw_log_uniform(rng, drawn.membrane_speed_um_s) * rng.choice([-1, 1])
        step_px = np.sqrt(2 * DOCKED_D_UM2_S * self.interval_s) / pixel
        walk = np.cumsum(rng.normal(0, step_px, (self.times_s.size, 2)), axis=0)
        if not self._flat:
            walk = np.outer(walk[:, 0], self._tangent)
        late = self.times_s >= 0
        if self._cause == "fused":
            walk[late] = walk[~late][-1] if (~late).any() else 0.0
        membrane = walk + np.outer(speed * self.times_s / pixel, self._normal) + rng.uniform(-0.5, 0.5, 2)
        window = np.rint(membrane)
        self._contacts_px = membrane - window
        self._apart_um = draw_log_uniform(rng, (0.5, 1.5)) * rng.choice([-1, 1])
        speeds = {
            "taken_up": drawn.labels.uptake_speed_um_s,
            "leaving": drawn.leaving_speed_um_s,
            "left_focus": drawn.focus_speed_um_s,
        }
        self._speed_um_s = draw_log_uniform(rng, speeds.get(self._cause, (1.0, 1.0)))
        self._partner = self._light["exosome"] * draw_log_uniform(rng, (0.4, 2.5))
        self._offsets_px = self._way_px()
        self.places_px = self._contacts_px + self._offsets_px
        self._neighbour = self._draw_neighbour()

    def _way_px(self) -> Floats:
        """Return where the vesicle is from its contact in each frame."""
        pixel = self._optics.pixel_size_um
        out = np.full(self.times_s.size, 0.0 if self._flat else STANDOFF_UM)
        along = np.zeros(self.times_s.size)
        late = np.maximum(self.times_s, 0.0)
        if self._cause == "taken_up" and not self._flat:
            inside = np.clip(BAND_UM + self._speed_um_s * self.times_s, 0, UPTAKE_DEPTH_UM)
            out = out - inside
        elif self._cause == "leaving":
            out = out + self._speed_um_s * late
        elif self._cause == "aggregated":
            along = self._apart_um * np.clip(-self.times_s / APPROACH_S, 0, 1)
        way = (np.outer(out, self._normal) + np.outer(along, self._tangent)) / pixel
        if self._cause == "leaving":
            step_px = np.sqrt(2 * LEAVING_D_UM2_S * self.interval_s) / pixel
            walk = self._rng.normal(0, step_px, way.shape) * (self.times_s >= 0)[:, None]
            way += np.cumsum(walk, axis=0)
        return np.asarray(way)

    def _draw_neighbour(self) -> tuple[Floats, float] | None:
        """Return place along the membrane, px, and light of another vesicle, or nothing."""
        if self._rng.random() >= self._is.neighbour_share:
            return None
        along = self._rng.choice([-1, 1]) * self._rng.uniform(4.0, 0.7 * self._is.size_px)
        offset = self._curve(np.zeros(2))(np.array([along]))[0]
        return offset, draw_log_uniform(self._rng, (0.3, 2.0))

    def _curve(self, contact_px: Floats) -> Any:
        """Return the outline through the contact: an arc that bends away from the outside."""
        radius = self._radius_px

        def curve(along: Floats) -> Floats:
            turn = along / radius
            sideways = np.outer(radius * np.sin(turn), self._tangent)
            return np.asarray(contact_px + sideways - np.outer(radius * (1 - np.cos(turn)), self._normal))

        return curve

    def electrons(self) -> Floats:
        """Return the expected photo-electrons, shape (T, C, P, P)."""
        size, middle = self._is.size_px, self._is.size_px // 2
        images = np.zeros((self.times_s.size, len(self._chemistry), size, size), dtype=np.float32)
        for frame, age in enumerate(self.times_s):
            contact_px = self._contacts_px[frame] + middle
            contact = Contact(contact_px, None if self._flat else self._curve(contact_px))
            for channel, (role, label) in enumerate(self._chemistry.items()):
                image = images[frame, channel]
                whole = self._light[role] * self._fade[frame]
                core, glow = self._appearance(role, label, float(age), contact)
                place = self.places_px[frame] + middle
                add_glow(image, self._spot(place, self._height_um(float(age))), whole * core)
                add_glow(image, glow, whole)
                self._add_others(image, contact_px, role, frame)
        return self._with_bleed(images) + self._backdrop()

    def _appearance(self, role: str, label: str, age_s: float, contact: Contact) -> tuple[float, Glow]:
        """Return the light of the vesicle and of what left it in one exposure and channel."""
        core, glow = released(
            self._course.releases.get(role), age_s, self._optics, contact, soluble=label == "lumen"
        )
        if age_s >= 0 and self._cause in ("bleached", "detached", "aggregated"):
            core = 0.0
        if self._cause == "taken_up" and role == "exosome":
            core = self._course.endosome_light(age_s)
        return core, glow

    def _height_um(self, age_s: float) -> float:
        """Return how far the vesicle is out of focus."""
        if self._cause != "left_focus":
            return 0.0
        return min(self._speed_um_s * max(age_s, 0.0), 2 * FOCUS_LOSS_UM)

    def _spot(self, place_px: Floats, z_um: float) -> Glow:
        optics = self._optics
        sigma = optics.sigma_um / optics.pixel_size_um * math.sqrt(1 + (z_um / optics.sigma_z_um) ** 2)
        return Glow(place_px[None], np.ones(1), np.array([sigma]))

    def _add_others(self, image: NDArray[np.float32], contact_px: Floats, role: str, frame: int) -> None:
        """Add the partner of a merger, a neighbour, and blurred vesicles that pass."""
        fade, own = self._fade[frame], self._light[role]
        if self._cause == "aggregated":
            partner = self._partner * own / self._light["exosome"]
            sum_light = partner + (own if self.times_s[frame] >= 0 else 0.0)
            standoff = 0.0 if self._flat else STANDOFF_UM / self._optics.pixel_size_um
            add_glow(image, self._spot(contact_px + standoff * self._normal, 0.0), sum_light * fade)
        if self._neighbour is not None:
            offset, ratio = self._neighbour
            add_glow(image, self._spot(contact_px + offset, 0.0), ratio * own * fade)
        for _ in range(self._rng.poisson(self._is.passing)):
            blur = math.sqrt(self._optics.sigma_um**2 + 2 * 5.0 * self._optics.exposure_s / 3)
            place = self._rng.uniform(0, self._is.size_px, (1, 2))
            wide = Glow(place, np.ones(1), np.array([blur / self._optics.pixel_size_um]))
            add_glow(image, wide, 0.25 * own)

    def _with_bleed(self, images: NDArray[np.float32]) -> Floats:
        """Return the light of vesicles with what bleeds between the channels."""
        if len(self._chemistry) == 1:
            return images.astype(np.float64)
        bleed = self._is.labels.content_bleed
        return np.asarray(images + bleed * images[:, ::-1], dtype=np.float64)

    def _backdrop(self) -> Floats:
        """Return the light without vesicles: even, body and membrane, shape (T, C, P, P)."""
        rng, drawn, size = self._rng, self._is, self._is.size_px
        grid = np.stack(np.meshgrid(*(np.arange(size) - size // 2,) * 2, indexing="ij"), axis=-1)
        towards = (grid[None] - self._contacts_px[:, None, None]) @ self._normal
        sideways = (grid[None] - self._contacts_px[:, None, None]) @ self._tangent
        depth_px = -(towards + sideways**2 / (2 * self._radius_px))
        if self._flat:
            depth_px = depth_px + self._inside_um / self._optics.pixel_size_um
        efficiency = drawn.camera.quantum_efficiency
        body = draw_log_uniform(rng, drawn.body_photons) * ndtr(depth_px / BODY_BLUR_PX)
        width = self._optics.sigma_um / self._optics.pixel_size_um
        rim = draw_log_uniform(rng, drawn.membrane_photons) * np.exp(-((depth_px / width) ** 2) / 2)
        slope = 1 + rng.normal(0, 0.01, 2) @ np.moveaxis(grid, -1, 1).reshape(size, 2, size)
        even = np.array([self._even[role] for role in self._chemistry])
        cell = efficiency * (body + rim)
        flicker = 1 + rng.normal(0, 0.02, (self.times_s.size, 1, 1, 1))
        return np.asarray(flicker * even[None, :, None, None] * np.maximum(slope, 0.2) + cell[:, None])

    def facts(self) -> dict[str, Any]:
        """Return the row of the truth table."""
        last = max(int((self.times_s < 0).sum()) - 1, 0)
        release = self._course.releases.get("exosome")
        facts: dict[str, Any] = {
            "kind": KINDS[self._cause],
            "cause": self._cause,
            "diffusion_um2_s": release.diffusion_um2_s if release else math.nan,
            "dequench_gain": release.gain if release else math.nan,
            "release_tau_s": release.tau_s if release else math.nan,
            "spread_fraction": release.fraction if release else math.nan,
            "onset_frame": last,
            "y_px": self.places_px[last, 0],
            "x_px": self.places_px[last, 1],
            "normal_y": self._normal[0],
            "normal_x": self._normal[1],
            "membrane_distance_um": -self._inside_um,
            "geometry": "flat" if self._flat else "edge",
            "frame_interval_s": self.interval_s,
            "exposure_s": self._optics.exposure_s,
            "photons": self._light["exosome"],
            "content_photons": self._light["content"] if "content" in self._chemistry else math.nan,
            "background_photons": self._even["exosome"],
        }
        return facts | {"identifiable": self._identifiable(last) if self._is.judged else None}

    def _identifiable(self, last: int) -> bool | None:
        view = View(
            optics=self._optics,
            ages_s=np.asarray(self.times_s[self.times_s > 0], dtype=np.float64),
            electrons={role: light * self._fade[last] for role, light in self._light.items()},
            background=self._even,
            read_noise=self._is.camera.read_noise_electrons,
            flat=self._flat,
        )
        if self._cause == "aggregated":
            return merger_identifiable(view.electrons["exosome"], self._partner * self._fade[last], view)
        if self._cause in ("fused", "hemifused", "kiss_and_run", "taken_up"):
            return identifiable(self._cause, self._course, self._is.labels, view)
        return {"leaving": True, "unchanged": None}.get(self._cause, False)
