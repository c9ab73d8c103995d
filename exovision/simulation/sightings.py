"""Where every particle is in a frame and what light it has left, on cells that move and deform."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

from exovision.simulation.fates import CHEMISTRIES, FOCUS_LOSS_S, Contact, focus_loss_um, released
from exovision.simulation.particles import Particle
from exovision.simulation.places import along_outline, curve_at, deep_inside, on_outline, within
from exovision.simulation.release import Glow, Optics
from exovision.simulation.scene import Scene

Floats = NDArray[np.float64]

SUBSTEPS = 4
"""Positions per exposure; their mean image is the motion blur."""
STANDOFF_UM = 0.05
"""A docked vesicle's centre lies one radius outside the membrane; recycled label one radius inside it."""
CLEFT_UM = 0.4
"""Between membranes nearer than this no vesicle fits."""
SURFING_ROOM_UM = 1.0
"""No other cell is nearer than this to the way of a surfing exosome."""
ARRIVAL_TRIES = 50
APPROACH_S = 6.0
"""How long an exosome that merges with another one moves towards it."""
BAND_UM, UPTAKE_DEPTH_UM, INSIDE_MARGIN_UM = 0.3, 1.2, 0.6
"""An uptake is when the vesicle comes out of the band inwards; it goes on to a depth, and never comes near
the outline again."""
BURST_EVERY_S, BURST_S, BURST_UM_S = 20.0, 1.0, 0.5
"""Runs of a taken up vesicle along microtubules."""


@dataclass(frozen=True)
class Sighting:
    """One particle in one frame.

    Attributes
    ----------
    particle : Particle
    places_px : ndarray of shape (S, 2)
        Positions (y, x) during the exposure.
    state : str
        The contract's state.
    share : float
        Light of the vesicle in the exosome channel; 1 when intact and not bleached.
    z_um : float
        Height above the focal plane.
    content_share : float or None
        The same in the content channel; None: as `share`.
    glows : mapping of str to Glow
        By channel, label that has left the vesicle; unbleached and intact, a vesicle is 1.
    spent : bool
        Whether there is no vesicle any more, only the label that it left.
    """

    particle: Particle
    places_px: Floats
    state: str
    share: float
    z_um: float
    content_share: float | None = None
    glows: Mapping[str, Glow] = field(default_factory=dict)
    spent: bool = False


def watch(
    rng: np.random.Generator,
    scene: Scene,
    particles: list[Particle],
    *,
    outlines: Floats,
    drift_px: Floats,
    time_s: float,
) -> list[Sighting]:
    """Move every particle on by one frame and return those that are there.

    Parameters
    ----------
    rng : numpy.random.Generator
    scene : Scene
    particles : list of Particle
        Changed in place: diffusion adds up.
    outlines : ndarray of shape (N, K, 2)
        Of the cells in this frame, px, in the image; NaN for cells that are not there.
    drift_px : ndarray of shape (2,)
        Of the stage; already in `outlines`.
    time_s : float
    """
    field = _Field(outlines, drift_px, CLEFT_UM / scene.imaging.pixel_size_um)
    places = (_see(rng, scene, particle, field, time_s) for particle in particles)
    seen = [one and _with_labels(scene, one, field, time_s) for one in places]
    return [sighting for sighting in seen if sighting is not None]


@dataclass(frozen=True)
class _Field:
    """The cells and the stage in one frame, px; between two cells nearer than `cleft_px` no vesicle fits."""

    outlines: Floats
    drift_px: Floats
    cleft_px: float

    def crowded(self, cell: int, point: Floats) -> bool:
        others = np.delete(self.outlines, cell, axis=0)
        squared = ((others - point) ** 2).sum(axis=2)
        return bool((squared < self.cleft_px**2).any())


