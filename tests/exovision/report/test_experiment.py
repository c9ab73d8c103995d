"""The experiment report: every condition has one look, and charts say nothing where there is nothing."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from exovision import schema
from exovision.report import experiment_charts as charts
from exovision.report.experiment import write_experiment_report
from exovision.report.experiment_look import Look
from exovision.settings import ExperimentSettings

ARMS = pd.DataFrame(
    {
        "condition": ["NK, tumour", "NK, resting immune", "dye, tumour"],
        "target_type": ["tumour", "resting_immune", "tumour"],
        "control": ["none", "none", "dye_only"],
    }
)
TABLES = {
    "survival": schema.SURVIVAL,
    "cumulative_incidence": schema.CUMULATIVE_INCIDENCE,
    "latency": schema.LATENCY,
    "hazard": schema.HAZARD,
    "comparison": schema.COMPARISON,
    "wells": schema.WELLS,
}
SUMMARY = {
    "counts": [
        {
            "condition": name,
            "control": "none",
            **dict.fromkeys(("donors", "wells", "movies", "cells", "deaths", "divided", "lost"), 0),
            **dict.fromkeys(("cell_hours", "dockings", "fusions", "unresolved"), 0),
        }
        for name in ARMS["condition"]
    ],
    "death_judged": True,
    "horizon_s": 0.0,
    "unresolved_share": None,
    "allowed": ["Nothing <here>."],
    "not_allowed": ["All of it & more."],
    "readouts": {"survival": "share alive at the horizon"},
}


def hazard(**columns):
    n = max(len(v) for v in columns.values() if isinstance(v, list))
    given = {"analysis": "hits", "exposure": "docked", "scale": "doubling", "descriptive": False}
    table = pd.DataFrame({**given, **columns}, index=range(n))
    return schema.conform(table, schema.HAZARD)


def test_a_condition_has_one_colour_on_every_target_and_controls_are_dull():
    look = Look(ARMS)
    assert look.of("NK, tumour") == look.of("NK, resting immune")
    assert look.short["NK, resting immune"] == "NK"
    assert look.panels() == {
        "tumour": ["NK, tumour", "dye, tumour"],
        "resting_immune": ["NK, resting immune"],
    }
    assert look.of("dye, tumour")[0] == charts.GREY


def test_many_conditions_differ_in_colour_or_dash():
    arms = pd.DataFrame({"condition": [f"c{k}" for k in range(20)], "target_type": pd.NA, "control": "none"})
    look = Look(arms)
    assert len({look.of(name) for name in arms["condition"]}) == 20


def test_an_experiment_without_anything_has_a_page_that_says_so(tmp_path):
    report = write_experiment_report(
        tmp_path,
        tables={name: schema.empty(columns) for name, columns in TABLES.items()},
        arms=ARMS,
        summary=SUMMARY,
        design={"testable": [], "warnings": []},
        settings=ExperimentSettings(),
        versions={"exovision": None, "python": "3"},
    )
    text = report.read_text(encoding="utf-8")
    for missing in (
        "No hits on any cell.",
        "There are no two conditions to compare.",
        "No hazard ratio could be estimated.",
        "the routes cannot be compared",
        "No death after a hit.",
    ):
        assert missing in text
    assert "Nothing &lt;here&gt;." in text and "All of it &amp; more." in text
    assert list((tmp_path / "figures").iterdir()) == []


def test_a_ratio_is_drawn_at_its_value_and_descriptive_ones_are_grey():
    table = hazard(
        condition=["NK, tumour", "dye, tumour"],
        hazard_ratio=[2.0, 1.0],
        hazard_ratio_lo=[1.5, 0.5],
        hazard_ratio_hi=[2.5, 2.0],
        descriptive=[False, True],
    )
    axis = charts.draw_hazards(table, analysis="hits").axes[0]
    points = [line for line in axis.lines if line.get_marker() in ("o", "s")]
    assert [(float(p.get_xdata()[0]), p.get_color()) for p in points] == [
        (2.0, charts.BLUE),
        (1.0, charts.GREY),
    ]
    assert [label.get_text() for label in axis.get_yticklabels()] == ["dye, tumour", "NK, tumour"]


@pytest.mark.parametrize("lo", [np.nan, 0.5])
def test_ratios_without_an_interval_are_not_drawn(lo):
    table = hazard(condition=["a"], hazard_ratio=[1.0], hazard_ratio_lo=[lo], hazard_ratio_hi=[2.0])
    assert (charts.draw_hazards(table, analysis="hits") is None) == np.isnan(lo)


def test_survival_is_drawn_by_condition_and_by_well():
    rows = [
        {"level": level, "condition": "NK, tumour", "well": well, "start": "entry", "time_s": time}
        | {"survival": s, "survival_lo": s, "survival_hi": s, "cells": 2, "at_risk": 2, "deaths": 0}
        for level, well in (("condition", None), ("well", "A1"), ("well", "A2"))
        for time, s in ((0.0, 1.0), (3600.0, 0.5))
    ]
    table = schema.conform(pd.DataFrame(rows), schema.SURVIVAL)
    figure = charts.draw_survival(table, Look(ARMS), horizon_s=3600.0)
    steps = [
        line for line in figure.axes[0].lines if len(line.get_xdata()) == 2 and line.get_ydata()[1] == 0.5
    ]
    assert len(steps) == 3
    assert [axis.get_title("left") or axis.get_title() for axis in figure.axes][:2] == [
        "tumour",
        "resting immune",
    ]


def test_every_well_is_a_marker_of_the_superplot():
    wells = schema.conform(
        pd.DataFrame(
            {
                "condition": ["NK, tumour"] * 4,
                "well": list("abcd"),
                "donor": ["1", "1", "2", "2"],
                "survival": [0.2, 0.4, 0.6, 0.8],
            }
        ),
        schema.WELLS,
    )
    figure = charts.draw_superplot(wells, Look(ARMS), SUMMARY["counts"], readouts=["survival"])
    heights = np.concatenate([line.get_ydata() for line in figure.axes[0].lines])
    for value in (0.2, 0.4, 0.6, 0.8, 0.3, 0.7):
        assert np.isclose(heights, value).any()
