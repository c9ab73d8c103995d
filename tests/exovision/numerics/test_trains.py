"""Sums of earlier entries and latest values, against loops."""

from __future__ import annotations

import numpy as np
import pytest

from exovision.numerics.trains import latest, make_trains, sum_before


@pytest.fixture
def trains():
    return make_trains(np.array([1, 0, 1, 1]), np.array([5.0, 2.0, 1.0, 3.0]), np.array([1.0, 1, 2, 4]), 3)


def test_entries_are_sorted_by_unit_and_time(trains):
    assert trains.start.tolist() == [0, 1, 4, 4]
    assert trains.time_s.tolist() == [2.0, 1.0, 3.0, 5.0]
    assert trains.value.tolist() == [1.0, 2.0, 4.0, 1.0]


def test_only_what_came_strictly_before_counts(trains):
    unit, at = np.array([0, 0, 1, 1, 1, 2]), np.array([2.0, 2.1, 3.0, 3.1, 9.0, 9.0])
    assert sum_before(trains, unit, at).tolist() == [0, 1, 2, 6, 7, 0]


def test_entries_fade_by_half_in_a_half_life(trains):
    found = sum_before(trains, np.array([1, 1]), np.array([3.0, 5.0]), half_life_s=2.0)
    assert found == pytest.approx([1.0, 2 * 0.25 + 4 * 0.5])


def test_the_latest_value_is_the_first_one_where_none_is_earlier(trains):
    found = latest(trains, np.array([1, 1, 1, 2]), np.array([0.5, 3.0, 4.9, 1.0]))
    assert found[:3].tolist() == [2.0, 4.0, 4.0]
    assert np.isnan(found[3])
