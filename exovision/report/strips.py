"""Events one by one: crops over time, a kymograph across the membrane, and brightness."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure, SubFigure
from matplotlib.patches import Rectangle
from numpy.typing import NDArray
from scipy.ndimage import map_coordinates

from exovision.calibration import px_to_um, um_to_px
from exovision.records import LabelStack, Movie
from exovision.report.frames import Floats, Image, clock_text, outlines_px, spread
from exovision.report.style import BLUE, GREY, ORANGE, VERMILLION, new_figure

KYMOGRAPH_FRAMES = 40
CROPS = 10
REACH_UM = 2.0
"""Crops and kymographs show about this far to each side, and at least 4 px."""
MARGIN = 0.25
"""Share of the event's length that is shown before and after it."""
POINT_MARGIN_FRAMES = 15


@dataclass
class Strip:
    """One event to show, and what was cut out of the movie for it.

    Attributes
    ----------
    event : dict
        Its row of the events.
    path : DataFrame
        The exosome's spots, a row per frame.
    frames : list of int
        The frames read, at most `KYMOGRAPH_FRAMES`.
    pixel_size_um : float
    crops : list of ndarray of shape (K, K)
        Exosome channel around the exosome, one per frame; NaN outside the image.
    rings : list of list of ndarray of shape (N, 2)
        Outlines (y, x) in µm from the crop's centre.
    profiles : list of ndarray of shape (P,)
        Brightness across the membrane through the exosome, from inside to outside.
    """

    event: dict[str, Any]
    path: pd.DataFrame
    frames: list[int]
    pixel_size_um: float
    crops: list[Image] = field(default_factory=list)
    rings: list[list[Floats]] = field(default_factory=list)
    profiles: list[Floats] = field(default_factory=list)

    @property
    def reach_px(self) -> int:
        """Pixels shown to each side of the exosome."""
        return max(4, round(um_to_px(REACH_UM, self.pixel_size_um)))

    def at(self, t: int, *names: str) -> list[float]:
        """Return columns of the path at frame `t`, between spots by interpolation."""
        frames = self.path["frame"].to_numpy(dtype=np.float64)
        return [float(np.interp(t, frames, self.path[name].to_numpy(dtype=np.float64))) for name in names]


def pick_dockings(events: pd.DataFrame, spots: pd.DataFrame, n: int, *, pixel_size_um: float) -> list[Strip]:
    """Pick at most `n` dockings, evenly from the most to the least probable, with the frames to show."""
    dockings = events[(events["kind"] == "docking") & events["cell_id"].notna()]
    ranked = dockings.sort_values(["probability", "event_id"], ascending=[False, True], kind="stable")
    picked = []
    for row in spread(np.arange(len(ranked)), n):
        event = {str(name): value for name, value in ranked.iloc[row].items()}
        strip = make_strip(event, spots, pixel_size_um=pixel_size_um)
        if strip is not None:
            picked.append(strip)
    return picked


def make_strip(event: dict[str, Any], spots: pd.DataFrame, *, pixel_size_um: float) -> Strip | None:
    """Choose what to show of an event: its exosome's spots from some frames before to some after.

    Parameters
    ----------
    event : dict
        A row of the events.
    spots : DataFrame
        Columns as in `exovision.schema`.
    pixel_size_um : float

    Returns
    -------
    Strip or None
        None if no spot there has a place on a membrane.
    """
    path = spots[spots["exosome_id"] == event["exosome_id"]].sort_values("frame")
    pad = MARGIN * (event["end_frame"] - event["start_frame"]) + least_margin_frames(event["kind"])
    shown = path["frame"].between(event["start_frame"] - pad, event["end_frame"] + pad)
    path = path[shown & path["membrane_distance_um"].notna()]
    if not len(path):
        return None
    frames = spread(path["frame"].to_numpy(dtype=np.int64), KYMOGRAPH_FRAMES)
    return Strip(event, path, frames, pixel_size_um)


def least_margin_frames(kind: str) -> int:
    """Return how many frames are shown at least on each side: an instant is seen by what is around it."""
    return 1 if kind in ("docking", "surfing") else POINT_MARGIN_FRAMES


def draw_dockings(
    movie: Movie, labels: LabelStack, events: pd.DataFrame, spots: pd.DataFrame, *, n: int
) -> Figure | None:
    """Draw docked exosomes: crops, kymograph across the membrane, brightness with the docked interval.

    Parameters
    ----------
    movie : Movie
        At most `KYMOGRAPH_FRAMES` frames a docking are read, each once.
    labels : LabelStack
    events, spots : DataFrame
        Columns as in `exovision.schema`.
    n : int
        How many dockings at most.

    Returns
    -------
    Figure or None
        None without dockings to show.
    """
    if "exosome" not in movie.roles:
        return None
    shown = pick_dockings(events, spots, n, pixel_size_um=movie.pixel_size_um)
    return draw_strips(movie, labels, shown, draw_strip)


