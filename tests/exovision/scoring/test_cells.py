import numpy as np
import pytest

from exovision.errors import InputError
from exovision.scoring.cells import cells_score, overlaps


def square(*boxes, shape=(60, 60)):
    """Labels of squares given as (y, x, edge), numbered from 1."""
    image = np.zeros(shape, dtype=np.int32)
    for cell, (y, x, edge) in enumerate(boxes, start=1):
        image[y : y + edge, x : x + edge] = cell
    return image


def disk(radius, *, at=30, size=60):
    y, x = np.indices((size, size))
    return (np.hypot(y - at, x - at) <= radius).astype(np.int32)


def test_precision_is_hits_over_all_cells_of_either_side():
    truth = square((2, 2, 10), (2, 30, 10), (30, 2, 10))
    result = square((2, 2, 10), (2, 30, 10), (45, 45, 10))
    assert cells_score(result, truth)["cells.ap50"].value == pytest.approx(2 / 4)


def test_precision_is_averaged_over_frames_and_skips_empty_ones():
    one, three = square((2, 2, 10)), square((2, 2, 10), (2, 30, 10), (30, 2, 10))
    empty = np.zeros_like(one)
    scores = cells_score(np.stack([one, one, empty]), np.stack([one, three, empty]))
    assert scores["cells.ap50"].value == pytest.approx((1 + 1 / 3) / 2)
    assert scores["cells.ap50"].n == 2


@pytest.mark.parametrize(
    ("kept", "levels"), [(90, (1, 1, 1)), (80, (1, 1, 0)), (60, (1, 0, 0)), (40, (0, 0, 0))]
)
def test_a_cell_is_found_at_the_levels_that_its_overlap_reaches(kept, levels):
    truth = np.zeros((12, 110), dtype=np.int32)
    truth[1:11, 5:105] = 1
    result = truth.copy()
    result[:, 5 + kept :] = 0
    scores = cells_score(result, truth)
    assert tuple(int(scores[f"cells.ap{level}"].value) for level in (50, 75, 90)) == levels


def test_overlaps_are_intersection_over_union():
    table, n_truth, n_result = overlaps(square((0, 5, 10)), square((0, 0, 10)))
    assert table["iou"].to_list() == [pytest.approx(50 / 150)]
    assert (n_truth, n_result) == (1, 1)


@pytest.mark.parametrize("radius", [15.5, 16, 17, 18.1])
def test_the_boundary_error_is_the_distance_of_the_outlines_in_micrometres(radius):
    truth, result = disk(15), disk(radius)
    apart = np.sqrt(result.sum() / np.pi) - np.sqrt(truth.sum() / np.pi)
    error = cells_score(result, truth, pixel_size_um=0.5)["cells.boundary_mean_um"].value
    assert error == pytest.approx(0.5 * apart, rel=0.06)
    assert cells_score(truth, truth, pixel_size_um=0.5)["cells.boundary_mean_um"].value == 0.0


def test_the_image_border_is_no_outline():
    truth, result = (np.zeros((40, 40), dtype=np.int32) for _ in range(2))
    truth[:, :20], result[:, :23] = 1, 1
    assert cells_score(result, truth)["cells.boundary_mean_px"].value == pytest.approx(3.0, abs=0.01)


def test_a_result_that_renames_a_cell_is_unstable():
    truth = np.stack([square((2, 2, 10), (30, 30, 10))] * 5)
    result = truth.copy()
    result[3:][truth[3:] == 1] = 7
    scores = cells_score(result, truth)
    assert scores["cells.ap50"].value == 1.0
    assert scores["cells.id_stability"].value == pytest.approx(7 / 8)


@pytest.mark.parametrize("shape", [(2, 8, 8), (3, 8, 9)])
def test_stacks_that_do_not_fit_are_refused_in_one_line(shape):
    with pytest.raises(InputError, match="must") as error:
        cells_score(np.zeros(shape, dtype=np.int32), np.zeros((3, 8, 8), dtype=np.int32))
    assert "\n" not in str(error.value)


def test_no_cells_anywhere_give_a_reason_not_a_number():
    assert cells_score(disk(0) * 0, disk(0) * 0)["cells.ap50"] == "there are no frames with cells"
