"""Fates one by one: crops, a kymograph, the light around the place with fitted models, and the posterior."""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure, SubFigure
from numpy.typing import NDArray

from exovision.numerics.release import LOG_D, LOG_GAIN, LOG_TAU, PARAMETERS, SHARE, START, draw_light
from exovision.records import LabelStack, Movie
from exovision.report.frames import spread
from exovision.report.strips import (
    Strip,
    draw_crops,
    draw_kymograph,
    draw_strips,
    title_of,
)
from exovision.report.style import BLUE, GREY, VERMILLION

Floats = NDArray[np.float64]

KINDS = ("fusion", "hemifusion", "kiss_and_run", "uptake")
BEFORE, AFTER = 12, 18
"""Frames shown before and after the moment."""
DISC_PX, RING_PX = 5, 8
"""Light is summed in a disc and taken above the median of the ring around it."""
SIZE_PX = 33


def draw_fates(
    movie: Movie,
    labels: LabelStack,
    events: pd.DataFrame,
    spots: pd.DataFrame,
    *,
    n: int,
    sigma_z_um: float,
) -> Figure | None:
    """Draw exosomes that fused, hemifused, lost their content or were taken up.

    Parameters
    ----------
    movie : Movie
        At most 31 frames an event are read.
    labels : LabelStack
    events, spots : DataFrame
        Columns as in `exovision.schema`.
    n : int
        How many at most, the most probable of each kind first.
    sigma_z_um : float
        Standard deviation of the PSF along the axis, for the models of membranes seen edge-on.

    Returns
    -------
    Figure or None
        None without any.
    """
    if "exosome" not in movie.roles:
        return None
    draw = partial(draw_fate, sigma_z_um=sigma_z_um)
    return draw_strips(movie, labels, pick_fates(movie, events, spots, n), draw)


def pick_fates(movie: Movie, events: pd.DataFrame, spots: pd.DataFrame, n: int) -> list[Strip]:
    """Pick at most `n` events, the most probable of each kind in turn, with the frames to show."""
    fates = events[events["kind"].isin(KINDS)].copy()
    fates["turn"] = fates.groupby("kind")["probability"].rank(ascending=False, method="first")
    fates = fates.sort_values(["turn", "event_id"], kind="stable").drop(columns="turn").head(n)
    picked = []
    for row in fates.to_dict("records"):
        path = spots[spots["exosome_id"] == row["exosome_id"]].sort_values("frame")
        path = path[path["membrane_distance_um"].notna()]
        if len(path):
            picked.append(_strip(movie, {str(name): value for name, value in row.items()}, path))
    return picked


def _strip(movie: Movie, event: dict[str, Any], path: pd.DataFrame) -> Strip:
    """Return a strip around a moment; where the exosome is no longer seen, its place is held."""
    at = int(event["start_frame"])
    window = range(max(0, at - BEFORE), min(movie.n_frames, at + AFTER + 1))
    frames = [t for t in window if movie.acquired(t, "exosome")]
    held = path.set_index("frame")
    rows = held.iloc[np.clip(held.index.searchsorted(frames, side="right") - 1, 0, None)].reset_index(
        drop=True
    )
    times = movie.role_times_s("exosome")[frames]
    seen = pd.Series(frames).isin(held.index)
    rows = rows.assign(frame=frames, time_s=times, counts=rows["counts"].where(seen))
    return Strip(event, rows, spread(np.array(frames), BEFORE + AFTER + 1), movie.pixel_size_um)


def draw_fate(part: Figure | SubFigure, strip: Strip, *, sigma_z_um: float) -> None:
    """Draw one event from what was cut out of the movie for it."""
    part.suptitle(title_of(strip.event), x=0.01, ha="left", fontsize=9, fontweight="bold")
    panels = part.subplot_mosaic(
        [["crops"] * 3, ["kymograph", "light", "posterior"]],
        height_ratios=[1.0, 1.4],
        width_ratios=[1.0, 1.0, 0.6],
    )
    draw_crops(panels["crops"], strip)
    draw_kymograph(panels["kymograph"], strip)
    _draw_light(panels["light"], strip, sigma_z_um)
    _draw_posterior(panels["posterior"], strip.event)


