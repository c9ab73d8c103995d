import itertools

import numpy as np
import pytest
from scipy.optimize import linear_sum_assignment

from exovision.numerics.assignment import assign_pairs


def some_pairs(rng, n_rows, n_columns):
    rows, columns = np.nonzero(rng.random((n_rows, n_columns)) < rng.uniform(0.1, 1.0))
    return rows, columns, rng.normal(0.3, 1.0, rows.size)


@pytest.mark.parametrize("seed", range(40))
def test_the_summed_gain_is_that_of_the_hungarian_method_with_the_choice_to_stay_alone(seed):
    rng = np.random.default_rng(seed)
    rows, columns, gains = some_pairs(rng, *rng.integers(1, 9, 2))
    full = np.zeros((10, 10))
    full[rows, columns] = np.maximum(gains, 0)
    chosen = assign_pairs(rows, columns, gains)
    assert gains[chosen].sum() == pytest.approx(full[linear_sum_assignment(full, maximize=True)].sum())


def test_rows_and_columns_occur_once_and_only_gains_are_taken():
    rows, columns, gains = some_pairs(np.random.default_rng(1), 60, 50)
    chosen = assign_pairs(rows, columns, gains)
    assert len(set(rows[chosen])) == len(set(columns[chosen])) == len(chosen) > 30
    assert (gains[chosen] > 0).all() and (np.diff(chosen) > 0).all()


def test_a_long_chain_is_shifted_as_a_whole_when_that_gains_more():
    n = 50
    rows = np.concatenate([np.arange(n), np.arange(n)])
    columns = np.concatenate([np.arange(n), np.arange(n) + 1])
    gains = np.concatenate([np.full(n, 1.0), np.full(n, 1.1)])
    assert columns[assign_pairs(rows, columns, gains)].tolist() == list(range(1, n + 1))


def test_no_pairs_and_no_gains_choose_nothing():
    none = np.empty(0, dtype=np.int64)
    assert assign_pairs(none, none, np.empty(0)).size == 0
    assert assign_pairs(np.array([0]), np.array([3]), np.array([-0.5])).size == 0


@pytest.mark.parametrize("seed", range(5))
def test_the_assignment_equals_an_exhaustive_search(seed):
    rng = np.random.default_rng(seed)
    n = 5
    benefit = np.where(rng.random((n, n)) < 0.6, rng.random((n, n)) + 0.1, 0.0)
    rows, columns = np.nonzero(benefit)
    chosen = assign_pairs(rows, columns, benefit[rows, columns])
    best = max(sum(benefit[i, p[i]] for i in range(n)) for p in itertools.permutations(range(n)))
    assert np.unique(rows[chosen]).size == np.unique(columns[chosen]).size == chosen.size
    assert benefit[rows[chosen], columns[chosen]].sum() == pytest.approx(best)
