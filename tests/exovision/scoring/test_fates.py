import pandas as pd
import pytest

from exovision import schema
from exovision.scoring.fates import score_deaths

TYPES = {**schema.TRUTH_FATES, "frame_interval_s": schema.FLOAT}


def pairs(example):
    """Return every cell matched with itself."""
    ids = example.tables["fates"]["cell_id"]
    return pd.DataFrame({"frame": 0, "truth_cell": ids, "result_cell": ids})


def with_fate(example, cell_id, **values):
    table = example.tables["fates"].copy()
    for name, value in values.items():
        table.loc[table["cell_id"] == cell_id, name] = value
    return table


@pytest.mark.parametrize(("late_s", "found"), [(6.0, 1.0), (8.0, 0.0)])
def test_a_death_must_be_called_within_three_frames(example, late_s, found):
    scores = example.score(fates=with_fate(example, 2, onset_s=40.0 + late_s))
    assert scores["death.recall"].value == scores["death.precision"].value == found
    assert scores["death.onset_error_frames_median"].value == late_s / 2


def test_a_death_of_another_cell_is_no_hit(example):
    fates = with_fate(example, 2, onset_s=float("nan"))
    fates.loc[fates["cell_id"] == 1, "onset_s"] = 40.0
    assert example.score(fates=fates)["death.f1"].value == 0.0


def test_the_mode_of_a_found_death_can_be_wrong(example):
    scores = example.score(fates=with_fate(example, 2, death_mode="lytic"))
    assert (scores["death.f1"].value, scores["death.mode_right"].value) == (1.0, 0.0)


def test_a_death_that_cannot_be_told_counts_neither_way(example):
    optional = example.tables["fates"].assign(optional=lambda t: t["cell_id"] == 2)
    for called in (40.0, float("nan")):
        scores = score_deaths(
            schema.conform(optional.assign(frame_interval_s=2.0), TYPES),
            schema.conform(with_fate(example, 2, onset_s=called).assign(frame_interval_s=2.0), TYPES),
            pairs(example),
        )
        assert "death.recall" not in {n for n, v in scores.items() if not isinstance(v, str)}


def test_a_call_on_a_living_cell_is_false_per_thousand_cell_hours_and_near_a_division_a_mitosis(example):
    fates = example.tables["fates"]
    born = fates["parent_id"].notna()
    daughter = int(fates.loc[born, "cell_id"].iloc[0])
    called = with_fate(example, daughter, onset_s=2.0 * fates.loc[born, "first_frame"].iloc[0] + 60.0)
    scores = score_deaths(
        schema.conform(fates.assign(frame_interval_s=2.0), TYPES),
        schema.conform(called.assign(frame_interval_s=2.0), TYPES),
        pairs(example),
        exposure_h=500.0,
    )
    assert scores["death.false_per_1000_cell_h"].value == 2.0
    assert scores["death.mitoses_called"].value == 1.0


@pytest.mark.parametrize(("first_frame", "found"), [(23, 1.0), (24, 0.0)])
def test_a_division_must_be_called_within_three_frames(example, first_frame, found):
    fates = example.tables["fates"].copy()
    fates.loc[fates["parent_id"].notna(), "first_frame"] = first_frame
    assert example.score(fates=fates)["division.f1"].value == found


def test_a_division_that_is_not_called_is_missed(example):
    fates = example.tables["fates"].assign(parent_id=None).astype({"parent_id": "Int64"})
    assert example.score(fates=fates)["division.recall"].value == 0.0


def test_deaths_are_absent_when_a_side_carries_none(example):
    scores = example.score(fates=with_fate(example, 2, onset_s=float("nan")))
    assert scores.absent["death.f1"] == "the result carries no deaths"


def test_calibration_asks_whether_a_cell_was_dying_by_its_last_frame(example):
    """A track that ended before its cell died is none of a dead cell; optional deaths do not count."""
    truth = example.tables["fates"].assign(frame_interval_s=2.0)
    alive = example.tables["fates"].assign(frame_interval_s=2.0, death_probability=0.0)
    early = alive.assign(last_frame=alive["last_frame"].mask(alive["cell_id"] == 2, 10))
    unclear = truth.assign(optional=truth["cell_id"] == 2)
    for true, called, error in ((truth, alive, True), (truth, early, False), (unclear, alive, False)):
        scores = score_deaths(schema.conform(true, TYPES), schema.conform(called, TYPES), pairs(example))
        assert (scores["death.calibration_error"].value > 0) == error
