import numpy as np
import pytest

from exovision.exosomes.brightness import measure_at_spots
from exovision.numerics.psf import render


def test_the_light_of_another_channel_is_measured_above_its_background():
    places = np.array([[20.3, 18.6], [40.0, 44.2]])
    image = render((64, 64), places[:, 0], places[:, 1], np.array([500.0, 1200.0]), 1.3) + np.float32(50)
    found = measure_at_spots(image, places, 1.3)
    assert found == pytest.approx([500, 1200], rel=0.06)
    assert measure_at_spots(image, np.array([[30.0, 10.0]]), 1.3)[0] == pytest.approx(0, abs=2)


def test_nothing_is_said_of_a_spot_that_leaves_the_image():
    image = np.zeros((32, 32), dtype=np.float32)
    assert np.isnan(measure_at_spots(image, np.array([[0.0, 16.0]]), 1.3)[0])
    assert measure_at_spots(image, np.empty((0, 2)), 1.3).shape == (0,)
