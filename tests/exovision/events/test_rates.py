import numpy as np
import pandas as pd
import pytest

from exovision.events.rates import (
    cell_hours,
    distance_profile,
    frame_weights_s,
    poisson_interval,
)


def test_the_poisson_interval_is_exact():
    assert poisson_interval(0) == pytest.approx((0.0, -np.log(0.025)))
    assert poisson_interval(10) == pytest.approx((4.795389, 18.390356), abs=1e-5)


def test_a_frame_stands_for_the_time_up_to_the_next_one():
    nan = np.nan
    assert frame_weights_s(np.array([0.0, 2.0, nan, 6.0, 8.0])).tolist() == [2, 4, 0, 2, 0]


def test_a_long_pause_is_not_observed():
    times = np.array([0.0, 1, 2, 100, 101])
    assert frame_weights_s(times).tolist() == [1, 1, 1, 1, 0]


def test_cell_hours_add_up_the_time_that_each_cell_was_seen():
    fates = pd.DataFrame({"first_frame": [0, 5], "last_frame": [10, 7]})
    assert cell_hours(fates, np.arange(11) * 360.0) == pytest.approx(1.0 + 0.3)
    assert cell_hours(fates.iloc[:0], np.arange(11.0)) == 0.0
    assert cell_hours(fates.iloc[:1] * 0, np.array([0.0])) == 0.0


def test_every_exosome_counts_once_in_the_profile():
    distance = np.array([0.1, 0.1, 0.1, 1.1, -5.0])
    profile = distance_profile(distance, np.array([1, 1, 1, 2, 2]), np.array([1, 1, 1, 2, 3]))
    assert len(profile["edges_um"]) == 25
    counts = dict(zip(profile["edges_um"], profile["exosomes"]))
    assert counts[0.0] == pytest.approx(1.0) and counts[1.0] == 1.0
    assert sum(profile["exosomes"]) == pytest.approx(2.0)
    assert all(lo <= n <= hi for lo, n, hi in zip(*(profile[f"exosomes{e}"] for e in ("_lo", "", "_hi"))))


def test_a_profile_without_cells_is_zero():
    none = np.empty(0, dtype=np.int64)
    assert sum(distance_profile(np.empty(0), none, none)["exosomes_hi"]) == 0.0
