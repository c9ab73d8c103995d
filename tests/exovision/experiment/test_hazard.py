"""Hazards of hits: truth found, hindsight and size removed, routes apart, damage that fades, nulls."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from exovision.experiment.cox import fit_hazard
from exovision.experiment.damage import profile_half_life
from exovision.experiment.exposures import exposure, make_cohort
from exovision.experiment.hazard import ALL, CONTRAST, estimate, hazard_table, make_groups, time_shift_p
from exovision.simulation.study_plan import Arm, StudyPlan

HOUR_S = 3600.0


def two(**changes):
    return Arm("one", **changes), Arm("other", **changes)


def ratio(simulated, settings_of, plan, *, seed=1, lag_h=1.0, adjust=True):
    """Hazard ratio and limits of dockings in all conditions together."""
    settings = settings_of()
    cohort = make_cohort(simulated(plan, seed), settings)
    group = make_groups(cohort, settings)[0]
    extra = None if adjust else {}
    fit, _ = estimate(cohort, group, ("docked",), lag_s=lag_h * HOUR_S, settings=settings, adjusters=extra)
    contrast = np.zeros(len(fit.beta))
    contrast[0] = 1
    return np.exp(fit.interval(contrast)[:3])


def test_the_true_ratio_lies_in_the_interval(simulated, settings_of):
    plan = StudyPlan(arms=two(docking_hr=1.6), late=0.2, lost_per_h=0.01, well_spread=0.3, sights_every=6)
    value, lo, hi = ratio(simulated, settings_of, plan)
    assert lo < 1.6 < hi
    assert value == pytest.approx(1.6, rel=0.15)


def test_dying_cells_that_catch_more_deceive_at_lag_0_and_not_at_1_h(simulated, settings_of):
    plan = StudyPlan(arms=two(), docking_after_onset=10.0, onset_delay_h=0.4, sights_every=6)
    assert ratio(simulated, settings_of, plan, lag_h=0.0)[1] > 1.1
    _, lo, hi = ratio(simulated, settings_of, plan)
    assert lo < 1 < hi


def test_size_deceives_unless_it_is_adjusted_for(simulated, settings_of):
    plan = StudyPlan(arms=two(), size_to_docking=1.0, size_to_death=1.0, size_spread=0.8, sights_every=6)
    assert ratio(simulated, settings_of, plan, adjust=False)[1] > 1
    _, lo, hi = ratio(simulated, settings_of, plan)
    assert lo < 1 < hi


def test_nothing_after_the_earliest_sign_counts_whatever_the_lag(make, settings_of):
    """Hits rain on dying cells only after `onset_s_lo`: every cell's exposure at every death is 0."""
    cells = [("m", 0, 5 + k, "died") for k in range(5)] + [("m", 0, 12, "movie_end")]
    study = make(cells, [(k + 1, 5 + k - 0.5) for k in range(5)])
    study.fates["onset_s_lo"] = study.fates["onset_s"] - HOUR_S
    settings = settings_of(lag_h=0.0)
    cohort = make_cohort(study, settings)
    table = hazard_table(cohort, settings)
    row = table[table["analysis"] == "hits"].iloc[0]
    assert np.isnan(row["hazard_ratio"])
    assert "does not vary" in row["note"]


def test_the_table_holds_every_analysis(killing, settings_of):
    table = hazard_table(make_cohort(killing, settings_of()), settings_of(null_draws=19))
    assert set(table["analysis"]) == {"hits", "unadjusted", "lag_sweep", "route", "route_bound", "damage"}
    sweep = table[(table["analysis"] == "lag_sweep") & (table["exposure"] == "docked")]
    assert sweep[sweep["condition"] == "dye"]["lag_s"].tolist() == [1800.0 * k for k in range(9)]
    main = table[table["analysis"] == "hits"].set_index(["condition", "exposure"])
    killer = main.loc[("NK exosomes", "docked")]
    assert killer["hazard_ratio_lo"] > 1 and killer["p"] < 0.01 and killer["p_time_shift"] == 0.05
    dye = main.loc[("dye", "docked")]
    assert dye["hazard_ratio_lo"] < 1 < dye["hazard_ratio_hi"] and dye["p_time_shift"] > 0.05
    assert killer["clusters"] == 6 and killer["cluster_level"] == "well"
    assert killer["adjusted_for"] == "area, density, division"


def test_fusion_and_docking_without_it_are_told_apart(killing, settings_of):
    table = hazard_table(make_cohort(killing, settings_of()), settings_of())
    routes = table[(table["analysis"] == "route")].set_index("exposure")
    assert routes.loc["fused", "hazard_ratio_lo"] < 2.5 < routes.loc["fused", "hazard_ratio_hi"]
    assert routes.loc["docked_only", "hazard_ratio"] < routes.loc["fused", "hazard_ratio"]
    contrast = routes.loc[CONTRAST, "hazard_ratio"]
    single = routes.loc["fused", "hazard_ratio"] / routes.loc["docked_only", "hazard_ratio"]
    assert contrast == pytest.approx(single)
    bounds = table[table["analysis"] == "route_bound"]
    assert bounds["note"].tolist() == [
        "every unresolved loss taken for no fusion",
        "every unresolved loss taken for fusion",
    ]


