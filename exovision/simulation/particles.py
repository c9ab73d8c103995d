"""Exosomes and their look-alikes: what each is, when it comes and what becomes of it."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from exovision.simulation.fates import CHEMISTRIES, Course, draw_course, draw_log_uniform
from exovision.simulation.scene import Scene

Floats = NDArray[np.float64]

HOUR_S = 3600.0
LEAD_IN_S = 300.0
"""Dockings from before the movie, so that it starts in a steady state."""
PARTNER_EARLIER_S, PARTNER_LATER_S = (5.0, 20.0), (20.0, 60.0)
PARTNER_AWAY = (0.015, 0.03)
"""How much earlier and later than an exosome that merges with it a docked one comes and goes, and how far
away it is, as a part of the outline."""
RECYCLING_DEPTH_UM = 2.5
CAUSES = (
    *("detached", "bleached", "left_focus"),
    *("fused", "hemifused", "kiss_and_run", "taken_up", "aggregated"),
)
BODY_SHARE = 0.75
"""Vesicles beneath a cell lie within this share of the way from its centre to its outline."""


@dataclass
class Particle:
    """One particle over the whole movie.

    Attributes
    ----------
    kind : str
        "stuck", "dye", "lysosome", "beneath", "docked", "tethered" or "recycled".
    photons : float
        Per frame, before bleaching.
    content_photons : float
        The same in the `content` channel.
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
        How a visit ends: "detached", "bleached", "left_focus", or one of the scene's fates.
    leaves_visibly : bool
        Whether a detaching one is seen to go.
    flat : bool
        Whether it lies on membrane that faces the camera.
    course : Course
        What becomes of its labels from `end_s` on.
    speed_um_s : float
        Of its way inwards (taken up, from the band), towards the cell (surfing) or outwards (recycled).
    path_um : float
        Length of the way on which it surfs before its docking begins, or on which it comes back from inside.
    run_px : ndarray of shape (2,)
        What is left of a run inside the cell.
    partner : Particle or None
        The docked one with which it merges.
    beside : float
        How far from its partner it docks, as a part of the outline.
    absorbed : Particle or None
        The one that merges with it.
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
    content_photons: float = 0.0
    flat: bool = False
    course: Course = field(default_factory=Course)
    speed_um_s: float = 0.0
    path_um: float = 0.0
    run_px: Floats = field(default_factory=lambda: np.zeros(2))
    partner: Particle | None = None
    beside: float = 0.0
    absorbed: Particle | None = None

    @property
    def sets_out_s(self) -> float:
        """When it comes into view: it may have a way to go before its visit begins."""
        return self.start_s - (self.path_um / self.speed_um_s if self.path_um else 0.0)


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
    return _with_fates(rng.spawn(1)[0], scene, particles, n_cells)


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
    shares = np.array([getattr(fates, name) for name in CAUSES])
    return str(rng.choice(CAUSES, p=shares / shares.sum()))


def _with_fates(
    rng: np.random.Generator, scene: Scene, particles: list[Particle], n_cells: int
) -> list[Particle]:
    """Draw what only scenes with such fates have, from randomness of its own: the others stay as they are."""
    vesicles, labels = scene.exosomes, scene.exosomes.labels
    for one in [p for p in particles if p.kind == "docked"]:
        one.course = draw_course(rng, labels, one.cause)
        one.flat = rng.random() < vesicles.flat_share
        if one.flat:
            one.leaves_visibly = False
            one.depth = BODY_SHARE * float(np.sqrt(rng.uniform(0, 1)))
        elif rng.random() < vesicles.surfing_share:
            one.path_um = float(rng.uniform(*vesicles.surfing_path_um))
            one.speed_um_s = draw_log_uniform(rng, vesicles.surfing_speed_um_s)
        if one.cause == "taken_up":
            one.speed_um_s = draw_log_uniform(rng, labels.uptake_speed_um_s)
            one.path_um = 0.0
        if one.cause == "aggregated":
            particles.insert(particles.index(one), _partner(rng, scene, one))
    duration = scene.imaging.frames * scene.imaging.frame_interval_s
    for cell in range(n_cells):
        count = rng.poisson(vesicles.recycled_per_cell_hour * duration / HOUR_S)
        particles += [_recycled(rng, scene, cell, rng.uniform(0, duration)) for _ in range(count)]
    if "content" in CHEMISTRIES[labels.chemistry]:
        for one in particles:
            if one.kind not in ("dye", "lysosome"):
                spread = rng.lognormal(0, np.log(vesicles.photons_gsd))
                one.content_photons = labels.content_photons_median * spread
    return particles


def _partner(rng: np.random.Generator, scene: Scene, merging: Particle) -> Particle:
    """Return a docked exosome with which another one merges, and tie them together."""
    merging.beside = float(rng.uniform(*PARTNER_AWAY) * rng.choice([-1, 1]))
    partner = Particle(
        "docked",
        _brightness(rng, scene),
        start_s=merging.start_s - rng.uniform(*PARTNER_EARLIER_S),
        end_s=merging.end_s + rng.uniform(*PARTNER_LATER_S),
        cell=merging.cell,
        vertex=merging.vertex - merging.beside,
        cause="bleached",
        flat=merging.flat,
        depth=merging.depth,
        absorbed=merging,
    )
    merging.partner = partner
    return partner


def _recycled(rng: np.random.Generator, scene: Scene, cell: int, arrives_s: float) -> Particle:
    return Particle(
        "recycled",
        _brightness(rng, scene),
        start_s=arrives_s,
        cell=cell,
        vertex=rng.uniform(0, 1),
        speed_um_s=draw_log_uniform(rng, scene.exosomes.labels.uptake_speed_um_s),
        path_um=RECYCLING_DEPTH_UM,
    )
