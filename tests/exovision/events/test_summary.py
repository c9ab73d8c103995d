import json

import numpy as np
import pytest
from scipy.stats import chi2


@pytest.fixture
def movie(world):
    w = world(31, seen=1.0, frames=180)
    for cell in (0, 2, 4, 6, 8):
        w.dock(20, 40, cell=cell)
        w.dock(80, 40, leave=8, cell=cell)
    w.dock(-5, 40, cell=3)
    w.dock(150, 60, cell=5)
    for cell in range(9):
        w.stick_near(cell, 2.0)
    return w.find()


def test_rates_are_counts_over_observed_cell_hours_with_poisson_intervals(movie):
    hours = 9 * 179 * 2 / 3600
    found = movie.summary["movie"]
    assert found["cell_hours"] == pytest.approx(hours)
    assert found["dockings"] == 12 and found["cells"] == 9
    assert found["arrivals"] == 11
    assert found["arrivals_per_cell_hour"] == pytest.approx(11 / hours)
    assert found["arrivals_per_cell_hour_lo"] == pytest.approx(chi2.ppf(0.025, 22) / 2 / hours)
    assert found["arrivals_per_cell_hour_hi"] == pytest.approx(chi2.ppf(0.975, 24) / 2 / hours)
    rates = movie.summary["rates"]
    assert rates["arrival"]["count"] == 11  # one was there before the movie began
    assert rates["detachment"]["count"] + rates["loss_unresolved"]["count"] == 11


def test_the_counts_are_those_of_the_tables(movie):
    counts = movie.summary["counts"]
    assert counts["spots"] == counts["linked_spots"] == len(movie.spots)
    assert counts["states"] == movie.spots["state"].value_counts().to_dict()
    assert counts["events"] == movie.events["kind"].value_counts().to_dict()
    assert counts["docked_exosomes"] == 12


def test_the_dwell_curve_leaves_out_unseen_starts_and_censors_the_end_of_the_movie(movie):
    dwell = movie.summary["dwell"]
    assert (dwell["dockings"], dwell["ended"], dwell["start_not_seen"]) == (11, 10, 1)
    assert dwell["median_s"] == pytest.approx(80.0, abs=16.0)
    assert np.all(np.diff(dwell["survival"]) < 0)


def test_the_chance_test_compares_band_and_ring(movie):
    chance = movie.summary["chance"]
    assert (chance["in_band"], chance["cells_tested"]) == (12, 9)
    areas = 2 * np.pi * 8 * 0.6, np.pi * (11**2 - 9**2)
    expected = (12 / areas[0]) / (chance["in_ring"] / areas[1])
    assert 5 <= chance["in_ring"] <= 9
    assert chance["enrichment"] == pytest.approx(expected)
    assert chance["p"] < 0.001 and chance["enrichment_lo"] < expected < chance["enrichment_hi"]


def test_the_summary_is_plain_json_without_nan(movie, world):
    for tables in (movie, world(1).find(), world(1, frames=1).find()):
        json.dumps(tables.summary, allow_nan=False)


def test_kinds_that_are_not_assessed_are_said_to_be_so(movie):
    kinds = movie.summary["identifiability"]
    assert kinds["fusion"]["identifiable"] is None and "not assessed" in kinds["fusion"]["reason"]
    assert kinds["loss_unresolved"]["identifiable"] is False
    assert kinds["docking"]["identifiable"] is True


def test_a_short_movie_is_warned_about(world):
    w = world(1, frames=20, seen=1.0)
    w.dock(5, 10)
    assert any("cut off most dockings" in warning for warning in w.find().summary["warnings"])
