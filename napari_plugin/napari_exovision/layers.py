"""Layers made from movies and analyses, as plain data, attributes and type; no Qt."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.colors import to_rgba
from napari.utils.colormaps import CyclicLabelColormap
from numpy.typing import NDArray

from exovision.cells.outlines import Outlines
from exovision.records import Movie
from exovision.report.style import BLUE, GREEN, GREY, ORANGE, PURPLE, SKY, STATES, VERMILLION, YELLOW
from napari_exovision.calibration import calibrated, movie_times_s
from napari_exovision.lazy import movie_channel
from napari_exovision.opening import Opened
from napari_exovision.session import Session

LayerData = tuple[Any, dict[str, Any], str]
Floats = NDArray[np.float64]

KEY = "exovision"
"""Where layers keep, in their metadata, what they are."""
CELLS, OUTLINES, TRACKS, SPOTS, EVENTS = "cells", "outlines", "tracks", "spots", "events"
COLOURS = {"exosome": "yellow", "cell": "gray", "nucleus": "cyan"}
OTHER_COLOURS = ("magenta", "green", "blue", "red")
SYMBOLS = {"o": "disc", "^": "triangle_up", "s": "square", "X": "x", "D": "diamond", "v": "triangle_down"}
MARKS = {
    "docking": (VERMILLION, "ring"),
    "detachment": (SKY, "arrow"),
    "loss_unresolved": (GREY, "cross"),
    "surfing": (YELLOW, "triangle_up"),
}
CELL_COLOURS = (SKY, ORANGE, GREEN, YELLOW, BLUE, VERMILLION, PURPLE)
SPOT_FEATURES = (
    *("exosome_id", "cell_id", "state", "probability", "snr", "counts"),
    *("membrane_distance_um", "contour_um"),
)
SHOWN_FRAMES = 2
"""An event that lasts one frame is marked so many frames before and after, or it would be missed."""


def image_layers(opened: Opened | Movie) -> list[LayerData]:
    """Return one image layer per channel, read when looked at, with scale, units and axis names."""
    if isinstance(opened, Movie):
        opened = Opened(opened)
    movie, others = opened.movie, iter(OTHER_COLOURS * 8)
    roles = {c: role for role, c in movie.roles.items() if "channels" not in opened.missing}
    where = {} if "pixel_size_um" in opened.missing else calibrated_movie(movie)
    layers = []
    for c, name in enumerate(movie.channel_names):
        data = movie_channel(movie, c)
        attributes = {
            "name": f"{movie.name} {roles.get(c, name)}",
            "colormap": COLOURS.get(roles.get(c, "")) or next(others),
            "blending": "additive",
            "contrast_limits": _limits(data[movie.n_frames // 2], roles.get(c)),
            "rgb": False,
            "multiscale": False,
            "metadata": {KEY: {"what": "image", "movie": movie, "channel": c, "missing": opened.missing}},
        }
        layers.append((data, {**attributes, **where}, "image"))
    return layers


def calibrated_movie(movie: Movie) -> dict[str, Any]:
    """Return scale, units and axis names of a movie's layers."""
    return calibrated(movie.pixel_size_um, movie_times_s(movie.times_s))


def session_scale(session: Session) -> dict[str, Any]:
    """Return scale, units and axis names of an analysis' layers, the movie's own if it is there."""
    stored = session.stored
    if stored.movie is not None:
        return calibrated_movie(stored.movie)
    times = stored.spots.drop_duplicates("frame").set_index("frame")["time_s"]
    return calibrated(
        stored.pixel_size_um,
        times.reindex(range(stored.n_frames)).to_numpy(dtype=np.float64, na_value=np.nan),
    )


def _limits(image: NDArray[Any], role: str | None) -> tuple[float, float]:
    """Return what is shown black and what is brightest; spots shall stand out of their background."""
    part = (70, 99.95) if role == "exosome" else (1, 99.8)
    low, high = (float(value) for value in np.percentile(image, part))
    return (low, high) if high > low else (low, low + 1)


def result_layers(session: Session) -> list[LayerData]:
    """Return the layers of an analysis: cells, outlines, tracks, spots and events."""
    makers = {
        CELLS: (cell_layer, "labels"),
        OUTLINES: (outline_layer, "vectors"),
        TRACKS: (track_layer, "tracks"),
        SPOTS: (spot_layer, "points"),
        EVENTS: (event_layer, "points"),
    }
    where, name = session_scale(session), session.stored.name
    layers: list[LayerData] = []
    for what, (make, kind) in makers.items():
        data, attributes = make(session)
        if kind == "tracks" and not len(data):
            continue
        metadata = {KEY: {"what": what, "session": session}}
        # The outlines are those of the frame shown: they have no time of their own.
        place = {key: value[1:] for key, value in where.items()} if what == OUTLINES else where
        layers.append((data, {"name": f"{name} {what}", "metadata": metadata, **place, **attributes}, kind))
    return layers


def cell_layer(session: Session) -> tuple[Any, dict[str, Any]]:
    """Return the label images, which can be painted, with each cell's fate as features."""
    fates = session.fates.rename(columns={"cell_id": "index"})
    shown = fates[["index", "first_frame", "last_frame", "entry", "exit", "dockings"]]
    attributes = {"features": plain(shown), "opacity": 0.3, "multiscale": False, "colormap": cell_colours()}
    return session.array, attributes


