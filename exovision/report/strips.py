"""Docked exosomes one by one: crops over time, a kymograph across the membrane, and brightness."""

from __future__ import annotations

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
"""Share of the docking's length that is shown before and after it."""


@dataclass
class Docked:
    """One docking to show, and what was cut out of the movie for it.

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


def pick_dockings(events: pd.DataFrame, spots: pd.DataFrame, n: int, *, pixel_size_um: float) -> list[Docked]:
    """Pick at most `n` dockings, evenly from the most to the least probable, with the frames to show."""
    dockings = events[(events["kind"] == "docking") & events["cell_id"].notna()]
    ranked = dockings.sort_values(["probability", "event_id"], ascending=[False, True], kind="stable")
    picked = []
    for row in spread(np.arange(len(ranked)), n):
        event = {str(name): value for name, value in ranked.iloc[row].items()}
        path = spots[spots["exosome_id"] == event["exosome_id"]].sort_values("frame")
        pad = MARGIN * (event["end_frame"] - event["start_frame"]) + 1
        shown = path["frame"].between(event["start_frame"] - pad, event["end_frame"] + pad)
        path = path[shown & path["membrane_distance_um"].notna()]
        if len(path):
            frames = spread(path["frame"].to_numpy(dtype=np.int64), KYMOGRAPH_FRAMES)
            picked.append(Docked(event, path, frames, pixel_size_um))
    return picked


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
    if not shown:
        return None
    _cut(movie, labels, shown)
    figure = new_figure(10.0, 3.3 * len(shown))
    parts: Any = figure.subfigures(len(shown), 1, squeeze=False)
    for part, docked in zip(parts.ravel(), shown):
        _draw_one(part, docked)
    return figure


def _cut(movie: Movie, labels: LabelStack, shown: list[Docked]) -> None:
    """Cut crops and profiles out of the movie, frame by frame."""
    for t in sorted({t for docked in shown for t in docked.frames}):
        image, current = movie.image(t, "exosome"), labels[t]
        for docked in shown:
            if t in docked.frames:
                y, x, distance = docked.at(t, "y_px", "x_px", "membrane_distance_um")
                _cut_one(docked, image, current, (y, x), distance)


def _cut_one(
    docked: Docked,
    image: Image,
    labels: NDArray[np.int32],
    at: tuple[float, float],
    distance_um: float,
) -> None:
    reach = docked.reach_px
    offsets = np.arange(-reach, reach + 1, dtype=np.float64)
    grid = np.meshgrid(at[0] + offsets, at[1] + offsets, indexing="ij")
    docked.crops.append(_sample(image, np.stack(grid)))
    corner = [max(0, round(c) - 2 * reach) for c in at]
    window = labels[tuple(slice(c, round(centre) + 2 * reach + 1) for c, centre in zip(corner, at))]
    outlines = outlines_px(window)
    docked.rings.append([px_to_um(ring + corner - at, docked.pixel_size_um) for ring in outlines.values()])
    own = outlines.get(int(docked.event["cell_id"]))
    if own is None:
        docked.profiles.append(np.full(2 * reach + 1, np.nan))
        return
    normal = _outward(own + corner, np.asarray(at))
    along = offsets - um_to_px(distance_um, docked.pixel_size_um)
    points = np.asarray(at)[:, None] + normal[:, None] * along
    docked.profiles.append(_sample(image, points).astype(np.float64))


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


def _draw_one(part: SubFigure, docked: Docked) -> None:
    event = docked.event
    ends = {"none": "", "left": ", start not seen", "right": ", end not seen", "both": ", ends not seen"}
    part.suptitle(
        f"Exosome {event['exosome_id']} on cell {event['cell_id']}: docked "
        f"{clock_text(event['start_s'])} to {clock_text(event['end_s'])}"
        f"{ends[str(event['censored'])]}; probability {event['probability']:.2f}",
        x=0.01,
        ha="left",
        fontsize=9,
        fontweight="bold",
    )
    panels = part.subplot_mosaic([["crops", "crops"], ["kymograph", "brightness"]], height_ratios=[1.0, 1.4])
    _draw_crops(panels["crops"], docked)
    _draw_kymograph(panels["kymograph"], docked)
    _draw_brightness(panels["brightness"], docked)


def _draw_crops(axes: Axes, docked: Docked) -> None:
    picks = spread(np.arange(len(docked.frames)), CROPS)
    low, high = np.nanpercentile(np.stack([docked.crops[i] for i in picks]), [5, 99.7])
    side = px_to_um(docked.reach_px + 0.5, docked.pixel_size_um)
    centres = [2.14 * side * place for place in range(CROPS)]
    for centre, i in zip(centres, picks):
        box = (centre - side, centre + side, side, -side)
        axes.imshow(docked.crops[i], cmap="gray", vmin=low, vmax=high, extent=box, interpolation="nearest")
        for ring in docked.rings[i]:
            y, x = np.where(np.abs(ring).max(axis=1, keepdims=True) <= side, ring, np.nan).T
            axes.plot(centre + x, y, color=ORANGE, lw=0.8)
        inside = docked.event["start_frame"] <= docked.frames[i] <= docked.event["end_frame"]
        colour, width = (VERMILLION, 1.6) if inside else (GREY, 1)
        axes.add_patch(Rectangle((box[0], -side), 2 * side, 2 * side, fill=False, ec=colour, lw=width))
    axes.set(xlim=(-1.05 * side, centres[-1] + 1.05 * side), ylim=(1.05 * side, -1.05 * side), yticks=[])
    times = [clock_text(docked.at(docked.frames[i], "time_s")[0]) for i in picks]
    axes.set_xticks(centres[: len(picks)], times, fontsize=7)
    axes.tick_params(length=0, pad=1)
    axes.spines[:].set_visible(False)
    axes.set_ylabel(f"{2 * side:.2g} µm", fontsize=7)


def _draw_kymograph(axes: Axes, docked: Docked) -> None:
    times = np.array([docked.at(t, "time_s")[0] for t in docked.frames])
    profiles = np.stack(docked.profiles, axis=1)
    across = px_to_um(np.arange(-docked.reach_px, docked.reach_px + 1.0), docked.pixel_size_um)
    if np.isfinite(profiles).any():
        low, high = np.nanpercentile(profiles, [5, 99.7])
        axes.pcolormesh(
            _edges(times), _edges(across), profiles, cmap="gray", vmin=low, vmax=high, rasterized=True
        )
    axes.plot(docked.path["time_s"], docked.path["membrane_distance_um"], color=BLUE, lw=0.9, alpha=0.9)
    axes.axhline(0, color=ORANGE, lw=1)
    axes.set(xlabel="time, s", ylabel="distance to outline, µm", ylim=(across[0], across[-1]))
    axes.set_title("kymograph across the membrane (0 is the outline, outside is up)", fontsize=8)
    _mark_docked(axes, docked)


def _edges(centres: Floats) -> Floats:
    """Return the edges between evenly or unevenly spaced centres."""
    if len(centres) == 1:
        return np.array([centres[0] - 0.5, centres[0] + 0.5])
    middle = (centres[1:] + centres[:-1]) / 2
    return np.concatenate([[2 * centres[0] - middle[0]], middle, [2 * centres[-1] - middle[-1]]])


def _draw_brightness(axes: Axes, docked: Docked) -> None:
    axes.plot(docked.path["time_s"], docked.path["counts"], color=BLUE, lw=0.8, marker=".", ms=3)
    axes.set(xlabel="time, s", ylabel="counts", ylim=(0, None))
    axes.set_title("brightness above background (shaded: docked)", fontsize=8)
    axes.axvspan(docked.event["start_s"], docked.event["end_s"], color=VERMILLION, alpha=0.15, lw=0)
    _mark_docked(axes, docked)


def _mark_docked(axes: Axes, docked: Docked) -> None:
    for end in ("start_s", "end_s"):
        axes.axvline(docked.event[end], color=VERMILLION, lw=1, ls="--")
