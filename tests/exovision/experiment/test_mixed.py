"""The mixed model: against statsmodels' MixedLM, against exact tests, and where it has no answer."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from exovision.experiment.mixed import fit_mixed

CROSSED = (
    {"x": [4.1, 5.0], "y": [6.2, 5.7, 6.9], "z": [3.3]},
    {"x": [5.2], "y": [7.9, 7.1], "z": [4.4, 5.1, 4.0]},
)
NESTED = (
    {"x": [4.1, 5.0], "y": [6.2, 5.7, 6.9], "z": [3.3, 4.0]},
    {"u": [5.2, 5.9], "v": [7.9, 7.1, 8.3], "w": [4.4, 5.1]},
)
DIFFERENCE = np.array([1.0, -1.0])


def fit(arms):
    rows = [(v, k, d) for k, arm in enumerate(arms) for d, values in arm.items() for v in values]
    y, arm, donors = zip(*rows)
    design = (np.array(arm)[:, None] == [0, 1]).astype(float)
    return fit_mixed(np.array(y), design, donors)


@pytest.mark.parametrize(
    ("arms", "difference", "error", "donor", "well"),
    [
        (CROSSED, -1.0542030305, 0.3265239897, 2.16881823, 0.27887983),
        (NESTED, -1.2025633689, 1.1928491969, 1.98995551, 0.32552999),
    ],
)
def test_unbalanced_wells_give_the_numbers_of_statsmodels(arms, difference, error, donor, well):
    """Those of statsmodels 0.15.0, `MixedLM(...).fit(reml=True)`, whose errors come from a joint Hessian."""
    found = fit(arms)
    assert DIFFERENCE @ found.beta == pytest.approx(difference, abs=1e-6)
    assert np.sqrt(DIFFERENCE @ found.covariance @ DIFFERENCE) == pytest.approx(error, rel=4e-3)
    assert found.variances == pytest.approx([donor, well], rel=1e-5)


def test_paired_donors_give_the_paired_t_test():
    a, b = [1.0, 2, 4, 9], [2.0, 4.5, 5, 11.2]
    value, error, freedom = fit([dict(zip("uvxy", ([v] for v in arm))) for arm in (a, b)]).contrast(
        DIFFERENCE
    )
    expected = stats.ttest_rel(a, b)
    assert (value / error, freedom) == pytest.approx((expected.statistic, 3), rel=1e-4)


def test_errors_grow_by_what_the_variances_are_not_known():
    found = fit(CROSSED)
    known = np.sqrt(DIFFERENCE @ found.covariance @ DIFFERENCE)
    assert known < found.contrast(DIFFERENCE)[1] < 1.1 * known


def test_donors_that_do_not_differ_have_no_variance():
    found = fit([{"x": [1.0, 3], "y": [3.0, 1]}, {"x": [2.0, 4], "y": [4.0, 2]}])
    assert found.variances == pytest.approx([0.0, 8 / 6])
    assert found.contrast(DIFFERENCE)[0] == pytest.approx(-1)


@pytest.mark.parametrize(
    "arms",
    [
        [{"x": [1.0, 2, 4]}, {"x": [2.0, 5]}],
        [{"x": [1.0, 2, 4]}, {"y": [2.0, 5]}],
        [{"x": [1.0], "y": [2.0]}, {"u": [4.0], "v": [2.0]}],
        [{"x": [1.0, 1], "y": [1.0]}, {"x": [1.0], "y": [1.0]}],
        [{"x": [0.0, 0], "y": [0.0]}, {"x": [0.0], "y": [0.0]}],
        [{"x": [1.0, 1], "y": [2.0]}, {"x": [2.0], "y": [3.0]}],
    ],
    ids=["one donor", "a donor a condition", "a well a donor", "alike", "zero", "an exact fit"],
)
def test_what_has_no_variances_is_not_fitted(arms):
    assert fit(arms) is None
