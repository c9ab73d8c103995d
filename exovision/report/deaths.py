"""Deaths of cells: strips of crops, the states of all cells over time, the share that has begun to die."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure, SubFigure
from matplotlib.patches import Patch, Rectangle
from numpy.typing import NDArray

from exovision.calibration import px_to_um, um_to_px
from exovision.numerics.survival import kaplan_meier
from exovision.records import LabelStack, Movie
from exovision.report.frames import Floats, Image, clock_text, outlines_px, spread
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
    new_figure,
)

CELL_STATES = {
    "live": SKY,
    "mitotic": GREEN,
    "rounded_unsure": YELLOW,
    "early_apoptotic": ORANGE,
    "late_apoptotic": VERMILLION,
    "secondary_necrotic": PURPLE,
    "lytic": BLUE,
    "debris": INK,
    "unknown": "#DDDDDD",
}
"""Colour of each state of cells."""
CHANNELS = ("cell", "nucleus", "annexin", "caspase", "pi")
CROPS = 10
BEFORE_S, AFTER_S = 3600.0, 3 * 3600.0
"""What is shown before the onset, and after it at least."""
REACH_RADII = 1.6
RASTER_CELLS = 120
HOUR_S = 3600.0


@dataclass
class DeathStrip:
    """One death to show, and what was cut out of the movie for it.

    Attributes
    ----------
    fate : dict
        Its row of the fates.
    track : DataFrame
        The cell's rows of the cells, in the frames shown.
    reach_px : int
        Pixels shown to each side of the cell's centre.
    crops : dict of str to list of ndarray of shape (K, K)
        By channel, one per frame; NaN outside the image.
    rings : list of ndarray of shape (N, 2)
        The cell's outline (y, x), px from the crop's centre, one per frame.
    """

    fate: dict[str, Any]
    track: pd.DataFrame
    reach_px: int
    crops: dict[str, list[Image]] = field(default_factory=dict)
    rings: list[Floats] = field(default_factory=list)


def pick_deaths(
    cells: pd.DataFrame, fates: pd.DataFrame, n: int, *, pixel_size_um: float
) -> list[DeathStrip]:
    """Pick at most `n` deaths, evenly from the most to the least probable, with the frames to show."""
    died = fates[(fates["exit"] == "died") & fates["onset_s"].notna()]
    ranked = died.sort_values(["death_probability", "cell_id"], ascending=[False, True], kind="stable")
    return [
        _strip({str(k): v for k, v in ranked.iloc[row].items()}, cells, pixel_size_um)
        for row in spread(np.arange(len(ranked)), n)
    ]


def _strip(fate: dict[str, Any], cells: pd.DataFrame, pixel_size_um: float) -> DeathStrip:
    track = cells[cells["cell_id"] == fate["cell_id"]].sort_values("frame", ignore_index=True)
    time_s = track["time_s"].to_numpy(dtype=np.float64)
    permeable = fate["permeable_s"] if pd.notna(fate["permeable_s"]) else fate["onset_s"]
    until = max(fate["onset_s"] + AFTER_S, permeable + BEFORE_S)
    near = np.flatnonzero((time_s >= fate["onset_s"] - BEFORE_S) & (time_s <= until))
    rows = track.iloc[spread(near if near.size else np.arange(len(track)), CROPS)]
    radius_um = float(np.sqrt(track["area_um2"].max() / np.pi))
    return DeathStrip(fate, rows, max(4, round(um_to_px(REACH_RADII * radius_um, pixel_size_um))))


def draw_deaths(
    movie: Movie, labels: LabelStack, cells: pd.DataFrame, fates: pd.DataFrame, *, n: int
) -> Figure | None:
    """Draw deaths: crops of every channel from before the onset on, framed in the colour of the state.

    Parameters
    ----------
    movie : Movie
        At most ten frames a death are read.
    labels : LabelStack
    cells, fates : DataFrame
        Columns as in `exovision.schema`.
    n : int
        How many deaths at most.

    Returns
    -------
    Figure or None
        None without deaths to show.
    """
    channels = [role for role in CHANNELS if role in movie.roles]
    strips = pick_deaths(cells, fates, n, pixel_size_um=movie.pixel_size_um) if channels else []
    if not strips:
        return None
    for strip in strips:
        _cut(strip, movie, labels, channels)
    height = 0.35 + 0.9 * len(channels)
    figure = new_figure(10.0, height * len(strips))
    parts: Any = figure.subfigures(len(strips), 1, squeeze=False)
    limits = {role: _limits([crop for strip in strips for crop in strip.crops[role]]) for role in channels}
    for part, strip in zip(parts.ravel(), strips):
        _draw_strip(part, strip, limits, movie.pixel_size_um)
    return figure


def _limits(crops: list[Image]) -> tuple[float, float]:
    """Return the brightness that is black and white, the same in all crops of a channel."""
    seen = [crop[np.isfinite(crop)] for crop in crops]
    pixels = np.concatenate(seen) if seen else np.zeros(0)
    if not pixels.size:
        return 0.0, 1.0
    low, high = np.percentile(pixels, [2, 99.7]).tolist()
    return low, max(high, low + 1.0)


def _cut(strip: DeathStrip, movie: Movie, labels: LabelStack, channels: list[str]) -> None:
    """Cut the crops of one death out of the movie."""
    strip.crops = {role: [] for role in channels}
    blank = np.full((2 * strip.reach_px + 1,) * 2, np.nan, dtype=np.float32)
    track = strip.track
    places = um_to_px(track[["y_um", "x_um"]].to_numpy(dtype=np.float64), movie.pixel_size_um)
    for t, place in zip(track["frame"].to_numpy(dtype=np.int64).tolist(), places):
        at = [round(c) for c in place.tolist()]
        for role in channels:
            seen = movie.acquired(t, role)
            strip.crops[role].append(_window(movie.image(t, role), at, strip.reach_px) if seen else blank)
        own = _window(labels[t] == strip.fate["cell_id"], at, strip.reach_px)
        traced = outlines_px((own == 1).astype(np.int32))
        strip.rings.append(traced.get(1, np.zeros((0, 2))) - strip.reach_px)


def _window(image: NDArray[Any], at: list[int], reach: int) -> Image:
    """Return the square around a pixel, NaN outside the image."""
    window = np.full((2 * reach + 1, 2 * reach + 1), np.nan, dtype=np.float32)
    low = [max(0, c - reach) for c in at]
    high = [min(side, c + reach + 1) for c, side in zip(at, image.shape)]
    if low[0] < high[0] and low[1] < high[1]:
        inside = tuple(slice(a - c + reach, b - c + reach) for a, b, c in zip(low, high, at))
        window[inside] = image[low[0] : high[0], low[1] : high[1]]
    return window


def _draw_strip(
    part: SubFigure, strip: DeathStrip, limits: dict[str, tuple[float, float]], pixel_size_um: float
) -> None:
    part.suptitle(death_title(strip.fate), x=0.01, ha="left", fontsize=9, fontweight="bold")
    grid: Any = part.subplots(len(limits), CROPS, squeeze=False)
    top = next(iter(limits))
    for role, row in zip(limits, grid):
        shown = strip.crops[role]
        for k, axes in enumerate(row):
            if k < len(shown):
                _draw_crop(axes, shown[k], limits[role], strip, k, first=role == top)
            else:
                axes.set_visible(False)
        row[0].set_ylabel(role, fontsize=8)
    width_um = px_to_um(2 * strip.reach_px + 1, pixel_size_um)
    grid[-1][0].set_xlabel(f"{width_um:.2g} µm wide", fontsize=7)


def _draw_crop(
    axes: Axes, crop: Image, limits: tuple[float, float], strip: DeathStrip, k: int, *, first: bool
) -> None:
    reach = strip.reach_px + 0.5
    box = (-reach, reach, reach, -reach)
    axes.imshow(crop, cmap="gray", vmin=limits[0], vmax=limits[1], extent=box, interpolation="nearest")
    row = strip.track.iloc[k]
    colour = CELL_STATES[str(row["state"])]
    if first:
        axes.plot(strip.rings[k][:, 1], strip.rings[k][:, 0], color=colour, lw=0.8)
        after = float(row["time_s"]) - strip.fate["onset_s"]
        axes.set_title(f"{'+' if after >= 0 else ''}{after / 60:.0f} min", fontsize=7)
    axes.set(xlim=(-reach, reach), ylim=(reach, -reach), xticks=[], yticks=[])
    axes.spines[:].set_visible(False)
    axes.add_patch(Rectangle((-reach, -reach), 2 * reach, 2 * reach, fill=False, ec=colour, lw=2.5))


def death_title(fate: dict[str, Any]) -> str:
    """Return one line that says which cell died, how, and when it began."""
    span = f"{clock_text(fate['onset_s_lo'])} to {clock_text(fate['onset_s_hi'])}"
    leaky = f"; permeable from {clock_text(fate['permeable_s'])}" if pd.notna(fate["permeable_s"]) else ""
    return (
        f"Cell {fate['cell_id']}: {fate['death_mode']}, onset {clock_text(fate['onset_s'])} ({span}){leaky}; "
        f"probability {fate['death_probability']:.2f}"
    )


def draw_raster(cells: pd.DataFrame, fates: pd.DataFrame) -> Figure | None:
    """Draw the state of every cell over time, a line per cell; None where no state is known.

    Parameters
    ----------
    cells, fates : DataFrame
        Columns as in `exovision.schema`.
    """
    if not len(cells) or (cells["state"] == "unknown").all():
        return None
    spans = fates.assign(length=fates["last_frame"] - fates["first_frame"])
    died = (spans["exit"] == "died").fillna(False).astype(bool)
    ranked = spans.assign(died=died).sort_values(
        ["died", "onset_s", "length", "cell_id"], ascending=[False, True, False, True], kind="stable"
    )
    chosen = [int(cell) for cell in ranked["cell_id"].head(RASTER_CELLS)]
    figure = new_figure(8.0, 1.2 + 0.075 * max(len(chosen), 10))
    axes = figure.subplots()
    _draw_lines(axes, cells, chosen)
    hidden = len(ranked) - len(chosen)
    axes.set(
        xlabel="time, h",
        ylabel="cells" + (f" ({hidden} more not shown)" if hidden else ""),
        ylim=(len(chosen) - 0.5, -0.5),
        yticks=[],
    )
    present = [state for state in CELL_STATES if (cells["state"] == state).any()]
    handles = [Patch(color=CELL_STATES[state], label=state.replace("_", " ")) for state in present]
    figure.legend(handles=handles, loc="outside upper left", ncols=5)
    return figure


def _draw_lines(axes: Axes, cells: pd.DataFrame, chosen: list[int]) -> None:
    times = cells.groupby("frame")["time_s"].min().sort_index()
    steps = np.diff(times.to_numpy(dtype=np.float64))
    width_h = (float(np.median(steps)) if steps.size else HOUR_S) / HOUR_S
    place = {cell: k for k, cell in enumerate(chosen)}
    shown = cells[cells["cell_id"].isin(chosen)]
    for state, rows in shown.groupby("state"):
        lines = rows["cell_id"].map(place).to_numpy(dtype=np.float64)
        starts = rows["time_s"].to_numpy(dtype=np.float64) / HOUR_S
        axes.barh(lines, width_h * 1.02, left=starts, height=0.85, color=CELL_STATES[str(state)], lw=0)
    axes.set_xlim(float(times.min()) / HOUR_S, float(times.max()) / HOUR_S + width_h)


def draw_dying(cells: pd.DataFrame, fates: pd.DataFrame) -> Figure | None:
    """Draw the share of cells that has begun to die over time, with its interval; None without deaths.

    Parameters
    ----------
    cells, fates : DataFrame
        Columns as in `exovision.schema`.
    """
    died = (fates["exit"] == "died").fillna(False).to_numpy(dtype=bool) & fates["onset_s"].notna().to_numpy()
    if not died.any():
        return None
    spans = cells.groupby("cell_id")["time_s"].agg(["min", "max"]).reindex(fates["cell_id"].astype("int64"))
    entry, last = (spans[name].to_numpy(dtype=np.float64) for name in ("min", "max"))
    ended = np.where(died, fates["onset_s"].to_numpy(dtype=np.float64), last)
    watched = ended > entry
    curve = kaplan_meier(ended[watched], died[watched], entry_s=entry[watched])
    if not len(curve.time_s):
        return None
    end_h = float(np.nanmax(last)) / HOUR_S
    times = np.concatenate([[float(np.nanmin(entry))], curve.time_s, [end_h * HOUR_S]]) / HOUR_S
    share, lo, hi = (
        1 - np.concatenate([[1.0], values, values[-1:]]) for values in (curve.survival, curve.hi, curve.lo)
    )
    figure = new_figure(6.2, 3.2)
    axes = figure.subplots()
    axes.fill_between(times, lo, hi, step="post", color=SKY, alpha=0.35, lw=0, label="95 % interval")
    axes.step(times, share, where="post", color=VERMILLION, lw=1.6, label="have begun to die")
    axes.axhline(0, color=GREY, lw=0.7)
    axes.set(xlabel="time, h", ylabel="share of cells", ylim=(-0.02, 1.02), xlim=(times[0], end_h))
    figure.legend(loc="outside upper left", ncols=2)
    return figure
