import numpy as np
import pytest

from exovision.exosomes.camera import Camera
from exovision.exosomes.halo import estimate_halo, rises_above_halo
from exovision.numerics.psf import render

CAMERA = Camera(0.0, 1.0, 1.6, True)


def ringed(strength):
    rng = np.random.default_rng(2)
    y, x = (
        part.ravel() + rng.uniform(-0.5, 0.5, 49) for part in np.mgrid[30:271:40, 30:271:40].astype(float)
    )
    image = render((300, 300), y, x, np.full(49, 20000.0), 1.2) + 10
    rows, columns = np.indices(image.shape)
    for at in zip(y, x):
        distance = np.hypot(rows - at[0], columns - at[1])
        image += strength * 20000 / (2 * np.pi * 1.2**2) * np.exp(-0.5 * ((distance - 4) / 0.7) ** 2)
    return rng.poisson(image).astype(np.float32)[None]


def test_a_diffraction_ring_is_measured():
    halo = estimate_halo(ringed(0.1), CAMERA, 1.2)
    assert halo.argmax() == 4
    assert halo[4] == pytest.approx(0.1, rel=0.25)


def test_gaussian_spots_have_no_halo():
    assert len(estimate_halo(ringed(0.0), CAMERA, 1.2)) == 0


def test_what_a_brighter_spot_explains_is_no_spot_and_explains_nothing_itself():
    halo = np.array([0, 0, 0, 0.1, 0.05, 0, 0])
    places = np.array([[10.0, 10], [10, 13], [10, 16], [30, 30], [10, 7]])
    heights = np.array([100.0, 30, 8, 8, 70])
    assert rises_above_halo(places, heights, halo).tolist() == [True, False, True, True, True]
