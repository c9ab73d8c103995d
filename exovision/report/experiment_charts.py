"""The charts of the experiment report: survival, incidence, hazards, lags, latencies, superplots."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FixedLocator, NullLocator, ScalarFormatter
from numpy.typing import NDArray

from exovision.report.experiment_look import COLOURS, MARKERS, Look, readable, text_of
from exovision.report.style import (
    BLACK,
    BLUE,
    GREY,
    ORANGE,
    PURPLE,
    SKY,
    VERMILLION,
    new_figure,
)

Floats = NDArray[np.float64]

MODES = {"apoptotic": VERMILLION, "lytic": BLUE, "unresolved": GREY}
EXPOSURES = {"docked": "docking", "fused": "fusion", "taken_up": "uptake"}
ROUTES = {
    "docked_only": "docking without fusion",
    "fused": "fusion",
    "unresolved": "docking, end unresolved",
    "fused_over_docked_only": "fusion ÷ docking only",
}
READOUT_LABELS = {
    "dockings_per_cell_hour": "dockings\nper cell and hour",
    "fusions_per_cell_hour": "fusions\nper cell and hour",
    "uptakes_per_cell_hour": "uptakes\nper cell and hour",
    "survival": "share alive",
    "mean_time_alive_h": "mean time\nalive, h",
}
HOUR_S = 3600.0


def draw_survival(survival: pd.DataFrame, look: Look, *, horizon_s: float) -> Figure | None:
    """Draw survival from entry: a panel per target type, bold by condition, faint by well.

    Parameters
    ----------
    survival : DataFrame
        Columns of `exovision.schema.SURVIVAL`.
    look : Look
    horizon_s : float
        Where survival is compared, s.

    Returns
    -------
    Figure or None
        None without curves.
    """
    entry = survival[survival["start"] == "entry"]
    if entry.empty:
        return None
    panels = look.panels()
    figure = new_figure(max(5.2, 3.9 * len(panels)), 4.0)
    axes = figure.subplots(1, len(panels), sharey=True, squeeze=False)[0]
    seen: dict[str, Any] = {}
    for axis, (target, arms) in zip(axes, panels.items()):
        for arm in arms:
            own = entry[entry["condition"] == arm]
            colour, dash = look.of(arm)
            for _, well in own[own["level"] == "well"].groupby("well"):
                axis.step(
                    well["time_s"] / HOUR_S, well["survival"], where="post", color=colour, lw=0.6, alpha=0.35
                )
            whole = own[own["level"] == "condition"]
            hours = whole["time_s"] / HOUR_S
            band = (whole["survival_lo"].astype(float), whole["survival_hi"].astype(float))
            axis.fill_between(hours, *band, step="post", color=colour, alpha=0.13, lw=0)
            (line,) = axis.step(hours, whole["survival"], where="post", color=colour, ls=dash, lw=1.8)
            seen.setdefault(look.short[arm], line)
        axis.axvline(horizon_s / HOUR_S, color=GREY, lw=0.7, ls=":")
        axis.set(
            title=readable(target), xlabel="time since the movie began, h", ylim=(0, 1.03), xlim=(0, None)
        )
        _risk_numbers(axis, entry, arms, look)
    axes[0].set_ylabel("share alive")
    figure.legend(list(seen.values()), list(seen), loc="outside upper left", ncols=min(len(seen), 4))
    return figure


def _risk_numbers(axis: Axes, entry: pd.DataFrame, arms: Sequence[str], look: Look) -> None:
    """Write under the axis how many cells each condition had at risk at three times."""
    ticks = np.linspace(0, axis.get_xlim()[1], 4)[:-1]
    for line, arm in enumerate(arms):
        whole = entry[(entry["condition"] == arm) & (entry["level"] == "condition")]
        if whole.empty:
            continue
        times = whole["time_s"].to_numpy(dtype=np.float64) / HOUR_S
        numbers = whole["at_risk"].to_numpy(dtype=np.float64)
        for tick in ticks:
            k = min(int(np.searchsorted(times, tick, side="left")), len(times) - 1)
            axis.annotate(
                f"{numbers[k]:.0f}",
                (tick, 0),
                (0, -42 - 11 * line),
                xycoords=axis.get_xaxis_transform(),
                textcoords="offset points",
                ha="center",
                fontsize=7,
                color=look.of(arm)[0],
            )


def draw_incidence(incidence: pd.DataFrame, look: Look) -> Figure | None:
    """Draw how likely each mode of death is by each time, a panel per condition; None without deaths."""
    whole = incidence[incidence["level"] == "condition"]
    if whole.empty:
        return None
    arms = [arm for arm in look.short if (whole["condition"] == arm).any()]
    figure, axes = _panels(len(arms), height_in=2.4)
    for axis, arm in zip(axes, arms):
        for mode, curve in whole[whole["condition"] == arm].groupby("death_mode"):
            hours = np.concatenate([[0], curve["time_s"] / HOUR_S])
            lo, middle, hi = (np.concatenate([[0], curve[f"incidence{end}"]]) for end in ("_lo", "", "_hi"))
            colour = MODES.get(str(mode), BLACK)
            axis.fill_between(hours, lo, hi, step="post", color=colour, alpha=0.15, lw=0)
            axis.step(hours, middle, where="post", color=colour, lw=1.6, label=str(mode))
        axis.set(title=readable(arm), xlabel="time, h", xlim=(0, None))
    axes[0].set(ylabel="cumulative incidence", ylim=(0, min(1.0, 1.05 * float(whole["incidence_hi"].max()))))
    figure.legend(*_merged(axes), loc="outside upper left", ncols=3)
    return figure


def _panels(count: int, *, height_in: float, per_row: int = 3) -> tuple[Figure, list[Axes]]:
    """Return a figure with so many panels in rows of three, the last row's surplus removed."""
    rows, columns = -(-count // per_row), min(count, per_row)
    figure = new_figure(max(4.8, 3.3 * columns), 0.5 + height_in * rows)
    axes = figure.subplots(rows, columns, squeeze=False, sharey=True).ravel().tolist()
    for extra in axes[count:]:
        extra.remove()
    return figure, axes[:count]


def _merged(axes: Sequence[Axes]) -> tuple[list[Any], list[str]]:
    found = {label: handle for axis in axes for handle, label in zip(*axis.get_legend_handles_labels())}
    return list(found.values()), list(found)


def draw_landmarks(survival: pd.DataFrame, look: Look, *, start: str) -> Figure | None:
    """Draw survival after the first, second … hit of one kind, a panel per condition; None without hits."""
    after = survival[(survival["start"] == start) & (survival["level"] == "condition")]
    if after.empty:
        return None
    arms = [arm for arm in look.short if (after["condition"] == arm).any()]
    figure, axes = _panels(len(arms), height_in=2.4)
    shades = (SKY, BLUE, PURPLE, VERMILLION, ORANGE, BLACK)
    for axis, arm in zip(axes, arms):
        for hit, curve in after[after["condition"] == arm].groupby("hit"):
            hours = curve["time_s"] / HOUR_S
            colour = shades[(int(str(hit)) - 1) % len(shades)]
            axis.step(
                hours, curve["survival"], where="post", color=colour, lw=1.5, label=f"after {start} {hit}"
            )
        counts = after[after["condition"] == arm].groupby("hit")["cells"].first()
        numbers = ", ".join(str(n) for n in counts)
        axis.set(
            title=f"{readable(arm)}\nn = {numbers}",
            xlabel="time since the hit, h",
            ylim=(0, 1.03),
            xlim=(0, None),
        )
    axes[0].set_ylabel("share alive")
    figure.legend(*_merged(axes), loc="outside upper left", ncols=4)
    return figure


def draw_latency(latency: pd.DataFrame, look: Look, *, lag_s: float) -> Figure | None:
    """Draw how long before the first sign of dying the last docking and fusion came; None without deaths."""
    last = latency[latency["last"].fillna(False).astype(bool)]
    kinds = [kind for kind in ("docking", "fusion") if (last["kind"] == kind).any()]
    if not kinds:
        return None
    panels = look.panels()
    figure = new_figure(max(5.2, 3.6 * len(panels)), 0.6 + 2.6 * len(kinds))
    grid = figure.subplots(len(kinds), len(panels), sharex=True, sharey=True, squeeze=False)
    for row, kind in zip(grid, kinds):
        for axis, (target, arms) in zip(row, panels.items()):
            for arm in arms:
                chosen = last[(last["kind"] == kind) & (last["condition"] == arm)]
                hours = np.sort(chosen["latency_s"].to_numpy(dtype=np.float64)) / HOUR_S
                if hours.size:
                    share = np.arange(1, hours.size + 1) / hours.size
                    colour, dash = look.of(arm)
                    axis.step(
                        hours, share, where="post", color=colour, ls=dash, lw=1.5, label=look.short[arm]
                    )
            axis.axvline(lag_s / HOUR_S, color=GREY, lw=0.8, ls=":")
            axis.set(title=readable(target), xlabel=f"last {kind} to onset, h", ylim=(0, 1.03))
        row[0].set_ylabel("share of deaths")
    grid[0, 0].set_xlim(0, 1.02 * float(last["latency_s"].max()) / HOUR_S)
    figure.legend(*_merged(list(grid.ravel())), loc="outside upper left", ncols=4)
    return figure


def draw_hazards(hazard: pd.DataFrame, *, analysis: str) -> Figure | None:
    """Draw hazard ratios with their intervals, a line each; None without an estimate.

    Parameters
    ----------
    hazard : DataFrame
        Columns of `exovision.schema.HAZARD`.
    analysis : str
        "hits" (each exposure by itself) or "route" (docking without fusion and fusion side by side).
    """
    rows = hazard[(hazard["analysis"] == analysis) & np.isfinite(hazard["hazard_ratio_lo"])]
    if rows.empty:
        return None
    names = EXPOSURES if analysis == "hits" else ROUTES
    shown = [name for name in names if (rows["exposure"] == name).any()]
    groups = list(dict.fromkeys(rows["condition"]))
    figure = new_figure(2.6 + 2.1 * len(shown), 1.1 + 0.26 * len(groups))
    axes = figure.subplots(1, len(shown), sharey=True, squeeze=False)[0]
    for axis, name in zip(axes, shown):
        for row in rows[rows["exposure"] == name].to_dict("records"):
            y = len(groups) - 1 - groups.index(row["condition"])
            colour, marker = (GREY, "s") if row["descriptive"] else (BLUE, "o")
            axis.plot([row["hazard_ratio_lo"], row["hazard_ratio_hi"]], [y, y], color=colour, lw=1.6)
            axis.plot(row["hazard_ratio"], y, marker=marker, color=colour, ms=5)
        axis.axvline(1, color=GREY, lw=0.8)
        _log_ratio_axis(axis, "x", rows)
        axis.set(title=names[name], xlabel="hazard ratio", ylim=(-0.7, len(groups) - 0.3))
    axes[0].set_yticks(range(len(groups)), [readable(str(name)) for name in groups[::-1]])
    return figure


def _log_ratio_axis(axis: Axes, which: str, rows: pd.DataFrame) -> None:
    """Make an axis logarithmic with plain numbers, wide enough for the intervals but for endless ones."""
    lo = max(float(rows["hazard_ratio_lo"].min()), 0.2)
    hi = min(float(rows["hazard_ratio_hi"].max()), 6.0)
    limits = (min(lo, 0.9) / 1.08, max(hi, 1.1) * 1.08)
    getattr(axis, f"set_{which}scale")("log")
    getattr(axis, f"set_{which}lim")(*limits)
    target = getattr(axis, f"{which}axis")
    ticks = (0.2, 0.5, 1, 2, 5) if limits[1] / limits[0] > 6 else (0.5, 0.7, 1, 1.4, 2, 3)
    target.set_major_locator(FixedLocator([t for t in ticks if limits[0] <= t <= limits[1]]))
    target.set_minor_locator(NullLocator())
    target.set_major_formatter(ScalarFormatter())


def draw_lags(hazard: pd.DataFrame, look: Look, *, lag_s: float) -> Figure | None:
    """Draw how the hazard ratio of dockings changes with the lag; None without an estimate."""
    rows = hazard[(hazard["analysis"] == "lag_sweep") & (hazard["exposure"] == "docked")]
    rows = rows[np.isfinite(rows["hazard_ratio_lo"])]
    if rows.empty:
        return None
    groups = list(dict.fromkeys(rows["condition"]))
    figure, axes = _panels(len(groups), height_in=2.3)
    for axis, group in zip(axes, groups):
        own = rows[rows["condition"] == group].sort_values("lag_s")
        hours = own["lag_s"] / HOUR_S
        colour = look.of(group)[0] if group in look.short else BLACK
        axis.fill_between(
            hours,
            own["hazard_ratio_lo"].astype(float),
            own["hazard_ratio_hi"].astype(float),
            color=colour,
            alpha=0.18,
            lw=0,
        )
        axis.plot(hours, own["hazard_ratio"], color=colour, lw=1.6, marker="o", ms=3.5)
        axis.axhline(1, color=GREY, lw=0.8)
        axis.axvline(lag_s / HOUR_S, color=GREY, lw=0.8, ls=":")
        axis.set(title=readable(group), xlabel="lag, h")
        _log_ratio_axis(axis, "y", rows)
    axes[0].set_ylabel("hazard ratio")
    return figure


def draw_superplot(
    wells: pd.DataFrame, look: Look, counts: Sequence[Mapping[str, Any]], *, readouts: Sequence[str]
) -> Figure | None:
    """Draw every well by donor with the donors' means, a panel per readout; None without a known value.

    Parameters
    ----------
    wells : DataFrame
        Columns of `exovision.schema.WELLS`.
    look : Look
    counts : sequence of mapping
        `condition donors wells cells lost` of each condition, written under it.
    readouts : sequence of str
        Columns of `wells`.

    References
    ----------
    Lord et al. 2020, doi:10.1083/jcb.202001064.
    """
    shown = [name for name in readouts if wells[name].notna().any() and (wells[name] != 0).any()]
    if not shown:
        return None
    arms = list(look.short)
    donors = sorted({text_of(d) for d in wells["donor"]})
    figure = new_figure(max(4.6, 0.62 * len(arms) + 1.6), 1.9 * len(shown) + 1.9)
    grid = figure.subplots(len(shown), 1, squeeze=False, sharex=True)[:, 0].tolist()
    for axis, readout in zip(grid, shown):
        _super_panel(axis, wells, readout, arms, donors)
        axis.set(ylabel=READOUT_LABELS[readout], xlim=(-0.6, len(arms) - 0.4))
        axis.set_ylim(0, 1.02 if readout == "survival" else None)
    labels = [_under(arm, counts) for arm in arms]
    grid[-1].set_xticks(range(len(arms)), labels, rotation=38, ha="right", fontsize=7.5)
    handles, names = _merged(grid)
    if any(donors):
        figure.legend(
            handles,
            names,
            loc="outside upper left",
            ncols=6,
            title="donor: wells small, mean large",
            title_fontsize=8,
        )
    return figure


def _super_panel(
    axis: Axes, wells: pd.DataFrame, readout: str, arms: Sequence[str], donors: Sequence[str]
) -> None:
    for x, arm in enumerate(arms):
        own = wells[(wells["condition"] == arm) & wells[readout].notna()]
        means = []
        for number, donor in enumerate(donors):
            told = np.array([text_of(d) == donor for d in own["donor"]], dtype=bool)
            values = own[readout].to_numpy(dtype=np.float64)[told]
            if not values.size:
                continue
            offset = (number - (len(donors) - 1) / 2) * 0.5 / max(len(donors), 1)
            colour, marker = COLOURS[number % 6], MARKERS[number % 7]
            spots = x + offset + np.linspace(-0.05, 0.05, values.size) * (values.size > 1)
            axis.plot(spots, values, ls="none", marker=marker, ms=3.5, color=colour, alpha=0.55)
            axis.plot(
                x + offset,
                values.mean(),
                ls="none",
                marker=marker,
                ms=8,
                color=colour,
                mec="white",
                label=donor or None,
            )
            means.append(values.mean())
        if means:
            axis.hlines(float(np.mean(means)), x - 0.33, x + 0.33, color=BLACK, lw=1.2)


def _under(arm: str, counts: Sequence[Mapping[str, Any]]) -> str:
    own = next(row for row in counts if row["condition"] == arm)
    donors = f"{own['donors']} donors, " if own["donors"] else ""
    return f"{readable(arm)}\n{donors}{own['wells']} wells, {own['cells']} cells, {own['lost']} lost"
