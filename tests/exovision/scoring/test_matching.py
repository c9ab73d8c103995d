import itertools

import numpy as np
import pytest

from exovision.scoring.matching import assign, match_points, near_pairs


def points(*rows):
    return np.array(rows, dtype=float).reshape(-1, 3)


def test_points_are_matched_up_to_three_pixels_and_no_farther():
    truth = points((0, 10, 10), (0, 30, 30))
    found = points((0, 13, 10), (0, 33.01, 30))
    assert [index.tolist() for index in match_points(truth, found)] == [[0], [0]]


def test_points_of_different_frames_are_never_matched():
    assert match_points(points((0, 5, 5)), points((1, 5, 5)))[0].size == 0


def test_the_assignment_is_best_for_all_points_together_not_greedy():
    truth, found = points((0, 0, 0), (0, 0, 2)), points((0, 0, 1.9), (0, 0, 4.5))
    rows, columns = match_points(truth, found)
    assert dict(zip(rows.tolist(), columns.tolist())) == {0: 0, 1: 1}


def test_among_equally_many_pairs_the_nearest_are_chosen():
    truth, found = points((0, 0, 0), (0, 0, 2)), points((0, 0, 2.2), (0, 0, 0.1))
    rows, columns = match_points(truth, found)
    assert dict(zip(rows.tolist(), columns.tolist())) == {0: 1, 1: 0}


def test_pairs_at_distance_zero_are_found():
    _, _, distance = near_pairs(points((3, 7, 7)), points((3, 7, 7)))
    assert distance.tolist() == [0.0]


@pytest.mark.parametrize("seed", range(5))
def test_the_assignment_equals_an_exhaustive_search(seed):
    rng = np.random.default_rng(seed)
    n = 5
    benefit = np.where(rng.random((n, n)) < 0.6, rng.random((n, n)) + 0.1, 0.0)
    rows, columns = np.nonzero(benefit)
    chosen = assign(rows, columns, benefit[rows, columns])
    best = max(sum(benefit[i, p[i]] for i in range(n)) for p in itertools.permutations(range(n)))
    assert np.unique(rows[chosen]).size == np.unique(columns[chosen]).size == chosen.size
    assert benefit[rows[chosen], columns[chosen]].sum() == pytest.approx(best)


def test_nothing_to_assign_gives_nothing():
    none = np.zeros(0, dtype=np.intp)
    assert assign(none, none, np.zeros(0)).size == 0
    assert match_points(points(), points((0, 1, 1)))[0].size == 0
