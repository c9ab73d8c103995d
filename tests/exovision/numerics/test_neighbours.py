import numpy as np
import pytest

from exovision.numerics.neighbours import pairs_within


@pytest.mark.parametrize("stretch", [(1.0, 1.0), (1000.0, 1.0), (1.0, 1e-9), (1e6, 1e6)])
def test_the_pairs_are_those_of_all_distances(stretch):
    rng = np.random.default_rng(0)
    points, others = (rng.uniform(-0.2, 1.2, (n, 2)) * np.array(stretch) for n in (70, 90))
    reach = rng.uniform(0.01, 0.3, 70) * max(stretch)
    rows, columns = pairs_within(points, others, reach)
    near = np.hypot(*(points[:, None] - others).transpose(2, 0, 1)) <= reach[:, None]
    assert set(zip(rows, columns)) == set(zip(*np.nonzero(near)))
    assert len(rows) == near.sum() and (np.diff(rows) >= 0).all()


def test_two_far_apart_points_cost_no_more_bins_than_others():
    rows, columns = pairs_within(np.array([[0.0, 0.0]]), np.array([[0.5, 0.0], [1e9, 1e9]]), np.array([1.0]))
    assert rows.tolist() == [0] and columns.tolist() == [0]


def test_no_points_have_no_neighbours():
    rows, columns = pairs_within(np.empty((0, 2)), np.ones((3, 2)), np.empty(0))
    assert rows.size == columns.size == 0
