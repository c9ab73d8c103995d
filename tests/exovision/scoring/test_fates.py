import pytest


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
