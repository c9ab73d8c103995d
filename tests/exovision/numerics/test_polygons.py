import numpy as np
import pytest
from skimage.draw import polygon

from exovision.numerics.polygons import fill_polygon


@pytest.mark.parametrize("seed", range(20))
def test_the_pixels_inside_are_those_whose_centres_are(seed):
    rng = np.random.default_rng(seed)
    vertices = rng.normal(30, (6, 25)[seed % 2], (rng.integers(3, 30), 2))
    filled, expected = np.zeros((60, 70), dtype=np.int32), np.zeros((60, 70), dtype=np.int32)
    fill_polygon(filled, vertices, 4)
    expected[polygon(vertices[:, 0], vertices[:, 1], expected.shape)] = 4
    assert np.array_equal(filled, expected)


def test_what_lies_outside_the_polygon_stays():
    labels = np.full((20, 20), 9, dtype=np.int32)
    fill_polygon(labels, np.array([[4.5, 4.5], [4.5, 9.5], [9.5, 9.5], [9.5, 4.5]]), 2)
    assert (labels[5:10, 5:10] == 2).all() and (labels == 9).sum() == 400 - 25
