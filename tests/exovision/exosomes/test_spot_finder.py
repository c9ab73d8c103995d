import numpy as np
import pytest

from exovision.exosomes.camera import Camera
from exovision.exosomes.spot_finder import SpotFinder
from exovision.numerics.psf import render
from exovision.numerics.spot_evidence import TOTAL_SE, Y_SE
from exovision.numerics.spot_fits import BACKGROUND, NO_RIDGE, RIDGE_ANGLE, TOTAL

CAMERA = Camera(0.0, 1.0, 1.6, True)


def found_in(expected, seed=0, **options):
    image = np.random.default_rng(seed).poisson(expected).astype(np.float32)
    return SpotFinder(CAMERA, sigma_px=1.5, threshold=5.0, shape=image.shape, **options).find(image)


def of_y_x(y, x, photons, shape=(80, 80), background=5):
    places = np.array(y, dtype=float), np.array(x, dtype=float)
    return render(shape, *places, np.array(photons, dtype=float), 1.5) + background


def test_two_spots_closer_than_a_peak_can_part_are_told_apart():
    x = np.array([38.0, 42.2])
    spots = found_in(of_y_x([40, 40], x, [4000, 2500])).spots
    assert len(spots) == 2
    order = np.argsort(spots[:, 1])
    assert np.abs(spots[order, 1] - x).max() < 0.15
    assert np.abs(spots[order, 2] / [4000, 2500] - 1).max() < 0.1


def test_a_pair_two_widths_apart_is_two_spots_and_a_lone_one_stays_one():
    parted = [found_in(of_y_x([40, 42.1], [40, 42.1], [900, 900]), seed) for seed in range(10)]
    assert sum(len(found.spots) == 2 for found in parted) >= 9
    lone = [found_in(of_y_x([40], [40], [1800]), seed) for seed in range(20)]
    assert sum(len(found.spots) == 1 for found in lone) >= 19


def test_spots_fitted_alone_are_one_where_peaks_merge():
    found = found_in(of_y_x([40, 42.1], [40, 42.1], [900, 900]), together=False)
    assert len(found.spots) == 1


def on_a_ridge(photons):
    rows, columns = np.indices((80, 80))
    across = np.cos(0.4) * (columns - 40.3) - np.sin(0.4) * (rows - 39.8)
    return of_y_x([39.8], [40.3], [photons], background=8 + 25 * np.exp(-0.5 * (across / 1.7) ** 2))


def test_a_spot_on_a_ridge_has_its_own_light_and_the_ridge_is_background():
    errors, lights = [], []
    for seed in range(12):
        found = found_in(on_a_ridge(500), seed)
        near = np.hypot(*(found.spots[:, :2] - [39.8, 40.3]).T)
        row = near.argmin()
        assert found.spots[row, RIDGE_ANGLE] != NO_RIDGE
        assert found.spots[row, BACKGROUND] == pytest.approx(33, abs=6)
        errors.append((found.spots[row, 0] - 39.8) / found.evidence[row, Y_SE])
        lights.append((found.spots[row, TOTAL] - 500) / found.evidence[row, TOTAL_SE])
    assert abs(np.mean(lights)) < 1 and np.std(lights) < 2
    assert np.sqrt(np.mean(np.square(errors))) < 2


def test_a_saturated_core_is_left_out_of_the_fit_and_said():
    image = of_y_x([30.2, 50], [29.7, 50], [8000, 500], shape=(60, 60), background=20)
    clipped = np.minimum(np.random.default_rng(1).poisson(image), 255).astype(np.float32)
    found = SpotFinder(CAMERA, sigma_px=1.5, threshold=5.0, shape=(60, 60)).find(clipped)
    assert np.abs(found.spots[0, :2] - [30.2, 29.7]).max() < 0.1
    assert abs(found.spots[0, 2] / 8000 - 1) < 0.1
    assert found.saturated.tolist() == [True] + [False] * (len(found.spots) - 1)
    assert len(found.spots) >= 2


def test_no_spot_lies_outside_the_picture():
    spots = found_in(of_y_x([-1.2, 30.0], [30.0, 60.9], [4000, 4000], shape=(60, 60))).spots
    assert ((spots[:, :2] >= -0.5) & (spots[:, :2] <= 59.5)).all()


def test_an_even_picture_holds_none():
    finder = SpotFinder(CAMERA, sigma_px=1.5, threshold=5, shape=(30, 30))
    assert len(finder.find(np.full((30, 30), 7, dtype=np.float32)).spots) == 0


def test_a_frame_gives_the_same_whatever_came_before_it():
    fresh = found_in(of_y_x([40, 42], [40, 42], [900, 900]), seed=3)
    image = np.random.default_rng(3).poisson(of_y_x([40, 42], [40, 42], [900, 900])).astype(np.float32)
    finder = SpotFinder(CAMERA, sigma_px=1.5, threshold=5.0, shape=(80, 80))
    finder.find(np.random.default_rng(4).poisson(on_a_ridge(900)).astype(np.float32))
    again = finder.find(image)
    assert np.array_equal(fresh.spots, again.spots) and np.array_equal(fresh.evidence, again.evidence)
