"""The design of an experiment, read off the sheet before anything runs."""

from __future__ import annotations

import pandas as pd
import pytest

from exovision.errors import InputError
from exovision.experiment.design import check_design, smallest_p
from exovision.experiment.study import label_movies, make_study
from exovision.settings import ExperimentSettings


def sheet(**columns):
    n = max(len(values) for values in columns.values() if isinstance(values, list))
    return pd.DataFrame({"movie": [f"m{k}" for k in range(n)], **columns})


FULL = sheet(
    condition=["NK"] * 6 + ["none"] * 6,
    target_type=(["tumour"] * 3 + ["resting"] * 3) * 2,
    control=["none"] * 6 + ["no_exosome"] * 6,
    donor=["1", "2", "3"] * 4,
    well=[f"A{k}" for k in range(12)],
)


def test_arms_are_conditions_parted_by_what_differs_within_them():
    design = check_design(FULL, ExperimentSettings())
    assert design.arms["condition"].tolist() == [
        "NK, tumour",
        "NK, resting",
        "none, tumour",
        "none, resting",
    ]
    assert design.arms[["wells", "donors", "movies"]].to_numpy().tolist() == [[3, 3, 3]] * 4


def test_conditions_are_compared_with_the_control_of_their_target_and_between_targets():
    design = check_design(FULL, ExperimentSettings())
    assert [(c.kind, c.condition, c.reference) for c in design.contrasts] == [
        ("control", "NK, tumour", "none, tumour"),
        ("control", "NK, resting", "none, resting"),
    ]
    interaction = design.interactions[0]
    assert (interaction.treated, interaction.treated_other) == ("NK, tumour", "NK, resting")


def test_the_setting_names_the_reference():
    design = check_design(FULL, ExperimentSettings(reference="NK"))
    assert {c.reference for c in design.contrasts} == {"NK, tumour", "NK, resting"}
    lost = check_design(FULL, ExperimentSettings(reference="mock"))
    assert any("'mock' is no condition of the sheet; known: NK, tumour" in line for line in lost.warnings)


def test_blocked_arms_are_compared_with_the_unblocked_one():
    movies = sheet(
        condition=["NK"] * 4 + ["dye"] * 2,
        source=["NK"] * 4 + ["none"] * 2,
        treatment=["none", "none", "anti-FasL", "anti-FasL", "none", "none"],
        control=["none"] * 4 + ["dye_only"] * 2,
        well=list("abcdef"),
    )
    found = [(c.kind, c.condition, c.reference) for c in check_design(movies, ExperimentSettings()).contrasts]
    assert ("treatment", "NK, anti-FasL", "NK") in found
    assert ("control", "NK, anti-FasL", "dye") in found


def test_another_ph_is_compared_with_that_of_the_blood_and_doses_are_kept_apart():
    movies = sheet(
        condition=["NK"] * 4 + ["dye"],
        ph=[7.4, 6.5, 7.4, 6.5, 7.4],
        dose=[1, 1, 10, 10, 1],
        control=["none"] * 4 + ["dye_only"],
        well=list("abcde"),
    )
    found = [(c.condition, c.reference) for c in check_design(movies, ExperimentSettings()).contrasts]
    assert ("NK, ph 6.5, dose 1", "NK, ph 7.4, dose 1") in found
    assert ("NK, ph 6.5, dose 10", "NK, ph 7.4, dose 10") in found
    assert ("NK, ph 6.5, dose 1", "NK, ph 7.4, dose 10") not in found


def test_without_a_control_conditions_are_compared_in_pairs_and_it_says_so():
    design = check_design(sheet(condition=list("abc")), ExperimentSettings())
    assert [(c.kind, c.condition, c.reference) for c in design.contrasts] == [
        ("pair", "a", "b"),
        ("pair", "a", "c"),
        ("pair", "b", "c"),
    ]
    assert any("no control" in line for line in design.warnings)
    assert any("one well only: a, b, c" in line for line in design.warnings)


def test_what_can_be_tested_is_said_with_the_smallest_p():
    assert smallest_p(3, 3) == pytest.approx(0.1)
    assert smallest_p(4, 4) == pytest.approx(2 / 70)
    assert smallest_p(3, 4) == pytest.approx(1 / 35)
    assert check_design(FULL, ExperimentSettings()).testable == [
        "3 and 3 wells (smallest attainable p of a permutation 0.1, never below .05: only the t-test can be)"
        ": NK, tumour against none, tumour; NK, resting against none, resting"
    ]


def test_conditions_that_share_no_donor_are_said_to_be_mixed_up():
    movies = sheet(condition=["a", "a", "b", "b"], donor=["1", "2", "3", "4"], well=list("wxyz"))
    assert any(
        "a and b share no donor" in line for line in check_design(movies, ExperimentSettings()).warnings
    )


def test_movies_without_a_condition_are_counted():
    movies = sheet(condition=["a", "b", None], well=["x", "y", "z"])
    assert any(
        "1 of 3 movie(s) have no condition" in w for w in check_design(movies, ExperimentSettings()).warnings
    )


def test_a_sheet_without_conditions_says_that_nothing_can_be_compared():
    design = check_design(sheet(donor=["1"]), ExperimentSettings())
    assert design.lines() == ["note: the sheet names no condition: nothing can be compared"]


def test_source_and_target_stand_in_for_a_missing_condition():
    named = label_movies(sheet(source=["NK", "other"], target_type=["tumour", None]))
    assert named["arm"].tolist() == ["NK on tumour", "other"]


def test_wells_of_one_name_under_two_donors_are_two():
    movies = sheet(condition=["a"] * 3, donor=[1, 2, 2], well=["A1", "A1", "A1"])
    assert label_movies(movies)["unit"].tolist() == ["1 / A1", "2 / A1", "2 / A1"]
    assert check_design(movies, ExperimentSettings()).arms["wells"].tolist() == [2]


@pytest.mark.parametrize(
    ("movies", "message"),
    [
        (pd.DataFrame({"condition": ["a"]}), "movies: a column `movie` is needed, got condition"),
        (pd.DataFrame({"movie": ["m", "m"], "condition": ["a", "a"]}), "several of m"),
        (pd.DataFrame({"movie": ["m"]}), "must name conditions"),
    ],
)
def test_tables_that_are_no_study_are_told_in_one_line(movies, message):
    nothing = pd.DataFrame()
    with pytest.raises(InputError, match=message):
        make_study(movies, fates=nothing, events=nothing, cells=nothing)
