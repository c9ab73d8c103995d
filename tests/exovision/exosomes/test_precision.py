import pandas as pd
import pytest

from exovision.exosomes.camera import Camera
from exovision.exosomes.precision import precision_reached
from exovision.numerics.psf import localisation_bound_px

CAMERA = Camera(100.0, 0.5, 1.6, True)


def test_stated_errors_are_compared_with_the_bound_of_the_same_light():
    bound = localisation_bound_px(400, sigma_px=1.5, background=6, read_noise=1.6)
    row = {"y_se_px": 1.2 * bound, "x_se_px": 1.2 * bound, "counts": 800.0, "background": 12.0}
    spots = pd.DataFrame([row | {"probability": p} for p in (0.9, 0.8, 0.1)])
    found = precision_reached(spots, CAMERA, sigma_px=1.5, pixel_size_um=0.1)
    assert found["spots"] == 2
    assert found["over_bound"] == pytest.approx(1.2)
    assert found["bound_um"] == pytest.approx(0.1 * bound)


def test_without_likely_spots_there_is_none():
    none = pd.DataFrame(columns=["y_se_px", "x_se_px", "counts", "background", "probability"], dtype=float)
    assert precision_reached(none, CAMERA, sigma_px=1.5, pixel_size_um=0.1)["over_bound"] is None
