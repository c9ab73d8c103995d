import numpy as np
import pytest
from scipy import ndimage

from exovision.errors import InputError
from exovision.numerics.distance import label_distance, outline_distance


def polygons(*parts):
    starts = np.concatenate([[0], np.cumsum([len(part) for part in parts])]).astype(np.int64)
    return np.concatenate(parts).astype(float), starts


def circle(y, x, radius, n=100):
    angle = np.linspace(0, 2 * np.pi, n, endpoint=False)
    return np.stack([y + radius * np.sin(angle), x + radius * np.cos(angle)], axis=1)


def square(y, x, half):
    return np.array([[y - half, x - half], [y - half, x + half], [y + half, x + half], [y + half, x - half]])


def test_distances_to_a_square_are_exact_and_negative_inside():
    vertices, starts = polygons(square(0, 0, 2))
    points = np.array([[0, 0.5], [0, 5], [5, 6], [-3, 1]])
    owner, distance, segment, part = outline_distance(points, vertices, starts, np.ones(4, dtype=bool))
    assert owner.tolist() == [0, 0, 0, 0]
    assert distance == pytest.approx([-1.5, 3, 5, 1])
    assert segment[[0, 1, 3]].tolist() == [1, 1, 0]
    assert part[3] == pytest.approx(0.75)


def test_pruning_finds_the_same_distance_as_every_segment_does():
    rng = np.random.default_rng(1)
    parts = [circle(*rng.uniform(0, 300, 2), rng.uniform(5, 30)) for _ in range(25)]
    vertices, starts = polygons(*parts)
    real = rng.random(len(vertices)) > 0.3
    points = rng.uniform(-20, 320, (300, 2))
    owner, distance, _, _ = outline_distance(points, vertices, starts, real)
    for point, k, found in zip(points, owner, distance):
        holders = [np.hypot(*(part.mean(axis=0) - point)) < np.ptp(part[:, 0]) / 2 - 0.1 for part in parts]
        allowed = [k] if found < 0 else range(len(parts))
        best = min(brute(point, parts[i], real[starts[i] : starts[i + 1]]) for i in allowed)
        assert abs(found) == pytest.approx(best, abs=1e-9)
        assert (found < 0) or not any(holders)


def brute(point, part, real):
    following = np.roll(part, -1, axis=0)
    step = following - part
    t = np.clip(((point - part) * step).sum(axis=1) / (step**2).sum(axis=1), 0, 1)
    return np.hypot(*(point - part - t[:, None] * step).T)[real].min()


def test_a_point_inside_belongs_to_that_outline_although_another_is_nearer():
    vertices, starts = polygons(square(0, 0, 10), square(0, 12, 1.9))
    owner, distance, _, _ = outline_distance(np.array([[0, 9.95]]), vertices, starts, np.ones(8, dtype=bool))
    assert owner.tolist() == [0]
    assert distance == pytest.approx([-0.05])


def test_a_point_in_an_enclosed_outline_belongs_to_the_smaller_one():
    vertices, starts = polygons(circle(0, 0, 30), circle(5, 5, 6))
    owner, distance, _, _ = outline_distance(np.array([[5.0, 5]]), vertices, starts, np.ones(200, dtype=bool))
    assert owner.tolist() == [1]
    assert distance == pytest.approx([-6], abs=0.01)


def test_segments_that_are_not_real_decide_the_inside_and_not_the_distance():
    vertices, starts = polygons(square(0, 0, 2))
    real = np.array([True, False, True, True])
    owner, distance, _, _ = outline_distance(np.array([[0.5, 1.9]]), vertices, starts, real)
    assert owner.tolist() == [0]
    assert distance == pytest.approx([-1.5])
    owner, distance, _, _ = outline_distance(np.array([[0, 0]]), vertices, starts, np.zeros(4, dtype=bool))
    assert owner.tolist() == [0] and np.isnan(distance).all()


def test_without_outlines_or_points_nothing_is_found():
    none = np.zeros((0, 2))
    owner, distance, segment, _ = outline_distance(
        np.ones((2, 2)), none, np.zeros(1, dtype=np.int64), np.zeros(0, dtype=bool)
    )
    assert owner.tolist() == segment.tolist() == [-1, -1] and np.isnan(distance).all()
    vertices, starts = polygons(square(0, 0, 1))
    assert outline_distance(none, vertices, starts, np.ones(4, dtype=bool))[1].shape == (0,)


@pytest.mark.parametrize("points", [np.zeros(2), np.zeros((2, 3)), np.array([[0, np.nan]])])
def test_points_that_are_no_finite_pairs_are_refused(points):
    vertices, starts = polygons(square(0, 0, 1))
    with pytest.raises(InputError, match="finite"):
        outline_distance(points, vertices, starts, np.ones(4, dtype=bool))


def test_label_distances_equal_one_euclidean_transform_per_label():
    rng = np.random.default_rng(2)
    labels = np.zeros((90, 120), dtype=np.int32)
    for k in range(1, 15):
        y, x = rng.integers(0, 80), rng.integers(0, 110)
        labels[y : y + rng.integers(1, 30), x : x + rng.integers(1, 30)] = k
    distance, other = label_distance(labels)
    for k in np.unique(labels):
        reference = ndimage.distance_transform_edt(labels == k)
        assert distance[labels == k] == pytest.approx(reference[labels == k], abs=1e-4)
        assert (other[labels == k] != k).all()
    y, x = np.nonzero(labels == 0)
    to_other = [np.hypot(*(np.argwhere(labels == other[p]) - p).T).min() for p in zip(y[::50], x[::50])]
    assert distance[y[::50], x[::50]] == pytest.approx(to_other, abs=1e-4)


def test_an_image_of_one_label_has_no_distance():
    assert np.isinf(label_distance(np.full((6, 5), 3, dtype=np.int32))[0]).all()