def disc_light(crop: NDArray[np.float32]) -> float:
    """Return the light in a disc around the middle of a crop, above the median of the ring around it."""
    middle = crop.shape[0] // 2
    grid = np.arange(crop.shape[0]) - middle
    away = np.hypot(grid[:, None], grid[None, :])
    disc, ring = away <= DISC_PX, (away > RING_PX) & np.isfinite(crop)
    level = float(np.median(crop[ring])) if ring.any() else 0.0
    return float(np.nansum(crop[disc] - level))


def model_light(
    event: dict[str, Any], times_s: Floats, strip: Strip, sigma_z_um: float, *, edge: bool
) -> Floats:
    """Return the light in the disc that the event's estimates predict, 1 before the event, shape (K,)."""
    pixel = strip.pixel_size_um
    sigma = float(strip.path["sigma_px"].median())
    step = float(np.median(np.diff(times_s))) if len(times_s) > 1 else 1.0
    theta = np.zeros(PARAMETERS)
    theta[START], theta[SHARE] = event["start_s"] + 0.5 * step, event["spread_fraction"]
    theta[LOG_D] = np.log(event["diffusion_um2_s"] / pixel**2)
    theta[LOG_GAIN], theta[LOG_TAU] = np.log(event["dequench_gain"]), np.log(event["release_tau_s"])
    optics = np.array([sigma, sigma_z_um / pixel, 1.0, 0.0, 0.0, 0.0, 1.0, 0.0])
    light = np.zeros((len(times_s), SIZE_PX, SIZE_PX))
    draw_light(theta, times_s, np.zeros((len(times_s), 2)), optics, edge, 0, light)
    grid = np.arange(SIZE_PX) - SIZE_PX // 2
    disc = np.hypot(grid[:, None], grid[None, :]) <= DISC_PX
    total: Floats = light[:, disc].sum(axis=1)
    return total / max(float(total[0]), 1e-9)


def _draw_light(axes: Axes, strip: Strip, sigma_z_um: float) -> None:
    event = strip.event
    times = np.array([strip.at(t, "time_s")[0] for t in strip.frames])
    light = np.array([disc_light(crop) for crop in strip.crops])
    before = light[times <= event["start_s"]]
    usual = float(np.median(before)) if len(before) else float(light[0])
    axes.plot(times, light, color=BLUE, lw=0.8, marker=".", ms=3, label="measured")
    gone = np.where(times <= event["start_s"], usual, 0.0)
    axes.step(times, gone, where="post", color=GREY, lw=1.0, ls="--", label="disappearance")
    if event["kind"] in ("fusion", "hemifusion") and pd.notna(event["diffusion_um2_s"]):
        views = [usual * model_light(event, times, strip, sigma_z_um, edge=edge) for edge in (False, True)]
        fitted = min(views, key=lambda view: float(np.sum((view - light) ** 2)))
        axes.plot(times, fitted, color=VERMILLION, lw=1.2, label=f"{event['kind']}, fitted")
    axes.axvline(event["start_s"], color=VERMILLION, lw=1, ls=":")
    axes.set(xlabel="time, s", ylabel="counts")
    axes.set_title("light in a disc of 5 px", fontsize=8)
    axes.legend(fontsize=6, frameon=False)


def _draw_posterior(axes: Axes, event: dict[str, Any]) -> None:
    names = [name for name in event if name.startswith("p_")]
    shares = [0.0 if pd.isna(event[name]) else float(event[name]) for name in names]
    axes.barh(range(len(names)), shares, color=BLUE)
    axes.set_yticks(range(len(names)), [name[2:].replace("_", " ") for name in names], fontsize=6)
    axes.set(xlim=(0, 1), xlabel="probability")
    axes.invert_yaxis()
    axes.set_title("posterior", fontsize=8)
