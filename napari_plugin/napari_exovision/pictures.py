"""Pictures of events, cells and statistics, drawn as the report draws them; no Qt."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from numpy.typing import NDArray

from exovision.errors import InputError
from exovision.report.charts import draw_distances, draw_dockings_per_cell, draw_dwell
from exovision.report.deaths import CELL_STATES, draw_dying
from exovision.report.fate_strips import KINDS as FATES
from exovision.report.fate_strips import draw_fates
from exovision.report.strips import cut_strips, draw_strip, make_strip
from exovision.report.style import (
    BLUE,
    GREEN,
    GREY,
    INK,
    ORANGE,
    PURPLE,
    SKY,
    VERMILLION,
    YELLOW,
    house_style,
    new_figure,
)
from napari_exovision.session import Session

Picture = NDArray[np.uint8]
WIDTH_IN = 7.4
OUTCOMES = {
    "detached": SKY,
    "fused": VERMILLION,
    "hemifused": ORANGE,
    "kiss_and_run": YELLOW,
    "taken_up": PURPLE,
    "aggregated": BLUE,
    "left_focus": GREEN,
    "loss_unresolved": GREY,
}
OTHER = INK


def picture(figure: Figure, *, dpi: int = 100) -> Picture:
    """Return a drawn figure as pixels, shape (Y, X, 4)."""
    canvas: Any = FigureCanvasAgg(figure)
    figure.set_dpi(dpi)
    canvas.draw()
    return np.asarray(canvas.buffer_rgba()).copy()


def strip_picture(session: Session, event: dict[str, Any]) -> Picture | None:
    """Return the strip of an event: crops, kymograph and brightness, and of a fate its fit and posterior.

    None if its exosome has no place.

    Raises
    ------
    InputError
        If the movie can no longer be read.
    """
    strip = make_strip(event, session.spots, pixel_size_um=session.stored.pixel_size_um)
    if strip is None:
        return None
    movie = session.stored.movie
    with house_style():
        if movie is not None and event["kind"] in FATES:
            sigma_z_um = session.stored.settings.exosomes.psf_sigma_z_um
            fate = draw_fates(
                movie, session.labels, pd.DataFrame([event]), session.spots, n=1, sigma_z_um=sigma_z_um
            )
            if fate is not None:
                return picture(fate)
        if movie is not None and "exosome" in movie.roles:
            cut_strips(movie, session.labels, [strip])
        figure = new_figure(WIDTH_IN, 3.6 if strip.crops else 2.4)
        draw_strip(figure, strip)
        return picture(figure)


def lifeline_picture(session: Session, cell_id: int) -> Picture:
    """Return the lifeline of a cell: its states, its death, its dockings one below the other, and its area.

    Raises
    ------
    InputError
        If there is no such cell.
    """
    fates, cells = session.fates, session.cells
    own = cells[cells["cell_id"] == cell_id].sort_values("frame")
    fate = fates[fates["cell_id"] == cell_id]
    if not len(own) or not len(fate):
        raise InputError(f"cell {cell_id} was wanted, there is none of this id; recount or choose another")
    events = session.events
    dockings = events[(events["kind"] == "docking") & (events["cell_id"] == cell_id)].sort_values("start_s")
    outcomes = session.exosomes.set_index("exosome_id")["outcome"]
    with house_style():
        figure = new_figure(WIDTH_IN, 2.2 + 0.13 * len(dockings))
        above, below = figure.subplots(2, 1, sharex=True, height_ratios=[1.2 + 0.13 * len(dockings), 1.0])
        facts = fate.iloc[0]
        _draw_life(above, own, dockings, outcomes)
        for axes in (above, below):
            _mark_death(axes, facts)
        figure.suptitle(
            f"Cell {cell_id}: {facts['entry']} to {facts['exit']}{_death(facts)}; "
            f"dockings: {len(dockings)}{_hits(facts)}",
            x=0.01,
            ha="left",
            fontsize=9,
            fontweight="bold",
        )
        below.plot(own["time_s"], own["area_um2"], color="#222222", lw=1)
        below.set(xlabel="time, s", ylabel="area, µm²", ylim=(0, None))
        return picture(figure)


def _death(facts: pd.Series[Any]) -> str:
    """Return how the cell died and how sure that is, "" if it did not."""
    if pd.isna(facts["onset_s"]):
        return ""
    return f", {facts['death_mode']} (probability {facts['death_probability']:.2f})"


def _hits(facts: pd.Series[Any]) -> str:
    """Return how many of its dockings began before a dying cell's onset, as the tables count them."""
    if pd.isna(facts["onset_s"]) or pd.isna(facts["dockings"]):
        return ""
    return f", {facts['dockings']} of them before the onset"


