import numpy as np
import pytest

from exovision.simulation.optics import ExosomeLight, Sensor
from exovision.simulation.particles import Particle
from exovision.simulation.scene import Camera
from exovision.simulation.sightings import Sighting

SHAPE = (256, 256)
PLACE = np.array([30.3, 33.8])


def _sensor(seed=0, **facts):
    return Sensor(np.random.default_rng(seed), Camera(**{"hot_pixels": 0.0, **facts}), SHAPE)


@pytest.mark.parametrize("electrons", [0.0, 8.0, 400.0])
def test_a_flat_field_has_the_mean_and_variance_of_the_camera(electrons):
    sensor = _sensor(electrons_per_count=0.46, offset_counts=100.0, read_noise_electrons=1.6)
    frames = np.stack([sensor.expose(np.full(SHAPE, electrons, np.float32)) for _ in range(4)]).astype(float)
    variance = (electrons + 1.6**2) / 0.46**2 + 1 / 12
    error = np.sqrt(variance / frames.size)
    assert frames.mean() == pytest.approx(100 + electrons / 0.46, abs=4 * error)
    assert frames.var() == pytest.approx(variance, rel=0.02)


def test_photon_transfer_gives_the_gain_and_the_read_noise():
    sensor = _sensor(electrons_per_count=2.0, read_noise_electrons=5.0)
    levels = [0.0, 50.0, 100.0, 200.0, 400.0]
    pairs = [[sensor.expose(np.full(SHAPE, e, np.float32)).astype(float) for _ in range(2)] for e in levels]
    slope, start = np.polyfit(
        [(a + b).mean() / 2 - 100 for a, b in pairs], [(a - b).var() / 2 for a, b in pairs], 1
    )
    assert 1 / slope == pytest.approx(2.0, rel=0.02)
    assert start == pytest.approx((5.0 / 2.0) ** 2 + 1 / 12, rel=0.1)


def test_hot_pixels_stay_where_they_are_and_are_as_many_and_as_hot_as_stated():
    sensor = _sensor(hot_pixels=0.02, hot_electrons=1000.0, read_noise_electrons=0.0, electrons_per_count=1.0)
    dark = np.zeros(SHAPE, np.float32)
    one, two = sensor.expose(dark), sensor.expose(dark)
    assert (one > 150).mean() == pytest.approx(0.02 * np.exp(-0.05), rel=0.1)
    assert ((one > 150) == (two > 150)).mean() > 0.999
    assert (one[one > 100] - 100.0).mean() == pytest.approx(1000, rel=0.1)


def test_counts_end_at_sixteen_bits():
    assert (_sensor().expose(np.full(SHAPE, 1e6, np.float32)) == 65535).all()
    assert _sensor(offset_counts=0.0).expose(np.zeros(SHAPE, np.float32)).min() == 0


def _light(dark, **imaging):
    scene = dark(imaging=imaging)
    return scene, ExosomeLight(np.random.default_rng(1), scene)


def _spot(photons=1000.0, share=1.0, z_um=0.0, smear_px=0.0):
    places = PLACE + np.linspace(-smear_px, smear_px, 4)[:, None] * np.array([0.0, 1.0])
    return Sighting(Particle("docked", photons), places, "docked", share, z_um)


def _drawn(light, spot, shape=(64, 64)):
    image = np.zeros(shape, np.float32)
    light.add(image, [spot])
    return image.astype(float)


def _second_moments(image):
    y, x = np.mgrid[: image.shape[0], : image.shape[1]]
    total = image.sum()
    middle = np.array([(image * y).sum(), (image * x).sum()]) / total
    return middle, np.array(
        [(image * (y - middle[0]) ** 2).sum(), (image * (x - middle[1]) ** 2).sum()]
    ) / total


def test_the_light_of_a_spot_adds_up(dark):
    scene, light = _light(dark, shading=0.2)
    spot = _spot(photons=1000.0, share=0.7)
    without = light.background(np.zeros((64, 64), np.float32), np.zeros((64, 64), np.float32))
    image = without.copy()
    light.add(image, [spot])
    shade = without[30, 34] / (scene.camera.quantum_efficiency * scene.imaging.background_photons)
    assert abs(shade - 1) > 0.01
    assert (image - without).astype(float).sum() == pytest.approx(0.82 * 700 * shade, rel=0.005)
    assert light.electrons(spot) == pytest.approx(0.82 * 700 * shade, rel=1e-5)