def _see(
    rng: np.random.Generator, scene: Scene, particle: Particle, field: _Field, time_s: float
) -> Sighting | None:
    gone_after = particle.end_s + _afterlife(scene, particle)
    if not particle.sets_out_s <= time_s < gone_after:
        return None
    share = _light_left(scene, particle, time_s)
    if particle.cell < 0:
        place = particle.place_px + field.drift_px
        return Sighting(particle, np.repeat(place[None], SUBSTEPS, axis=0), "stuck", share, 0.0)
    outline = field.outlines[particle.cell]
    if not np.isfinite(outline).all():
        return None
    late = time_s - particle.end_s
    if late >= 0 and particle.cause == "detached":
        return _leave(rng, scene, particle, outline, share)
    if time_s < particle.start_s:
        return _come(rng, scene, particle, field, time_s)
    if particle.cause == "taken_up" and not particle.flat and late > -BAND_UM / particle.speed_um_s:
        return _sink(rng, scene, particle, outline, time_s)
    z = focus_loss_um(late) if particle.cause == "left_focus" else 0.0
    return Sighting(particle, _ride(rng, scene, particle, field, time_s), _state(particle), share, z)


def _state(particle: Particle) -> str:
    if particle.kind == "recycled":
        return "inside"
    if particle.flat:
        return "under_projection"
    return {"docked": "docked", "tethered": "tethered"}.get(particle.kind, "under_projection")


def _afterlife(scene: Scene, particle: Particle) -> float:
    """Return for how long a particle is still drawn after its visit, s."""
    if particle.cause == "left_focus":
        return FOCUS_LOSS_S
    if particle.cause == "taken_up":
        return float(np.inf)
    if particle.cause == "fused":
        light = max(particle.photons, particle.content_photons)
        return particle.course.glow_s(light, scene.imaging.pixel_size_um)
    return scene.exosomes.leaving_s if particle.leaves_visibly else particle.course.remnant_s


def _light_left(scene: Scene, particle: Particle, time_s: float) -> float:
    exposures = (time_s - max(particle.start_s, 0.0)) / scene.imaging.frame_interval_s
    return float(np.exp(-max(exposures, 0.0) / scene.exosomes.bleach_tau_frames))


def _with_labels(scene: Scene, sighting: Sighting, field: _Field, time_s: float) -> Sighting:
    """Return a sighting with what its fate makes of the light of each label, and with what it absorbed."""
    particle, age = sighting.particle, time_s - sighting.particle.end_s
    merged = particle.absorbed
    if merged is not None and time_s >= merged.end_s:
        left = _light_left(scene, merged, time_s)
        more = left * merged.photons / particle.photons
        content = left * merged.content_photons / max(particle.content_photons, 1e-9)
        return replace(sighting, share=sighting.share + more, content_share=sighting.share + content)
    if particle.cause == "taken_up":
        light = particle.course.endosome_light(age)
        return replace(sighting, share=sighting.share * light, content_share=sighting.share)
    if not particle.course.releases or age <= -scene.imaging.exposure_s:
        return sighting
    return _releasing(scene, sighting, field, age)


def _releasing(scene: Scene, sighting: Sighting, field: _Field, age_s: float) -> Sighting:
    """Return a sighting of a vesicle whose label spreads over the membrane or beyond it."""
    particle, imaging = sighting.particle, scene.imaging
    optics = Optics(imaging.pixel_size_um, imaging.psf_sigma_um, imaging.psf_sigma_z_um, imaging.exposure_s)
    outline = field.outlines[particle.cell]
    contact = Contact(sighting.places_px[-1], None if particle.flat else curve_at(outline, particle.vertex))
    shares, glows = {}, {}
    for role, label in CHEMISTRIES[scene.exosomes.labels.chemistry].items():
        core, glow = released(
            particle.course.releases.get(role), age_s, optics, contact, soluble=label == "lumen"
        )
        shares[role] = sighting.share * core
        glows[role] = replace(glow, light=sighting.share * glow.light)
    return replace(
        sighting,
        share=shares["exosome"],
        content_share=shares.get("content"),
        glows=glows,
        spent=particle.cause == "fused" and age_s >= 0,
    )


