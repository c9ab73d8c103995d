import numpy as np
import pytest

from exovision.nets.scaling import measure_diameter_px
from exovision.simulation.training_frames import training_frame


@pytest.fixture(scope="module")
def frames():
    return [training_frame(np.random.default_rng(seed), (128, 128)) for seed in range(60)]


def test_the_same_generator_gives_the_same_frame(frames):
    image, labels = training_frame(np.random.default_rng(0), (128, 128))
    assert image.tobytes() == frames[0][0].tobytes() and labels.tobytes() == frames[0][1].tobytes()
    assert image.tobytes() != frames[1][0].tobytes()


def test_frames_are_finite_pictures_with_contrast_and_labels_from_one_on(frames):
    for image, labels in frames:
        assert image.shape == labels.shape == (128, 128)
        assert image.dtype == np.float32 and labels.dtype == np.int32
        assert np.isfinite(image).all() and image.std() > 0
        ids = np.unique(labels)
        assert set(ids) | {0} == set(range(ids.max() + 1))


def test_sizes_and_numbers_of_cells_vary_and_some_frames_hold_none(frames):
    diameters = [measure_diameter_px(labels) for _, labels in frames if labels.any()]
    assert min(diameters) < 25 and max(diameters) > 60
    assert 0 < sum(not labels.any() for _, labels in frames) < 12


def test_cells_look_different_from_their_surroundings(frames):
    differences = []
    for image, labels in frames:
        if labels.any() and not labels.all():
            inside, outside = image[labels > 0], image[labels == 0]
            differences.append(abs(np.median(inside) - np.median(outside)) / image.std())
    assert np.median(differences) > 0.5
