import numpy as np
import pytest

from exovision.exosomes.detection import Detector
from exovision.exosomes.probability import probability
from exovision.numerics.psf import render
from exovision.settings import CameraSettings, ExosomeSettings

CAMERA = CameraSettings(photons_per_count=1.0, offset_counts=0)


def likely(image, places, fits="together"):
    """Return the probability of the spot nearest to each place, 0 where none is within 3 px."""
    detector = Detector(ExosomeSettings(psf_sigma_um=0.15, fits=fits), CAMERA, pixel_size_um=0.1)
    image = np.random.default_rng(0).poisson(image).astype(np.float32)[None]
    detector.prepare(image)
    table = detector.detect(image, range(1))
    away = np.hypot(*(table[["y_px", "x_px"]].to_numpy()[:, None] - places).transpose(2, 0, 1))
    return np.where(away <= 3, table["probability"].to_numpy()[:, None], 0).max(axis=0, initial=0)


GRID = np.stack(np.meshgrid(np.arange(20, 200, 30), np.arange(20, 200, 30)), axis=-1).reshape(-1, 2) + 0.3


def spots(photons, sigma=1.5):
    return render((200, 200), *GRID.T, np.full(len(GRID), float(photons)), sigma) + 8


@pytest.mark.parametrize("fits", ["together", "alone"])
def test_clear_spots_are_likely_and_brighter_ones_likelier(fits):
    faint, clear = likely(spots(90), GRID, fits).mean(), likely(spots(500), GRID, fits).min()
    assert faint < clear and clear > 0.9


@pytest.mark.parametrize("fits", ["together", "alone"])
def test_spots_much_wider_than_the_psf_are_unlikely(fits):
    assert likely(spots(5000, sigma=4.0), GRID, fits).mean() < 0.2


def test_hot_pixels_are_unlikely():
    image = np.full((200, 200), 8.0)
    rows, columns = np.rint(GRID).astype(int).T
    image[rows, columns] += 120
    assert likely(image, GRID).mean() < 0.1


def test_a_bare_ridge_holds_few_likely_spots():
    rows, columns = np.indices((200, 200))
    ridge = 40 * np.exp(-0.5 * ((rows - 100 - 0.414 * (columns - 100)) / 1.6) ** 2)
    along = np.arange(5, 195, 6)
    places = np.column_stack([100 + 0.414 * (along - 100), along])
    assert likely(ridge + 10, places).mean() < 0.2


def test_coefficients_change_what_is_made_of_the_word_of_the_network():
    logit, ratio, se = np.array([1.0, 1.0]), np.array([1.0, 3.0]), np.array([0.05, 0.05])
    plain = probability(logit, ratio, se, coefficients=(0.0, 1.0, 0.0, 0.0))
    assert plain == pytest.approx(1 / (1 + np.exp(-logit)))
    wide = probability(logit, ratio, se, coefficients=(0.0, 1.0, 0.0, -40.0))
    assert wide[0] > 0.5 > 0.01 > wide[1]