def _ride(rng: np.random.Generator, scene: Scene, particle: Particle, field: _Field, time_s: float) -> Floats:
    """Return positions on a moving outline; diffusion goes along it, or in the plane of membrane and body."""
    outline, pixel = field.outlines[particle.cell], scene.imaging.pixel_size_um
    if particle.flat or particle.kind in ("lysosome", "beneath"):
        return _float(rng, scene, particle, outline, time_s)
    exposure = scene.imaging.exposure_s / SUBSTEPS
    waits = [
        max(scene.imaging.frame_interval_s - (SUBSTEPS - 1) * exposure, 0),
        *[exposure] * (SUBSTEPS - 1),
    ]
    if not particle.arrived:
        _arrive(rng, particle, field)
    _approach(scene, particle, time_s)
    d = _diffusion_um2_s(scene, particle, time_s)
    aside_um = -STANDOFF_UM if particle.kind == "recycled" else STANDOFF_UM
    places = np.empty((SUBSTEPS, 2))
    for step, wait_s in enumerate(waits):
        length_um = rng.normal(0, np.sqrt(2 * d * wait_s))
        vertex = along_outline(outline, particle.vertex, length_um / pixel)
        if not field.crowded(particle.cell, on_outline(outline, vertex, 0.0)):
            particle.vertex = vertex
        places[step] = on_outline(outline, particle.vertex, aside_um / pixel)
    return places


def _diffusion_um2_s(scene: Scene, particle: Particle, time_s: float) -> float:
    """Return how fast a particle diffuses; the place where a vesicle fused stays."""
    vesicles = scene.exosomes
    if particle.cause == "fused" and time_s >= particle.end_s:
        return 0.0
    if particle.kind in ("lysosome", "beneath"):
        return vesicles.beneath_diffusion_um2_s
    tethered = particle.kind == "tethered"
    return vesicles.tethered_diffusion_um2_s if tethered else vesicles.docked_diffusion_um2_s


def _float(
    rng: np.random.Generator, scene: Scene, particle: Particle, outline: Floats, time_s: float
) -> Floats:
    """Return the position of a particle that rides on the body and diffuses in the plane."""
    _approach(scene, particle, time_s)
    step_um = np.sqrt(2 * _diffusion_um2_s(scene, particle, time_s) * scene.imaging.frame_interval_s)
    particle.place_px = particle.place_px + rng.normal(0, step_um / scene.imaging.pixel_size_um, 2) * np.exp(
        -np.abs(particle.place_px) / 20
    )
    place = within(outline, particle.vertex, particle.depth) + particle.place_px
    return np.repeat(place[None], SUBSTEPS, axis=0)


def _approach(scene: Scene, particle: Particle, time_s: float) -> None:
    """Move an exosome towards the one with which it is about to merge."""
    partner, left_s = particle.partner, particle.end_s - time_s
    if partner is not None and left_s < APPROACH_S:
        part = min(1.0, scene.imaging.frame_interval_s / max(left_s, 1e-9))
        apart = (partner.vertex - particle.vertex + 0.5) % 1.0 - 0.5
        particle.vertex += part * apart
        if particle.flat:
            particle.place_px = particle.place_px + part * (partner.place_px - particle.place_px)


def _arrive(rng: np.random.Generator, particle: Particle, field: _Field) -> None:
    """Move an arriving exosome to free membrane, if there is some."""
    particle.arrived = True
    outline = field.outlines[particle.cell]
    if particle.partner is not None and particle.partner.arrived:
        particle.vertex = particle.partner.vertex + particle.beside
        return
    for _ in range(ARRIVAL_TRIES):
        if not field.crowded(particle.cell, on_outline(outline, particle.vertex, 0.0)):
            return
        particle.vertex = rng.uniform(0, 1)