def test_a_spot_is_centred_where_it_is_and_as_wide_as_the_psf(dark):
    _, light = _light(dark)
    middle, variance = _second_moments(_drawn(light, _spot()))
    np.testing.assert_allclose(middle, PLACE, atol=0.01)
    np.testing.assert_allclose(variance, (0.13 / 0.108) ** 2 + 1 / 12, rtol=0.03)


def test_a_spot_grows_out_of_focus_and_keeps_its_light(dark):
    _, light = _light(dark)
    sharp, blurred = _drawn(light, _spot()), _drawn(light, _spot(z_um=0.7))
    assert light.sigma_px(_spot(z_um=0.7)) == pytest.approx(0.13 / 0.108 * np.sqrt(1 + (0.7 / 0.35) ** 2))
    _, variance = _second_moments(blurred)
    np.testing.assert_allclose(variance, light.sigma_px(_spot(z_um=0.7)) ** 2 + 1 / 12, rtol=0.05)
    assert blurred.sum() == pytest.approx(sharp.sum(), rel=0.01)


def test_motion_in_the_exposure_smears_along_the_way(dark):
    _, light = _light(dark)
    _, still = _second_moments(_drawn(light, _spot()))
    _, moved = _second_moments(_drawn(light, _spot(smear_px=3.0)))
    assert moved[0] == pytest.approx(still[0], rel=0.01)
    assert moved[1] - still[1] == pytest.approx(np.var(np.linspace(-3, 3, 4)), rel=0.02)


def test_background_is_haze_glow_of_bodies_and_bleed(dark):
    scene = dark(imaging={"bleed": 0.1, "background_photons": 12.0}, cells={"autofluorescence_photons": 5.0})
    light = ExosomeLight(np.random.default_rng(0), scene)
    bodies = np.zeros((64, 64), np.float32)
    bodies[:, 32:] = 1
    photons = np.zeros((64, 64), np.float32)
    photons[32:] = 40
    image = light.background(bodies, photons)
    expected = {(5, 5): 12, (5, 60): 17, (60, 5): 16, (60, 60): 21}
    for place, value in expected.items():
        assert image[place] == pytest.approx(0.82 * value, rel=1e-4)


def test_haze_is_uneven_as_stated_and_drifts_on(dark):
    scene = dark(
        imaging={"haze": 0.25, "shape_px": (256, 256), "pixel_size_um": 1.0, "frame_interval_s": 20.0}
    )
    light = ExosomeLight(np.random.default_rng(0), scene)
    none = np.zeros((256, 256), np.float32)
    frames = np.stack([light.background(none, none) for _ in range(200)])
    assert frames.std() / frames.mean() == pytest.approx(0.25, rel=0.05)
    rest = frames - frames.mean()
    assert (rest[1:] * rest[:-1]).mean() / rest.var() == pytest.approx(np.exp(-1), abs=0.05)


def test_passing_vesicles_are_blurred_dim_and_as_many_as_stated(dark):
    facts = {"free_per_um2": 1.0, "free_focus_s": 0.01, "photons_gsd": 1.0, "photons_median": 500.0}
    scene = dark(imaging={"shape_px": (128, 128)}, exosomes=facts)
    light = ExosomeLight(np.random.default_rng(0), scene)
    image = np.zeros((128, 128), np.float32)
    rows = light.add_passing(image)
    expected = (128 * 0.108) ** 2
    assert abs(len(rows) - expected) < 4 * np.sqrt(expected)
    np.testing.assert_allclose(rows[:, 2], 0.82 * 500 * 0.01 / 0.05)
    np.testing.assert_allclose(rows[:, 3], np.sqrt(0.13**2 + 2 * 5 * 0.05 / 3) / 0.108)
    assert image.sum() == pytest.approx(rows[:, 2].sum(), rel=0.1)
