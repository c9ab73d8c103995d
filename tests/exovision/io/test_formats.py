"""The same small movie in every format: the same pixels, sizes, times, channels and tables as from TIFF."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import numpy as np
import pandas as pd
import pytest
import tifffile

import exovision
from exovision.errors import InputError
from exovision.io.discovery import find_movies
from exovision.io.formats import SUFFIXES, parts_of
from exovision.io.movies import read
from exovision.records import Movie

FORMATS = ("ome.tif", "ome.zarr", "zarr", "nd2", "czi", "lif")


def movie_pixels(t: int = 6, size: int = 96) -> np.ndarray:
    """Return (T, C, Z, Y, X) counts: spots in one channel, a bright cell with an outline in the other."""
    rng = np.random.default_rng(5)
    yy, xx = np.mgrid[:size, :size]
    pixels = rng.poisson(100, (t, 2, 2, size, size)).astype(np.float64)
    radius = np.hypot(yy - 48, xx - 48)
    for i in range(t):
        for y, x in ((48, 20), (20 + i, 70), (75, 75 - i)):
            pixels[i, 0, 0] += 900 * np.exp(-((yy - y) ** 2 + (xx - x) ** 2) / (2 * 1.4**2))
        pixels[i, 1, 0] += 300 * (radius < 28) + 500 * np.exp(-((radius - 28) ** 2) / 4)
    return pixels.astype(np.uint16)


def frame_times(t: int) -> np.ndarray:
    """Return uneven times (P, T, C) that begin with 0, to the millisecond."""
    return np.array([0.0, 2.0, 4.25, 6.0, 8.5, 10.0])[None, :t, None] * np.ones((1, 1, 2))


@pytest.fixture(scope="session")
def write(vendor: ModuleType, zarrs: ModuleType) -> Callable[[Path, np.ndarray], Path]:
    def make(path: Path, pixels: np.ndarray) -> Path:
        ending = path.name.split(".", 1)[1]
        times = frame_times(len(pixels))
        if ending in ("nd2", "czi", "lif"):
            return getattr(vendor, f"write_{ending}")(path, pixels[None], times)  # type: ignore[no-any-return]
        planes = np.broadcast_to(times[0, :, :, None], pixels.shape[:3]).ravel().tolist()
        about = {"axes": "TCZYX", "PhysicalSizeX": 0.108, "PhysicalSizeY": 0.108}
        about |= {
            "PhysicalSizeXUnit": "µm",
            "PhysicalSizeYUnit": "µm",
            "Channel": {"Name": list(vendor.NAMES)},
        }
        about |= {"Plane": {"DeltaT": planes, "DeltaTUnit": ["s"] * len(planes)}}
        if ending == "ome.tif":
            tifffile.imwrite(path, pixels, ome=True, metadata=about)
            return path
        version = "0.4" if ending == "ome.zarr" else "0.5"
        image = zarrs.write_image(path / "0", pixels, version=version)
        # As bioformats2raw does: the times of planes are in OME-XML beside the series.
        zarrs.describe(path, {"bioformats2raw.layout": 3}, version)
        zarrs.describe(path / "OME", {"series": ["0"]}, version)
        tifffile.imwrite(image.parent / "x.ome.tif", pixels, ome=True, metadata=about)
        xml = tifffile.tiffcomment(image.parent / "x.ome.tif")
        (path / "OME" / "METADATA.ome.xml").write_text(xml, encoding="utf-8")
        (image.parent / "x.ome.tif").unlink()
        return path

    return make


@pytest.mark.parametrize("ending", FORMATS)
def test_every_format_gives_the_movie_that_tiff_gives(
    ending: str, write: Callable[[Path, np.ndarray], Path], tmp_path: Path
) -> None:
    pixels = movie_pixels(4, 40)
    movie = read(write(tmp_path / f"m.{ending}", pixels))
    assert movie.name == "m"
    assert movie.shape == pixels.shape
    assert movie.pixel_size_um == pytest.approx(0.108, rel=1e-9)
    np.testing.assert_allclose(movie.times_s, frame_times(4)[0], atol=1e-6)
    assert movie.channel_names == ("PKH67", "CellMask")
    assert dict(movie.roles) == {"exosome": 0, "cell": 1}
    for t, c, z in np.ndindex(4, 2, 2):
        plane = movie.source.plane(t, c, z)
        assert plane.dtype == np.uint16
        np.testing.assert_array_equal(plane, pixels[t, c, z])
    movie.source.close()
    movie.source.close()


def tables(movie: Movie) -> list[pd.DataFrame]:
    result = exovision.analyse(movie, exovision.Settings(), device="cpu")
    return [result.spots, result.exosomes, result.events, result.cells, result.fates]


@pytest.mark.slow
def test_every_format_gives_the_tables_that_tiff_gives(
    write: Callable[[Path, np.ndarray], Path], tmp_path: Path
) -> None:
    movies = {ending: read(write(tmp_path / f"m.{ending}", movie_pixels())) for ending in FORMATS}
    expected = tables(movies.pop("ome.tif"))
    assert len(expected[0]) >= 12
    for movie in movies.values():
        for table, wanted in zip(tables(movie), expected):
            pd.testing.assert_frame_equal(table, wanted, rtol=1e-6)


@pytest.mark.parametrize("ending", ["nd2", "czi", "lif"])
def test_several_positions_of_a_vendor_file_are_movies(
    ending: str, vendor: ModuleType, tmp_path: Path
) -> None:
    pixels = np.arange(2 * 3 * 2 * 8 * 9, dtype=np.uint16).reshape(2, 3, 2, 1, 8, 9)
    times = np.array([[0.0, 3, 5], [1, 4, 7]])[..., None] * np.ones(2)
    path = getattr(vendor, f"write_{ending}")(tmp_path / f"m.{ending}", pixels, times)
    entries = find_movies([tmp_path])
    assert [entry.name for entry in entries] == ["m_p000", "m_p001"]
    for p, entry in enumerate(entries):
        movie = read(entry.path, position=entry.position, name=entry.name)
        np.testing.assert_array_equal(movie.source.plane(2, 1, 0), pixels[p, 2, 1, 0])
        np.testing.assert_allclose(np.diff(movie.times_s[:, 1]), np.diff(times[p, :, 1]), atol=1e-6)
    with pytest.raises(InputError, match="p000 to p001 was wanted, none was chosen"):
        read(path)
    with pytest.raises(InputError, match="got 'p007'"):
        read(path, position="p007")


@pytest.mark.parametrize("ending", ["nd2", "czi", "lif"])
def test_a_size_or_interval_that_a_vendor_file_lacks_is_asked_for(
    ending: str, vendor: ModuleType, tmp_path: Path
) -> None:
    pixels = np.ones((1, 3, 2, 1, 8, 9), np.uint16)
    writer = getattr(vendor, f"write_{ending}")
    without = {"nd2": {"calibrated": False}, "czi": {"scaled": False}, "lif": {"unit": ""}}[ending]
    with pytest.raises(InputError, match="--pixel-size-um"):
        read(writer(tmp_path / f"a.{ending}", pixels, None, **without))
    still = writer(tmp_path / f"b.{ending}", pixels, None, interval_s=0.0)
    with pytest.raises(InputError, match="--frame-interval-s"):
        read(still)
    movie = read(writer(tmp_path / f"c.{ending}", pixels, None, interval_s=2.5))
    np.testing.assert_allclose(movie.times_s[:, 0], [0, 2.5, 5])


@pytest.mark.parametrize("ending", ["nd2", "czi", "lif"])
def test_a_vendor_file_that_is_no_such_file_is_one_line(
    ending: str, vendor: ModuleType, tmp_path: Path
) -> None:
    bad = tmp_path / f"bad.{ending}"
    whole = getattr(vendor, f"write_{ending}")(
        tmp_path / f"whole.{ending}", np.ones((1, 3, 2, 1, 40, 40), np.uint16), None
    ).read_bytes()
    cases = {
        b"": "0 bytes",
        b"this is a text": "damaged, truncated or something else",
        whole[: len(whole) // 2]: "truncated",
        whole[:40]: "truncated",
    }
    for content, message in cases.items():
        bad.write_bytes(content)
        for look in (read, parts_of):
            if look is parts_of and message == "truncated" and ending == "lif":
                continue
            with pytest.raises(InputError, match=message) as caught:
                look(bad)  # type: ignore[operator]
            assert "\n" not in str(caught.value)
            assert str(bad) in str(caught.value)
    assert [entry.name for entry in find_movies([bad])] == ["bad"]


@pytest.mark.parametrize(("ending", "package"), [("nd2", "nd2"), ("czi", "czifile"), ("lif", "liffile")])
def test_a_missing_package_is_told_with_the_command_that_installs_it(
    ending: str, package: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, package, None)
    (tmp_path / f"m.{ending}").write_bytes(b"x")
    with pytest.raises(InputError, match=rf"needs the package {package}.*pip install 'exovision\[vendor\]'"):
        read(tmp_path / f"m.{ending}")


def test_frames_that_an_nd2_announces_but_never_recorded_are_left_out(
    vendor: ModuleType, tmp_path: Path
) -> None:
    pixels = np.arange(5 * 2 * 8 * 9, dtype=np.uint16).reshape(1, 5, 2, 1, 8, 9)
    movie = read(vendor.write_nd2(tmp_path / "m.nd2", pixels, None, recorded=3))
    assert movie.n_frames == 3
    assert any("announces 5 frames and holds 3" in note for note in movie.notes)


@pytest.mark.parametrize("compression", [2, 5, 6])
def test_a_compressed_czi_is_read(compression: int, vendor: ModuleType, tmp_path: Path) -> None:
    pixels = np.random.default_rng(1).integers(0, 4000, (1, 2, 2, 1, 16, 17)).astype(np.uint16)
    movie = read(vendor.write_czi(tmp_path / "m.czi", pixels, None, compression=compression))
    for t, c in np.ndindex(2, 2):
        np.testing.assert_array_equal(movie.source.plane(t, c, 0), pixels[0, t, c, 0])


def test_a_czi_gives_the_times_of_each_channel_or_its_list_of_stamps(
    vendor: ModuleType, tmp_path: Path
) -> None:
    pixels = np.ones((1, 3, 2, 1, 8, 9), np.uint16)
    times = np.array([[[0.0, 0.4], [2, 2.4], [4.5, 4.9]]])
    movie = read(vendor.write_czi(tmp_path / "a.czi", pixels, times))
    np.testing.assert_allclose(movie.times_s, times[0], atol=1e-6)
    stamped = read(vendor.write_czi(tmp_path / "b.czi", pixels, None, stamps=np.array([3.0, 5.0, 8.0])))
    np.testing.assert_allclose(stamped.times_s, [[0, 0], [2, 2], [5, 5]])


def test_a_plane_that_a_czi_lacks_is_a_channel_not_acquired(vendor: ModuleType, tmp_path: Path) -> None:
    pixels = np.ones((1, 3, 2, 1, 8, 9), np.uint16)
    movie = read(vendor.write_czi(tmp_path / "m.czi", pixels, None, skip=({"T": 1, "C": 1},)))
    assert [movie.acquired(t, "cell") for t in range(3)] == [True, False, True]
    assert all(movie.acquired(t, "exosome") for t in range(3))


def test_tiles_and_numbers_gone_wrong_in_a_czi_are_refused(vendor: ModuleType, tmp_path: Path) -> None:
    pixels = np.ones((1, 2, 2, 1, 8, 9), np.uint16)
    tiles = vendor.write_czi(tmp_path / "a.czi", pixels, None)
    content = tiles.read_bytes().replace(b"T\0\0\0\1\0\0\0", b"M\0\0\0\1\0\0\0")
    tiles.write_bytes(content.replace(b"T\0\0\0\0\0\0\0", b"M\0\0\0\0\0\0\0"))
    with pytest.raises(InputError, match="got 2 tiles; stitch and export it"):
        read(tiles)
    huge = vendor.write_czi(tmp_path / "b.czi", pixels, None)
    huge.write_bytes(huge.read_bytes().replace(b"T\0\0\0\1\0\0\0", b"T\0\0\0\0\0\0\x70"))
    with pytest.raises(InputError, match="at most 10000000 planes"):
        read(huge)


def test_a_lif_without_dyes_names_its_channels_by_colour(vendor: ModuleType, tmp_path: Path) -> None:
    path = vendor.write_lif(tmp_path / "m.lif", np.ones((1, 2, 2, 1, 8, 9), np.uint16), None, dyes=False)
    assert read(path, channels={"exosome": 0}).channel_names == ("Gray0", "Gray1")


def test_every_ending_is_found_and_reading_is_light() -> None:
    assert {f".{ending}" for ending in FORMATS} <= set(SUFFIXES)
    code = (
        "import sys, exovision.io.movies; "
        "print(sorted({'zarr', 'nd2', 'czifile', 'liffile', 'torch'} & set(sys.modules)))"
    )
    told = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert told.stdout.strip() == "[]"
