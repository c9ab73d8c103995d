"""The Cox model against hand calculation, lifelines, and the bootstrap of clusters."""

from __future__ import annotations

import numpy as np
import pytest

from exovision.experiment.cox import fit_hazard, pair_at_risk


@pytest.fixture
def cohort():
    """120 cells in 12 wells that differ, late entries, a fixed exposure with a true log ratio of 0.7."""
    rng = np.random.default_rng(3)
    well = np.repeat(np.arange(12), 10)
    x = rng.normal(size=120)
    entry = np.where(rng.random(120) < 0.3, rng.uniform(0, 1, 120), 0.0)
    hazard = 0.3 * np.exp(0.7 * x + rng.normal(0, 0.5, 12)[well])
    death = entry + rng.exponential(1 / hazard)
    end = np.minimum(death, 6.0)
    return entry, end, death < 6.0, well, x


def fit(cohort, *, stratum=None, cluster=None):
    entry, end, died, well, x = cohort
    stratum = np.zeros(len(x), dtype=np.int64) if stratum is None else stratum
    pairs = pair_at_risk(entry, end, died, stratum)
    return fit_hazard(x[pairs.cell][:, None], pairs, well if cluster is None else cluster)


def test_the_partial_likelihood_of_three_cells_is_that_of_the_textbook():
    """Deaths at 1 (x = 1) and 2 (x = 0), a survivor (x = 1): e^b/(2e^b + 1) · 1/(e^b + 1)."""
    x = np.array([1.0, 0.0, 1.0])
    ends, died = np.array([1.0, 2.0, 3.0]), np.array([True, True, False])
    pairs = pair_at_risk(np.zeros(3), ends, died, np.zeros(3, dtype=np.int64))
    assert pairs.cell.tolist() == [0, 1, 2, 1, 2]
    assert pairs.case.tolist() == [0, 3]
    found = fit_hazard(x[pairs.cell][:, None], pairs, np.arange(3))
    b = found.beta[0]
    assert found.log_likelihood == pytest.approx(b - np.log(2 * np.exp(b) + 1) - np.log(np.exp(b) + 1))
    grid = np.linspace(-4, 4, 8001)
    values = grid - np.log(2 * np.exp(grid) + 1) - np.log(np.exp(grid) + 1)
    assert b == pytest.approx(grid[values.argmax()], abs=1e-3)


def test_coefficients_are_those_of_lifelines(cohort):
    """lifelines 0.30.3: CoxPHFitter with entry_col, and the same stratified by well."""
    assert fit(cohort).beta[0] == pytest.approx(0.5968003, abs=1e-5)
    assert fit(cohort, stratum=cohort[3]).beta[0] == pytest.approx(0.8554294, abs=1e-5)
    assert np.sqrt(fit(cohort).model_variance[0]) == pytest.approx(0.1074938, abs=1e-5)


def test_ties_are_shared_as_efron_does():
    """lifelines 0.30.3 on six cells, two pairs of which die together."""
    x = np.array([0.2, 1.4, 0.3, -0.5, 0.9, -1.2])
    ends, died = np.array([1.0, 1, 2, 2, 3, 4]), np.array([1, 1, 1, 1, 0, 1], dtype=bool)
    pairs = pair_at_risk(np.zeros(6), ends, died, np.zeros(6, dtype=np.int64))
    found = fit_hazard(x[pairs.cell][:, None], pairs, np.arange(6))
    assert found.beta[0] == pytest.approx(0.5276807, abs=1e-5)


def test_the_standard_error_is_that_of_resampled_wells(cohort):
    entry, end, died, well, x = cohort
    found = fit(cohort)
    rng = np.random.default_rng(1)
    again = []
    for _ in range(300):
        rows = np.concatenate([np.flatnonzero(well == w) for w in rng.integers(0, 12, 12)])
        again.append(fit((entry[rows], end[rows], died[rows], well[rows], x[rows])).beta[0])
    assert np.sqrt(found.covariance[0, 0]) == pytest.approx(np.std(again), rel=0.25)


def test_with_wells_as_strata_the_correction_is_the_jackknife_of_wells(cohort):
    """One Newton step without each well, from the estimate with all of them."""
    entry, end, died, well, x = cohort
    found = fit(cohort, stratum=well)
    steps = []
    for w in range(12):
        rows = well == w
        part = fit_score(entry[rows], end[rows], died[rows], x[rows], found.beta[0])
        steps.append(part)
    score, information = np.array(steps).T
    total = information.sum()
    moved = -score / (total - information)
    assert found.covariance[0, 0] == pytest.approx(float(np.sum(moved**2)), rel=1e-6)


def fit_score(entry, end, died, x, beta):
    """Score and information of one well at a given coefficient."""
    score = information = 0.0
    for k in np.flatnonzero(died):
        at_risk = (entry < end[k]) & (end >= end[k])
        weight = np.exp(beta * x[at_risk]) / np.exp(beta * x[at_risk]).sum()
        mean = float(np.sum(weight * x[at_risk]))
        score += x[k] - mean
        information += float(np.sum(weight * (x[at_risk] - mean) ** 2))
    return score, information


@pytest.mark.parametrize("case", ["constant", "separated", "no deaths"])
def test_what_cannot_be_estimated_is_not_a_number(case):
    died = np.array([True, True, False, False]) & (case != "no deaths")
    x = np.ones(4) if case == "constant" else np.array([1.0, 1, 0, 0])
    pairs = pair_at_risk(np.zeros(4), np.array([1.0, 2, 3, 3]), died, np.zeros(4, dtype=np.int64))
    found = fit_hazard(x[pairs.cell][:, None], pairs, np.arange(4))
    assert np.isnan(found.beta).all()
    assert all(np.isnan(value) for value in found.interval(np.ones(1))[1:])


def test_one_cluster_gives_an_estimate_without_an_interval(cohort):
    found = fit(cohort, cluster=np.zeros(120, dtype=np.int64))
    assert np.isfinite(found.beta[0])
    assert np.isnan(found.interval(np.ones(1))[1])
