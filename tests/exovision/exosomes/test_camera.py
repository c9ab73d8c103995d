import numpy as np
import pytest

from exovision.errors import InputError
from exovision.exosomes.camera import estimate_camera
from exovision.settings import CameraSettings


def uneven(frames, seed=0):
    rng = np.random.default_rng(seed)
    expected = np.linspace(5, 80, 256)[None, None, :] * np.ones((frames, 256, 1))
    return ((rng.poisson(expected) + 1.6 * rng.standard_normal(expected.shape)) / 0.46 + 100).astype(
        np.float32
    )


def test_gain_and_offset_are_found_where_the_background_rises():
    camera = estimate_camera(uneven(8), CameraSettings())
    assert camera.photons_per_count == pytest.approx(0.46, rel=0.1)
    assert camera.offset_counts == pytest.approx(100, abs=8)
    assert not camera.gain_known and camera.notes == ()


def test_given_values_are_kept():
    camera = estimate_camera(uneven(2), CameraSettings(photons_per_count=0.5, offset_counts=90))
    assert (camera.photons_per_count, camera.offset_counts, camera.gain_known) == (0.5, 90, True)
    assert camera.to_photons(np.array([[100.0]], dtype=np.float32)) == pytest.approx(5)


def test_an_even_background_is_noted():
    rng = np.random.default_rng(3)
    images = (rng.poisson(10, (4, 128, 128)) / 0.46 + 100).astype(np.float32)
    camera = estimate_camera(images, CameraSettings())
    assert "assumed" in camera.notes[0]
    assert np.isfinite([camera.offset_counts, camera.photons_per_count]).all()


@pytest.mark.parametrize("images", [np.zeros((4, 4)), np.zeros((0, 4, 4))])
def test_anything_but_a_stack_is_refused(images):
    with pytest.raises(InputError, match=r"\(N, Y, X\)"):
        estimate_camera(images.astype(np.float32), CameraSettings())
