"""Simulated experiments: the contract's columns, the rates asked for, every complication in place."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from exovision import schema
from exovision.simulation.studies import simulate_study
from exovision.simulation.study_plan import Arm, StudyPlan


def run(seed=1, **changes):
    arms = changes.pop("arms", (Arm("one"),))
    return simulate_study(StudyPlan(arms=arms, **changes), seed=seed)


def watched_hours(fates):
    end = fates["onset_s"].fillna(fates["last_s"])
    return float((end - fates["first_s"]).sum()) / 3600


def test_the_tables_have_the_columns_of_the_contract():
    found = run()
    for name in ("fates", "events", "cells"):
        table = getattr(found, name)
        columns = getattr(schema, name.upper())
        assert set(columns) <= set(table.columns) and "movie" in table
        assert set(table["movie"]) <= set(found.movies["movie"])


def test_the_same_seed_gives_the_same_study():
    one, two, other = run(), run(), run(seed=2)
    pd.testing.assert_frame_equal(one.events, two.events)
    assert not one.events.equals(other.events)


def test_rates_of_death_and_docking_are_those_asked_for():
    found = run(arms=(Arm("one", docking_per_h=2.0, death_per_h=0.05),), cells_per_well=200)
    hours = watched_hours(found.fates)
    deaths = int((found.fates["exit"] == "died").sum())
    assert deaths / hours == pytest.approx(0.05, rel=0.1)
    living = found.events[found.events["kind"] == "docking"].merge(found.fates, on=["movie", "cell_id"])
    living = living[living["start_s"] < living["onset_s"].fillna(np.inf)]
    assert len(living) / hours == pytest.approx(2.0, rel=0.1)


def test_hits_act_after_the_lag_with_the_true_ratio():
    """On the scale of a hit the hazard of cells with one effective hit is the ratio times that without."""
    arms = (Arm("one", docking_per_h=0.1, death_per_h=0.02, docking_hr=3.0),)
    found = run(arms=arms, cells_per_well=400, scale="hit", rate_shape=float("inf"), lag_h=2.0)
    fates = found.fates.set_index(["movie", "cell_id"])
    docked = found.events[found.events["kind"] == "docking"]
    first = docked.groupby(["movie", "cell_id"])["start_s"].min().reindex(fates.index)
    second = docked.groupby(["movie", "cell_id"])["start_s"].nth(1)
    second = docked.loc[second.index].set_index(["movie", "cell_id"])["start_s"].reindex(fates.index)
    end = fates["onset_s"].fillna(fates["last_s"])
    died = fates["exit"] == "died"
    edges = [(0.0, first + 7200), (first + 7200, second + 7200)]
    rates = []
    for start, stop in edges:
        stop = np.minimum(stop.fillna(np.inf), end)
        hours = np.maximum(stop - start, 0).fillna(0).sum() / 3600
        inside = died & (end > start) & (end <= stop)
        rates.append(inside.sum() / hours)
    assert rates[0] == pytest.approx(0.02, rel=0.2)
    assert rates[1] / rates[0] == pytest.approx(3.0, rel=0.25)


def test_several_hits_in_one_step_all_count():
    found = run(arms=(Arm("one", docking_per_h=30.0, death_per_h=1e-9),), duration_h=6.0)
    docked = int((found.events["kind"] == "docking").sum())
    assert docked / watched_hours(found.fates) == pytest.approx(30, rel=0.05)


def test_a_labelled_fraction_and_misses_thin_the_hits():
    whole, part = run(), run(tracer_fraction=0.5, recall=0.5)
    assert len(part.events) / len(whole.events) == pytest.approx(0.25, rel=0.1)
    assert (part.movies["tracer_fraction"] == 0.5).all()


def test_dying_cells_catch_more_before_their_onset_is_called():
    found = run(docking_after_onset=20.0, onset_delay_h=0.5, cells_per_well=100)
    docked = found.events[found.events["kind"] == "docking"].merge(found.fates, on=["movie", "cell_id"])
    before = docked["onset_s"] - docked["start_s"]
    near, far = ((before > a) & (before <= b) for a, b in ((0, 1800), (7200, 9000)))
    assert near.sum() > 3 * far.sum()


def test_size_drives_hits_where_asked():
    found = run(
        size_to_docking=1.0, rate_shape=float("inf"), size_spread=0.5, arms=(Arm("one", death_per_h=1e-9),)
    )
    area = found.cells[found.cells["frame"] == 0].set_index(["movie", "cell_id"])["area_um2"]
    hits = found.events[found.events["kind"] == "docking"].groupby(["movie", "cell_id"]).size()
    both = pd.DataFrame({"area": area, "hits": hits}).fillna(0)
    assert np.corrcoef(both["area"], both["hits"])[0, 1] > 0.7


def test_late_cells_lost_tracks_and_onset_intervals_are_recorded():
    found = run(late=0.5, lost_per_h=0.05, onset_width_h=2.0, frame_interval_s=600.0)
    fates = found.fates
    assert {"start", "birth", "entered_field"} == set(fates["entry"])
    assert (fates["exit"] == "track_lost").any()
    assert fates[fates["entry"] == "birth"]["parent_id"].notna().all()
    died = fates[fates["exit"] == "died"]
    assert ((died["onset_s_lo"] <= died["onset_s"]) & (died["onset_s"] <= died["onset_s_hi"])).all()
    assert (died["onset_s_hi"] - died["onset_s_lo"]).median() >= 7200
    seen = found.cells.merge(fates, on=["movie", "cell_id"])
    assert (seen["frame"] >= seen["first_frame"]).all() and (seen["frame"] <= seen["last_frame"]).all()


def test_endings_of_dockings_have_the_shares_asked_for():
    arms = (Arm("one", docking_per_h=3.0, fusion_share=0.2, uptake_share=0.3, unresolved_share=0.5),)
    kinds = run(arms=arms).events["kind"].value_counts(normalize=True) * 2
    assert kinds["loss_unresolved"] == pytest.approx(0.5, abs=0.03)
    assert kinds["fusion"] == pytest.approx(0.1, abs=0.03)
    assert kinds["uptake"] == pytest.approx(0.5 * 0.8 * 0.3, abs=0.03)


def test_a_row_per_several_frames_leaves_the_rest_as_it_is():
    every, few = run(), run(sights_every=6)
    pd.testing.assert_frame_equal(every.events, few.events)
    assert set(few.cells["frame"] % 6) == {0}
