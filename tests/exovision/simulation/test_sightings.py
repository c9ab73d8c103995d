import numpy as np
import pytest

from exovision.simulation.movie import simulate
from exovision.simulation.particles import populate
from exovision.simulation.places import signed_distance
from exovision.simulation.scene import Camera
from exovision.simulation.sightings import BAND_UM, watch

PIXEL_UM = 0.108
ANGLES = np.linspace(0, 2 * np.pi, 256, endpoint=False)
DISC = (np.array([100.0, 100.0]) + 60 * np.stack([np.sin(ANGLES), np.cos(ANGLES)], axis=1))[None]
STEADY = {
    "dockings_per_cell_hour": 3000.0,
    "dwell_short_share": 0.0,
    "dwell_long_s": 20.0,
    "dwell_long_gsd": 1.2,
    "bleach_tau_frames": 1e9,
    "docked_diffusion_um2_s": 0.0,
}
NEVER = {"detached": 0.0, "bleached": 0.0, "left_focus": 0.0}


def _play(dark, fate, *, frames=60, interval_s=0.5, labels=None, **exosomes):
    """Return the scene and, per particle, its sightings by frame."""
    scene = dark(
        imaging={"frames": frames, "frame_interval_s": interval_s},
        exosomes={**STEADY, "fates": {**NEVER, fate: 1.0}, "labels": labels or {}, **exosomes},
    )
    rng = np.random.default_rng(0)
    particles = populate(rng, scene, 1)
    tracks = {id(one): {} for one in particles}
    for frame in range(frames):
        for one in watch(
            rng, scene, particles, outlines=DISC, drift_px=np.zeros(2), time_s=frame * interval_s
        ):
            tracks[id(one.particle)][frame] = one
    return scene, [track for track in tracks.values() if track]


def _distance_um(sighting):
    return signed_distance(DISC[0], sighting.places_px.mean(axis=0)) * PIXEL_UM


def _ended(tracks, interval_s=0.5, frames=60):
    """Tracks of which beginning and end of the docking were seen, with the frame of the end."""
    found = [(t, next(iter(t.values())).particle) for t in tracks]
    return [(t, p, int(p.end_s / interval_s)) for t, p in found if 2 < p.end_s < interval_s * (frames - 20)]


def test_a_scene_without_new_fates_draws_the_same_particles_whatever_its_labels(dark):
    plain, other = (
        populate(np.random.default_rng(3), dark(exosomes={**STEADY, "labels": labels}), 2)
        for labels in ({}, {"chemistry": "dual", "quench": (0.1, 0.2)})
    )
    for one, two in zip(plain, other, strict=True):
        assert (one.kind, one.photons, one.start_s, one.end_s) == (
            two.kind,
            two.photons,
            two.start_s,
            two.end_s,
        )
        assert (one.vertex, one.cause, one.cell) == (two.vertex, two.cause, two.cell)
    assert {p.content_photons > 0 for p in plain} == {False}
    assert {p.content_photons > 0 for p in other} == {True}


def test_a_taken_up_vesicle_moves_in_and_never_comes_near_the_outline_again(dark):
    _, tracks = _play(dark, "taken_up")
    seen = _ended(tracks)
    assert len(seen) > 5
    for track, particle, last in seen:
        assert track[last].state == "docked" and _distance_um(track[last]) > -BAND_UM
        assert {one.state for frame, one in track.items() if frame > last} == {"under_projection"}
        assert _distance_um(track[last + 1]) < -0.2
        late = [_distance_um(one) for f, one in track.items() if f * 0.5 > particle.end_s + 25]
        assert not late or max(late) < -0.55


def test_taken_up_phluorin_is_known_to_be_inside_and_goes_dark(dark):
    _, tracks = _play(dark, "taken_up", labels={"chemistry": "phluorin", "acid_tau_s": 1.0})
    for track, _, last in _ended(tracks):
        assert track[last + 15].state == "inside"
        assert track[last].share > 0.99 and track[last + 15].share == pytest.approx(1 / 9, rel=0.05)


def test_after_a_merger_the_intensities_add_in_one_place(dark):
    _, tracks = _play(dark, "aggregated")
    by_particle = {id(next(iter(t.values())).particle): t for t in tracks}
    merged = 0
    for track, particle, last in _ended(tracks):
        partner = by_particle.get(id(particle.partner))
        if particle.partner is None or partner is None or last + 1 not in partner:
            continue
        merged += 1
        gap = track[last].places_px.mean(axis=0) - partner[last].places_px.mean(axis=0)
        assert np.hypot(*gap) * PIXEL_UM < 0.15 and last + 1 not in track
        assert partner[last].share == pytest.approx(1.0)
        assert partner[last + 1].share == pytest.approx(1 + particle.photons / particle.partner.photons)
    assert merged > 5


