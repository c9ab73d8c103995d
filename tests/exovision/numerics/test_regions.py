import numpy as np
import pytest
from scipy.ndimage import gaussian_filter
from skimage.measure import regionprops_table

from exovision.numerics.regions import find_regions, mean_by_region, measure_shapes

PROPERTIES = ("label", "bbox", "centroid", "area", "perimeter", "eccentricity", "solidity", "intensity_mean")


def ragged(seed):
    """Regions of any shape, in several parts and with holes, some at the border."""
    rng = np.random.default_rng(seed)
    field = gaussian_filter(rng.random((47, 61)), (0.3, 1.0, 3.0)[seed % 3])
    return np.digitize(field, np.quantile(field, [0.2, 0.5, 0.9])).astype(np.int32) * 3


def measured(labels, image):
    regions = find_regions(labels)
    shapes = measure_shapes(labels, regions)
    return {
        "label": regions.ids,
        "area": regions.area_px,
        **{f"bbox-{k}": regions.boxes[:, k] for k in range(4)},
        **{f"centroid-{k}": regions.centre_px[:, k] for k in range(2)},
        "perimeter": shapes.perimeter_px,
        "eccentricity": shapes.eccentricity,
        "solidity": shapes.solidity,
        "intensity_mean": mean_by_region(labels, image, regions),
    }


@pytest.mark.parametrize("seed", range(12))
def test_every_number_is_that_of_regionprops(seed):
    labels = ragged(seed)
    image = np.random.default_rng(seed).random(labels.shape).astype(np.float32)
    expected = regionprops_table(labels, image, properties=PROPERTIES)
    found = measured(labels, image)
    assert set(found) == set(expected)
    for name, values in expected.items():
        assert found[name] == pytest.approx(values, rel=1e-6, abs=1e-9), name


@pytest.mark.parametrize("shape", [(1, 1), (1, 9), (9, 1), (2, 2)])
def test_lines_and_single_pixels_have_shapes_too(shape):
    labels = np.zeros((12, 13), dtype=np.int32)
    labels[2 : 2 + shape[0], 3 : 3 + shape[1]] = 7
    shapes = measure_shapes(labels, find_regions(labels))
    expected = regionprops_table(labels, properties=("perimeter", "eccentricity", "solidity"))
    assert shapes.perimeter_px == pytest.approx(expected["perimeter"])
    assert shapes.eccentricity == pytest.approx(expected["eccentricity"])
    assert shapes.solidity == pytest.approx(1)


def test_an_image_without_regions_has_none():
    labels = np.zeros((8, 9), dtype=np.int32)
    regions = find_regions(labels)
    assert regions.ids.size == 0 and regions.boxes.shape == (0, 4)
    assert measure_shapes(labels, regions).solidity.size == 0
