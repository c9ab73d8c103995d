import numpy as np

from exovision.exosomes.camera import Camera
from exovision.exosomes.spot_finder import SpotFinder
from exovision.numerics.peaks import MatchedFilter, stabilise
from exovision.numerics.psf import render
from exovision.numerics.ridges import over_ridge, ridge_light


def filtered(expected, seed=0):
    photons = np.random.default_rng(seed).poisson(expected).astype(np.float32)
    stable = np.empty_like(photons)
    stabilise(photons, 1.6, stable)
    filter_ = MatchedFilter(1.5, photons.shape)
    return filter_(stable), filter_


def membrane(crest):
    rows, columns = np.indices((100, 100))
    return 6 + crest * np.exp(-0.5 * ((rows - 50 - 0.414 * (columns - 50)) / 1.6) ** 2)


SPOT = render((100, 100), np.array([50.0]), np.array([50.0]), np.array([500.0]), 1.5)
PLACE = np.array([[50.0, 50.0]])


def light_of(expected):
    height, filter_ = filtered(expected)
    pixels = np.argwhere(height > 3)
    rise = over_ridge(height, pixels.astype(float), 1.5)
    return ridge_light(filter_.near, pixels, rise, 1.5, float(filter_.gain))


def test_a_spot_rises_above_the_ridge_that_it_lies_on_and_the_ridge_does_not():
    bare, _ = filtered(membrane(40))
    spotted, _ = filtered(membrane(40) + SPOT)
    assert bare[50, 50] > 10 and over_ridge(bare, PLACE, 1.5)[0, 0] < 4
    assert over_ridge(spotted, PLACE, 1.5)[0, 0] > 6


def test_spots_in_a_row_along_a_ridge_do_not_excuse_each_other():
    def rises(expected):
        finder = SpotFinder(Camera(0.0, 1.0, 1.6, True), sigma_px=1.5, threshold=5.0, shape=expected.shape)
        spots = finder.find(np.random.default_rng(0).poisson(expected).astype(np.float32)).spots
        return over_ridge(filtered(expected)[0], np.ascontiguousarray(spots[:, :2]), 1.5)[:, 0]

    lone = render((100, 100), np.array([50.0]), np.array([50.0]), np.array([2100.0]), 1.5) + 10
    assert rises(lone).max() > 10
    assert np.median(rises(membrane(40) + 4)) < 3


def test_a_lone_spot_loses_nothing_and_is_no_ridge():
    height, _ = filtered(6 + SPOT)
    rise, surest, _ = over_ridge(height, PLACE, 1.5)[0]
    assert rise > 0.8 * height[50, 50] and surest < 3
    assert not light_of(6 + SPOT).any()


def test_the_light_of_a_ridge_is_taken_without_the_spot_on_it():
    expected = membrane(40)
    light = light_of(expected + SPOT)
    crest = [light[round(50 + 0.414 * (x - 50)), x] for x in range(20, 80)]
    assert np.median(crest) > 20
    assert light[50, 50] < np.median(crest) + 10
    assert light[15, 15] < 2


def test_places_beyond_the_border_have_a_rise():
    height, _ = filtered(membrane(40))
    assert np.isfinite(over_ridge(height, np.array([[0.0, 0.0], [99.0, 99.0]]), 1.5)).all()
