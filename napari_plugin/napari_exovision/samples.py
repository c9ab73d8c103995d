"""Sample data: the simulated docking movie that ships with exovision."""

from __future__ import annotations

from exovision_samples import path

from napari_exovision.layers import LayerData, image_layers
from napari_exovision.opening import open_movie


def docking() -> list[LayerData]:
    """Return the channels of the docking movie."""
    return image_layers(open_movie(path("demo") / "movie.ome.tif"))
