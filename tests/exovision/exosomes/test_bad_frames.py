import numpy as np
import pytest

from exovision.exosomes.detection import Detector
from exovision.settings import CameraSettings, ExosomeSettings
from exovision.simulation.scene import Camera
from exovision.simulation.spot_frames import SpotConditions, add, spot_frames

SETTINGS = ExosomeSettings(psf_sigma_um=0.15)


def table_of(images, settings=SETTINGS):
    detector = Detector(
        settings, CameraSettings(photons_per_count=0.46, offset_counts=100), pixel_size_um=0.1
    )
    detector.prepare(images)
    table = detector.detect(images, range(len(images)))
    numbers = table.drop(columns="flags").to_numpy(dtype=float)
    assert np.isfinite(numbers).all()
    return table


def frames(count=1, **conditions):
    made = spot_frames(SpotConditions(shape_px=(128, 128), **({"spots": 20} | conditions)), count, seed=9)
    return made.images.astype(np.float32)


def flagged(table, word):
    return table["flags"].str.contains(word).fillna(False).to_numpy(dtype=bool)


def expose(light, seed=0):
    rng = np.random.default_rng(seed)
    return np.round(rng.poisson(light) / 0.46 + 100).astype(np.float32)


def test_saturated_spots_are_found_and_flagged():
    light = np.full((96, 96), 6.0, dtype=np.float32)
    for y, x in ((20.3, 20.1), (60.2, 70.4)):
        add(light, y, x, 60000.0, 1.5)
    add(light, 70.0, 20.0, 900.0, 1.5)
    table = table_of(np.minimum(expose(light), 4095)[None])
    bright = table[table["counts"] > 50000]
    assert len(bright) == 2 and flagged(bright, "saturated").all()
    dim = table[np.hypot(table["y_px"] - 70, table["x_px"] - 20) < 2]
    assert len(dim) == 1 and not flagged(dim, "saturated").any()


def test_hot_pixels_are_not_called_exosomes():
    images = frames(2, spots=0, camera=Camera(hot_pixels=1e-3))
    table = table_of(images)
    assert (table["probability"] >= 0.5).sum() <= 1


def test_stripes_are_not_called_exosomes():
    light = np.full((128, 128), 8.0, dtype=np.float32)
    light[:, ::9] += 12
    light[40] += 30
    table = table_of(expose(light)[None])
    assert (table["probability"] >= 0.5).sum() <= 6


@pytest.mark.parametrize("level", [0, 100, 65535])
def test_constant_frames_hold_nothing(level):
    assert table_of(np.full((2, 64, 64), level, dtype=np.float32)).empty


def test_spots_at_the_border_are_found_inside_the_picture_and_flagged():
    light = np.full((64, 64), 6.0, dtype=np.float32)
    for y, x in ((0.2, 30.0), (63.0, 12.0), (32.0, 32.0), (0.0, 63.0)):
        add(light, y, x, 2500.0, 1.5)
    table = table_of(expose(light)[None])
    near = table[flagged(table, "border")]
    assert len(near) >= 3
    assert (
        table[["y_px", "x_px"]].to_numpy().min() >= -0.5 and table[["y_px", "x_px"]].to_numpy().max() <= 63.5
    )
    middle = table[np.hypot(table["y_px"] - 32, table["x_px"] - 32) < 1]
    assert len(middle) == 1 and middle["flags"].isna().all()


def test_spots_wider_than_the_psf_are_measured_and_flagged():
    light = np.full((96, 96), 6.0, dtype=np.float32)
    add(light, 30.0, 30.0, 4000.0, 2.3)
    add(light, 70.0, 70.0, 2000.0, 1.5)
    detector = Detector(
        SETTINGS, CameraSettings(photons_per_count=0.46, offset_counts=100), pixel_size_um=0.1
    )
    image = expose(light)[None]
    detector.prepare(image)
    finder_table = detector.detect(image, range(1))
    wide = finder_table[np.hypot(finder_table["y_px"] - 30, finder_table["x_px"] - 30) < 3]
    assert wide.empty or flagged(wide, "wide").all()
    right = finder_table[np.hypot(finder_table["y_px"] - 70, finder_table["x_px"] - 70) < 1]
    assert len(right) == 1 and not flagged(right, "wide").any()


def test_a_movie_of_one_frame_is_enough():
    assert (table_of(frames(1))["probability"] >= 0.5).sum() >= 18


@pytest.mark.parametrize("shape", [(1, 1), (3, 40), (9, 9)])
def test_tiny_frames_do_no_harm(shape):
    table_of(np.random.default_rng(0).poisson(30, (1, *shape)).astype(np.float32))


def test_ten_thousand_spots_in_a_frame_are_worked_through():
    conditions = SpotConditions(shape_px=(512, 512), spots=10_000, snr=7.0)
    table = table_of(spot_frames(conditions, 1, seed=2).images.astype(np.float32))
    assert len(table) > 4000


@pytest.mark.parametrize("fits", ["together", "alone"])
def test_chunks_do_not_matter(fits):
    images = frames(3, spots=60, membranes=2, snr=3.0)
    settings = SETTINGS.model_copy(update={"fits": fits})
    whole = table_of(images, settings)
    detector = Detector(
        settings, CameraSettings(photons_per_count=0.46, offset_counts=100), pixel_size_um=0.1
    )
    detector.prepare(images)
    for frame in (2, 0, 1):
        part = detector.detect(images[frame : frame + 1], range(frame, frame + 1))
        assert part.equals(whole[whole["frame"] == frame].reset_index(drop=True))
