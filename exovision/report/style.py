"""Colours, type and files of the report's figures: the same content gives the same bytes."""

from __future__ import annotations

import base64
import io
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import matplotlib.style
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.backends.backend_svg import FigureCanvasSVG
from matplotlib.figure import Figure

BLACK, ORANGE, SKY, GREEN = "#000000", "#E69F00", "#56B4E9", "#009E73"
YELLOW, BLUE, VERMILLION, PURPLE = "#F0E442", "#0072B2", "#D55E00", "#CC79A7"
GREY = "#8A8A8A"
INK = "#222222"
"""Okabe and Ito's palette, which colour-blind readers can tell apart, and two neutrals."""

STATES = {
    "docked": (VERMILLION, "o"),
    "surfing": (YELLOW, "^"),
    "tethered": (ORANGE, "s"),
    "stuck": ("#FFFFFF", "X"),
    "free": (SKY, "D"),
    "inside": (GREEN, "v"),
    "under_projection": (PURPLE, "p"),
    "unresolved": (GREY, "o"),
}
"""Colour and marker of each spot state; shapes repeat what the colours say."""

RULES = {
    "font.family": "DejaVu Sans",
    "font.size": 9,
    "axes.titlesize": 9,
    "axes.titlelocation": "left",
    "axes.edgecolor": INK,
    "axes.labelcolor": INK,
    "text.color": INK,
    "xtick.color": INK,
    "ytick.color": INK,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.linewidth": 0.8,
    "legend.frameon": False,
    "legend.fontsize": 8,
    "svg.hashsalt": "exovision",
    "figure.dpi": 150,
}


_STYLE = threading.RLock()


class Plate(NamedTuple):
    """A drawn figure as it enters the page: the data address of its image."""

    name: str
    address: str


@contextmanager
def house_style() -> Iterator[None]:
    """Draw and save in the report's style, whatever the user's own settings of matplotlib are.

    One thread at a time: matplotlib has one set of settings for all.
    """
    with _STYLE, matplotlib.style.context(["default", RULES]):
        yield


def new_figure(width_in: float, height_in: float) -> Figure:
    """Return an empty figure of this size in inches."""
    return Figure(figsize=(width_in, height_in), layout="constrained")


def save_figure(figure: Figure | None, folder: Path, name: str, *, embed: str = "svg") -> Plate | None:
    """Write a figure as PNG and SVG, or remove those of an earlier run if there is nothing to draw.

    Parameters
    ----------
    figure : Figure, optional
    folder : Path
        Exists.
    name : str
        File name without suffix.
    embed : str
        "svg" or "png": which of the two enters the page.
    """
    if figure is None:
        for suffix in ("png", "svg"):
            (folder / f"{name}.{suffix}").unlink(missing_ok=True)
        return None
    images = {"png": _png(figure)}
    # The layout stands after the first drawing; finding it again takes as long as drawing.
    figure.set_layout_engine("none")
    images["svg"] = _svg(figure)
    for suffix, content in images.items():
        (folder / f"{name}.{suffix}").write_bytes(content)
    kind = "image/svg+xml" if embed == "svg" else "image/png"
    return Plate(name, f"data:{kind};base64,{base64.b64encode(images[embed]).decode('ascii')}")


# `savefig` draws twice, once for nothing; dates and versions would make equal figures differ.
def _png(figure: Figure) -> bytes:
    buffer = io.BytesIO()
    canvas: Any = FigureCanvasAgg(figure)
    canvas.print_png(buffer, metadata={"Software": None})
    return buffer.getvalue()


def _svg(figure: Figure) -> bytes:
    buffer = io.BytesIO()
    canvas: Any = FigureCanvasSVG(figure)
    canvas.print_svg(buffer, metadata={"Date": None, "Creator": None})
    return buffer.getvalue()
