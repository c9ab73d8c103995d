"""The reader and the sample: what napari gets from movies, from finished folders, and from anything else."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import tifffile
from napari.layers import Layer
from napari_exovision import samples
from napari_exovision.opening import open_movie, open_movies
from napari_exovision.reader import get_reader
from napari_exovision.samples import Recipe, docking

import exovision
from exovision.errors import InputError


def test_a_movie_becomes_a_lazy_layer_per_channel(scene: Path) -> None:
    path = str(scene / "movie.ome.tif")
    layers = get_reader(path)(path)
    movie = exovision.read(path)
    assert [kind for *_, kind in layers] == ["image", "image"]
    for c, (data, attributes, kind) in enumerate(layers):
        layer = Layer.create(data, attributes, kind)
        assert layer.scale.tolist() == [2.0, 0.108, 0.108]
        np.testing.assert_array_equal(data[7], movie.channel_image(7, c))
    assert [attributes["name"] for _, attributes, _ in layers] == ["movie exosome", "movie cell"]


def test_a_finished_folder_becomes_movie_and_results(analysed: Path) -> None:
    for path in (str(analysed), str(analysed)):
        kinds = [kind for *_, kind in get_reader(path)(path)]
        assert kinds == ["image", "image", "labels", "vectors", "tracks", "points", "points"]


def test_other_things_are_left_to_other_readers(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("x")
    assert get_reader(str(tmp_path / "notes.txt")) is None
    assert get_reader(str(tmp_path)) is None
    assert get_reader(str(tmp_path / "missing.tif")) is None


def test_a_missing_scale_is_left_open_not_guessed(tmp_path: Path) -> None:
    path = tmp_path / "stack.tif"
    tifffile.imwrite(path, np.zeros((5, 2, 16, 16), np.uint16), imagej=True, metadata={"axes": "TCYX"})
    opened = open_movie(path)
    assert set(opened.missing) == {"pixel_size_um", "frame_interval_s", "channels"}
    layers = get_reader(str(path))(str(path))
    assert len(layers) == 2 and all("scale" not in attributes for _, attributes, _ in layers)


def test_a_file_with_two_readings_is_refused_with_them(tmp_path: Path) -> None:
    path = tmp_path / "stack.tif"
    tifffile.imwrite(path, np.zeros((7, 16, 16), np.uint16), photometric="minisblack")
    with pytest.raises(InputError, match="7 frames"):
        get_reader(str(path))(str(path))
    assert open_movies(path, axes="TYX")[0].movie.n_frames == 7


def test_the_sample_is_the_bundled_movie() -> None:
    assert len(docking()) == 2


def test_a_simulated_sample_is_made_once_and_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(samples, "user_cache_path", lambda name: tmp_path / name)
    monkeypatch.setattr(samples, "RECIPES", {"fusion": Recipe("fusion", frames=2, seed=1)})
    layers = samples.fusion()
    assert [data.shape for data, _, _ in layers] == [(2, 256, 256)] * 2
    made = samples.simulated("fusion")
    before = made.stat().st_mtime_ns
    assert len(samples.fusion()) == 2 and made.stat().st_mtime_ns == before
    assert [entry.name for entry in made.parents[1].iterdir()] == ["fusion"]
