"""Exosomes and their look-alikes in continuous coordinates: what each is and where, frame by frame."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from exovision.numerics.polygons import signed_area
from exovision.simulation.scene import Scene

Floats = NDArray[np.float64]

SUBSTEPS = 4
"""Positions per exposure; their mean image is the motion blur."""
HOUR_S = 3600.0
LEAD_IN_S = 300.0
"""Dockings from before the movie, so that it starts in a steady state."""
STANDOFF_UM = 0.05
"""A docked vesicle's centre lies one radius outside the membrane."""
CLEFT_UM = 0.4
"""Between membranes nearer than this no vesicle fits."""
ARRIVAL_TRIES = 50
FOCUS_LOSS_S = 8.0
FOCUS_LOSS_UM = 2.0
BODY_SHARE = 0.75
"""Vesicles beneath a cell lie within this share of the way from its centre to its outline."""


@dataclass
class Particle:
    """One particle over the whole movie.

    Attributes
    ----------
    kind : str
        "stuck", "dye", "lysosome", "beneath", "docked" or "tethered".
    photons : float
        Per frame, before bleaching.
    start_s, end_s : float
        When it arrives and when its visit ends; outside the movie's times for those there throughout.
    cell : int
        Row of its cell; −1 on the glass.
    vertex : float
        Fractional vertex of the outline it rides on.
    depth : float
        0 at the cell's centre, 1 at the outline; for those beneath a cell.
    exosome_id : int, optional
        Given at its first sighting in view.
    arrived : bool
        Whether it has been seen at all.
    place_px : ndarray of shape (2,)
        On the glass, or its offset from its place on the cell.
    cause : str
        How a visit ends: "detached", "bleached" or "left_focus".
    leaves_visibly : bool
        Whether a detaching one is seen to go.
    """

    kind: str
    photons: float
    start_s: float = -np.inf
    end_s: float = np.inf
    cell: int = -1
    vertex: float = 0.0
    depth: float = 1.0
    place_px: Floats = field(default_factory=lambda: np.zeros(2))
    cause: str = ""
    leaves_visibly: bool = False
    exosome_id: int | None = None
    arrived: bool = False


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
        Light left, 0–1, by bleaching.
    z_um : float
        Height above the focal plane.
    """

    particle: Particle
    places_px: Floats
    state: str
    share: float
    z_um: float


def populate(rng: np.random.Generator, scene: Scene, n_cells: int) -> list[Particle]:
    """Draw every particle of a movie.

    Parameters
    ----------
    rng : numpy.random.Generator
    scene : Scene
    n_cells : int
        Cells that particles can visit.

    Returns
    -------
    list of Particle
        Glass particles lie anywhere in view; those that turn out to lie under a cell are left out by `watch`.
    """
    exosomes, imaging = scene.exosomes, scene.imaging
    area_um2 = float(np.prod(imaging.shape_px)) * imaging.pixel_size_um**2
    particles: list[Particle] = []
    for kind, density in (("stuck", exosomes.stuck_per_um2), ("dye", exosomes.dye_per_um2)):
        particles += [
            Particle(
                kind=kind,
                place_px=rng.uniform(0, 1, 2) * np.array(imaging.shape_px),
                photons=_brightness(rng, scene),
            )
            for _ in range(rng.poisson(density * area_um2))
        ]
    for cell in range(n_cells):
        for _ in range(rng.poisson(scene.cells.lysosomes_per_cell)):
            light = scene.cells.lysosome_photons * rng.lognormal(0, 0.3)
            particles.append(_inside(rng, "lysosome", light, cell))
        for _ in range(rng.poisson(exosomes.beneath_per_cell)):
            particles.append(_inside(rng, "beneath", _brightness(rng, scene), cell))
        particles += _visits(rng, scene, cell)
    return particles


def _brightness(rng: np.random.Generator, scene: Scene) -> float:
    vesicles = scene.exosomes
    drawn = vesicles.photons_median * rng.lognormal(0, np.log(vesicles.photons_gsd))
    return float(np.clip(drawn, vesicles.photons_min, vesicles.photons_max))


def _inside(rng: np.random.Generator, kind: str, photons: float, cell: int) -> Particle:
    return Particle(
        kind,
        photons,
        cell=cell,
        vertex=rng.uniform(0, 1),
        depth=BODY_SHARE * float(np.sqrt(rng.uniform(0, 1))),
    )


def _visits(rng: np.random.Generator, scene: Scene, cell: int) -> list[Particle]:
    vesicles = scene.exosomes
    duration = scene.imaging.frames * scene.imaging.frame_interval_s
    found = []
    for kind, rate in (
        ("docked", vesicles.dockings_per_cell_hour),
        ("tethered", vesicles.tethered_per_cell_hour),
    ):
        for _ in range(rng.poisson(rate * (duration + LEAD_IN_S) / HOUR_S)):
            start = rng.uniform(-LEAD_IN_S, duration)
            length = _dwell(rng, scene) if kind == "docked" else rng.exponential(vesicles.tethered_mean_s)
            if start + length < 0:
                continue
            cause = _cause(rng, scene) if kind == "docked" else "detached"
            visible = cause == "detached" and rng.random() < vesicles.fates.visible_detachment
            found.append(
                Particle(
                    kind,
                    _brightness(rng, scene),
                    start_s=start,
                    end_s=start + length,
                    cell=cell,
                    vertex=rng.uniform(0, 1),
                    cause=cause,
                    leaves_visibly=kind == "docked" and visible,
                )
            )
    return found


def _dwell(rng: np.random.Generator, scene: Scene) -> float:
    vesicles = scene.exosomes
    if rng.random() < vesicles.dwell_short_share:
        return float(rng.exponential(vesicles.dwell_short_s))
    return float(vesicles.dwell_long_s * rng.lognormal(0, np.log(vesicles.dwell_long_gsd)))


def _cause(rng: np.random.Generator, scene: Scene) -> str:
    fates = scene.exosomes.fates
    names = ("detached", "bleached", "left_focus")
    shares = np.array([getattr(fates, name) for name in names])
    return str(rng.choice(names, p=shares / shares.sum()))


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
    seen = [_see(rng, scene, particle, field, time_s) for particle in particles]
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
    if not particle.start_s <= time_s < gone_after:
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
    z = FOCUS_LOSS_UM * max(0.0, late) / FOCUS_LOSS_S if particle.cause == "left_focus" else 0.0
    return Sighting(particle, _ride(rng, scene, particle, field), _state(particle), share, z)


def _state(particle: Particle) -> str:
    return {"docked": "docked", "tethered": "tethered"}.get(particle.kind, "under_projection")


def _afterlife(scene: Scene, particle: Particle) -> float:
    """Return for how long a particle is still drawn after its visit, s."""
    if particle.cause == "left_focus":
        return FOCUS_LOSS_S
    return scene.exosomes.leaving_s if particle.leaves_visibly else 0.0


def _light_left(scene: Scene, particle: Particle, time_s: float) -> float:
    exposures = (time_s - max(particle.start_s, 0.0)) / scene.imaging.frame_interval_s
    return float(np.exp(-max(exposures, 0.0) / scene.exosomes.bleach_tau_frames))


def _ride(rng: np.random.Generator, scene: Scene, particle: Particle, field: _Field) -> Floats:
    """Return positions on a moving outline; diffusion goes along it, or in the plane beneath a cell."""
    interval = scene.imaging.frame_interval_s
    exposure = scene.imaging.exposure_s / SUBSTEPS
    pixel = scene.imaging.pixel_size_um
    outline = field.outlines[particle.cell]
    places = np.empty((SUBSTEPS, 2))
    if particle.kind in ("lysosome", "beneath"):
        d = scene.exosomes.beneath_diffusion_um2_s
        particle.place_px = particle.place_px + rng.normal(
            0, np.sqrt(2 * d * scene.imaging.frame_interval_s) / pixel, 2
        ) * np.exp(-np.abs(particle.place_px) / 20)
        places[:] = _within(outline, particle) + particle.place_px
        return places
    docked = particle.kind == "docked"
    d = scene.exosomes.docked_diffusion_um2_s if docked else scene.exosomes.tethered_diffusion_um2_s
    waits = [max(interval - (SUBSTEPS - 1) * exposure, 0), *[exposure] * (SUBSTEPS - 1)]
    if not particle.arrived:
        _arrive(rng, particle, field)
    for step, wait_s in enumerate(waits):
        length_um = rng.normal(0, np.sqrt(2 * d * wait_s))
        vertex = _along(outline, particle.vertex, length_um / pixel)
        if not field.crowded(particle.cell, on_outline(outline, vertex, 0.0)):
            particle.vertex = vertex
        places[step] = on_outline(outline, particle.vertex, STANDOFF_UM / pixel)
    return places


def _arrive(rng: np.random.Generator, particle: Particle, field: _Field) -> None:
    """Move an arriving exosome to free membrane, if there is some."""
    particle.arrived = True
    outline = field.outlines[particle.cell]
    for _ in range(ARRIVAL_TRIES):
        if not field.crowded(particle.cell, on_outline(outline, particle.vertex, 0.0)):
            return
        particle.vertex = rng.uniform(0, 1)


def _along(outline: Floats, part: float, length_px: float) -> float:
    """Return the place, as a part of the vertices, that lies `length_px` farther along an outline."""
    closed = np.vstack([outline, outline[:1]])
    arc = np.concatenate([[0.0], np.cumsum(np.hypot(*np.diff(closed, axis=0).T))])
    vertices = np.arange(len(closed))
    here = np.interp((part % 1.0) * len(outline), vertices, arc)
    return float(np.interp((here + length_px) % arc[-1], arc, vertices)) / len(outline)


def _within(outline: Floats, particle: Particle) -> Floats:
    centre = outline.mean(axis=0)
    return np.asarray(centre + particle.depth * (on_outline(outline, particle.vertex, 0.0) - centre))


def on_outline(outline: Floats, part: float, outside_px: float) -> Floats:
    """Return the point at `part` (0–1) of the vertices of an outline (K, 2), moved outwards, px."""
    count = len(outline)
    position = (part % 1.0) * count
    first = int(position) % count
    here, after = outline[first], outline[(first + 1) % count]
    along = after - here
    point = here + (position - int(position)) * along
    normal = np.array([-along[1], along[0]]) / max(float(np.hypot(*along)), 1e-9)
    return np.asarray(point + outside_px * np.sign(signed_area(outline)) * normal)


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
