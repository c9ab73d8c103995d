import numpy as np
import pytest

from exovision.correction.drift import DriftEstimator
from exovision.numerics.psf import render


def movie(frames=24, seed=0):
    """Glass-fixed spots on a drifting stage, with spots and a bright cell that move on their own."""
    rng = np.random.default_rng(seed)
    path = np.stack([0.13 * np.arange(frames), 1.5 * np.sin(np.arange(frames) / 7)], axis=1)
    fixed, loose = rng.uniform(-10, 200, (80, 2)), rng.uniform(0, 192, (15, 2))
    rows, columns = np.indices((192, 192))
    images = []
    for t in range(frames):
        loose = loose + rng.normal(0, 1.0, loose.shape)
        spots = np.concatenate([fixed + path[t], loose])
        image = render((192, 192), *spots.T, np.full(len(spots), 700.0), 1.3) + 10
        cell = np.hypot(rows - 90 - path[t, 0] - 0.4 * t, columns - 70 - path[t, 1])
        image += 15 / (1 + np.exp((cell - 30) / 2))
        images.append(rng.poisson(image).astype(np.float32))
    return images, path - path[0]


def test_a_sub_pixel_path_is_recovered_although_cells_and_spots_move():
    images, path = movie()
    estimator = DriftEstimator()
    returned = [estimator.update(image, frame) for frame, image in enumerate(images)]
    assert np.sqrt(((estimator.drift_px - path) ** 2).mean()) < 0.1
    assert np.array_equal(returned, estimator.drift_px)
    assert estimator.quality.min() > 0.1 and not estimator.notes


def test_without_drift_there_is_none():
    estimator = DriftEstimator()
    image = movie(1)[0][0]
    for frame in range(3):
        estimator.update(image, frame)
    assert np.array_equal(estimator.drift_px, np.zeros((3, 2)))


@pytest.mark.parametrize("nothing", [None, np.full((192, 192), 7, dtype=np.float32)])
def test_a_frame_without_an_image_keeps_the_drift_before_it(nothing):
    images, _ = movie(3)
    estimator = DriftEstimator()
    for frame, image in enumerate([*images, nothing]):
        estimator.update(image, frame)
    assert np.array_equal(estimator.drift_px[3], estimator.drift_px[2])
    assert estimator.quality[3] == 0


def test_a_frame_that_shows_something_else_is_noted_and_keeps_the_drift():
    images, _ = movie(2)
    estimator = DriftEstimator()
    other = np.random.default_rng(9).normal(10, 1, (192, 192)).astype(np.float32)
    for frame, image in enumerate([*images, other]):
        estimator.update(image, frame)
    assert np.array_equal(estimator.drift_px[2], estimator.drift_px[1])
    assert "frame 2" in estimator.notes[0]