def _leave(
    rng: np.random.Generator, scene: Scene, particle: Particle, outline: Floats, share: float
) -> Sighting:
    """Move a detached exosome away from its cell, with some diffusion."""
    vesicles, imaging = scene.exosomes, scene.imaging
    start = on_outline(outline, particle.vertex, STANDOFF_UM / imaging.pixel_size_um)
    outwards = on_outline(outline, particle.vertex, 1.0 + STANDOFF_UM / imaging.pixel_size_um) - start
    spread = np.sqrt(2 * vesicles.leaving_diffusion_um2_s * imaging.frame_interval_s)
    step_um = vesicles.leaving_speed_um_s * imaging.frame_interval_s * outwards + rng.normal(0, spread, 2)
    if not particle.place_px.any():
        particle.place_px = start
    particle.place_px = particle.place_px + step_um / imaging.pixel_size_um
    return Sighting(particle, np.repeat(particle.place_px[None], SUBSTEPS, axis=0), "free", share, 0.0)


def _come(
    rng: np.random.Generator, scene: Scene, particle: Particle, field: _Field, time_s: float
) -> Sighting | None:
    """Move an exosome that surfs towards a cell, or label that comes back from inside."""
    outline, pixel = field.outlines[particle.cell], scene.imaging.pixel_size_um
    recycled = particle.kind == "recycled"
    if not particle.arrived:
        _arrive(rng, particle, field)
        if not recycled and not _has_room(scene, particle, field):
            particle.path_um = 0.0
            return None
    ahead_um = STANDOFF_UM + particle.speed_um_s * (particle.start_s - time_s)
    place = on_outline(outline, particle.vertex, (-ahead_um if recycled else ahead_um) / pixel)
    share = _light_left(scene, particle, time_s)
    state = "inside" if recycled else "surfing"
    return Sighting(particle, np.repeat(place[None], SUBSTEPS, axis=0), state, share, 0.0)


def _has_room(scene: Scene, particle: Particle, field: _Field) -> bool:
    """Tell whether no other cell stands in the way of a surfing exosome."""
    pixel = scene.imaging.pixel_size_um
    roomy = replace(field, cleft_px=SURFING_ROOM_UM / pixel)
    outline = field.outlines[particle.cell]
    ways = np.linspace(0, particle.path_um / pixel, 5)
    return not any(
        roomy.crowded(particle.cell, on_outline(outline, particle.vertex, float(way))) for way in ways
    )


def _sink(
    rng: np.random.Generator, scene: Scene, particle: Particle, outline: Floats, time_s: float
) -> Sighting:
    """Move a vesicle that is taken up inwards, then about in the cell with bursts."""
    pixel = scene.imaging.pixel_size_um
    inside_um = max(BAND_UM + particle.speed_um_s * (time_s - particle.end_s), 0.0)
    centre = outline.mean(axis=0)
    if inside_um < UPTAKE_DEPTH_UM:
        place = on_outline(outline, particle.vertex, (STANDOFF_UM - inside_um) / pixel)
    else:
        place = deep_inside(
            outline, centre + particle.place_px + _run(rng, scene, particle), INSIDE_MARGIN_UM / pixel
        )
    particle.place_px = place - centre
    evident = scene.exosomes.labels.chemistry == "phluorin"
    state = "inside" if evident else "under_projection"
    state = "docked" if time_s < particle.end_s else state
    share = _light_left(scene, particle, time_s)
    return Sighting(particle, np.repeat(place[None], SUBSTEPS, axis=0), state, share, 0.0)


def _run(rng: np.random.Generator, scene: Scene, particle: Particle) -> Floats:
    """Return the step of a vesicle in a cell, px: diffusion, and runs that may last many frames."""
    interval, pixel = scene.imaging.frame_interval_s, scene.imaging.pixel_size_um
    length = float(np.hypot(*particle.run_px))
    if length == 0 and rng.random() < -np.expm1(-interval / BURST_EVERY_S):
        angle = rng.uniform(0, 2 * np.pi)
        length = BURST_UM_S * rng.exponential(BURST_S) / pixel
        particle.run_px = length * np.array([np.sin(angle), np.cos(angle)])
    step = particle.run_px * min(1.0, BURST_UM_S * interval / pixel / max(length, 1e-9))
    particle.run_px = particle.run_px - step if length > BURST_UM_S * interval / pixel else np.zeros(2)
    spread = np.sqrt(2 * scene.exosomes.beneath_diffusion_um2_s * interval) / pixel
    return np.asarray(step + rng.normal(0, spread, 2))