def _mark_death(axes: Axes, facts: pd.Series[Any]) -> None:
    """Draw the interval in which dying began, and that in which the membrane became permeable."""
    for name, colour in (("onset_s", VERMILLION), ("permeable_s", PURPLE)):
        if pd.notna(facts[name]):
            axes.axvspan(facts[f"{name}_lo"], facts[f"{name}_hi"], color=colour, alpha=0.25, lw=0)
            axes.axvline(facts[name], color=colour, lw=1)


def _draw_life(axes: Axes, own: pd.DataFrame, dockings: pd.DataFrame, outcomes: pd.Series[Any]) -> None:
    first, last = float(own["time_s"].min()), float(own["time_s"].max())
    seen = _draw_states(axes, own, last)
    ends = []
    docking: Any
    for line, docking in enumerate(dockings.itertuples(), start=1):
        ends.append(str(outcomes.get(docking.exosome_id)))
        lasts = max(float(docking.duration_s), (last - first) / 200)
        axes.barh(line, lasts, left=float(docking.start_s), height=0.8, color=OUTCOMES.get(ends[-1], OTHER))
        end = float(docking.start_s) + lasts
        axes.text(end, line, f" exosome {docking.exosome_id}", va="center", fontsize=7)
    named = {name: OUTCOMES.get(name, OTHER) for name in dict.fromkeys(ends)}
    for name, colour in {**{state: CELL_STATES[state] for state in seen}, **named}.items():
        axes.bar(0, 0, color=colour, label=name.replace("_", " "))
    axes.set(ylim=(len(dockings) + 0.6, -0.6), yticks=[], ylabel="dockings")
    axes.legend(loc="lower left", bbox_to_anchor=(0, 1), ncols=6, fontsize=7)


def _draw_states(axes: Axes, own: pd.DataFrame, last: float) -> list[str]:
    """Draw the states of a cell as one bar in their colours; returns those that occur."""
    states = own["state"].fillna("unknown").to_numpy(dtype=object)
    times = np.append(own["time_s"].to_numpy(dtype=np.float64), last)
    changes = np.flatnonzero(np.append(True, states[1:] != states[:-1]))
    for start, stop in zip(changes, np.append(changes[1:], len(states))):
        colour = CELL_STATES[str(states[start])]
        axes.barh(0, times[stop] - times[start], left=times[start], height=0.9, color=colour)
    return list(dict.fromkeys(str(state) for state in states))


def chart_pictures(session: Session) -> dict[str, Picture]:
    """Return the report's charts of distances, dwell, dockings per cell and deaths, where there are any."""
    summary, events = session.summary, session.events
    cut = events[(events["kind"] == "docking") & (events["censored"] == "right")]
    waits_s = cut["duration_s"].to_numpy(dtype=np.float64) + (summary["exposure"]["interval_s"] or 0.0)
    band_um = summary["identifiability"]["docking"]["band_um"]
    with house_style():
        figures = {
            "Where the exosomes are": draw_distances(summary["distance_profile"], band_um=band_um),
            "How long dockings last": draw_dwell(summary["dwell"], waits_s),
            "Dockings per cell": draw_dockings_per_cell(session.fates),
            "Cells that have begun to die": draw_dying(session.cells, session.fates),
        }
        return {name: picture(figure) for name, figure in figures.items() if figure is not None}
