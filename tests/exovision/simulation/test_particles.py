from itertools import pairwise

import cv2
import numpy as np
import pytest

from exovision.numerics.distance import outline_distance
from exovision.simulation.particles import populate
from exovision.simulation.places import along_outline, on_outline
from exovision.simulation.sightings import CLEFT_UM, watch

PIXEL_UM = 0.108
ANGLES = np.linspace(0, 2 * np.pi, 256, endpoint=False)
CIRCLE = np.stack([np.sin(ANGLES), np.cos(ANGLES)], axis=1)
STILL = np.zeros(2)
LONG = {"dwell_short_share": 0.0, "dwell_long_s": 1e6, "dwell_long_gsd": 1.0}
"""Dockings that last the whole movie."""


def _disc(y, x, radius_px):
    return np.array([y, x]) + radius_px * CIRCLE


def _distance_um(places, outline):
    starts = np.array([0, len(outline)])
    _, distance, _, _ = outline_distance(places, outline, starts, np.ones(len(outline), dtype=bool))
    return distance * PIXEL_UM


def _watch(scene, particles, frames, outlines_at, *, drift_at=lambda t: STILL, seed=1):
    """Return the sightings of each frame."""
    rng = np.random.default_rng(seed)
    interval = scene.imaging.frame_interval_s
    return [
        watch(rng, scene, particles, outlines=outlines_at(t), drift_px=drift_at(t), time_s=t * interval)
        for t in range(frames)
    ]


def _moving(t):
    """A cell that moves, grows and is dented."""
    dent = 1 + 0.15 * np.cos(3 * ANGLES + 0.2 * t)[:, None]
    return (np.array([30 + 0.9 * t, 30 - 0.5 * t]) + (15 + 0.2 * t) * dent * CIRCLE)[None]


@pytest.mark.parametrize("diffusion", [0.0, 0.01])
def test_docked_exosomes_stay_on_the_moving_outline(dark, diffusion):
    scene = dark(exosomes={"dockings_per_cell_hour": 600, "docked_diffusion_um2_s": diffusion, **LONG})
    particles = populate(np.random.default_rng(0), scene, 1)
    seen = _watch(scene, particles, 12, _moving)
    assert len(seen[-1]) > 20
    for t, sightings in enumerate(seen):
        places = np.concatenate([one.places_px for one in sightings])
        distance = _distance_um(places, _moving(t)[0])
        assert (distance > -0.01).all() and (distance < 0.1).all()
        assert {one.state for one in sightings} == {"docked"}


def test_a_docked_exosome_without_diffusion_rides_on_its_place_of_the_membrane(dark):
    scene = dark(exosomes={"dockings_per_cell_hour": 600, "docked_diffusion_um2_s": 0.0, **LONG})
    seen = _watch(scene, populate(np.random.default_rng(0), scene, 1), 12, _moving)
    vertex = {id(one.particle): one.particle.vertex for one in seen[0]}
    for t, sightings in enumerate(seen):
        for one in (one for one in sightings if id(one.particle) in vertex):
            expected = on_outline(_moving(t)[0], vertex[id(one.particle)], 0.05 / PIXEL_UM)
            np.testing.assert_allclose(one.places_px, np.tile(expected, (4, 1)))


def test_docked_exosomes_diffuse_along_the_membrane_as_stated(dark):
    scene = dark(exosomes={"dockings_per_cell_hour": 3000, "docked_diffusion_um2_s": 0.02, **LONG})
    disc = _disc(30, 30, 25)[None]
    particles = populate(np.random.default_rng(0), scene, 1)
    seen = _watch(scene, particles, 20, lambda t: disc)
    steps = []
    for before, after in pairwise(seen):
        last = {id(one.particle): one.places_px[-1] for one in before}
        steps += [one.places_px[-1] - last[id(one.particle)] for one in after if id(one.particle) in last]
    squared_um2 = (np.array(steps) ** 2).sum(axis=1).mean() * PIXEL_UM**2
    assert squared_um2 == pytest.approx(2 * 0.02 * 2.0, rel=0.1)


@pytest.mark.parametrize("direction", [1, -1])
def test_outwards_is_outwards_also_where_a_cell_is_concave(direction):
    angle = np.linspace(-2.4, 2.4, 100)
    there_and_back, radius = np.append(angle, angle[::-1]), np.repeat([50, 30], 100)
    crescent = np.column_stack([100 + radius * np.sin(there_and_back), 100 + radius * np.cos(there_and_back)])
    outline = crescent[::direction]
    for part in np.linspace(0, 1, 50, endpoint=False):
        y, x = on_outline(outline, part, 0.5)
        assert cv2.pointPolygonTest(outline[:, ::-1].astype(np.float32), (x, y), True) < -0.1


