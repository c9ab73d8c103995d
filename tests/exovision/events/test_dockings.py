from types import SimpleNamespace

import numpy as np
import pytest

from exovision.events.dockings import Clock, _stays, lasts, runs
from exovision.events.motion import Track


def clock(acquired, gap_frames=2):
    acquired = np.asarray(acquired, dtype=bool)
    before = (np.cumsum(acquired) - acquired).astype(np.int64)
    return Clock(before, int(acquired.sum()) - 1, 2.0, 0.0, gap_frames)


def test_runs_are_the_stretches_of_true_values():
    assert list(runs(np.array([1, 1, 0, 1, 0, 0, 1], dtype=bool))) == [(0, 2), (3, 4), (6, 7)]
    assert list(runs(np.zeros(3, dtype=bool))) == []


@pytest.mark.parametrize(
    ("frames", "mask", "expected"),
    [
        ([0, 1, 2, 3], "1111", [(0, 4)]),
        ([0, 1, 4, 5], "1111", [(0, 4)]),  # two frames missing
        ([0, 1, 5, 6], "1111", [(0, 2), (2, 4)]),  # three
        ([0, 1, 2, 3, 4], "11001", [(0, 5)]),  # two frames in another state
        ([0, 1, 2, 3, 4, 5], "110001", [(0, 2), (5, 6)]),
        ([0, 1, 2], "000", []),
        ([3, 4, 5], "010", [(1, 2)]),
    ],
)
def test_runs_are_joined_over_gaps_of_at_most_two_frames(frames, mask, expected):
    held = np.array([c == "1" for c in mask])
    assert clock(np.ones(20)).runs(held, np.array(frames)) == expected


def test_frames_that_were_not_acquired_are_no_gap():
    every_fifth = clock([i % 5 == 0 for i in range(30)])
    frames = np.array([0, 5, 10, 15])
    assert every_fifth.runs(np.ones(4, dtype=bool), frames) == [(0, 4)]
    assert every_fifth.runs(np.ones(2, dtype=bool), np.array([0, 20])) == [(0, 1), (1, 2)]


def test_the_movie_begins_and_ends_where_frames_were_acquired():
    late = clock([0, 0, 0, 1, 1, 1, 1, 1, 1, 0, 0])
    assert [late.begins(frame) for frame in (3, 5, 6)] == [True, True, False]
    assert [late.ends(frame) for frame in (5, 6, 8)] == [False, True, True]


def test_a_run_of_frames_lasts_one_interval_more_than_its_times():
    assert lasts(np.array([4.0, 6.0, 8.0]), interval_s=2.0) == 6.0
    assert lasts(np.array([4.0]), interval_s=float("nan")) == 0.0


def between(nearest, distance, beside):
    """A track beside cells 4 and 7: its nearest cell, and the distances to both."""
    n = len(nearest)
    at = SimpleNamespace(
        nearest=np.asarray(nearest),
        distance_um=np.asarray(distance, dtype=float),
        next_cell=11 - np.asarray(nearest),
        next_um=np.asarray(beside, dtype=float),
    )
    at.distance_to_um = lambda cell, part: Track.distance_to_um(at, cell, part)
    return _stays(at, 0, n, 0.3)


@pytest.mark.parametrize(
    ("before", "after", "expected"),
    [
        ((0.1, 2.0), (0.1, 2.0), [(0, 12), (12, 32)]),
        ((0.1, 2.0), (0.1, 0.2), [(0, 32)]),
        ((0.1, 0.2), (0.1, 2.0), [(0, 32)]),
    ],
    ids=["it goes on to the next cell", "the first stays in reach", "the second was in reach all along"],
)
def test_an_exosome_between_two_cells_stays_on_one_while_its_membrane_is_in_reach(before, after, expected):
    distance, beside = (np.repeat([b, a], [12, 20]) for b, a in zip(before, after))
    assert between(np.repeat([4, 7], [12, 20]), distance, beside) == expected
