"""The charts of the report: distances, dwell times, dockings per cell, corrections."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator
from numpy.typing import NDArray

from exovision.report.style import BLUE, GREY, ORANGE, SKY, VERMILLION, new_figure

Floats = NDArray[np.float64]


def draw_distances(profile: Mapping[str, Any], *, band_um: float) -> Figure | None:
    """Draw how many exosomes lie at each signed distance from the outline.

    Parameters
    ----------
    profile : mapping
        `edges_um exosomes exosomes_lo exosomes_hi`, as in the summary.
    band_um : float
        Half-width of the membrane band, µm.

    Returns
    -------
    Figure or None
        None if no exosome lies within the histogram.
    """
    edges, height = np.asarray(profile["edges_um"]), np.asarray(profile["exosomes"], dtype=np.float64)
    if not height.sum():
        return None
    lo, hi = (np.asarray(profile[f"exosomes_{end}"], dtype=np.float64) for end in ("lo", "hi"))
    centre = (edges[1:] + edges[:-1]) / 2
    figure = new_figure(6.2, 3.2)
    axes = figure.subplots()
    axes.axvspan(-band_um, band_um, color=ORANGE, alpha=0.25, lw=0, label=f"membrane band ±{band_um:.2f} µm")
    axes.axvline(0, color=GREY, lw=0.8, ls="--", label="cell outline")
    axes.stairs(height, edges, fill=True, color=BLUE, alpha=0.85, label="exosomes")
    axes.vlines(centre, lo, hi, color="#222222", lw=0.9, label="95 % interval over cells")
    axes.set(
        xlabel="signed distance to the outline, µm   (inside < 0 < outside)",
        ylabel="exosomes per bin",
        xlim=(edges[0], edges[-1]),
        ylim=(0, None),
    )
    figure.legend(loc="outside upper left", ncols=4)
    return figure


def draw_dwell(dwell: Mapping[str, Any], censored_s: Floats) -> Figure | None:
    """Draw the Kaplan–Meier curve of docking durations.

    Parameters
    ----------
    dwell : mapping
        `dockings time_s survival survival_lo survival_hi`, as in the summary.
    censored_s : ndarray of shape (N,)
        Durations of dockings whose end was not seen, s.

    Returns
    -------
    Figure or None
        None if no docking was seen to begin.
    """
    if not dwell["dockings"]:
        return None
    last = max([*dwell["time_s"], *censored_s.tolist()])
    times = np.array([0.0, *dwell["time_s"], last])
    curve, lo, hi = (_to_the_end(dwell[name]) for name in ("survival", "survival_lo", "survival_hi"))
    figure = new_figure(6.2, 3.2)
    axes = figure.subplots()
    axes.fill_between(times, lo, hi, step="post", color=SKY, alpha=0.35, lw=0, label="95 % interval")
    axes.step(times, curve, where="post", color=BLUE, lw=1.6, label="still docked")
    if censored_s.size:
        at = curve[np.searchsorted(times[:-1], censored_s, side="right") - 1]
        axes.plot(censored_s, at, ls="none", marker="|", ms=8, mew=1.2, color="#222222", label="end not seen")
    axes.axhline(0.5, color=GREY, lw=0.7, ls=":")
    axes.set(xlabel="time since docking, s", ylabel="share still docked", xlim=(0, None), ylim=(0, 1.03))
    figure.legend(loc="outside upper left", ncols=3)
    return figure


def _to_the_end(steps: list[float]) -> Floats:
    """Begin a survival curve at 1 and carry its last value to the last time."""
    return np.array([1.0, *steps, (steps or [1.0])[-1]])


def draw_dockings_per_cell(fates: pd.DataFrame) -> Figure | None:
    """Draw how many cells carry 0, 1, 2 … dockings; None without cells."""
    if not len(fates):
        return None
    counts = np.bincount(fates["dockings"].fillna(0).to_numpy(dtype=np.int64))
    figure = new_figure(4.6, 2.9)
    axes = figure.subplots()
    axes.bar(np.arange(len(counts)), counts, color=BLUE, width=0.8)
    axes.set(xlabel="dockings on a cell", ylabel="cells", xlim=(-0.6, max(len(counts), 4) - 0.4))
    for axis in (axes.xaxis, axes.yaxis):
        axis.set_major_locator(MaxNLocator(integer=True, min_n_ticks=1))
    return figure


def draw_drift(times_s: Floats, drift_um: Floats) -> Figure:
    """Draw stage drift over time.

    Parameters
    ----------
    times_s : ndarray of shape (T,)
    drift_um : ndarray of shape (T, 2)
        (y, x), µm.
    """
    figure = new_figure(4.6, 2.9)
    axes = figure.subplots()
    axes.plot(times_s, drift_um[:, 0], color=BLUE, lw=1.3, label="y")
    axes.plot(times_s, drift_um[:, 1], color=VERMILLION, lw=1.3, ls="--", label="x")
    axes.axhline(0, color=GREY, lw=0.7)
    axes.set(xlabel="time, s", ylabel="drift, µm")
    figure.legend(loc="outside upper left", ncols=2)
    return figure


def draw_bleaching(spots: pd.DataFrame, times_s: Floats, factor: Floats) -> Figure | None:
    """Draw the brightness of linked spots over time with the common decay.

    Parameters
    ----------
    spots : DataFrame
        `frame exosome_id counts`.
    times_s : ndarray of shape (T,)
        Of the exosome channel, s.
    factor : ndarray of shape (T,)
        Share of the first brightness that is left.

    Returns
    -------
    Figure or None
        None without linked spots.
    """
    linked = spots[spots["exosome_id"].notna() & spots["counts"].notna()]
    if not len(linked):
        return None
    quartiles = linked.groupby("frame")["counts"].quantile(np.array([0.25, 0.5, 0.75])).unstack()
    at = times_s[quartiles.index.to_numpy(dtype=np.int64)]
    low, middle, high = quartiles.to_numpy(dtype=np.float64).T
    figure = new_figure(4.6, 2.9)
    axes = figure.subplots()
    axes.fill_between(at, low, high, color=SKY, alpha=0.35, lw=0, label="quartiles")
    axes.plot(at, middle, color=BLUE, lw=1.2, label="median")
    if np.ptp(factor) > 0:
        start = float(np.median(middle / factor[quartiles.index.to_numpy(dtype=np.int64)]))
        axes.plot(times_s, start * factor, color=VERMILLION, lw=1.3, ls="--", label="common decay")
    axes.set(xlabel="time, s", ylabel="counts of a linked spot", ylim=(0, None))
    figure.legend(loc="outside upper left", ncols=3)
    return figure
