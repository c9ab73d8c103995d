"""Survival, incidence and latency tables on cohorts small enough to count by hand."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from exovision.experiment.curves import incidence_table, latency_table, survival_table
from exovision.experiment.exposures import make_cohort

HOUR_S = 3600.0


@pytest.fixture
def five(make, settings_of):
    """Deaths at 3, 5 and 8 h, one lost at 5 h, one alive at 10 h; two wells; hits on cells 1 and 3."""
    movies = pd.DataFrame({"movie": ["a", "b"], "condition": "NK", "well": ["A1", "A2"]})
    cells = [
        ("a", 0, 3, "died"),
        ("a", 0, 5, "track_lost"),
        ("a", 0, 5, "died"),
        ("b", 0, 8, "died"),
        ("b", 0, 10, "movie_end"),
    ]
    study = make(cells, [(1, 1), (1, 2), (3, 1), (3, 6)], movies=movies)
    study.fates["death_mode"] = pd.array(["apoptotic", None, "lytic", "apoptotic", None], dtype="string")
    return make_cohort(study, settings_of())


def curve(table, **where):
    for name, value in where.items():
        table = table[table[name].isna() if value is None else table[name] == value]
    return dict(zip(table["time_s"] / HOUR_S, table["survival"]))


def test_survival_by_condition_is_the_textbook_curve(five, settings_of):
    table = survival_table(five, settings_of())
    steps = curve(table, level="condition", start="entry")
    assert steps == pytest.approx({0: 1.0, 3: 0.8, 5: 0.6, 8: 0.3, 10: 0.3})
    last = table[(table["level"] == "condition") & (table["start"] == "entry")].iloc[-1]
    assert (last["deaths"], last["cells"], last["at_risk"]) == (3, 5, 1)


def test_each_well_has_its_own_curve(five, settings_of):
    table = survival_table(five, settings_of())
    assert curve(table, level="well", well="A1") == pytest.approx({0: 1.0, 3: 2 / 3, 5: 1 / 3})
    assert curve(table, level="well", well="A2") == pytest.approx({0: 1.0, 8: 0.5, 10: 0.5})


def test_lost_tracks_are_bounded_by_all_dead_and_all_alive(five, settings_of):
    table = survival_table(five, settings_of())
    last = table[(table["level"] == "condition") & (table["start"] == "entry")].iloc[-1]
    assert last["survival_lost_died"] == pytest.approx(0.2)
    assert last["survival_lost_lived"] == pytest.approx(0.4)
    assert last["survival_lost_died"] <= last["survival"] <= last["survival_lost_lived"]


def test_the_interval_of_the_onset_bounds_the_curve(make, settings_of):
    study = make([("m", 0, 5, "died"), ("m", 0, 10, "movie_end")], [])
    study.fates.loc[0, ["onset_s_lo", "onset_s_hi"]] = [2 * HOUR_S, 7 * HOUR_S]
    table = survival_table(make_cohort(study, settings_of()), settings_of())
    table["hour"] = table["time_s"] / HOUR_S
    rows = table[table["level"] == "condition"].set_index("hour")
    assert rows.loc[5.0, "survival"] == 0.5
    assert rows.loc[5.0, "survival_earliest"] == 0.5 and rows.loc[5.0, "survival_latest"] == 1.0


def test_late_cells_join_at_their_entry(make, settings_of):
    cells = [("m", 0, 2, "died"), ("m", 4, 6, "died"), ("m", 0, 10, "movie_end")]
    table = survival_table(make_cohort(make(cells, []), settings_of()), settings_of())
    assert curve(table, level="condition") == pytest.approx({0: 1.0, 2: 0.5, 6: 0.25, 10: 0.25})


def test_after_the_kth_hit_every_cell_that_had_it_is_followed(five, settings_of):
    table = survival_table(five, settings_of())
    first = curve(table, start="docking", hit=1)
    assert first == pytest.approx({0: 1.0, 2: 0.5, 4: 0.0})
    assert curve(table, start="docking", hit=2) == pytest.approx({0: 1.0, 1: 0.0})
    assert not (table["hit"] == 3).any()


def test_incidence_by_mode_adds_up_to_all_deaths(five):
    table = incidence_table(five)
    rows = table[table["level"] == "condition"]
    last = rows.groupby("death_mode")["incidence"].last()
    assert last.to_dict() == pytest.approx({"apoptotic": 0.5, "lytic": 0.2})


def test_latency_lists_hits_before_the_onset_only(five):
    table = latency_table(five)
    assert table[["cell_id", "hit", "hits"]].to_numpy().tolist() == [[1, 1, 2], [1, 2, 2], [3, 1, 1]]
    assert (table["latency_s"] / HOUR_S).tolist() == [2.0, 1.0, 4.0]
    assert table["last"].tolist() == [False, True, True]


def test_a_study_without_cells_has_empty_tables(make, settings_of):
    cohort = make_cohort(make([("m", 3, 3, "movie_end")], []), settings_of())
    assert survival_table(cohort, settings_of()).empty
    assert incidence_table(cohort).empty and latency_table(cohort).empty
    assert np.isfinite(cohort.end_s).all()
