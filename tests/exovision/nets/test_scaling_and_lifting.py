import numpy as np
import pytest

from exovision.nets.lifting import lift
from exovision.nets.scaling import has_contrast, measure_diameter_px, normalise, resize


def disc(shape, y, x, radius):
    rows, columns = np.indices(shape)
    return np.clip(radius + 0.5 - np.hypot(rows - y, columns - x), 0, 1).astype(np.float32)


def test_the_diameter_is_the_median_of_whole_cells():
    labels = np.zeros((100, 200), dtype=np.int32)
    for index, (x, radius) in enumerate([(40, 10), (80, 15), (130, 20), (199, 18)]):
        labels[disc((100, 200), 50, x, radius) > 0.5] = index + 1
    assert measure_diameter_px(labels) == pytest.approx(30, abs=0.5)
    assert measure_diameter_px(np.where(labels == 4, 4, 0)) > 0
    assert measure_diameter_px(np.zeros((9, 9), dtype=np.int32)) == 0


def test_brightness_is_normalised_whatever_gain_and_offset():
    image = np.random.default_rng(0).gamma(2, 50, (80, 80)).astype(np.float32)
    normal = normalise(image)
    assert np.percentile(normal, [1, 99.8]) == pytest.approx([0, 1], abs=1e-4)
    assert normalise(3 * image + 100) == pytest.approx(normal, abs=1e-3)
    assert not normalise(np.full((8, 8), 5, dtype=np.float32)).any()
    assert has_contrast(image) and not has_contrast(np.full((8, 8), 5, dtype=np.float32))


@pytest.mark.parametrize("shape", [(40, 60), (160, 240)])
def test_resizing_keeps_the_mean_and_the_place(shape):
    image = disc((80, 120), 30, 70, 12)
    small = resize(image, shape)
    assert small.shape == shape and small.mean() == pytest.approx(image.mean(), rel=0.02)
    rows, columns = np.indices(shape)
    factor = shape[0] / 80
    centre = [(rows * small).sum() / small.sum(), (columns * small).sum() / small.sum()]
    assert (np.array(centre) + 0.5) / factor - 0.5 == pytest.approx([30, 70], abs=0.05)


def test_lifted_outlines_lie_where_half_of_a_pixel_is_cell():
    small = (disc((64, 64), 20.2, 21.7, 9.3), disc((64, 64), 45, 44, 8))
    labels = np.where(small[0] > 0.5, 3, np.where(small[1] > 0.5, 7, 0)).astype(np.int32)
    lifted = lift(labels, np.maximum(*small), (256, 256))
    rows, columns = np.indices((256, 256))
    assert set(np.unique(lifted)) == {0, 3, 7}
    truth = np.hypot(rows - (4 * 20.7 - 0.5), columns - (4 * 22.2 - 0.5)) <= 4 * 9.3
    found = lifted == 3
    assert (truth & found).sum() / (truth | found).sum() > 0.96
    assert found.sum() == pytest.approx(truth.sum(), rel=0.03)


def test_the_same_scale_changes_next_to_nothing():
    share = disc((64, 64), 30, 30, 15)
    labels = (share > 0.5).astype(np.int32)
    assert (lift(labels, share, (64, 64)) != labels).mean() < 0.005