def draw_strips(
    movie: Movie, labels: LabelStack, shown: list[Strip], draw: Callable[[Any, Strip], None]
) -> Figure | None:
    """Cut strips out of a movie and draw them one below the other; None if there are none."""
    if not shown:
        return None
    cut_strips(movie, labels, shown)
    figure = new_figure(10.0, 3.3 * len(shown))
    parts: Any = figure.subfigures(len(shown), 1, squeeze=False)
    for part, strip in zip(parts.ravel(), shown):
        draw(part, strip)
    return figure


def cut_strips(movie: Movie, labels: LabelStack, shown: list[Strip]) -> None:
    """Cut crops and profiles out of the movie, frame by frame; raises `InputError` as the movie does."""
    for t in sorted({t for strip in shown for t in strip.frames}):
        image, current = movie.image(t, "exosome"), labels[t]
        for strip in shown:
            if t in strip.frames:
                y, x, distance = strip.at(t, "y_px", "x_px", "membrane_distance_um")
                _cut_one(strip, image, current, (y, x), distance)


def _cut_one(
    strip: Strip,
    image: Image,
    labels: NDArray[np.int32],
    at: tuple[float, float],
    distance_um: float,
) -> None:
    reach = strip.reach_px
    offsets = np.arange(-reach, reach + 1, dtype=np.float64)
    grid = np.meshgrid(at[0] + offsets, at[1] + offsets, indexing="ij")
    strip.crops.append(_sample(image, np.stack(grid)))
    corner = [max(0, round(c) - 2 * reach) for c in at]
    window = labels[tuple(slice(c, round(centre) + 2 * reach + 1) for c, centre in zip(corner, at))]
    outlines = outlines_px(window)
    strip.rings.append([px_to_um(ring + corner - at, strip.pixel_size_um) for ring in outlines.values()])
    cell = strip.event["cell_id"]
    own = None if pd.isna(cell) else outlines.get(int(cell))
    if own is None:
        strip.profiles.append(np.full(2 * reach + 1, np.nan))
        return
    normal = _outward(own + corner, np.asarray(at))
    along = offsets - um_to_px(distance_um, strip.pixel_size_um)
    points = np.asarray(at)[:, None] + normal[:, None] * along
    strip.profiles.append(_sample(image, points).astype(np.float64))


def _sample(image: Image, points: Floats) -> Image:
    """Interpolate at (y, x) points, shape (2, …); NaN outside."""
    values: Image = map_coordinates(image, points, order=1, mode="constant", cval=np.nan)
    return values


def _outward(outline: Floats, at: Floats) -> Floats:
    """Return the unit normal (y, x) that points out of the cell at the vertex nearest to a point."""
    loop = outline[:-1]
    k = int(np.argmin(np.hypot(*(loop - at).T)))
    tangent = loop[(k + 2) % len(loop)] - loop[k - 2]
    normal = np.array([-tangent[1], tangent[0]])
    return normal / max(float(np.hypot(*normal)), 1e-9)


def draw_strip(part: Figure | SubFigure, strip: Strip) -> None:
    """Draw one event: crops, kymograph and brightness; only the latter, with distance, if nothing was cut."""
    part.suptitle(title_of(strip.event), x=0.01, ha="left", fontsize=9, fontweight="bold")
    if not strip.crops:
        panels = part.subplot_mosaic([["distance", "brightness"]])
        _draw_distance(panels["distance"], strip)
        _draw_brightness(panels["brightness"], strip)
        return
    panels = part.subplot_mosaic([["crops", "crops"], ["kymograph", "brightness"]], height_ratios=[1.0, 1.4])
    draw_crops(panels["crops"], strip)
    draw_kymograph(panels["kymograph"], strip)
    _draw_brightness(panels["brightness"], strip)


def title_of(event: dict[str, Any]) -> str:
    """Return which exosome did what, when, and how sure that is."""
    ends = {"none": "", "left": ", start not seen", "right": ", end not seen", "both": ", ends not seen"}
    kind = "docked" if event["kind"] == "docking" else str(event["kind"]).replace("_", " ")
    cell = "" if pd.isna(event["cell_id"]) else f" on cell {event['cell_id']}"
    when = clock_text(event["start_s"])
    if event["end_frame"] > event["start_frame"]:
        when += f" to {clock_text(event['end_s'])}"
    sure = "" if pd.isna(event["probability"]) else f"; probability {event['probability']:.2f}"
    return f"Exosome {event['exosome_id']}{cell}: {kind} {when}{ends[str(event['censored'])]}{sure}"


