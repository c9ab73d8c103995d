"""The overlay sheet: both channels, cell outlines with ids, spots coloured by state."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patheffects import withStroke
from numpy.typing import NDArray

from exovision.calibration import px_to_um, um_to_px
from exovision.records import LabelStack, Movie
from exovision.report.frames import Image, clock_text, latest_image, outlines_px, pick_frames, shrink
from exovision.report.style import STATES, new_figure

PANEL_PX = 640
"""Larger images are shrunk to about this many pixels a side."""
HALO = [withStroke(linewidth=1.6, foreground="black")]
EXOSOME_RGB = np.array([1.0, 0.85, 0.1], dtype=np.float32)
CELL_BRIGHTNESS = 0.65


def draw_overlay(movie: Movie, labels: LabelStack, spots: pd.DataFrame, *, n_frames: int) -> Figure:
    """Draw the overlay sheet.

    Parameters
    ----------
    movie : Movie
        At most `n_frames` frames of each channel are read.
    labels : LabelStack
        One (Y, X) image per frame.
    spots : DataFrame
        `frame y_px x_px state`.
    n_frames : int
    """
    frames = pick_frames(movie, n_frames)
    columns = min(3, len(frames))
    rows = -(-len(frames) // columns)
    height, width = movie.image_shape
    # Extreme aspect ratios would make a sheet of slivers.
    panel_in = 3.4 * min(max(height / width, 0.3), 2.0)
    figure = new_figure(3.4 * columns, panel_in * rows + 0.4)
    panels = figure.subplots(rows, columns, squeeze=False).ravel()
    for panel in panels:
        panel.axis("off")
    for panel, t, picture in zip(panels, frames, _composites(movie, frames)):
        panel.imshow(picture, extent=(-0.5, width - 0.5, height - 0.5, -0.5), interpolation="nearest")
        _draw_cells(panel, labels[t])
        _draw_spots(panel, spots[spots["frame"] == t])
        panel.set(xlim=(-0.5, width - 0.5), ylim=(height - 0.5, -0.5))
        panel.set_title(f"{clock_text(_time_s(movie, t))}  (frame {t})")
    _draw_scale_bar(panels[0], movie)
    _draw_legend(figure, spots[spots["frame"].isin(frames)])
    return figure


def _composites(movie: Movie, frames: Sequence[int]) -> list[NDArray[np.float32]]:
    """Return one (Y, X, 3) picture a frame: the cell channel in grey, the exosome channel in yellow."""
    factor = max(1, max(movie.image_shape) // PANEL_PX)
    cells = _stretched(movie, movie.cell_role, frames, factor, low=1.0, high=99.8)
    exosomes = _stretched(movie, "exosome", frames, factor, low=90.0, high=99.95)
    return [
        np.clip(CELL_BRIGHTNESS * cell[..., None] + exosome[..., None] * EXOSOME_RGB, 0, 1)
        for cell, exosome in zip(cells, exosomes)
    ]


def _stretched(
    movie: Movie, role: str | None, frames: Sequence[int], factor: int, *, low: float, high: float
) -> list[Image]:
    """Return the channel in each frame, scaled alike to 0–1; black where there is none."""
    found: list[Image | None] = []
    for t in frames:
        image = latest_image(movie, role, t)
        found.append(None if image is None else shrink(image, factor, keep_peaks=role == "exosome"))
    blank = shrink(np.zeros(movie.image_shape, dtype=np.float32), factor, keep_peaks=False)
    seen = [image for image in found if image is not None]
    if not seen:
        return [blank for _ in frames]
    darkest, brightest = np.percentile(np.stack(seen), [low, high])
    span = max(float(brightest - darkest), 1e-6)
    return [
        blank if image is None else np.clip((image - float(darkest)) / span, 0, 1).astype(np.float32)
        for image in found
    ]


def _time_s(movie: Movie, t: int) -> float:
    times = movie.times_s[t]
    known = times[np.isfinite(times)]
    if "exosome" in movie.roles and np.isfinite(movie.role_times_s("exosome")[t]):
        return float(movie.role_times_s("exosome")[t])
    return float(known[0]) if known.size else float("nan")


def _draw_cells(panel: Axes, labels: NDArray[np.int32]) -> None:
    for cell, outline in outlines_px(labels).items():
        panel.plot(outline[:, 1], outline[:, 0], color="white", lw=0.7, alpha=0.9)
        y, x = outline[:-1].mean(axis=0)
        panel.text(x, y, str(cell), color="white", fontsize=6, ha="center", va="center", path_effects=HALO)


def _draw_spots(panel: Axes, spots: pd.DataFrame) -> None:
    for state, (colour, marker) in STATES.items():
        here = spots[spots["state"] == state]
        docked = state == "docked"
        panel.scatter(
            here["x_px"].to_numpy(dtype=np.float64),
            here["y_px"].to_numpy(dtype=np.float64),
            s=38 if docked else 16,
            marker=marker,
            facecolors="none",
            edgecolors=colour,
            linewidths=1.2 if docked else 0.7,
        )


def _draw_scale_bar(panel: Axes, movie: Movie) -> None:
    height, width = movie.image_shape
    length_um = nice_length(px_to_um(float(width), movie.pixel_size_um) / 4)
    length_px = um_to_px(length_um, movie.pixel_size_um)
    x, y = 0.96 * width - length_px, 0.95 * height
    panel.plot([x, x + length_px], [y, y], color="white", lw=2.5, solid_capstyle="butt", path_effects=HALO)
    panel.text(
        x + length_px / 2,
        y - 0.015 * height,
        f"{length_um:g} µm",
        color="white",
        fontsize=7,
        ha="center",
        va="bottom",
        path_effects=HALO,
    )


def nice_length(longest_um: float) -> float:
    """Return the largest of 1, 2 and 5 times a power of ten that is not longer, µm."""
    power = float(10.0 ** np.floor(np.log10(longest_um)))
    return max(step * power for step in (1, 2, 5) if step * power <= longest_um * (1 + 1e-9))


def _draw_legend(figure: Figure, spots: pd.DataFrame) -> None:
    present = [state for state in STATES if (spots["state"] == state).any()]
    if not present:
        return
    panel = figure.axes[0]
    handles = [
        panel.plot(
            [],
            [],
            ls="none",
            marker=STATES[state][1],
            mfc="none",
            mec=STATES[state][0],
            ms=6,
            label=state.replace("_", " "),
        )[0]
        for state in present
    ]
    # White markers need the dark ground that they have in the pictures.
    figure.legend(
        handles=handles,
        loc="outside lower center",
        ncols=len(handles),
        frameon=True,
        facecolor="#333333",
        edgecolor="none",
        labelcolor="white",
    )
