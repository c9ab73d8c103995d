import numpy as np
import pytest

from exovision.exosomes.camera import Camera
from exovision.exosomes.spot_finder import SpotFinder
from exovision.numerics.psf import render
from exovision.numerics.spot_evidence import TOTAL_SE, WIDTH, X_SE, Y_SE
from exovision.numerics.spot_fits import BACKGROUND, TOTAL

CAMERA = Camera(0.0, 1.0, 1.6, True)


NOWHERE = np.empty((0, 2))


def found_in(expected, seed=0, wanted=NOWHERE, threshold=5.0, **options):
    image = np.random.default_rng(seed).poisson(expected).astype(np.float32)
    finder = SpotFinder(CAMERA, sigma_px=1.5, threshold=threshold, shape=image.shape, **options)
    return finder.find(image, wanted)


def of_y_x(y, x, photons, shape=(80, 80), background=5):
    places = np.array(y, dtype=float), np.array(x, dtype=float)
    return render(shape, *places, np.array(photons, dtype=float), 1.5) + background


def ridge(crest, shape=(80, 80)):
    rows, columns = np.indices(shape)
    across = np.cos(0.4) * (columns - 40.3) - np.sin(0.4) * (rows - 39.8)
    return crest * np.exp(-0.5 * (across / 1.7) ** 2)


def test_two_spots_closer_than_a_peak_can_part_are_told_apart():
    x = np.array([38.0, 42.2])
    spots = found_in(of_y_x([40, 40], x, [4000, 2500])).spots
    assert len(spots) == 2
    order = np.argsort(spots[:, 1])
    assert np.abs(spots[order, 1] - x).max() < 0.15
    assert np.abs(spots[order, 2] / [4000, 2500] - 1).max() < 0.1


def test_a_lone_spot_stays_one():
    lone = [found_in(of_y_x([40], [40], [1800]), seed).spots for seed in range(20)]
    near = [(np.abs(spots[:, :2] - 40).max(axis=1) < 8).sum() for spots in lone]
    assert sum(count == 1 for count in near) >= 19


def test_what_a_brighter_neighbour_hides_is_found_only_together():
    image = of_y_x([40, 40], [40, 44.2], [6000, 900])
    assert len(found_in(image, together=False).spots) == 1
    assert len(found_in(image).spots) == 2


def test_a_spot_on_a_ridge_has_nearly_its_own_width_and_the_ridge_is_background():
    seen = []
    for seed in range(12):
        found = found_in(of_y_x([39.8], [40.3], [900], background=8 + ridge(25)), seed)
        away = np.hypot(found.spots[:, 0] - 39.8, found.spots[:, 1] - 40.3)
        best = away.argmin()
        seen.append([away[best], found.spots[best, BACKGROUND], found.evidence[best, WIDTH]])
    away, level, width = np.median(seen, axis=0)
    assert away < 0.35
    assert level == pytest.approx(33, abs=8)
    assert width == pytest.approx(1.5, abs=0.2)


def test_errors_are_those_that_the_fit_states():
    z = []
    for seed in range(60):
        found = found_in(of_y_x([39.8], [40.3], [900]), seed)
        nearest = np.hypot(found.spots[:, 0] - 39.8, found.spots[:, 1] - 40.3).argmin()
        spot, evidence = found.spots[nearest], found.evidence[nearest]
        z.append((spot[[0, 1, TOTAL]] - [39.8, 40.3, 900]) / evidence[[Y_SE, X_SE, TOTAL_SE]])
    assert np.sqrt(np.mean(np.square(z), axis=0)) == pytest.approx(np.ones(3), abs=0.3)


def test_peaks_that_are_all_judged_noise_are_left_out():
    image = of_y_x([20, 60], [20, 60], [3000, 3000])
    none = found_in(image, judge=lambda found: np.zeros(len(found.spots)))
    both = found_in(image, judge=lambda found: np.ones(len(found.spots)))
    assert len(none.spots) == 0 and len(both.spots) == len(both.promise) == 2


def test_a_spot_is_fitted_where_one_is_wanted_however_it_is_judged():
    image, wanted = of_y_x([20], [20], [300]), np.array([[20.0, 20.0]])
    options = {"threshold": 30.0, "judge": lambda found: np.zeros(len(found.spots))}
    assert len(found_in(image, **options).spots) == 0
    found = found_in(image, wanted=wanted, **options)
    assert len(found.spots) == 1 and np.abs(found.spots[0, :2] - 20).max() < 1


def test_a_saturated_core_is_left_out_of_the_fit():
    image = render((60, 60), np.array([30.2]), np.array([29.7]), np.array([8000.0]), 1.5) + 20
    clipped = np.minimum(np.random.default_rng(1).poisson(image), 255).astype(np.float32)
    spot = SpotFinder(CAMERA, sigma_px=1.5, threshold=5.0, shape=(60, 60)).find(clipped).spots[0]
    assert np.abs(spot[:2] - [30.2, 29.7]).max() < 0.1
    assert abs(spot[2] / 8000 - 1) < 0.1


def test_no_spot_lies_outside_the_picture():
    spots = found_in(of_y_x([-1.2, 30.0], [30.0, 60.9], [4000, 4000], shape=(60, 60))).spots
    assert ((spots[:, :2] >= -0.5) & (spots[:, :2] <= 59.5)).all()


@pytest.mark.parametrize("together", [True, False])
def test_an_even_picture_holds_none(together):
    finder = SpotFinder(CAMERA, sigma_px=1.5, threshold=5, shape=(30, 30), together=together)
    found = finder.find(np.full((30, 30), 7, dtype=np.float32))
    assert len(found.spots) == 0 and found.together == together


def test_a_frame_gives_the_same_whatever_came_before_it():
    expected = of_y_x([40, 42], [40, 42], [900, 900])
    fresh = found_in(expected, seed=3)
    finder = SpotFinder(CAMERA, sigma_px=1.5, threshold=5.0, shape=(80, 80))
    finder.find(np.random.default_rng(4).poisson(expected + ridge(40)).astype(np.float32))
    again = finder.find(np.random.default_rng(3).poisson(expected).astype(np.float32))
    assert np.array_equal(fresh.spots, again.spots) and np.array_equal(fresh.looks, again.looks)