def draw_crops(axes: Axes, strip: Strip) -> None:
    """Draw crops with outlines, a frame in red while the event lasts."""
    picks = spread(np.arange(len(strip.frames)), CROPS)
    low, high = np.nanpercentile(np.stack([strip.crops[i] for i in picks]), [5, 99.7])
    side = px_to_um(strip.reach_px + 0.5, strip.pixel_size_um)
    centres = [2.14 * side * place for place in range(CROPS)]
    for centre, i in zip(centres, picks):
        box = (centre - side, centre + side, side, -side)
        axes.imshow(strip.crops[i], cmap="gray", vmin=low, vmax=high, extent=box, interpolation="nearest")
        for ring in strip.rings[i]:
            y, x = np.where(np.abs(ring).max(axis=1, keepdims=True) <= side, ring, np.nan).T
            axes.plot(centre + x, y, color=ORANGE, lw=0.8)
        inside = strip.event["start_frame"] <= strip.frames[i] <= strip.event["end_frame"]
        colour, width = (VERMILLION, 1.6) if inside else (GREY, 1)
        axes.add_patch(Rectangle((box[0], -side), 2 * side, 2 * side, fill=False, ec=colour, lw=width))
    axes.set(xlim=(-1.05 * side, centres[-1] + 1.05 * side), ylim=(1.05 * side, -1.05 * side), yticks=[])
    times = [clock_text(strip.at(strip.frames[i], "time_s")[0]) for i in picks]
    axes.set_xticks(centres[: len(picks)], times, fontsize=7)
    axes.tick_params(length=0, pad=1)
    axes.spines[:].set_visible(False)
    axes.set_ylabel(f"{2 * side:.2g} µm", fontsize=7)


def draw_kymograph(axes: Axes, strip: Strip) -> None:
    """Draw brightness across the membrane over time."""
    times = np.array([strip.at(t, "time_s")[0] for t in strip.frames])
    profiles = np.stack(strip.profiles, axis=1)
    across = px_to_um(np.arange(-strip.reach_px, strip.reach_px + 1.0), strip.pixel_size_um)
    if np.isfinite(profiles).any():
        low, high = np.nanpercentile(profiles, [5, 99.7])
        axes.pcolormesh(
            _edges(times), _edges(across), profiles, cmap="gray", vmin=low, vmax=high, rasterized=True
        )
    axes.plot(strip.path["time_s"], strip.path["membrane_distance_um"], color=BLUE, lw=0.9, alpha=0.9)
    axes.axhline(0, color=ORANGE, lw=1)
    axes.set(xlabel="time, s", ylabel="distance to outline, µm", ylim=(across[0], across[-1]))
    axes.set_title("kymograph across the membrane (0 is the outline, outside is up)", fontsize=8)
    _mark_ends(axes, strip)


def _draw_distance(axes: Axes, strip: Strip) -> None:
    axes.plot(strip.path["time_s"], strip.path["membrane_distance_um"], color=BLUE, lw=0.9, marker=".", ms=3)
    axes.axhline(0, color=ORANGE, lw=1)
    axes.set(xlabel="time, s", ylabel="distance to outline, µm")
    axes.set_title("signed distance to the outline (negative inside)", fontsize=8)
    _mark_ends(axes, strip)


def _edges(centres: Floats) -> Floats:
    """Return the edges between evenly or unevenly spaced centres."""
    if len(centres) == 1:
        return np.array([centres[0] - 0.5, centres[0] + 0.5])
    middle = (centres[1:] + centres[:-1]) / 2
    return np.concatenate([[2 * centres[0] - middle[0]], middle, [2 * centres[-1] - middle[-1]]])


def _draw_brightness(axes: Axes, strip: Strip) -> None:
    axes.plot(strip.path["time_s"], strip.path["counts"], color=BLUE, lw=0.8, marker=".", ms=3)
    axes.set(xlabel="time, s", ylabel="counts", ylim=(0, None))
    kind = "docked" if strip.event["kind"] == "docking" else str(strip.event["kind"]).replace("_", " ")
    axes.set_title(f"brightness above background (shaded: {kind})", fontsize=8)
    axes.axvspan(strip.event["start_s"], strip.event["end_s"], color=VERMILLION, alpha=0.15, lw=0)
    _mark_ends(axes, strip)


def _mark_ends(axes: Axes, strip: Strip) -> None:
    for end in ("start_s", "end_s"):
        axes.axvline(strip.event[end], color=VERMILLION, lw=1, ls="--")
