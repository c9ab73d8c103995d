import numpy as np
import pytest

from exovision.exosomes.camera import Camera
from exovision.exosomes.width import estimate_sigma_px

CAMERA = Camera(100.0, 0.46, 1.6, True)


@pytest.mark.parametrize("usual", [1.1, 1.5, 2.2])
def test_the_width_is_found_from_spots_whatever_the_start(usual, bright_spots):
    sigma, spots = estimate_sigma_px(bright_spots, CAMERA, usual)
    assert sigma == pytest.approx(1.5, rel=0.03)
    assert spots >= 10


def test_too_few_spots_give_no_width():
    images = np.random.default_rng(0).poisson(30, (2, 128, 128)).astype(np.float32) + 100
    assert estimate_sigma_px(images, CAMERA, 1.3) == (None, 0)
