import numpy as np

from exovision.exosomes.camera import Camera
from exovision.exosomes.spot_finder import find_spots
from exovision.numerics.psf import render
from exovision.numerics.spot_evidence import OVER_RIDGE

CAMERA = Camera(0.0, 1.0, 1.6, True)


def found_in(expected, seed=0):
    image = np.random.default_rng(seed).poisson(expected).astype(np.float32)
    return find_spots(image, CAMERA, sigma_px=1.5, threshold=5.0)


def test_two_spots_closer_than_a_peak_can_part_are_told_apart():
    y, x = np.array([40.0, 40]), np.array([38.0, 42.2])
    spots = found_in(render((80, 80), y, x, np.array([4000.0, 2500]), 1.5) + 5).spots
    assert len(spots) == 2
    order = np.argsort(spots[:, 1])
    assert np.abs(spots[order, 1] - x).max() < 0.15
    assert np.abs(spots[order, 2] / [4000, 2500] - 1).max() < 0.1


def test_spots_in_a_row_along_a_ridge_do_not_excuse_each_other():
    rows, columns = np.indices((100, 100))
    ridge = 40 * np.exp(-0.5 * ((rows - 50 - 0.414 * (columns - 50)) / 1.6) ** 2)
    evidence = found_in(ridge + 10).evidence
    lone = found_in(render((100, 100), np.array([50.0]), np.array([50.0]), np.array([2100.0]), 1.5) + 10)
    assert lone.evidence[0, OVER_RIDGE] > 10
    assert np.median(evidence[:, OVER_RIDGE]) < 3


def test_a_saturated_core_is_left_out_of_the_fit():
    image = render((60, 60), np.array([30.2]), np.array([29.7]), np.array([8000.0]), 1.5) + 20
    clipped = np.minimum(np.random.default_rng(1).poisson(image), 255).astype(np.float32)
    spot = find_spots(clipped, CAMERA, sigma_px=1.5, threshold=5.0).spots[0]
    assert np.abs(spot[:2] - [30.2, 29.7]).max() < 0.1
    assert abs(spot[2] / 8000 - 1) < 0.1


def test_no_spot_lies_outside_the_picture():
    y, x = np.array([-1.2, 30.0]), np.array([30.0, 60.9])
    spots = found_in(render((60, 60), y, x, np.array([4000.0, 4000]), 1.5) + 5).spots
    assert ((spots[:, :2] >= -0.5) & (spots[:, :2] <= 59.5)).all()


def test_an_even_picture_holds_none():
    assert (
        len(find_spots(np.full((30, 30), 7, dtype=np.float32), CAMERA, sigma_px=1.5, threshold=5).spots) == 0
    )