def test_surfing_exosomes_come_straight_from_outside_at_their_speed(dark):
    _, tracks = _play(dark, "bleached", surfing_share=1.0, surfing_speed_um_s=(0.1, 0.3))
    ways = [[one for one in t.values() if one.state == "surfing"] for t in tracks]
    ways = [way for way in ways if len(way) > 5]
    assert len(ways) > 5
    for way in ways:
        away = np.array([_distance_um(one) for one in way])
        speeds = -np.diff(away) / 0.5
        np.testing.assert_allclose(speeds, way[0].particle.speed_um_s, rtol=0.1)
        assert away.min() > 0


def test_recycled_label_comes_from_inside_and_stays_in_the_band(dark):
    _, tracks = _play(dark, "bleached", dockings_per_cell_hour=0.0, recycled_per_cell_hour=2000.0)
    assert len(tracks) > 5
    for track in tracks:
        particle = next(iter(track.values())).particle
        for frame, one in track.items():
            assert one.state == "inside" and _distance_um(one) < 0
            if frame * 0.5 >= particle.start_s:
                assert _distance_um(one) == pytest.approx(-0.05, abs=0.02)


def test_fused_label_leaves_the_vesicle_and_the_vesicle_is_spent(dark):
    labels = {"quench": (0.0, 0.0), "release_tau_s": (0.02, 0.02), "lipid_diffusion_um2_s": (0.5, 0.5)}
    _, tracks = _play(dark, "fused", interval_s=0.5, labels=labels)
    seen = _ended(tracks)
    assert len(seen) > 5
    for track, particle, last in seen:
        before, after = track[last], track[last + 1]
        assert not before.spent and after.spent and after.state == "docked"
        if (last + 1) * 0.5 - particle.end_s > 0.2:
            assert after.share < 1e-3
            variance = 0.35**2 + 2 * 0.5 * ((last + 1) * 0.5 + 0.025 - particle.end_s)
            assert after.glows["exosome"].light.sum() == pytest.approx(0.35 / np.sqrt(variance), rel=0.03)


def test_in_two_colours_kiss_and_run_loses_its_content_and_hemifusion_keeps_it(dark):
    labels = {"chemistry": "dual", "quench": (0.0, 0.0), "release_tau_s": (0.1, 0.1)}
    for fate, lipid, content in (("kiss_and_run", 1.0, 0.0), ("hemifused", 0.5, 1.0)):
        _, tracks = _play(dark, fate, labels=labels)
        for track, _, last in _ended(tracks):
            after = track[last + 4]
            assert after.share == pytest.approx(lipid, abs=0.01)
            assert after.content_share == pytest.approx(content, abs=0.01)
            assert not after.spent


def test_label_that_faces_the_camera_is_over_the_body_and_not_docked(dark):
    _, tracks = _play(dark, "fused", flat_share=1.0)
    for track in tracks:
        one = next(iter(track.values()))
        assert one.state == "under_projection" and _distance_um(one) < -1


def test_the_two_channels_of_a_movie_bleed_into_each_other(dark, play):
    shares = {}
    for bleed in (0.0, 0.5):
        scene = dark(
            imaging={"frames": 3, "background_photons": 0.0},
            cells={"background_photons": 0.0},
            exosomes={
                "stuck_per_um2": 0.2,
                "photons_gsd": 1.0,
                "photons_median": 2000.0,
                "labels": {
                    "chemistry": "dual",
                    "content_bleed": bleed,
                    "content_photons_median": 1000.0,
                    "content_background_photons": 0.0,
                },
            },
        )
        scene = scene.model_copy(update={"camera": Camera(hot_pixels=0.0)})
        made = play(simulate(scene, seed=1))
        shares[bleed] = [(image.astype(float) - 100).sum() for image in (made.exosomes, made.content)]
    lipid, content = shares[0.0]
    assert lipid / content == pytest.approx(2, rel=0.05)
    assert shares[0.5][0] == pytest.approx(lipid + 0.5 * content, rel=0.03)
    assert shares[0.5][1] == pytest.approx(content + 0.5 * lipid, rel=0.03)
