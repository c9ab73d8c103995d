from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest

from exovision import schema
from exovision.events.tables import fill_exosomes

ENDS = [f"p_{name}" for name in ("detached", "bleached", "left_focus", "hemifused", "fused", "kiss_and_run")]
ENDS += ["p_taken_up", "p_aggregated", "p_unresolved"]


@pytest.fixture
def tables(world):
    w = world(21, seen=1.0)
    for start in (-10, 30, 70, 120):
        for cell in range(0, 9, 2):
            w.dock(start, 30, leave=8 * (cell % 4 > 0), cell=cell)
    for cell in range(1, 9, 2):
        w.beneath(cell)
        w.stick_near(cell, 2.0)
    twice = w.dock(10, 25, cell=1)
    again = w.dock(60, 25, cell=1)
    w.rows = [row | ({"exosome_id": twice} if row["exosome_id"] == again else {}) for row in w.rows]
    return w.find()


def test_the_tables_have_the_columns_and_types_of_the_contract(tables):
    for name in ("spots", "exosomes", "events", "cells", "fates"):
        expected = schema.conform(getattr(tables, name), getattr(schema, name.upper()))
        pd.testing.assert_frame_equal(getattr(tables, name), expected)
    assert set(tables.spots["state"]) <= set(schema.SPOT_STATES)
    assert set(tables.events["kind"]) <= set(schema.EVENT_KINDS)
    assert set(tables.exosomes["outcome"].dropna()) <= set(schema.OUTCOMES)


def test_events_are_numbered_in_the_order_of_time(tables):
    events = tables.events
    assert events["event_id"].to_list() == list(range(1, len(events) + 1))
    assert events["start_frame"].is_monotonic_increasing
    assert (events["start_frame"] <= events["end_frame"]).all()
    assert events["duration_s"].to_list() == pytest.approx((events["end_s"] - events["start_s"]).to_list())
    assert events["probability"].between(0, 1).all()
    points = events[events["kind"].isin(["detachment", "loss_unresolved"])]
    assert len(points) and (points["duration_s"] == 0).all()


def test_every_end_of_a_docking_has_probabilities_that_sum_to_one(tables):
    ends = tables.events[tables.events["kind"].isin(["detachment", "loss_unresolved"])]
    assert set(ends["kind"]) == {"detachment", "loss_unresolved"}
    assert ends[ENDS].sum(axis=1).to_list() == pytest.approx([1.0] * len(ends))
    assert (ends[ENDS] >= 0).all(axis=None)
    others = tables.events[~tables.events["kind"].isin(["detachment", "loss_unresolved"])]
    assert others[ENDS].isna().all(axis=None)


def test_exosomes_agree_with_their_events(tables):
    dockings = tables.events[tables.events["kind"] == "docking"]
    outcome_of = {"detachment": "detached", "loss_unresolved": "loss_unresolved"}
    assert tables.exosomes["dockings"].max() == 2
    for row in tables.exosomes.itertuples():
        mine = dockings[dockings["exosome_id"] == row.exosome_id]
        assert row.dockings == len(mine)
        if mine.empty:
            assert pd.isna(row.dwell_s) and pd.isna(row.outcome) and pd.isna(row.cell_id)
            continue
        assert row.dwell_s == pytest.approx(mine["duration_s"].sum())
        assert row.cell_id == mine["cell_id"].iloc[-1]
        sides = set(mine["censored"])
        if len(sides) == 1:
            assert row.dwell_censored == sides.pop()
        ends = tables.events[tables.events["kind"].isin(outcome_of)]
        last = ends.loc[ends["exosome_id"] == row.exosome_id, "kind"]
        if row.outcome in outcome_of.values():
            assert outcome_of[last.iloc[-1]] == row.outcome
        else:
            assert last.empty or row.dockings > 1
        longest = mine.loc[(mine["end_frame"] - mine["start_frame"]).idxmax()]
        assert row.diffusion_um2_s == longest["diffusion_um2_s"]


def test_spots_are_docked_exactly_within_dockings(tables):
    docked = set()
    for row in tables.events[tables.events["kind"] == "docking"].itertuples():
        docked |= {(row.exosome_id, frame) for frame in range(row.start_frame, row.end_frame + 1)}
    spots = tables.spots
    called = spots.loc[spots["state"] == "docked", ["exosome_id", "frame"]]
    assert set(called.itertuples(index=False, name=None)) == docked


def test_cells_count_what_is_docked_now_and_has_docked_so_far(tables):
    dockings = tables.events[tables.events["kind"] == "docking"]
    assert tables.cells["docked_now"].max() >= 1
    for row in tables.cells.iloc[::37].itertuples():
        mine = dockings[dockings["cell_id"] == row.cell_id]
        assert (
            row.docked_now
            == mine[["start_frame", "end_frame"]]
            .apply(lambda d, at=row.frame: d["start_frame"] <= at <= d["end_frame"], axis=1)
            .sum()
        )
        assert row.dockings_so_far == (mine["start_frame"] <= row.frame).sum()
    total = dockings["cell_id"].value_counts()
    counted = tables.fates.set_index("cell_id")["dockings"]
    assert counted[total.index].to_list() == total.to_list()
    assert counted.sum() == len(dockings) == tables.cells.groupby("cell_id")["dockings_so_far"].max().sum()


def test_what_this_version_does_not_measure_is_null_not_zero(tables):
    assert tables.events["fusion_log_likelihood_ratio"].isna().all()
    assert tables.cells["fusions_so_far"].isna().all() and tables.fates["uptakes"].isna().all()
    assert not np.isin([0, -1], tables.events["cell_id"].dropna().unique()).any()


def test_what_another_merged_with_is_an_aggregate_also_at_the_end_of_a_visit():
    def met(heir, probability):
        verdict = SimpleNamespace(heir=heir, posterior=SimpleNamespace(fates={"aggregated": probability}))
        return SimpleNamespace(verdicts=(verdict,))

    exosomes = pd.DataFrame({"exosome_id": [1, 2, 3]})
    table = fill_exosomes(exosomes, [], visits=[met(2, 0.9), met(2, 0.8), met(None, 0.7)])
    assert table["aggregate_probability"].fillna(-1).to_list() == [-1, 0.9, -1]