def test_a_step_along_an_outline_is_as_long_however_its_vertices_crowd():
    crowded = np.concatenate([np.linspace(0, 0.01, 100), np.linspace(0.5, 2 * np.pi, 50, endpoint=False)])
    outline = 50 + 20 * np.column_stack([np.sin(crowded), np.cos(crowded)])
    for part, length in [(0.3, 5.0), (0.9, -12.0), (0.0, -1.0), (0.66, 60.0)]:
        start, end = (on_outline(outline, p, 0.0) - 50 for p in (part, along_outline(outline, part, length)))
        turned = np.arctan2(*end) - np.arctan2(*start)
        turned -= 2 * np.pi * np.round((turned - length / 20) / (2 * np.pi))
        assert 20 * turned == pytest.approx(length, abs=0.7)


def test_particles_on_the_glass_move_with_the_stage_alone(dark):
    scene = dark(exosomes={"stuck_per_um2": 0.5, "dye_per_um2": 0.5})
    particles = populate(np.random.default_rng(0), scene, 1)
    drift = np.array([0.3, -0.2])
    seen = _watch(scene, particles, 6, _moving, drift_at=lambda t: t * drift)
    assert {one.particle.kind for one in seen[0]} == {"stuck", "dye"}
    for t, sightings in enumerate(seen):
        assert len(sightings) == len(particles)
        for one, first in zip(sightings, seen[0]):
            np.testing.assert_allclose(one.places_px, first.places_px + t * drift)
            assert one.state == "stuck" and one.z_um == 0


def test_exosomes_bleach_with_the_stated_time_constant(dark):
    scene = dark(exosomes={"stuck_per_um2": 0.3, "bleach_tau_frames": 7.0})
    seen = _watch(scene, populate(np.random.default_rng(0), scene, 1), 15, _moving)
    shares = [sightings[0].share for sightings in seen]
    np.testing.assert_allclose(shares, np.exp(-np.arange(15) / 7.0))


def test_an_exosome_that_comes_later_starts_unbleached(dark):
    scene = dark(
        imaging={"frames": 30},
        exosomes={"dockings_per_cell_hour": 600, "bleach_tau_frames": 7.0, **LONG},
    )
    seen = _watch(scene, populate(np.random.default_rng(0), scene, 1), 30, _moving)
    here = {id(one.particle) for one in seen[0]}
    late = [one for one in seen[-1] if id(one.particle) not in here]
    assert late
    for one in late:
        assert one.share == pytest.approx(np.exp(-(58.0 - one.particle.start_s) / 2.0 / 7.0))


def test_no_exosome_docks_in_the_cleft_between_cells(dark):
    scene = dark(exosomes={"dockings_per_cell_hour": 1500, "docked_diffusion_um2_s": 0.05, **LONG})
    cells = np.stack([_disc(30, 20, 15), _disc(30, 51, 15)])
    particles = populate(np.random.default_rng(0), scene, 2)
    seen = _watch(scene, particles, 10, lambda t: cells)
    checked = 0
    for one in (one for sightings in seen for one in sightings):
        membrane = on_outline(cells[one.particle.cell], one.particle.vertex, 0.0)
        other = cells[1 - one.particle.cell]
        assert np.hypot(*(other - membrane).T).min() * PIXEL_UM >= CLEFT_UM
        checked += 1
    assert checked > 500
    assert np.hypot(*(cells[0] - cells[1][128]).T).min() * PIXEL_UM < CLEFT_UM


def test_a_visible_leaver_goes_away_from_the_cell_at_the_stated_speed(dark):
    fates = {"detached": 1.0, "bleached": 0.0, "left_focus": 0.0, "visible_detachment": 1.0}
    facts = {"leaving_speed_um_s": 0.2, "leaving_diffusion_um2_s": 0.0, "leaving_s": 8.0}
    once = {"dwell_short_share": 0.0, "dwell_long_s": 6.0, "dwell_long_gsd": 1.0, "fates": fates}
    scene = dark(imaging={"frames": 20}, exosomes={"dockings_per_cell_hour": 600, **facts, **once})
    disc = _disc(30, 30, 12)
    particles = populate(np.random.default_rng(0), scene, 1)
    assert all(one.leaves_visibly for one in particles)
    seen = _watch(scene, particles, 20, lambda t: disc[None])
    chosen = next(one.particle for one in seen[8] if one.particle.start_s > 0)
    states, distances = [], []
    for one in (one for sightings in seen for one in sightings if one.particle is chosen):
        states.append(one.state)
        distances.append(_distance_um(one.places_px, disc).mean())
    assert states == ["docked"] * 3 + ["free"] * 4
    np.testing.assert_allclose(distances[3:], 0.05 + 0.4 * np.arange(1, 5), atol=0.02)


