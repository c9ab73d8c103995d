"""What a preview found in one frame, as layers that the next preview replaces; no Qt."""

from __future__ import annotations

from typing import Any

import numpy as np

from exovision.pipeline import Preview
from exovision.records import Movie
from exovision.report.style import VERMILLION
from napari_exovision.display import about
from napari_exovision.layers import KEY, calibrated_movie, cell_colours, plain


def show_preview(viewer: Any, movie: Movie, preview: Preview, frame: int) -> None:
    """Show the cells and spots of one frame; those of an earlier preview go."""
    clear_preview(viewer)
    where = {name: value[1:] for name, value in calibrated_movie(movie).items()}
    note = {"metadata": {KEY: {"what": "preview"}}}
    title = f"preview of frame {frame}"
    labels = viewer.add_labels(
        preview.labels, name=f"{title}: cells", opacity=0.9, colormap=cell_colours(), **note, **where
    )
    labels.contour = 2
    viewer.add_points(
        preview.spots[["y_px", "x_px"]].to_numpy(dtype=np.float64),
        name=f"{title}: spots",
        features=plain(preview.spots[["probability", "snr", "counts", "membrane_distance_um"]]),
        size=7,
        symbol="disc",
        border_color=VERMILLION,
        border_width=0.15,
        face_color="transparent",
        **note,
        **where,
    )


def clear_preview(viewer: Any) -> None:
    """Take the layers of a preview away."""
    for layer in [one for one in viewer.layers if about(one).get("what") == "preview"]:
        viewer.layers.remove(layer)
