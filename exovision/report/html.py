"""The report of one movie: figures in a folder and one HTML page that holds everything."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from exovision.calibration import px_to_um
from exovision.files import write_text
from exovision.records import LabelStack, Movie
from exovision.report import charts, wording
from exovision.report.deaths import CELL_STATES, draw_deaths, draw_dying, draw_raster
from exovision.report.fate_strips import draw_fates
from exovision.report.overlay import draw_overlay
from exovision.report.page import render
from exovision.report.strips import draw_dockings
from exovision.report.style import STATES, Plate, house_style, save_figure
from exovision.settings import Settings


def write_report(
    folder: Path,
    *,
    movie: Movie,
    labels: LabelStack,
    spots: pd.DataFrame,
    exosomes: pd.DataFrame,
    events: pd.DataFrame,
    cells: pd.DataFrame,
    fates: pd.DataFrame,
    summary: Mapping[str, Any],
    settings: Settings,
    provenance: Mapping[str, Any],
    corrections: Mapping[str, Any],
) -> Path:
    """Write `figures/` and `report.html` into a movie's folder.

    Parameters
    ----------
    folder : Path
        Exists.
    movie : Movie
        A few frames are read again: those of the overlay, and of the docked exosomes and deaths shown.
    labels : LabelStack
        One (Y, X) image per frame.
    spots, exosomes, events, cells, fates : DataFrame
        Columns as in `exovision.schema`.
    summary : mapping
        Every number that the page prints of results.
    settings : Settings
    provenance : mapping
        Every number that the page prints of the input and the software.
    corrections : mapping
        `drift` (`applied px notes`, px of shape (T, 2)) and `bleaching` (`applied factor notes`, factor of
        shape (T,)).

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
    shown = settings.report
    with house_style():
        overlay = draw_overlay(movie, labels, spots, n_frames=shown.overlay_frames)
        dockings = draw_dockings(movie, labels, events, spots, n=shown.kymographs)
        sigma_z_um = settings.exosomes.psf_sigma_z_um
        endings = draw_fates(movie, labels, events, spots, n=shown.fates, sigma_z_um=sigma_z_um)
        plates = {
            "overlay": save_figure(overlay, figures, "overlay", embed="png"),
            "dockings": save_figure(dockings, figures, "dockings", embed="png"),
            "endings": save_figure(endings, figures, "endings", embed="png"),
            "deaths": save_figure(
                draw_deaths(movie, labels, cells, fates, n=shown.deaths), figures, "deaths", embed="png"
            ),
            "cell_states": save_figure(draw_raster(cells, fates), figures, "cell_states", embed="png"),
            "dying": save_figure(draw_dying(cells, fates), figures, "dying"),
            **_save_charts(figures, events, fates, summary),
            **_save_corrections(figures, movie, spots, corrections),
        }
    page = {
        "summary": summary,
        "settings": settings,
        "settings_yaml": settings.to_yaml(),
        "run": provenance,
        "plates": plates,
        "corrections": corrections,
        "words": wording,
        "cell_state_colours": CELL_STATES,
        "state_colours": {name: colour for name, (colour, _) in STATES.items()},
    }
    report = folder / "report.html"
    write_text(render("movie.html.j2", page), report)
    return report


def _save_charts(
    figures: Path, events: pd.DataFrame, fates: pd.DataFrame, summary: Mapping[str, Any]
) -> dict[str, Plate | None]:
    band_um = summary["identifiability"]["docking"]["band_um"]
    cut = events[(events["kind"] == "docking") & (events["censored"] == "right")]
    # A docking seen in n frames stands for n intervals.
    censored_s = cut["duration_s"].to_numpy(dtype=np.float64) + (summary["exposure"]["interval_s"] or 0.0)
    drawn = {
        "distances": charts.draw_distances(summary["distance_profile"], band_um=band_um),
        "dwell": charts.draw_dwell(summary["dwell"], censored_s),
        "dockings_per_cell": charts.draw_dockings_per_cell(fates),
    }
    return {name: save_figure(figure, figures, name) for name, figure in drawn.items()}


def _save_corrections(
    figures: Path, movie: Movie, spots: pd.DataFrame, corrections: Mapping[str, Any]
) -> dict[str, Plate | None]:
    role = "exosome" if "exosome" in movie.roles else movie.cell_role
    times_s = movie.role_times_s(role) if role else movie.times_s[:, 0]
    drift, bleaching = corrections["drift"], corrections["bleaching"]
    drift_um = px_to_um(np.asarray(drift["px"], dtype=np.float64), movie.pixel_size_um)
    shown = drift["applied"] and movie.n_frames > 1
    drawn = {
        "drift": charts.draw_drift(times_s, drift_um) if shown else None,
        "bleaching": charts.draw_bleaching(spots, times_s, np.asarray(bleaching["factor"], dtype=np.float64)),
    }
    return {name: save_figure(figure, figures, name) for name, figure in drawn.items()}
