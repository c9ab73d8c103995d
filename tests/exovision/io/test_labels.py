"""Label images in and out: values are ids, whatever the file; memory holds one frame."""

from __future__ import annotations

import tracemalloc
from pathlib import Path

import numpy as np
import pytest
import tifffile

from exovision.errors import InputError, OutputError
from exovision.io.label_files import LabelWriter
from exovision.io.labels_source import open_labels
from exovision.records import Movie

SHAPE = (20, 30)


def movie(frames: int = 3, name: str = "m") -> Movie:
    return Movie.from_array(
        np.ones((frames, 1, *SHAPE)), pixel_size_um=0.1, frame_interval_s=1, channels={"cell": 0}, name=name
    )


def frames(n: int = 3, largest: int = 7) -> np.ndarray:
    stack = np.zeros((n, *SHAPE), dtype=np.int32)
    for t in range(n):
        stack[t, 2 + t : 9 + t, 3:12] = 1
        stack[t, 10:19, 15:25] = largest
    return stack


def writer(shape: tuple[int, int] = SHAPE) -> LabelWriter:
    return LabelWriter(shape, pixel_size_um=0.2, frame_interval_s=5.0)


def filled(stack: np.ndarray) -> LabelWriter:
    labels = writer()
    for frame in stack:
        labels.append(frame)
    return labels


@pytest.mark.parametrize(
    ("largest", "dtype"), [(7, "uint16"), (65_535, "uint16"), (65_536, "uint32"), (2**31 - 1, "uint32")]
)
def test_saved_labels_are_the_ids(largest: int, dtype: str, tmp_path: Path) -> None:
    stack = frames(largest=largest)
    with filled(stack) as labels:
        np.testing.assert_array_equal(np.stack(list(labels)), stack)
        np.testing.assert_array_equal(labels[1], stack[1])
        labels.save(tmp_path / "cell_labels.ome.tif")
    with tifffile.TiffFile(tmp_path / "cell_labels.ome.tif") as file:
        assert (file.series[0].axes, str(file.series[0].dtype)) == ("TYX", dtype)
        assert 'PhysicalSizeX="0.2"' in file.ome_metadata
        assert 'TimeIncrement="5.0"' in file.ome_metadata
        np.testing.assert_array_equal(file.asarray(), stack)
    read_back = open_labels(tmp_path / "cell_labels.ome.tif", movie())
    np.testing.assert_array_equal(np.stack([read_back[t] for t in range(3)]), stack)


def test_equal_labels_are_equal_bytes(tmp_path: Path) -> None:
    for name in ("a.ome.tif", "b.ome.tif"):
        filled(frames()).save(tmp_path / name)
    assert (tmp_path / "a.ome.tif").read_bytes() == (tmp_path / "b.ome.tif").read_bytes()


def test_a_long_movie_takes_no_more_memory_than_a_frame(tmp_path: Path) -> None:
    labels = writer((256, 256))
    frame = np.random.default_rng(0).integers(0, 40, (256, 256)).astype(np.int32)
    tracemalloc.start()
    try:
        for _ in range(60):
            labels.append(frame)
        labels.save(tmp_path / "long.ome.tif")
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < 10 * frame.nbytes


@pytest.mark.parametrize(
    ("frame", "message"),
    [
        (np.zeros((5, 5), np.int32), r"shape \(20, 30\), got \(5, 5\) in frame 0"),
        (np.full(SHAPE, -1), "got -1"),
        (np.full(SHAPE, 2**31), "got 2147483648"),
    ],
)
def test_frames_that_are_no_labels_are_refused(frame: np.ndarray, message: str) -> None:
    with pytest.raises(InputError, match=message):
        writer().append(frame)


def test_labels_without_frames_or_place_are_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="at least one frame"):
        writer().save(tmp_path / "x.ome.tif")
    with pytest.raises(OutputError, match="must be writable"):
        filled(frames()).save(tmp_path / "gone" / "x.ome.tif")
    assert list(tmp_path.iterdir()) == []


def test_a_pattern_finds_the_labels_of_each_movie(tmp_path: Path) -> None:
    for name, largest in (("a", 3), ("b__c", 4)):
        tifffile.imwrite(tmp_path / f"{name}_labels.tif", frames(largest=largest), photometric="minisblack")
    pattern = str(tmp_path / "{name}_labels.tif")
    assert open_labels(pattern, movie(name="a"))[0].max() == 3
    assert open_labels(pattern, movie(name="b__c"))[0].max() == 4
    with pytest.raises(InputError, match=r"d_labels\.tif.*no such file"):
        open_labels(pattern, movie(name="d"))


def test_one_label_image_serves_every_frame(tmp_path: Path) -> None:
    tifffile.imwrite(tmp_path / "l.tif", frames(1)[0].astype(np.uint8))
    labels = open_labels(tmp_path / "l.tif", movie(3))
    assert len(labels) == 3
    np.testing.assert_array_equal(labels[2], frames(1)[0])
    assert labels[2].dtype == np.int32


@pytest.mark.parametrize(
    ("stack", "message"),
    [
        (np.zeros((2, *SHAPE), np.uint8), r"must be 3 \(or 1\) images of \(20, 30\).*got 2"),
        (np.zeros((3, 20, 31), np.uint8), r"got 3 of \(20, 31\)"),
    ],
)
def test_labels_that_do_not_fit_the_movie_are_refused(
    stack: np.ndarray, message: str, tmp_path: Path
) -> None:
    tifffile.imwrite(tmp_path / "l.tif", stack, photometric="minisblack")
    with pytest.raises(InputError, match=message):
        open_labels(tmp_path / "l.tif", movie())


@pytest.mark.parametrize(
    ("value", "dtype", "message"),
    [
        (0.5, "float32", "whole numbers"),
        (np.nan, "float32", "whole numbers"),
        (-1, "int16", "got -1"),
        (2**31, "uint32", "2147483648"),
    ],
)
def test_values_that_are_no_ids_are_refused(value: float, dtype: str, message: str, tmp_path: Path) -> None:
    stack = np.zeros((3, *SHAPE), dtype=dtype)
    stack[1, 4, 4] = value
    tifffile.imwrite(tmp_path / "l.tif", stack, photometric="minisblack")
    labels = open_labels(tmp_path / "l.tif", movie())
    assert not labels[0].any()
    with pytest.raises(InputError, match=f"frame 1.*{message}"):
        labels[1]


def test_renamed_cells_have_their_new_ids_from_their_frame_on():
    writer = LabelWriter((2, 3), pixel_size_um=0.1, frame_interval_s=1.0)
    frame = np.array([[1, 1, 2], [0, 0, 2]], dtype=np.int32)
    for _ in range(4):
        writer.append(frame)
    writer.rename([(1, 2, 7), (3, 7, 9)])
    writer.append(frame)
    assert [int(writer[t][0, 2]) for t in range(5)] == [2, 7, 7, 9, 2]
    assert all((writer[t][0, :2] == 1).all() for t in range(5))
