"""What cells had been exposed to: lags, fading, tracer, confounders, and who is at risk."""

from __future__ import annotations

import dataclasses

import numpy as np
import pandas as pd
import pytest

from exovision.experiment.exposures import confounders, exposure, make_cohort
from exovision.experiment.study import make_study
from exovision.simulation.study_plan import Arm, StudyPlan


def at(cohort, name, cell, hour, **options):
    return exposure(
        cohort, name, cell=np.array([cell]), at_s=np.array([hour * 3600.0]), scale="hit", **options
    )[0]


def test_hits_count_up_to_the_time_and_fade(make, settings_of):
    cohort = make_cohort(make([("m", 0, 10, "movie_end")], [(1, 1), (1, 3)]), settings_of())
    assert [at(cohort, "docked", 0, hour) for hour in (1, 1.1, 3.1)] == [0, 1, 2]
    assert at(cohort, "docked", 0, 5, half_life_s=2 * 3600.0) == pytest.approx(0.25 + 0.5)
    doubled = exposure(cohort, "docked", cell=np.array([0]), at_s=np.array([4 * 3600.0]), scale="doubling")
    assert doubled[0] == pytest.approx(np.log2(3))


def test_a_docking_is_sorted_by_how_it_ended(make, settings_of):
    kinds = ["docking", "docking", "docking", "fusion", "loss_unresolved", "detachment"]
    study = make([("m", 0, 10, "movie_end")], [(1, t) for t in (1, 2, 3, 4, 5, 6)], kinds=kinds)
    study.events["exosome_id"] = pd.array([1, 2, 3, 1, 2, 3], dtype="Int64")
    cohort = make_cohort(study, settings_of())
    counts = {name: at(cohort, name, 0, 9) for name in cohort.hits}
    assert counts == {"docked": 3, "fused": 1, "taken_up": 0, "docked_only": 1, "unresolved": 1}


def test_a_fusion_that_its_movie_could_not_tell_is_unresolved(make, settings_of):
    study = make([("m", 0, 10, "movie_end")], [(1, 1), (1, 2)], kinds=["docking", "fusion"])
    study.events["exosome_id"] = pd.array([1, 1], dtype="Int64")
    study.events["identifiable"] = pd.array([True, False], dtype="boolean")
    cohort = make_cohort(study, settings_of())
    assert at(cohort, "fused", 0, 9) == 0 and at(cohort, "unresolved", 0, 9) == 1


def test_a_cell_is_at_risk_until_the_earliest_sign_of_dying(make, settings_of):
    study = make([("m", 0, 10, "died"), ("m", 0, 10, "movie_end")], [])
    study.fates.loc[0, ["onset_s_lo", "onset_s_hi"]] = [9 * 3600.0, 11 * 3600.0]
    cohort = make_cohort(study, settings_of())
    assert cohort.end_s.tolist() == [9 * 3600.0, 10 * 3600.0]
    assert cohort.died.tolist() == [True, False]


def test_a_cell_that_was_dying_when_first_seen_was_never_at_risk(make, settings_of):
    cohort = make_cohort(make([("m", 2, 2, "died"), ("m", 0, 5, "movie_end")], []), settings_of())
    assert cohort.cells["cell_id"].tolist() == [2]


def test_unlabelled_hits_are_those_expected_of_the_cell(simulated, settings_of):
    """Regression of true on seen hits: the exposure is right on average at every number of seen hits."""
    plan = StudyPlan(arms=(Arm("NK", docking_per_h=2.0, death_per_h=1e-9),), donors=6, wells_per_donor=6)
    true = make_cohort(simulated(plan, 1), settings_of())
    rng = np.random.default_rng(2)
    study = simulated(plan, 1)
    docked = study.events["kind"] == "docking"
    seen = study.events[docked & (rng.random(len(docked)) < 0.2)]
    movies = study.movies.assign(tracer_fraction=0.2)
    partial = make_cohort(
        make_study(movies, fates=study.fates, events=seen, cells=study.cells), settings_of()
    )
    cell = np.arange(len(true.cells))
    time = np.full(len(cell), 12 * 3600.0)
    n = exposure(true, "docked", cell=cell, at_s=time, scale="hit")
    m = exposure(partial, "docked", cell=cell, at_s=time, scale="hit")
    slope = np.polyfit(m, n, 1)[0]
    assert slope == pytest.approx(1.0, abs=0.06)
    assert m.mean() == pytest.approx(n.mean(), rel=0.03)
    naive = np.polyfit(partial_count(partial, cell, time) / 0.2, n, 1)[0]
    assert naive < 0.9
    logs = [exposure(c, "docked", cell=cell, at_s=time, scale="doubling").mean() for c in (true, partial)]
    assert logs[1] == pytest.approx(logs[0], abs=0.05)


def partial_count(cohort, cell, time):
    from exovision.numerics.trains import sum_before

    return sum_before(cohort.hits["docked"], cell, time)


def test_missed_and_false_hits_are_allowed_for(make, settings_of):
    study = make([("m", 0, 10, "movie_end"), ("m", 0, 10, "movie_end")], [(1, 1), (1, 2), (2, 3)])
    half = make_cohort(study, settings_of(docking_precision=0.5))
    assert at(half, "docked", 0, 5) == pytest.approx(1.0)
    missed = make_cohort(study, settings_of(docking_recall=0.5))
    assert at(missed, "docked", 0, 10) > 2.0


def test_with_false_hits_the_exposure_is_that_of_the_true_ones(simulated, settings_of):
    """Regression of true on estimated hits, with a third as many false ones spread over all cells."""
    plan = StudyPlan(arms=(Arm("NK", docking_per_h=0.6, death_per_h=1e-9),), donors=6, wells_per_donor=6)
    noisy = simulated(dataclasses.replace(plan, false_per_h=0.3), 1)
    true = make_cohort(simulated(plan, 1), settings_of())
    found = make_cohort(noisy, settings_of(docking_precision=2 / 3))
    cell, time = np.arange(len(true.cells)), np.full(len(true.cells), 12 * 3600.0)
    n, m = (exposure(c, "docked", cell=cell, at_s=time, scale="hit") for c in (true, found))
    assert np.polyfit(m, n, 1)[0] == pytest.approx(1.0, abs=0.08)
    assert m.mean() == pytest.approx(n.mean(), rel=0.05)


def test_hours_that_were_not_filmed_count_as_unseen(make, settings_of):
    movies = pd.DataFrame({"movie": ["m"], "condition": "NK", "cell_hours": [5.0]})
    cohort = make_cohort(make([("m", 0, 10, "movie_end")], [(1, 1)], movies=movies), settings_of())
    assert cohort.seen.tolist() == [0.5]


def test_confounders_are_read_at_the_time_and_left_out_where_they_do_not_vary(simulated, settings_of):
    cohort = make_cohort(simulated(StudyPlan(late=0.5, sights_every=6), 3), settings_of())
    cell = np.arange(len(cohort.cells))
    found = confounders(cohort, cell=cell, at_s=np.full(len(cell), 20 * 3600.0))
    assert list(found) == ["area", "density", "division"]
    assert found["division"].sum() == (cohort.cells["entry"] == "birth").sum()
    one = confounders(cohort, cell=cell[:1], at_s=np.zeros(1))
    assert one == {}
