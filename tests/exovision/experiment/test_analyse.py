"""Whole experiments from tables, also those that hardly allow anything: what is said then."""

from __future__ import annotations

import dataclasses

import numpy as np
import pandas as pd
import pytest

from exovision import schema
from exovision.experiment.analyse import analyse_study
from exovision.experiment.study import make_study
from exovision.simulation.studies import simulate_study
from exovision.simulation.study_plan import Arm, StudyPlan

COLUMNS = {
    "survival": schema.SURVIVAL,
    "cumulative_incidence": schema.CUMULATIVE_INCIDENCE,
    "latency": schema.LATENCY,
    "hazard": schema.HAZARD,
    "comparison": schema.COMPARISON,
    "wells": schema.WELLS,
}
SMALL = StudyPlan(
    arms=(Arm("NK", docking_hr=1.6), Arm("none", control="no_exosome", docking_per_h=0.0)),
    cells_per_well=15,
    sights_every=6,
)


def said(found):
    return "\n".join([*found.summary["allowed"], *found.summary["not_allowed"]])


def test_the_tables_have_the_columns_of_the_contract(killing, settings_of):
    found = analyse_study(killing, settings_of())
    for name, table in found.tables().items():
        assert list(table.columns)[: len(COLUMNS[name])] == list(COLUMNS[name]), name
        assert len(table), name


def test_the_summary_counts_every_level_and_says_what_was_found(killing, settings_of):
    found = analyse_study(killing, settings_of(null_draws=19))
    row = found.summary["counts"][0]
    assert (row["condition"], row["donors"], row["wells"]) == ("NK exosomes", 3, 6)
    assert row["cells"] == (found.wells["cells"][found.wells["condition"] == "NK exosomes"]).sum()
    text = said(found)
    assert "cells died in" in text
    assert "In NK exosomes, each doubling of (1 + dockings) goes with" in text
    assert "In dye, each doubling of (1 + dockings)" in text and "chance explains it" in text
    assert "Routes, NK exosomes: a doubling of fusions" in text
    assert "of dockings ended in a way that could not be told" in text
    assert "deaths are needed" in text
    assert "Cells were not given their hits at random" in text


def test_the_same_tables_give_the_same_experiment(killing, settings_of):
    one, two = (analyse_study(killing, settings_of(null_draws=5)) for _ in range(2))
    for name, table in one.tables().items():
        pd.testing.assert_frame_equal(table, two.tables()[name])
    assert one.summary["allowed"] == two.summary["allowed"]


def test_without_a_judged_death_only_hits_are_compared(simulated, settings_of):
    study = simulated(SMALL, 1)
    fates = study.fates.assign(
        exit="movie_end", death_mode=pd.NA, death_probability=np.nan, onset_s=np.nan, onset_s_lo=np.nan
    )
    found = analyse_study(
        make_study(study.movies, fates=fates, events=study.events, cells=study.cells.assign(state="unknown")),
        settings_of(),
    )
    text = said(found)
    assert "no death was judged in these movies" in text
    assert found.hazard.empty and found.survival.empty
    assert set(found.comparison["readout"]) == {"dockings_per_cell_hour", "uptakes_per_cell_hour"}
    assert "Dockings per cell and hour: NK" in text
    assert found.wells["deaths"].isna().all() and found.wells["survival"].isna().all()


def test_no_deaths_bound_the_rate_of_death(simulated, settings_of):
    plan = dataclasses.replace(
        SMALL, arms=tuple(dataclasses.replace(a, death_per_h=1e-12) for a in SMALL.arms)
    )
    found = analyse_study(simulated(plan, 1), settings_of())
    hours = found.summary["cell_hours"]
    assert f"the rate of death is below {3.689 / hours:.2g} per cell and hour" in said(found)
    assert (found.survival["survival"] == 1).all()
    assert found.latency.empty and found.cumulative_incidence.empty
    alive = found.comparison[found.comparison["readout"] == "mean_time_alive_h"]
    assert alive["note"].str.contains("alike").all()


