"""Movies of every kind of TIFF: which plane is which, how large and when, and who wins."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tifffile

from exovision.errors import InputError, SettingsError
from exovision.io.movies import read, stem
from exovision.records import Movie

Numbered = Callable[..., np.ndarray]
BOTH = {"exosome": 0, "cell": 1}
OME = {
    "axes": "TCZYX",
    "PhysicalSizeX": 108.0,
    "PhysicalSizeXUnit": "nm",
    "PhysicalSizeY": 108.0,
    "PhysicalSizeYUnit": "nm",
    "TimeIncrement": 0.5,
    "TimeIncrementUnit": "min",
    "Channel": {"Name": ["PKH67", "CellMask"]},
}


def ome(path: Path, data: np.ndarray, **changes: Any) -> Path:
    tifffile.imwrite(path, data, ome=True, metadata={**OME, **changes})
    return path


def planes(movie: Movie) -> np.ndarray:
    """Return the value of every plane, shape (T, C, Z)."""
    t, c, z = movie.shape[:3]
    values = [movie.source.plane(i, j, k) for i in range(t) for j in range(c) for k in range(z)]
    assert all(value.shape == movie.image_shape and np.ptp(value) == 0 for value in values)
    return np.array([int(value[0, 0]) for value in values]).reshape(t, c, z)


def truth(data: np.ndarray) -> np.ndarray:
    return data[..., 0, 0]


def test_an_ome_tiff_gives_planes_sizes_times_and_roles(tmp_path: Path, numbered: Numbered) -> None:
    data = numbered(3, 2, 4)
    movie = read(ome(tmp_path / "m.ome.tif", data))
    np.testing.assert_array_equal(planes(movie), truth(data))
    assert movie.name == "m"
    assert movie.shape == (3, 2, 4, 12, 16)
    assert movie.pixel_size_um == pytest.approx(0.108)
    np.testing.assert_allclose(movie.times_s, [[0, 0], [30, 30], [60, 60]])
    assert movie.channel_names == ("PKH67", "CellMask")
    assert dict(movie.roles) == BOTH
    assert any("guessed" in note for note in movie.notes)


@pytest.mark.parametrize("order", ["TCZYX", "TZCYX", "CTZYX", "ZTCYX"])
def test_the_order_of_storage_does_not_matter(order: str, tmp_path: Path, numbered: Numbered) -> None:
    data = numbered(3, 2, 4)
    stored = np.ascontiguousarray(data.transpose(["TCZYX".index(axis) for axis in order]))
    movie = read(ome(tmp_path / "m.ome.tif", stored, axes=order))
    np.testing.assert_array_equal(planes(movie), truth(data))


@pytest.mark.parametrize("shape", [(5, 2, 1), (2, 2, 3), (4, 1, 1)])
def test_an_imagej_hyperstack_is_read_as_imagej_means_it(
    shape: tuple[int, int, int], tmp_path: Path, numbered: Numbered
) -> None:
    data = numbered(*shape)
    tifffile.imwrite(
        tmp_path / "m.tif",
        data.transpose(0, 2, 1, 3, 4),
        imagej=True,
        resolution=(10, 10),
        metadata={"axes": "TZCYX", "unit": "um", "finterval": 2.5, "hyperstack": True},
    )
    movie = read(tmp_path / "m.tif", channels={"exosome": 0})
    np.testing.assert_array_equal(planes(movie), truth(data))
    assert movie.pixel_size_um == pytest.approx(0.1)
    assert movie.interval_s("exosome") == pytest.approx(2.5)


def test_each_planes_own_time_is_kept(tmp_path: Path, numbered: Numbered) -> None:
    stamps = [0.0, 0.4, 2.1, 2.5, 7.0, 7.4]
    path = ome(tmp_path / "m.ome.tif", numbered(3, 2, 1), Plane={"DeltaT": stamps, "DeltaTUnit": ["s"] * 6})
    np.testing.assert_allclose(read(path).times_s, np.reshape(stamps, (3, 2)))


def test_times_that_do_not_rise_are_not_used_silently(tmp_path: Path, numbered: Numbered) -> None:
    stamps = {"DeltaT": [0.0, 5.0, 3.0], "DeltaTUnit": ["s"] * 3}
    data, names = numbered(3, 1, 1), {"Name": ["PKH"]}
    with_increment = read(ome(tmp_path / "a.ome.tif", data, Plane=stamps, Channel=names))
    np.testing.assert_allclose(with_increment.times_s[:, 0], [0, 30, 60])
    assert any("do not rise" in note for note in with_increment.notes)
    path = ome(tmp_path / "b.ome.tif", data, Plane=stamps, Channel=names, TimeIncrement=None)
    with pytest.raises(InputError, match=r"do not rise.*--frame-interval-s"):
        read(path)


def test_plain_pages_that_may_be_time_or_depth_are_refused_with_the_readings(
    tmp_path: Path, numbered: Numbered
) -> None:
    data = numbered(6, 1, 1)
    tifffile.imwrite(tmp_path / "m.tif", data[:, 0, 0], photometric="minisblack", metadata=None)
    with pytest.raises(InputError) as caught:
        read(tmp_path / "m.tif", channels={"exosome": 0}, pixel_size_um=0.1)
    for reading in ("--axes TYX (6 frames)", "--axes ZYX (6 planes)", "--axes CYX (6 channels)", "TC2YX"):
        assert reading in str(caught.value)
    movie = read(
        tmp_path / "m.tif", channels={"exosome": 0}, pixel_size_um=0.1, frame_interval_s=1, axes="TYX"
    )
    np.testing.assert_array_equal(planes(movie), truth(data))


def test_two_axes_without_names_are_never_both_time(tmp_path: Path, numbered: Numbered) -> None:
    data = numbered(3, 2)
    tifffile.imwrite(tmp_path / "m.tif", data[:, :, 0], photometric="minisblack")
    given = {"channels": BOTH, "pixel_size_um": 0.1, "frame_interval_s": 1.0}
    with pytest.raises(InputError, match=r"--axes TCYX \(3 frames, 2 channels\)"):
        read(tmp_path / "m.tif", **given)
    np.testing.assert_array_equal(planes(read(tmp_path / "m.tif", axes="TCYX", **given)), truth(data))


def test_a_frame_interval_makes_plain_pages_time_and_says_so(tmp_path: Path, numbered: Numbered) -> None:
    tifffile.imwrite(tmp_path / "m.tif", numbered(6)[:, 0, 0], photometric="minisblack", metadata=None)
    movie = read(tmp_path / "m.tif", channels={"exosome": 0}, pixel_size_um=0.1, frame_interval_s=1)
    assert movie.shape[:3] == (6, 1, 1)
    assert any("read as time" in note for note in movie.notes)


def test_lengths_in_the_axes_divide_interleaved_pages(tmp_path: Path, numbered: Numbered) -> None:
    data = numbered(3, 2)
    pages = data.reshape(6, *data.shape[-2:])
    tifffile.imwrite(tmp_path / "m.tif", pages, photometric="minisblack", metadata=None)
    given = {"channels": BOTH, "pixel_size_um": 0.1, "frame_interval_s": 1.0}
    np.testing.assert_array_equal(planes(read(tmp_path / "m.tif", axes="TC2YX", **given)), truth(data))
    with pytest.raises(InputError, match="do not divide"):
        read(tmp_path / "m.tif", axes="TC4YX", **given)
    with pytest.raises(SettingsError, match="--axes must be letters"):
        read(tmp_path / "m.tif", axes="TTYX", **given)


def test_a_declared_depth_without_time_is_never_taken_for_time_silently(
    tmp_path: Path, numbered: Numbered
) -> None:
    path = ome(
        tmp_path / "m.ome.tif",
        numbered(1, 1, 20)[0, 0],
        axes="ZYX",
        Channel={"Name": ["PKH"]},
        TimeIncrement=None,
    )
    with pytest.raises(InputError, match=r"--axes TYX.*--axes ZYX"):
        read(path)
    assert read(path, axes="ZYX").shape[:3] == (1, 1, 20)
    as_time = read(path, axes="TYX", frame_interval_s=1)
    assert as_time.shape[:3] == (20, 1, 1)
    assert any("the file says ZYX" in note for note in as_time.notes)


@pytest.mark.parametrize(("projection", "value"), [("max", 4), ("mean", 2.5), (0, 1), (3, 4)])
def test_depth_becomes_one_plane(
    projection: str | int, value: float, tmp_path: Path, numbered: Numbered
) -> None:
    movie = read(ome(tmp_path / "m.ome.tif", numbered(2, 2, 4)), projection=projection)
    np.testing.assert_allclose(movie.image(0, "exosome"), value)
    np.testing.assert_allclose(movie.image(1, "cell"), value + 110)


@pytest.mark.parametrize("projection", ["median", 4, -1])
def test_an_impossible_projection_is_refused(
    projection: str | int, tmp_path: Path, numbered: Numbered
) -> None:
    with pytest.raises(SettingsError, match="max, mean or a plane from 0 to 3"):
        read(ome(tmp_path / "m.ome.tif", numbered(2, 2, 4)), projection=projection)


def test_what_is_missing_names_its_override(tmp_path: Path, numbered: Numbered) -> None:
    sizeless = ome(tmp_path / "a.ome.tif", numbered(2, 2), PhysicalSizeX=None, PhysicalSizeY=None)
    with pytest.raises(InputError, match="--pixel-size-um"):
        read(sizeless)
    assert read(sizeless, pixel_size_um=0.2).pixel_size_um == 0.2
    timeless = ome(tmp_path / "b.ome.tif", numbered(2, 2), TimeIncrement=None)
    with pytest.raises(InputError, match="--frame-interval-s"):
        read(timeless)
    assert read(timeless, frame_interval_s=3).interval_s("exosome") == 3
    still = ome(tmp_path / "c.ome.tif", numbered(1, 2), TimeIncrement=None)
    assert read(still, axes="CYX").times_s.tolist() == [[0, 0]]


def test_the_override_wins_and_says_so(tmp_path: Path, numbered: Numbered) -> None:
    path = ome(tmp_path / "m.ome.tif", numbered(3, 2))
    movie = read(path, pixel_size_um=0.2, frame_interval_s=7, channels={"cell": 0, "exosome": 1})
    assert (movie.pixel_size_um, movie.interval_s("cell")) == (0.2, 7)
    assert dict(movie.roles) == {"cell": 0, "exosome": 1}
    assert any("pixel size 0.2 µm given, 0.108 µm in the file" in note for note in movie.notes)
    assert any("frame interval 7 s given, 30 s in the file" in note for note in movie.notes)
    agreeing = read(path, pixel_size_um=0.108, frame_interval_s=30, channels=BOTH)
    assert agreeing.notes == ()


def test_the_sample_sheet_wins_over_the_file_and_the_argument_over_the_sheet(
    tmp_path: Path, numbered: Numbered
) -> None:
    path = ome(tmp_path / "m.ome.tif", numbered(3, 2))
    facts = {"pixel_size_um": 0.3, "frame_interval_s": 9.0, "channels": {"cell": 0}}
    movie = read(path, facts=facts)
    assert (movie.pixel_size_um, movie.interval_s("cell"), dict(movie.roles)) == (0.3, 9.0, {"cell": 0})
    assert read(path, facts=facts, pixel_size_um=0.4).pixel_size_um == 0.4


def test_pixels_that_are_not_square_are_refused(tmp_path: Path, numbered: Numbered) -> None:
    path = ome(tmp_path / "m.ome.tif", numbered(2, 2), PhysicalSizeY=216.0)
    with pytest.raises(InputError, match=r"square pixels.*0.216 x 0.108"):
        read(path)
    assert read(path, pixel_size_um=0.108).pixel_size_um == 0.108


@pytest.mark.parametrize(
    ("given", "error", "message"),
    [
        ({"channels": {"exosome": 2}}, SettingsError, "exosome=2 does not exist"),
        ({"channels": {"exozome": 0}}, SettingsError, "unknown channel role 'exozome'"),
        ({"pixel_size_um": 0.0}, InputError, "positive number of µm"),
        ({"pixel_size_um": float("nan")}, InputError, "positive number of µm"),
        ({"frame_interval_s": 0.0}, InputError, "above 0 s"),
        ({"frame_interval_s": float("inf")}, InputError, "above 0 s"),
        ({"position": "p003"}, InputError, "position"),
    ],
)
def test_wrong_arguments_are_refused(
    given: dict[str, Any], error: type[Exception], message: str, tmp_path: Path, numbered: Numbered
) -> None:
    path = ome(tmp_path / "m.ome.tif", numbered(2, 2))
    with pytest.raises(error, match=message):
        read(path, **given)


def test_channels_that_cannot_be_guessed_are_asked_for(tmp_path: Path, numbered: Numbered) -> None:
    path = ome(tmp_path / "m.ome.tif", numbered(2, 2), Channel={"Name": ["488", "640"]})
    with pytest.raises(SettingsError, match=r"0 488, 1 640.*--channels"):
        read(path)


def test_several_positions_of_one_file_are_movies_of_their_own(tmp_path: Path, numbered: Numbered) -> None:
    with tifffile.TiffWriter(tmp_path / "m.ome.tif", ome=True) as writer:
        for offset in (0, 1000):
            writer.write(numbered(2, 2, 1) + np.uint16(offset), metadata=OME)
    with pytest.raises(InputError, match="p000 to p001"):
        read(tmp_path / "m.ome.tif")
    second = read(tmp_path / "m.ome.tif", position="p001")
    assert second.name == "m_p001"
    np.testing.assert_array_equal(planes(second), truth(numbered(2, 2, 1)) + 1000)


@pytest.mark.parametrize("dtype", ["uint8", "int16", "float32", ">u2"])
@pytest.mark.parametrize("compression", [None, "zlib"])
def test_every_usual_pixel_type_is_read(
    dtype: str, compression: str | None, tmp_path: Path, numbered: Numbered
) -> None:
    data = numbered(2, 1).astype(dtype)[:, :, 0]
    tifffile.imwrite(
        tmp_path / "m.tif",
        data,
        photometric="minisblack",
        compression=compression,
        byteorder=">" if dtype[0] == ">" else "<",
        metadata={"axes": "TCYX"},
    )
    movie = read(tmp_path / "m.tif", channels={"exosome": 0}, pixel_size_um=0.1, frame_interval_s=1)
    image = movie.image(1, "exosome")
    assert image.dtype == np.float32
    np.testing.assert_array_equal(image, data[1, 0].astype(np.float32))


def test_colour_is_refused(tmp_path: Path) -> None:
    tifffile.imwrite(tmp_path / "m.tif", np.zeros((12, 16, 3), np.uint8), photometric="rgb")
    with pytest.raises(InputError, match="RGB"):
        read(tmp_path / "m.tif")


def test_a_printers_resolution_is_no_pixel_size(tmp_path: Path, numbered: Numbered) -> None:
    tifffile.imwrite(tmp_path / "m.tif", numbered()[0, 0, 0], resolution=(300, 300), resolutionunit="INCH")
    with pytest.raises(InputError, match="--pixel-size-um"):
        read(tmp_path / "m.tif", channels={"exosome": 0})
    resolution = {"resolution": (1e4 / 0.2, 1e4 / 0.2), "resolutionunit": "CENTIMETER"}
    tifffile.imwrite(tmp_path / "n.tif", numbered()[0, 0, 0], **resolution)
    assert read(tmp_path / "n.tif", channels={"exosome": 0}).pixel_size_um == pytest.approx(0.2)


def test_a_closed_movie_can_be_removed_and_closing_twice_does_no_harm(
    tmp_path: Path, numbered: Numbered
) -> None:
    path = ome(tmp_path / "m.ome.tif", numbered(2, 2))
    movie = read(path)
    movie.source.close()
    movie.source.close()
    path.unlink()


@pytest.mark.parametrize(
    ("name", "expected"),
    [("a.ome.tif", "a"), ("a.b.TIFF", "a.b"), (".tif", ".tif"), ("folder", "folder"), ("a.btf", "a")],
)
def test_stems_lose_the_endings_of_movies(name: str, expected: str) -> None:
    assert stem(Path(name)) == expected
