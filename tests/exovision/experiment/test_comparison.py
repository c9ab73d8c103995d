"""Tests between wells: against scipy, by hand, and under the null."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from exovision.experiment.comparison import Sample, comparison_table, hedges_g, permutation_p
from exovision.experiment.design import Contrast, Interaction
from exovision.settings import ExperimentSettings

READOUT = "mean_time_alive_h"
CONTRAST = [Contrast("control", "a", "b", None)]


def wells(values: dict[str, list[float]], donors: dict[str, list[str]] | None = None) -> pd.DataFrame:
    rows = [
        {
            "condition": arm,
            "well": f"{arm}{k}",
            "donor": donors[arm][k] if donors else pd.NA,
            READOUT: value,
            "dockings_per_cell_hour": 0.0,
            "fusions_per_cell_hour": 0.0,
            "uptakes_per_cell_hour": 0.0,
            "survival": np.nan,
        }
        for arm, found in values.items()
        for k, value in enumerate(found)
    ]
    return pd.DataFrame(rows)


def compare(table, contrasts=CONTRAST, interactions=()):
    return comparison_table(table, contrasts, interactions, ExperimentSettings()).iloc[0]


def test_wells_without_donors_are_compared_by_welch():
    a, b = [1.0, 2, 4, 3.5], [5.0, 6, 9]
    row = compare(wells({"a": a, "b": b}))
    expected = stats.ttest_ind(a, b, equal_var=False)
    assert row["p"] == pytest.approx(expected.pvalue)
    interval = expected.confidence_interval()
    assert (row["difference_lo"], row["difference_hi"]) == pytest.approx((interval.low, interval.high))
    assert (row["test"], row["q"]) == ("Welch, wells", row["p"])


def test_one_well_per_donor_is_the_paired_t_test():
    a, b = [1.0, 2, 4], [5.0, 7, 7.5]
    row = compare(wells({"a": a, "b": b}, {"a": list("xyz"), "b": list("xyz")}))
    assert row["p"] == pytest.approx(stats.ttest_rel(a, b).pvalue)
    assert row["test"] == "mixed model over donors"
    assert "nothing is said of other donors" in row["note"]


def test_five_donors_are_the_replicates():
    rng = np.random.default_rng(1)
    names = [f"d{k}" for k in range(5) for _ in range(2)]
    a, b = rng.normal(size=10), rng.normal(1, 1, 10)
    row = compare(wells({"a": a.tolist(), "b": b.tolist()}, {"a": names, "b": names}))
    means = (a - b).reshape(5, 2).mean(axis=1)
    assert row["p"] == pytest.approx(stats.ttest_1samp(means, 0).pvalue)
    assert row["test"] == "donors"


def test_wells_within_donors_are_the_two_way_analysis_of_variance():
    a, b = np.array([1.0, 2, 5, 6.5]), np.array([2.5, 3, 8, 8.2])
    names = ["x", "x", "y", "y"]
    row = compare(wells({"a": a.tolist(), "b": b.tolist()}, {"a": names, "b": names}))
    y = np.concatenate([a, b]).reshape(2, 2, 2)
    fitted = y.mean(axis=(1, 2), keepdims=True) + y.mean(axis=(0, 2), keepdims=True) - y.mean()
    variance = ((y - fitted) ** 2).sum() / 5
    t = (a.mean() - b.mean()) / np.sqrt(variance * (1 / 4 + 1 / 4))
    assert row["p"] == pytest.approx(2 * stats.t.sf(abs(t), 5))


def test_donors_of_their_own_in_each_condition_are_the_t_test_of_their_means():
    rng = np.random.default_rng(3)
    names = [[f"{arm}{k}" for k in range(3) for _ in range(2)] for arm in "ab"]
    a, b = (np.repeat(rng.normal(0, 5, 3), 2) + rng.normal(size=6) for _ in range(2))
    row = compare(wells({"a": a.tolist(), "b": b.tolist()}, {"a": names[0], "b": names[1]}))
    means = [x.reshape(3, 2).mean(axis=1) for x in (a, b)]
    assert row["p"] == pytest.approx(stats.ttest_ind(*means).pvalue, rel=1e-4)
    assert row["test"] == "mixed model over donors" and pd.isna(row["note"])


@pytest.mark.parametrize(
    "donors", [{"a": "xxx", "b": "xxx"}, {"a": "xxx", "b": "yyy"}, {"a": "xyz", "b": "uvw"}]
)
def test_donors_that_cannot_be_told_from_conditions_or_wells_leave_the_test_over_wells(donors):
    a, b = [1.0, 2, 4], [5.0, 6, 9]
    row = compare(wells({"a": a, "b": b}, {arm: list(names) for arm, names in donors.items()}))
    assert row["p"] == pytest.approx(stats.ttest_ind(a, b, equal_var=False).pvalue)
    assert row["test"] == "Welch, wells"
    assert "cannot be told from conditions or wells" in row["note"]


def test_wells_without_a_donor_are_left_out_of_the_mixed_model():
    donors = {"a": ["x", "y", pd.NA], "b": ["x", "y", "y"]}
    with_them = compare(wells({"a": [1.0, 2, 50], "b": [3.0, 5, 4.5]}, donors))
    without = compare(wells({"a": [1.0, 2], "b": [3.0, 5, 4.5]}, {"a": ["x", "y"], "b": ["x", "y", "y"]}))
    assert (with_them["test"], with_them["p"]) == ("mixed model over donors", without["p"])


def test_the_permutation_deals_every_arrangement():
    a, b = Sample(np.array([1.0, 2, 3]), [None] * 3), Sample(np.array([10.0, 11, 12]), [None] * 3)
    assert permutation_p(a, b, [], seed=0) == pytest.approx((0.1, 0.1))
    mixed = Sample(np.array([1.0, 11, 3]), [None] * 3), Sample(np.array([10.0, 2, 12]), [None] * 3)
    expected = stats.permutation_test(
        (mixed[0].values, mixed[1].values), lambda x, y: x.mean() - y.mean(), n_resamples=np.inf
    )
    assert permutation_p(*mixed, [], seed=0)[0] == pytest.approx(expected.pvalue)


def test_the_permutation_keeps_to_donors_where_they_are_paired():
    donors = ["x", "x", "y", "y"]
    a, b = Sample(np.array([1.0, 2, 11, 12]), donors), Sample(np.array([3.0, 4, 13, 14]), donors)
    assert permutation_p(a, b, ["x", "y"], seed=0) == pytest.approx((2 / 36, 2 / 36))


def test_many_wells_are_dealt_at_random_with_a_seed():
    rng = np.random.default_rng(0)
    a, b = (Sample(rng.normal(size=12), [None] * 12) for _ in range(2))
    first, least = permutation_p(a, b, [], seed=4)
    assert (first, least) == permutation_p(a, b, [], seed=4)
    assert first == pytest.approx(stats.ttest_ind(a.values, b.values).pvalue, abs=0.03)


def test_the_interaction_is_the_difference_of_differences():
    values = {"a": [1.0, 2], "b": [4.0, 6], "c": [3.0, 4], "d": [3.0, 5]}
    row = compare(wells(values), [], [Interaction("a", "b", "tumour", "c", "d", "resting")])
    assert row["difference"] == pytest.approx((1.5 - 5) - (3.5 - 4))
    assert (row["mean"], row["mean_reference"]) == pytest.approx((-3.5, -0.5))
    assert row["target_type"] == "tumour against resting"


def test_hedges_g_is_corrected_for_few_wells():
    g, lo, hi = hedges_g(np.array([1.0, 2, 3]), np.array([4.0, 5, 6]))
    assert g == pytest.approx(-3 * (1 - 3 / 15))
    assert lo < g < hi


def test_p_values_are_corrected_over_all_readouts():
    table = wells({"a": [1.0, 2, 3], "b": [2.0, 4, 5]})
    table["survival"] = [0.1, 0.2, 0.3, 0.7, 0.8, 0.9]
    found = comparison_table(table, CONTRAST, [], ExperimentSettings())
    assert found["readout"].tolist() == ["survival", READOUT]
    assert found["q"].tolist() == pytest.approx(stats.false_discovery_control(found["p"].to_numpy()).tolist())


@pytest.mark.parametrize(
    ("values", "note"),
    [
        ({"a": [1.0], "b": [2.0, 3]}, "one well in a condition"),
        ({"a": [1.0, 1], "b": [1.0, 1]}, "alike"),
    ],
)
def test_what_cannot_be_tested_is_described(values, note):
    row = compare(wells(values))
    assert np.isnan(row["p"]) and np.isnan(row["q"])
    assert note in row["note"]
    assert np.isfinite(row["difference"])