def test_when_everyone_dies_times_still_tell_conditions_apart(simulated, settings_of):
    arms = (Arm("NK", docking_hr=3.0, death_per_h=1.0), Arm("none", control="no_exosome", death_per_h=0.6))
    plan = dataclasses.replace(SMALL, arms=arms, duration_h=30.0)
    found = analyse_study(simulated(plan, 2), settings_of())
    assert found.summary["deaths"] == sum(row["cells"] for row in found.summary["counts"])
    assert "cells died: shares alive at the end tell conditions no longer apart" in said(found)
    row = found.comparison[found.comparison["readout"] == "mean_time_alive_h"].iloc[0]
    assert row["p"] < 0.05


def test_one_well_per_condition_is_described_and_not_tested(simulated, settings_of):
    found = analyse_study(
        simulated(dataclasses.replace(SMALL, donors=1, wells_per_donor=1), 3), settings_of()
    )
    text = said(found)
    assert "One well only: NK, none" in text
    assert "Differences between conditions are described, not tested" in text
    assert found.comparison["p"].isna().all()
    assert found.comparison["difference"].notna().all()
    assert "descriptive only" in text


def test_a_condition_with_one_cell_is_counted_and_breaks_nothing(make, settings_of):
    movies = pd.DataFrame({"movie": ["a", "b"], "condition": ["NK", "none"]})
    cells = [("a", 0, 5, "died"), ("b", 0, 10, "movie_end"), ("b", 0, 8, "died")]
    found = analyse_study(make(cells, [(1, 1)], movies=movies), settings_of())
    assert [row["cells"] for row in found.summary["counts"]] == [1, 2]
    assert "1 + dockings" not in said(found) or "cannot be estimated" in said(found)
    assert "2 of 3 cells died" in said(found)


def test_movies_missing_from_the_sheet_are_left_out_and_said(simulated, settings_of):
    study = simulate_study(SMALL, seed=1)
    movies = study.movies.copy()
    movies.loc[0, ["condition", "source", "target_type", "treatment"]] = None
    found = analyse_study(
        make_study(movies, fates=study.fates, events=study.events, cells=study.cells), settings_of()
    )
    assert "1 of 12 movie(s) have no condition in the sheet" in said(found)
    assert len(found.wells) == 11


def test_unknown_columns_of_the_sheet_change_nothing(simulated, settings_of):
    study = simulate_study(SMALL, seed=1)
    plain, more = (
        analyse_study(
            make_study(movies, fates=study.fates, events=study.events, cells=study.cells), settings_of()
        )
        for movies in (study.movies, study.movies.assign(operator="Ada", lot="007"))
    )
    pd.testing.assert_frame_equal(plain.hazard, more.hazard)


def test_movies_without_any_cell_say_that_nothing_can_be_said(make, settings_of):
    found = analyse_study(make([("m", 2, 2, "movie_end")], []), settings_of())
    assert "No cell was watched" in said(found)
    assert all(table.empty for table in found.tables().values())


@pytest.mark.parametrize("share", [0.0, 0.4])
def test_where_fusion_was_not_told_the_routes_are_not_compared(share, simulated, settings_of):
    arms = tuple(dataclasses.replace(arm, unresolved_share=share) for arm in SMALL.arms)
    found = analyse_study(simulated(dataclasses.replace(SMALL, arms=arms), 1), settings_of())
    assert not found.hazard["analysis"].isin(["route", "route_bound"]).any()
    assert "whether exosomes kill by docking (FasL) or by fusion (perforin) cannot be said" in said(found)
    assert ("could not be told" in said(found)) == bool(share)


def test_a_labelled_fraction_scales_rates_and_is_said(simulated, settings_of):
    plan = dataclasses.replace(SMALL, tracer_fraction=0.5)
    found = analyse_study(simulated(plan, 1), settings_of())
    assert "50% of hits could be seen" in said(found)
    whole = analyse_study(simulated(SMALL, 1), settings_of())
    rates = [f.wells[f.wells["condition"] == "NK"]["dockings_per_cell_hour"].mean() for f in (found, whole)]
    assert rates[0] == pytest.approx(rates[1], rel=0.15)
