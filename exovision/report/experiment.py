"""The report of an experiment: figures in a folder and one HTML page that a reviewer can read."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pandas as pd
from matplotlib.figure import Figure

from exovision.files import write_text
from exovision.report import experiment_charts as charts
from exovision.report import wording
from exovision.report.experiment_look import Look
from exovision.report.page import render
from exovision.report.style import house_style, save_figure
from exovision.settings import ExperimentSettings


def write_experiment_report(
    folder: Path,
    *,
    tables: Mapping[str, pd.DataFrame],
    arms: pd.DataFrame,
    summary: Mapping[str, Any],
    design: Mapping[str, list[str]],
    settings: ExperimentSettings,
    versions: Mapping[str, str | None],
) -> Path:
    """Write `figures/` and `report.html` into the experiment's folder.

    Parameters
    ----------
    folder : Path
        Exists.
    tables : mapping of str to DataFrame
        `survival cumulative_incidence latency hazard comparison wells`, columns as in `exovision.schema`.
    arms : DataFrame
        `condition source target_type treatment control wells donors movies`, a row per condition.
    summary : mapping
        Counts, and the sentences `allowed` and `not_allowed`.
    design : mapping
        `testable` and `warnings`, lines of text.
    settings : ExperimentSettings
    versions : mapping
        Of Python and the packages.

    Returns
    -------
    Path
        `folder/report.html`.

    Raises
    ------
    OSError
        If the files cannot be written.
    """
    figures = folder / "figures"
    figures.mkdir(exist_ok=True)
    with house_style():
        drawn = _draw(tables, arms, summary, settings)
        plates = {name: save_figure(figure, figures, name) for name, figure in drawn.items()}
    hazard = tables["hazard"]
    page = {
        "summary": summary,
        "design": design,
        "settings": settings,
        "versions": versions,
        "plates": plates,
        "words": wording,
        "names": {**charts.EXPOSURES, **charts.ROUTES},
        "comparisons": _rows(tables["comparison"]),
        "readouts": summary["readouts"],
        "hits": _rows(hazard[hazard["analysis"].isin(["hits", "unadjusted"])]),
        "damage": _rows(hazard[hazard["analysis"] == "damage"]),
        "routes": _rows(hazard[hazard["analysis"].isin(["route", "route_bound"])]),
    }
    report = folder / "report.html"
    write_text(render("experiment.html.j2", page), report)
    return report


def _draw(
    tables: Mapping[str, pd.DataFrame],
    arms: pd.DataFrame,
    summary: Mapping[str, Any],
    settings: ExperimentSettings,
) -> dict[str, Figure | None]:
    look = Look(arms)
    lag_s = settings.lag_h * charts.HOUR_S
    survival, hazard, counts = tables["survival"], tables["hazard"], summary["counts"]
    hits = [name for name in summary["readouts"] if name.endswith("_per_cell_hour")]
    alive = [name for name in summary["readouts"] if name not in hits]
    return {
        "hits_superplot": charts.draw_superplot(tables["wells"], look, counts, readouts=hits),
        "alive_superplot": charts.draw_superplot(tables["wells"], look, counts, readouts=alive),
        "survival": charts.draw_survival(survival, look, horizon_s=summary["horizon_s"]),
        "cumulative_incidence": charts.draw_incidence(tables["cumulative_incidence"], look),
        "hazard": charts.draw_hazards(hazard, analysis="hits"),
        "lag_sweep": charts.draw_lags(hazard, look, lag_s=lag_s),
        "route": charts.draw_hazards(hazard, analysis="route"),
        "after_docking": charts.draw_landmarks(survival, look, start="docking"),
        "after_fusion": charts.draw_landmarks(survival, look, start="fusion"),
        "latency": charts.draw_latency(tables["latency"], look, lag_s=lag_s),
    }


def _rows(table: pd.DataFrame) -> list[dict[str, Any]]:
    """Return the rows of a table with None for what is not known."""
    return [
        {
            str(name): None if pd.isna(value) else value.item() if hasattr(value, "item") else value
            for name, value in row.items()
        }
        for row in table.to_dict("records")
    ]
