import numpy as np
import pytest

from exovision.numerics.contours import smooth_closed, trace_regions


def area(points):
    following = np.roll(points, -1, axis=0)
    return 0.5 * (points[:, 1] * following[:, 0] - following[:, 1] * points[:, 0]).sum()


def test_a_rectangle_is_traced_along_its_cracks_from_x_towards_y():
    labels = np.zeros((9, 12), dtype=np.int32)
    labels[2:6, 3:10] = 4
    (label, cracks), *rest = trace_regions(labels).items()
    assert label == 4 and not rest
    assert len(cracks) == 2 * (4 + 7)
    assert np.ptp(cracks, axis=0) == pytest.approx([4, 7])
    assert 20 < area(cracks) <= 28


def test_a_single_pixel_has_an_outline_of_four_cracks():
    labels = np.zeros((3, 3), dtype=np.int32)
    labels[1, 1] = 1
    assert sorted(map(tuple, trace_regions(labels)[1])) == [(0.5, 1.0), (1.0, 0.5), (1.0, 1.5), (1.5, 1.0)]


def test_only_the_largest_part_is_traced_and_its_hole_is_passed_over():
    labels = np.zeros((20, 30), dtype=np.int32)
    labels[1:3, 1:3] = 7
    labels[5:17, 8:25] = 7
    labels[9:12, 12:20] = 0
    cracks = trace_regions(labels)[7]
    assert len(cracks) == 2 * (12 + 17)


def test_touching_cells_share_the_cracks_between_them():
    labels = np.zeros((10, 14), dtype=np.int32)
    labels[2:8, 2:7] = 1
    labels[2:8, 7:12] = 2
    first, second = (set(map(tuple, cracks)) for cracks in trace_regions(labels).values())
    assert first & second == {(float(y), 6.5) for y in range(2, 8)}


def test_an_empty_image_has_no_outline():
    assert trace_regions(np.zeros((5, 5), dtype=np.int32)) == {}


@pytest.mark.parametrize("radius", [15, 40])
def test_smoothing_a_circle_keeps_its_radius_and_removes_roughness(radius):
    angle = np.linspace(0, 2 * np.pi, 6 * radius, endpoint=False)
    rough = radius + np.random.default_rng(0).normal(0, 0.3, angle.size)
    points = np.stack([rough * np.sin(angle), rough * np.cos(angle)], axis=1)
    distance = np.hypot(*smooth_closed(points, cutoff_px=19).T)
    assert abs(distance.mean() - radius) < 0.06
    assert distance.std() < 0.2
    assert area(smooth_closed(points, cutoff_px=19)) > 0


def test_smoothed_vertices_are_a_pixel_apart():
    angle = np.linspace(0, 2 * np.pi, 500, endpoint=False)
    smooth = smooth_closed(30 * np.stack([np.sin(angle), np.cos(angle)], axis=1), cutoff_px=10)
    steps = np.hypot(*(np.roll(smooth, -1, axis=0) - smooth).T)
    assert steps == pytest.approx(1, abs=0.01)