def cell_colours() -> CyclicLabelColormap:
    """Return colours of cells that colour-blind readers can tell apart; neighbours by number differ."""
    return CyclicLabelColormap(colors=np.array([[0, 0, 0, 0], *map(to_rgba, CELL_COLOURS)]))


def outline_layer(session: Session, frame: int = 0) -> tuple[Floats, dict[str, Any]]:
    """Return the sub-pixel outlines of one frame as vectors, shape (N, 2, 2): start and step."""
    attributes = {"edge_color": ORANGE, "edge_width": 1.0, "vector_style": "line", "opacity": 0.9}
    return outline_vectors(session, frame), attributes


def outline_vectors(session: Session, frame: int) -> Floats:
    """Return the outlines of one frame, shape (N, 2, 2)."""
    outlines = Outlines.from_labels(session.labels[frame], pixel_size_um=session.stored.pixel_size_um)
    starts = outlines.vertices_px
    following = np.arange(1, len(starts) + 1)
    if len(starts):
        following[outlines.starts[1:] - 1] = outlines.starts[:-1]
    steps = starts[following % max(len(starts), 1)] - starts
    return np.stack([starts, steps], axis=1)


def track_layer(session: Session) -> tuple[Floats, dict[str, Any]]:
    """Return the linked spots as tracks, shape (N, 4): exosome, frame, y, x in px."""
    linked = session.spots[session.spots["exosome_id"].notna()].sort_values(["exosome_id", "frame"])
    data = linked[["exosome_id", "frame", "y_px", "x_px"]].to_numpy(dtype=np.float64)
    features = plain(linked[["probability", "membrane_distance_um", "counts"]]).fillna(0.0)
    return data, {"features": features, "colormap": "viridis", "tail_length": 10, "tail_width": 2}


def spot_layer(session: Session) -> tuple[Floats, dict[str, Any]]:
    """Return all spots, shape (N, 3): frame, y, x in px; colour and shape tell the state."""
    spots = session.spots
    features = plain(spots[list(SPOT_FEATURES)]).assign(row=spots.index.to_numpy(dtype=np.int64))
    states = spots["state"].astype(object).where(spots["state"].notna(), "unresolved")
    attributes = _marks(
        states.tolist(), {name: (c, SYMBOLS.get(m, "disc")) for name, (c, m) in STATES.items()}
    )
    return spots[["frame", "y_px", "x_px"]].to_numpy(dtype=np.float64), {
        "features": features,
        "size": 7,
        **attributes,
    }


def event_layer(session: Session) -> tuple[Floats, dict[str, Any]]:
    """Return the events, shape (N, 3): where their exosome is in each of their frames."""
    table = event_places(session)
    features = table[["event_id", "kind", "exosome_id"]].reset_index(drop=True)
    attributes = {"features": features, "size": 15, **_marks(table["kind"].tolist(), MARKS)}
    return table[["frame", "y_px", "x_px"]].to_numpy(dtype=np.float64), attributes


def event_places(session: Session) -> pd.DataFrame:
    """Return `event_id kind exosome_id frame y_px x_px`, a row per event and frame in which it is marked."""
    events, spots = session.events, session.spots
    columns = ["event_id", "kind", "exosome_id", "start_frame", "end_frame"]
    linked = spots.loc[spots["exosome_id"].notna(), ["exosome_id", "frame", "y_px", "x_px"]]
    both = events[columns].merge(linked, on="exosome_id")
    lasting = both["end_frame"] > both["start_frame"]
    pad = np.where(lasting, 0, SHOWN_FRAMES)
    shown = (both["frame"] >= both["start_frame"] - pad) & (both["frame"] <= both["end_frame"] + pad)
    table = both.loc[shown.fillna(False).astype(bool), [*columns[:3], "frame", "y_px", "x_px"]]
    return table.astype({"event_id": np.int64, "exosome_id": np.int64, "kind": object}).reset_index(drop=True)


def _marks(names: Sequence[Any], styles: dict[str, tuple[str, str]]) -> dict[str, Any]:
    """Return per-point colours and symbols; the ring is open, so that the pixels stay in view."""
    other = (GREY, "disc")
    colours = [styles.get(str(name), other)[0] for name in names]
    symbols = [styles.get(str(name), other)[1] for name in names]
    return {
        "border_color": colours if colours else GREY,
        "symbol": symbols if symbols else "disc",
        "face_color": "transparent",
        "border_width": 0.15,
        "opacity": 0.9,
    }


def plain(table: pd.DataFrame) -> pd.DataFrame:
    """Return a table with only types that napari's feature tables show well: floats, whole numbers, text."""
    columns = {}
    for name in table.columns:
        column = table[name]
        if pd.api.types.is_bool_dtype(column.dtype) or pd.api.types.is_numeric_dtype(column.dtype):
            whole = pd.api.types.is_integer_dtype(column.dtype) and not column.isna().any()
            columns[name] = column.to_numpy(
                dtype=np.int64 if whole else np.float64, na_value=0 if whole else np.nan
            )
        else:
            columns[name] = column.astype(object).where(column.notna(), "").to_numpy()
    return pd.DataFrame(columns)
