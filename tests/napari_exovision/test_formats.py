"""Files of other programs in napari: OME-Zarr as layers, and our tracks in a Tracks layer."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pandas as pd
import zarr
from napari.layers import Tracks
from napari_exovision.reader import get_reader

from exovision.io.tracks import NAPARI_COLUMNS


def image(folder: Path, value: int) -> Path:
    zarr.create_array(
        folder / "0", data=np.full((2, 2, 8, 9), value, np.uint16), chunks=(1, 1, 8, 9), zarr_format=2
    )
    units = {"t": "second", "y": "micrometer", "x": "micrometer"}
    axes = [{"name": name, **({"unit": units[name]} if name in units else {})} for name in "tcyx"]
    scale = [{"type": "scale", "scale": [3.0, 1.0, 0.2, 0.2]}]
    multiscale = {"axes": axes, "datasets": [{"path": "0", "coordinateTransformations": scale}]}
    channels = [{"label": "PKH67"}, {"label": "CellMask"}]
    (folder / ".zgroup").write_text('{"zarr_format": 2}')
    (folder / ".zattrs").write_text(
        json.dumps({"multiscales": [multiscale], "omero": {"channels": channels}})
    )
    return folder


def test_an_ome_zarr_is_a_layer_for_each_channel(tmp_path: Path) -> None:
    path = str(image(tmp_path / "m.zarr", 7))
    read = get_reader(path)
    assert read is not None
    layers = read(path)
    assert len(layers) == 2
    for data, options, kind in layers:
        assert kind == "image"
        assert tuple(options["scale"])[-2:] == (0.2, 0.2)
        assert np.asarray(data[1]).max() == 7


def test_napari_takes_our_table_of_tracks(folder: Path) -> None:
    table = pd.read_csv(folder / "exosome_tracks_napari.csv")
    layer = Tracks(table[list(NAPARI_COLUMNS)[:4]].to_numpy())
    spots = pd.read_parquet(folder / "spots.parquet")
    linked = spots[spots["exosome_id"].notna()].sort_values(["exosome_id", "frame"])
    assert set(np.unique(layer.data[:, 0])) == set(linked["exosome_id"])
    np.testing.assert_allclose(layer.data[:, 1:], linked[["frame", "y_px", "x_px"]].to_numpy(dtype=float))