def test_controls_are_not_pooled_with_what_they_control(killing, settings_of):
    groups = make_groups(make_cohort(killing, settings_of()), settings_of())
    assert [group.name for group in groups] == ["NK exosomes", "dye"]


def test_donors_can_be_the_clusters(killing, settings_of):
    settings = settings_of(cluster="donor")
    table = hazard_table(make_cohort(killing, settings), settings)
    assert set(table["cluster_level"]) == {"donor"}
    assert table[table["analysis"] == "hits"]["clusters"].max() == 3


def test_a_confounder_that_parts_the_dying_alone_is_left_out(simulated, settings_of):
    """No cell that was born in the movie died: division has no finite coefficient."""
    study = simulated(StudyPlan(arms=(Arm("NK", docking_hr=1.5),), late=0.3, sights_every=6), 1)
    born = study.fates["entry"] == "birth"
    study.fates.loc[born, ["exit", "death_mode"]] = ["movie_end", pd.NA]
    table = hazard_table(make_cohort(study, settings_of()), settings_of())
    row = table[table["analysis"] == "hits"].iloc[0]
    assert row["adjusted_for"] == "area, density"
    assert row["hazard_ratio_lo"] > 1


def test_one_well_has_cells_for_clusters_and_says_so(simulated, settings_of):
    plan = StudyPlan(arms=(Arm("NK"),), donors=1, wells_per_donor=1, sights_every=6)
    table = hazard_table(make_cohort(simulated(plan, 1), settings_of()), settings_of())
    row = table[table["analysis"] == "hits"].iloc[0]
    assert row["cluster_level"] == "cell" and row["descriptive"]
    assert "one well" in row["note"]


def test_few_deaths_are_descriptive_only(killing, settings_of):
    settings = settings_of(min_deaths=100000)
    table = hazard_table(make_cohort(killing, settings), settings)
    assert table["descriptive"].all()
    assert "descriptive only" in table["note"].iloc[0]


def test_the_half_life_of_damage_is_found(simulated, settings_of):
    plan = StudyPlan(arms=two(docking_hr=3.0), scale="damage", half_life_h=2.0, sights_every=6)
    settings = settings_of()
    cohort = make_cohort(simulated(plan, 2), settings)
    group = make_groups(cohort, settings)[0]
    row = hazard_table(cohort, settings).query("analysis == 'damage' and condition == @ALL").iloc[0]
    assert row["half_life_s_lo"] < 2 * HOUR_S < row["half_life_s_hi"]
    assert row["hazard_ratio"] == pytest.approx(3.0, rel=0.15)
    assert np.isnan(row["p"])
    at_s = group.pairs.time_s - HOUR_S

    def fit_at(half_life_s):
        damage = exposure(
            cohort, "docked", cell=group.pairs.cell, at_s=at_s, scale="hit", half_life_s=half_life_s
        )
        return fit_hazard(damage[:, None], group.pairs, group.cluster)

    found = profile_half_life(fit_at, longest_s=24 * HOUR_S)
    drop = found.fit.log_likelihood - fit_at(found.hi_s).log_likelihood
    assert drop == pytest.approx(
        1.92 * max(1, found.fit.covariance[0, 0] / found.fit.model_variance[0]), rel=0.02
    )


def test_a_half_life_that_the_data_do_not_bound_says_so(simulated, settings_of):
    plan = StudyPlan(arms=(Arm("NK", docking_hr=1.0),), donors=2, wells_per_donor=1, sights_every=6)
    table = hazard_table(make_cohort(simulated(plan, 3), settings_of()), settings_of())
    row = table[table["analysis"] == "damage"].iloc[0]
    assert np.isnan(row["half_life_s_lo"]) or np.isnan(row["half_life_s_hi"])
    assert "half-life" in row["note"]


def test_hits_dealt_anew_keep_their_number_and_their_field(killing, settings_of):
    from exovision.experiment.hazard import _deal, _owners

    cohort = make_cohort(killing, settings_of())
    dealt = _deal(cohort, "docked", np.random.default_rng(0))
    real = cohort.hits["docked"]
    before, after = (np.bincount(cohort.field[_owners(t)]) for t in (real, dealt))
    assert before.tolist() == after.tolist()
    assert sorted(np.diff(real.start)) == sorted(np.diff(dealt.start))
    assert np.diff(dealt.start).tolist() != np.diff(real.start).tolist()


def test_without_draws_there_is_no_null(killing, settings_of):
    settings = settings_of()
    cohort = make_cohort(killing, settings)
    group = make_groups(cohort, settings)[0]
    fit, _ = estimate(cohort, group, ("docked",), lag_s=HOUR_S, settings=settings)
    assert np.isnan(time_shift_p(cohort, group, "docked", fit, settings))
    assert group.name != ALL
