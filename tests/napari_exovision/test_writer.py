"""The writers keep scale, times and features."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from napari.layers import Image, Labels, Points, Tracks
from napari_exovision.writer import write_image, write_table

import exovision
from exovision.errors import InputError
from exovision.io.labels_source import open_labels

WHERE = {"scale": (2.0, 0.108, 0.108), "units": ("s", "um", "um")}


def test_an_image_written_is_read_with_its_scale_and_times(tmp_path: Path) -> None:
    pixels = np.random.default_rng(0).integers(0, 999, (4, 12, 10)).astype(np.uint16)
    data, attributes, _ = Image(pixels, **WHERE).as_layer_data_tuple()
    (path,) = write_image(str(tmp_path / "one.ome.tif"), data, attributes)
    movie = exovision.read(path, channels={"exosome": 0})
    assert movie.pixel_size_um == pytest.approx(0.108) and movie.interval_s("exosome") == pytest.approx(2.0)
    np.testing.assert_array_equal(movie.image(3, "exosome"), pixels[3])


def test_labels_written_are_labels_for_the_next_analysis(tmp_path: Path, scene: Path) -> None:
    movie = exovision.read(scene / "movie.ome.tif")
    labels = np.zeros((movie.n_frames, *movie.image_shape), dtype=np.int64)
    labels[:, 3:9, 4:8] = 70_000
    data, attributes, _ = Labels(labels, **WHERE).as_layer_data_tuple()
    (path,) = write_image(str(tmp_path / "cells"), data, attributes)
    assert path.endswith(".ome.tif")
    np.testing.assert_array_equal(open_labels(path, movie)[5], labels[5])


def test_layers_of_other_axes_are_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="TYX"):
        write_image(str(tmp_path / "x"), np.zeros((2, 2, 3, 3)), {})


def test_points_and_tracks_are_written_with_their_features(tmp_path: Path) -> None:
    points = Points([[1, 2.5, 3.5]], features={"state": ["docked"], "row": [4]})
    data, attributes, _ = points.as_layer_data_tuple()
    (path,) = write_table(str(tmp_path / "spots"), data, attributes)
    table = pd.read_csv(path)
    assert list(table.columns) == ["frame", "y_px", "x_px", "state", "row"]
    assert table.iloc[0].tolist() == [1.0, 2.5, 3.5, "docked", 4]
    tracks = Tracks([[7, 0, 1.0, 1.0], [7, 1, 2.0, 2.0]])
    data, attributes, _ = tracks.as_layer_data_tuple()
    (path,) = write_table(str(tmp_path / "tracks"), data, attributes)
    assert pd.read_csv(path)["exosome_id"].tolist() == [7, 7]
