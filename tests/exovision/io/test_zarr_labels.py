"""Label images as OME-Zarr, read back by zarr and by exovision, inside an image and alone."""

from __future__ import annotations

from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
import zarr

from exovision.errors import InputError, OutputError
from exovision.io.label_files import LabelWriter
from exovision.io.labels_source import open_labels
from exovision.io.movies import read
from exovision.io.zarr_labels import write_zarr_labels
from exovision.records import Movie

SHAPE = (300, 520)


def frames(n: int = 3, largest: int = 7) -> np.ndarray:
    stack = np.zeros((n, *SHAPE), np.int32)
    for t in range(n):
        stack[t, 20:120, 30 + t : 150 + t] = 3
        stack[t, 200:, 400:] = largest
    return stack


def writer(stack: np.ndarray, interval_s: float = 2.5) -> LabelWriter:
    labels = LabelWriter(SHAPE, pixel_size_um=0.1, frame_interval_s=interval_s)
    for frame in stack:
        labels.append(frame)
    return labels


def movie(n: int = 3) -> Movie:
    pixels = np.ones((n, 1, *SHAPE), np.uint16)
    return Movie.from_array(pixels, pixel_size_um=0.1, frame_interval_s=2.5, channels={"cell": 0})


def ngff(group: Any, version: str) -> dict[str, Any]:
    attributes = dict(group.attrs)
    return attributes["ome"] if version == "0.5" else attributes


@pytest.mark.parametrize("version", ["0.4", "0.5"])
def test_zarr_reads_what_was_written(version: str, tmp_path: Path) -> None:
    stack = frames()
    write_zarr_labels(tmp_path / "l.ome.zarr", writer(stack), version=version)
    root = zarr.open_group(tmp_path / "l.ome.zarr", mode="r")
    assert root.metadata.zarr_format == (3 if version == "0.5" else 2)
    assert ngff(root["labels"], version)["labels"] == ["cells"]
    image = root["labels/cells"]
    described = ngff(image, version)
    assert described["image-label"]["source"] == {"image": "../../"}
    [multiscale] = described["multiscales"]
    assert [axis["name"] for axis in multiscale["axes"]] == list("tczyx")
    assert {axis["name"]: axis.get("unit") for axis in multiscale["axes"]} == {
        "t": "second",
        "c": None,
        "z": None,
        "y": "micrometer",
        "x": "micrometer",
    }
    for i, dataset in enumerate(multiscale["datasets"]):
        level = image[dataset["path"]]
        np.testing.assert_array_equal(level[:, 0, 0], stack[:, :: 2**i, :: 2**i])
        [scale] = dataset["coordinateTransformations"]
        assert scale == {"type": "scale", "scale": pytest.approx([2.5, 1, 1, 0.1 * 2**i, 0.1 * 2**i])}
    assert len(multiscale["datasets"]) == 3
    assert level.dtype == np.uint16


@pytest.mark.parametrize("version", ["0.4", "0.5"])
def test_exovision_reads_its_own_labels_back(version: str, tmp_path: Path) -> None:
    stack = frames(largest=70_000)
    path = write_zarr_labels(tmp_path / "l.ome.zarr", writer(stack), version=version)
    for given in (tmp_path / "l.ome.zarr", path):
        labels = open_labels(given, movie())
        for t in range(3):
            np.testing.assert_array_equal(labels[t], stack[t])


def test_labels_go_into_the_image_that_they_are_of(zarrs: ModuleType, tmp_path: Path) -> None:
    image = zarrs.write_image(tmp_path / "m.zarr", np.ones((3, 1, 1, *SHAPE), np.uint16), names=("cells",))
    before = (image / ".zattrs").read_text()
    write_zarr_labels(image, writer(frames()))
    write_zarr_labels(image, writer(frames()), name="by_hand")
    write_zarr_labels(image, writer(frames(largest=9)))
    assert (image / ".zattrs").read_text() == before
    group = zarr.open_group(image, mode="r")
    assert group["labels"].attrs["labels"] == ["by_hand", "cells"]
    assert group["labels/cells/0"][:].max() == 9
    assert sorted(path.name for path in (image / "labels").iterdir()) == [
        ".zattrs",
        ".zgroup",
        "by_hand",
        "cells",
    ]
    assert read(image).n_frames == 3
    with pytest.raises(InputError, match="holds by_hand, cells; give its folder"):
        open_labels(image, movie())
    assert open_labels(image / "labels" / "cells", movie())[0].max() == 9


def test_a_movie_without_interval_has_no_unit_of_time(tmp_path: Path) -> None:
    path = write_zarr_labels(tmp_path / "l.zarr", writer(frames(1), interval_s=np.nan))
    axes = zarr.open_group(path, mode="r").attrs["multiscales"][0]["axes"]
    assert "unit" not in axes[0]


def test_what_cannot_be_written_is_told(zarrs: ModuleType, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"one of 0\.4, 0\.5"):
        write_zarr_labels(tmp_path / "l.zarr", writer(frames(1)), version="0.6")
    with pytest.raises(InputError, match="at least one frame"):
        write_zarr_labels(tmp_path / "e.zarr", writer(frames(0)))
    image = zarrs.write_image(tmp_path / "m.zarr", np.ones((1, 1, 1, 8, 8), np.uint16), version="0.5")
    with pytest.raises(InputError, match="the image has another version"):
        write_zarr_labels(image, writer(frames(1)))
    (tmp_path / "file").write_text("")
    with pytest.raises(OutputError, match="must be writable"):
        write_zarr_labels(tmp_path / "file", writer(frames(1)))


def test_zarr_labels_of_another_movie_or_with_fractions_are_refused(
    zarrs: ModuleType, tmp_path: Path
) -> None:
    write_zarr_labels(tmp_path / "l.zarr", writer(frames()))
    with pytest.raises(InputError, match="give the labels of this movie"):
        open_labels(tmp_path / "l.zarr", movie(2))
    image = zarrs.write_image(tmp_path / "m.zarr", np.ones((1, 1, 1, *SHAPE), np.uint16))
    with pytest.raises(InputError, match="it has none"):
        open_labels(image, movie(1))
