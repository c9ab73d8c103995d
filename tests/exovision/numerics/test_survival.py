"""Survival, incidence by cause and means against textbooks and lifelines."""

from __future__ import annotations

import numpy as np
import pytest

from exovision.numerics.survival import (
    cumulative_incidence,
    kaplan_meier,
    restricted_mean,
    survival_at,
)


@pytest.fixture(scope="module")
def cohort():
    """Late entries, ties, two causes; `lifelines` 0.30.3 gave the numbers below on the same draws."""
    rng = np.random.default_rng(5)
    entry = np.round(rng.uniform(0, 4, 60) * (rng.random(60) < 0.4), 1)
    last = np.round(entry + 0.1 + rng.exponential(5, 60), 1)
    return entry, last, rng.choice([0, 1, 2], 60, p=[0.3, 0.4, 0.3])


def test_survival_equals_the_textbook():
    """Times 3 5* 5 8 10* (a star: censored): 0.8, 0.6, 0.3."""
    curve = kaplan_meier(np.array([3.0, 5, 5, 8, 10]), np.array([True, False, True, True, False]))
    assert curve.time_s.tolist() == [3.0, 5.0, 8.0]
    assert curve.survival.tolist() == pytest.approx([0.8, 0.6, 0.3])
    assert curve.median_s == 8.0
    # Greenwood on the log-log scale at the first step
    reach = 1.959964 * np.sqrt(1 / (5 * 4)) / -np.log(0.8)
    assert (curve.lo[0], curve.hi[0]) == pytest.approx((0.8 ** np.exp(reach), 0.8 ** np.exp(-reach)))


def test_survival_without_dockings_is_empty():
    curve = kaplan_meier(np.empty(0), np.empty(0, dtype=bool))
    assert curve.time_s.size == 0 and np.isnan(curve.median_s)


def test_late_entries_are_at_risk_from_their_entry_on(cohort):
    entry, last, cause = cohort
    curve = kaplan_meier(last, cause > 0, entry_s=entry)
    for time, expected in ((1.1, 0.85553471), (1.8, 0.81275797), (3.3, 0.68988577), (4.5, 0.61530353)):
        assert survival_at(curve, time) == pytest.approx(expected, abs=1e-8)
    step = np.searchsorted(curve.time_s, 3.3)
    assert (curve.lo[step], curve.hi[step]) == pytest.approx((0.53412067, 0.80272129), abs=1e-7)
    assert survival_at(curve, 0.0) == 1.0


def test_the_restricted_mean_is_the_area_under_the_curve(cohort):
    _, last, cause = cohort
    curve = kaplan_meier(last, cause > 0)
    mean, error = restricted_mean(curve, 6.0)
    assert mean == pytest.approx(4.70080949, abs=1e-8)
    rng = np.random.default_rng(1)
    draws = [rng.integers(0, 60, 60) for _ in range(400)]
    again = [restricted_mean(kaplan_meier(last[d], cause[d] > 0), 6.0)[0] for d in draws]
    assert error == pytest.approx(np.std(again), rel=0.12)
    assert restricted_mean(curve, 0.05) == (0.05, 0.0)


def test_incidences_of_all_causes_and_survival_add_up_to_one(cohort):
    entry, last, cause = cohort
    whole = kaplan_meier(last, cause > 0, entry_s=entry).survival
    parts = [cumulative_incidence(last, cause, k, entry_s=entry).incidence for k in (1, 2)]
    assert whole + parts[0] + parts[1] == pytest.approx(np.ones(len(whole)))


def test_incidence_equals_lifelines_which_parts_ties_by_jitter(cohort):
    _, last, cause = cohort
    found = cumulative_incidence(last, cause, 1)
    step = np.searchsorted(found.time_s, 6.0, side="right") - 1
    assert found.incidence[step] == pytest.approx(0.21910, abs=2e-3)
    assert (found.lo[step], found.hi[step]) == pytest.approx((0.12058, 0.33635), abs=3e-3)


def test_one_cause_alone_is_the_complement_of_survival():
    exits, ended = np.array([3.0, 5, 5, 8, 10]), np.array([True, False, True, True, False])
    found = cumulative_incidence(exits, ended.astype(np.int64), 1)
    assert 1 - found.incidence == pytest.approx(kaplan_meier(exits, ended).survival)
    assert cumulative_incidence(exits[:0], ended[:0].astype(np.int64), 1).time_s.size == 0
