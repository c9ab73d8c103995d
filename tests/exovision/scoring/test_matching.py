import numpy as np

from exovision.scoring.matching import match_points, near_pairs


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


def test_nothing_to_match_gives_nothing():
    assert match_points(points(), points((0, 1, 1)))[0].size == 0