def test_an_exosome_that_leaves_focus_rises_and_then_is_gone(dark):
    fates = {"detached": 0.0, "bleached": 0.0, "left_focus": 1.0}
    once = {"dwell_short_share": 0.0, "dwell_long_s": 6.0, "dwell_long_gsd": 1.0, "fates": fates}
    scene = dark(imaging={"frames": 20}, exosomes={"dockings_per_cell_hour": 600, **once})
    seen = _watch(scene, populate(np.random.default_rng(0), scene, 1), 20, _moving)
    chosen = next(one.particle for one in seen[8] if one.particle.start_s > 0)
    heights = [one.z_um for sightings in seen for one in sightings if one.particle is chosen]
    assert heights[:3] == [0, 0, 0]
    assert len(heights) == 7
    np.testing.assert_allclose(np.diff(heights[3:]), 2.0 * 2.0 / 8.0)


def test_an_exosome_that_bleaches_in_one_step_is_gone_at_once(dark):
    fates = {"detached": 0.0, "bleached": 1.0, "left_focus": 0.0}
    scene = dark(imaging={"frames": 20}, exosomes={"dockings_per_cell_hour": 600, "fates": fates})
    particles = populate(np.random.default_rng(0), scene, 1)
    for t, sightings in enumerate(_watch(scene, particles, 20, _moving)):
        assert all(one.particle.start_s <= 2 * t < one.particle.end_s for one in sightings)


def test_vesicles_beneath_a_cell_and_lysosomes_stay_inside(dark):
    scene = dark(cells={"lysosomes_per_cell": 20}, exosomes={"beneath_per_cell": 20})
    seen = _watch(scene, populate(np.random.default_rng(0), scene, 1), 10, lambda t: _disc(30, 30, 25)[None])
    assert {one.particle.kind for one in seen[0]} == {"lysosome", "beneath"}
    for one in (one for sightings in seen for one in sightings):
        assert one.state == "under_projection"
        assert (_distance_um(one.places_px, _disc(30, 30, 25)) < 0).all()


def test_there_are_as_many_dockings_as_stated_and_their_dwell_times_are_those_stated(dark):
    facts = {"dockings_per_cell_hour": 100.0, "dwell_short_share": 0.0}
    scene = dark(imaging={"frames": 1800}, exosomes=facts)
    particles = populate(np.random.default_rng(0), scene, 20)
    started = [one for one in particles if one.start_s >= 0]
    assert abs(len(started) - 2000) < 4 * np.sqrt(2000)
    dwell = np.log([one.end_s - one.start_s for one in started])
    assert np.median(dwell) == pytest.approx(np.log(120), abs=0.125)
    assert dwell.std() == pytest.approx(np.log(3), rel=0.1)


def test_short_dwell_times_are_exponential_and_fates_come_in_the_stated_shares(dark):
    facts = {"dockings_per_cell_hour": 100.0, "dwell_short_share": 1.0}
    scene = dark(imaging={"frames": 1800}, exosomes=facts)
    started = [one for one in populate(np.random.default_rng(0), scene, 20) if one.start_s >= 0]
    dwell = np.array([one.end_s - one.start_s for one in started])
    assert dwell.mean() == pytest.approx(5.0, rel=0.1) and dwell.std() == pytest.approx(5.0, rel=0.15)
    causes = [one.cause for one in started]
    assert causes.count("detached") / len(causes) == pytest.approx(0.75, abs=0.04)
    detached = [one for one in started if one.cause == "detached"]
    assert np.mean([one.leaves_visibly for one in detached]) == pytest.approx(0.4, abs=0.05)


def test_brightness_is_lognormal_between_its_limits(dark):
    facts = {"stuck_per_um2": 50.0, "photons_median": 200.0, "photons_gsd": 1.6, "photons_max": 400.0}
    particles = populate(np.random.default_rng(0), dark(exosomes=facts), 0)
    light = np.array([one.photons for one in particles])
    assert np.median(light) == pytest.approx(200, rel=0.05)
    assert light.min() >= 50 and light.max() == 400


def test_a_cell_that_is_not_there_has_no_exosomes(dark):
    scene = dark(exosomes={"dockings_per_cell_hour": 600, **LONG})
    particles = populate(np.random.default_rng(0), scene, 1)
    assert _watch(scene, particles, 1, lambda t: np.full((1, 256, 2), np.nan)) == [[]]
