"""OME-Zarr in: every version, axes, units, chunks and layouts, and what is wrong told in one line."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest

from exovision.errors import InputError
from exovision.io.discovery import find_movies
from exovision.io.movies import read
from exovision.io.zarr_source import ZarrPlanes, open_zarr
from exovision.records import Movie

Numbered = Callable[..., np.ndarray]
GIVEN: dict[str, Any] = {"channels": {"exosome": 0}, "pixel_size_um": 0.1, "frame_interval_s": 1.0}


def same(movie: Movie, data: np.ndarray) -> bool:
    places = np.ndindex(*data.shape[:3])
    return all(np.array_equal(movie.source.plane(*place), data[place]) for place in places)


@pytest.mark.parametrize("version", ["0.4", "0.5"])
def test_an_image_gives_planes_sizes_times_and_roles(
    version: str, zarrs: ModuleType, tmp_path: Path, numbered: Numbered
) -> None:
    data = numbered(3, 2, 4)
    movie = read(zarrs.write_image(tmp_path / "m.ome.zarr", data, version=version, interval_s=30.0))
    assert (movie.name, movie.shape) == ("m", (3, 2, 4, 12, 16))
    assert same(movie, data)
    assert movie.pixel_size_um == pytest.approx(0.108)
    np.testing.assert_allclose(movie.times_s[:, 1], [0, 30, 60])
    assert dict(movie.roles) == {"exosome": 0, "cell": 1}


@pytest.mark.parametrize("axes", ["tczyx", "tcyx", "tyx", "cyx", "ctzyx"])
def test_axes_mean_what_they_are_called(
    axes: str, zarrs: ModuleType, tmp_path: Path, numbered: Numbered
) -> None:
    size = {"t": 3, "c": 2, "z": 2}
    data = numbered(*(size[a] if a in axes else 1 for a in "tcz"))
    order = [*("tcz".index(a) for a in axes[:-2]), 3, 4]
    absent = tuple(i for i, a in enumerate("tcz") if a not in axes)
    stored = data.transpose([*order[:-2], *absent, 3, 4]).reshape(
        *(size[a] for a in axes[:-2]), *data.shape[-2:]
    )
    path = zarrs.write_image(tmp_path / "m.zarr", stored, axes=axes, names=())
    assert same(read(path, channels={"exosome": 0}), data)


@pytest.mark.parametrize(
    ("units", "size", "interval"),
    [
        ({"t": "millisecond", "y": "nanometer", "x": "nanometer"}, 0.000108, 0.002),
        ({"t": "minute", "y": "millimeter", "x": "millimeter"}, 108.0, 120.0),
        ({"y": "micrometer", "x": "micrometer"}, 0.108, None),
        ({"t": "second"}, None, 2.0),
        ({"t": "fortnight", "y": "parsec", "x": "parsec"}, None, None),
    ],
)
def test_no_unit_is_guessed(
    units: dict[str, str], size: float | None, interval: float | None, zarrs: ModuleType, tmp_path: Path
) -> None:
    data = np.ones((3, 1, 1, 8, 8), np.uint16)
    metadata = open_zarr(zarrs.write_image(tmp_path / "m.zarr", data, units=units)).metadata
    assert metadata.pixel_size_um == (None if size is None else (pytest.approx(size), pytest.approx(size)))
    assert metadata.frame_interval_s == (None if interval is None else pytest.approx(interval))


def test_a_scale_of_all_levels_multiplies_that_of_the_first(zarrs: ModuleType, tmp_path: Path) -> None:
    path = zarrs.write_image(tmp_path / "m.zarr", np.ones((3, 1, 1, 8, 8), np.uint16), size_um=2.0)
    described = json.loads((path / ".zattrs").read_text())
    described["multiscales"][0]["coordinateTransformations"] = [
        {"type": "scale", "scale": [5, 1, 1, 0.1, 0.1]}
    ]
    (path / ".zattrs").write_text(json.dumps(described))
    metadata = open_zarr(path).metadata
    assert metadata.pixel_size_um == (pytest.approx(0.2), pytest.approx(0.2))
    assert metadata.frame_interval_s == pytest.approx(10.0)


@pytest.mark.parametrize("axes", [["t", "c", "z", "y", "x"], None])
def test_images_before_0_4_are_read_without_sizes(
    axes: Any, zarrs: ModuleType, tmp_path: Path, numbered: Numbered
) -> None:
    data = numbered(2, 1, 3)
    path = zarrs.write_image(tmp_path / "m.zarr", data)
    multiscale = {"version": "0.3", "datasets": [{"path": "0"}], **({"axes": axes} if axes else {})}
    (path / ".zattrs").write_text(json.dumps({"multiscales": [multiscale]}))
    with pytest.raises(InputError, match="--pixel-size-um"):
        read(path, channels={"exosome": 0})
    assert same(read(path, **GIVEN), data)


@pytest.mark.parametrize(
    ("chunks", "shards"),
    [
        ((1, 1, 1, 5, 7), None),
        ((2, 2, 3, 12, 16), None),
        ((4, 1, 2, 12, 9), None),
        ((1, 1, 1, 6, 8), (2, 1, 3, 12, 16)),
    ],
)
def test_chunks_and_shards_do_not_change_planes(
    chunks: tuple[int, ...],
    shards: tuple[int, ...] | None,
    zarrs: ModuleType,
    tmp_path: Path,
    numbered: Numbered,
) -> None:
    data = numbered(5, 2, 3)
    movie = read(zarrs.write_image(tmp_path / "m.zarr", data, version="0.5", chunks=chunks, shards=shards))
    assert same(movie, data)
    assert np.isfinite(movie.times_s).all()


def test_a_chunk_of_many_planes_is_decoded_once(
    zarrs: ModuleType, tmp_path: Path, numbered: Numbered, monkeypatch: pytest.MonkeyPatch
) -> None:
    stack = open_zarr(zarrs.write_image(tmp_path / "m.zarr", numbered(4, 2, 3), chunks=(4, 1, 3, 12, 16)))
    assert isinstance(stack.planes, ZarrPlanes)
    array, decoded = stack.planes._array, []

    class Counting:
        shape, chunks, shards, metadata = array.shape, array.chunks, array.shards, array.metadata

        def __getitem__(self, place: Any) -> np.ndarray:
            decoded.append(place)
            return np.asarray(array[place])

    monkeypatch.setattr(stack.planes, "_array", Counting())
    for k in range(24):
        stack.planes.read(k)
    assert len(decoded) == 2
    stack.planes.read(0)[:] = 0
    assert stack.planes.read(0).min() == 1


@pytest.mark.parametrize("version", ["0.4", "0.5"])
def test_planes_never_written_are_not_acquired(
    version: str, zarrs: ModuleType, tmp_path: Path, numbered: Numbered
) -> None:
    gone = ((1, 1, 0), (4, 0, 0), (4, 1, 0))
    movie = read(zarrs.write_image(tmp_path / "m.zarr", numbered(5, 2), version=version, empty=gone))
    assert movie.n_frames == 4
    np.testing.assert_array_equal(np.isnan(movie.times_s), [[0, 0], [0, 1], [0, 0], [0, 0]])


@pytest.mark.parametrize("version", ["0.4", "0.5"])
def test_every_field_of_a_plate_is_a_movie_of_its_well(
    version: str, zarrs: ModuleType, tmp_path: Path, numbered: Numbered
) -> None:
    wells = {"A/1": [numbered(2, 2)], "B/03": [numbered(2, 2) + 1, numbered(2, 2) + 2]}
    plate = zarrs.write_plate(tmp_path / "day1" / "plate.ome.zarr", wells, version=version)
    entries = find_movies([tmp_path])
    assert [(e.name, e.well) for e in entries] == [
        ("day1__plate_A1", "A1"),
        ("day1__plate_B03_p000", "B03"),
        ("day1__plate_B03_p001", "B03"),
    ]
    movies = [read(entry.path, name=entry.name) for entry in entries]
    assert [movie.source.plane(0, 0, 0)[0, 0] for movie in movies] == [1, 2, 3]
    assert [entry.name for entry in find_movies([plate])] == ["plate_A1", "plate_B03_p000", "plate_B03_p001"]
    assert read(plate, position="B03_p001").source.plane(0, 0, 0)[0, 0] == 3
    with pytest.raises(InputError, match="A1 to B03_p001 was wanted, none was chosen"):
        read(plate)


def test_the_images_of_a_series_are_movies(zarrs: ModuleType, tmp_path: Path, numbered: Numbered) -> None:
    for i in range(2):
        zarrs.write_image(tmp_path / "s.zarr" / str(i), numbered(2, 2) + i)
    zarrs.describe(tmp_path / "s.zarr", {"bioformats2raw.layout": 3}, "0.4")
    entries = find_movies([tmp_path])
    assert [entry.name for entry in entries] == ["s_p000", "s_p001"]
    assert [read(e.path).source.plane(0, 0, 0)[0, 0] for e in entries] == [1, 2]


def test_label_images_and_pyramids_are_no_movies_of_their_own(
    zarrs: ModuleType, tmp_path: Path, numbered: Numbered
) -> None:
    image = zarrs.write_image(tmp_path / "m.zarr", numbered(2, 2))
    zarrs.write_image(image / "labels" / "cells", numbered(2, 1), names=())
    zarrs.write_image(tmp_path / "cell_labels.ome.zarr", numbered(2, 1), names=())
    assert [entry.name for entry in find_movies([tmp_path])] == ["m"]


def broken(path: Path, **changes: Any) -> Path:
    """Change the attributes of the first multiscales image."""
    described = json.loads((path / ".zattrs").read_text())
    described["multiscales"][0] |= changes
    (path / ".zattrs").write_text(json.dumps(described))
    return path


def resized(path: Path, **changes: Any) -> Path:
    file = path / "0" / ".zarray"
    file.write_text(json.dumps(json.loads(file.read_text()) | changes))
    return path


AXES = [{"name": name} for name in "tczxy"]
WRONG: dict[str, tuple[Callable[[Path], Any], str]] = {
    "no attributes": (lambda p: (p / ".zattrs").unlink(), "neither multiscales nor a plate"),
    "no JSON": (lambda p: (p / ".zattrs").write_text("{"), "damaged, truncated or something else"),
    "a list": (lambda p: (p / ".zattrs").write_text("[]"), "damaged, truncated or something else"),
    "deep JSON": (
        lambda p: (p / ".zattrs").write_text("[" * 100_000),
        "damaged, truncated or something else",
    ),
    "no multiscales": (lambda p: (p / ".zattrs").write_text('{"multiscales": []}'), "damaged"),
    "no datasets": (lambda p: broken(p, datasets=[]), "damaged"),
    "axes swapped": (lambda p: broken(p, axes=AXES), "the last are y, x were wanted, got t, c, z, x, y"),
    "axes missing": (lambda p: broken(p, axes=AXES[2:]), "5 different axes"),
    "axes repeated": (lambda p: broken(p, axes=[AXES[0], *AXES[:2], AXES[4], AXES[3]]), "5 different axes"),
    "a path that leaves": (lambda p: broken(p, datasets=[{"path": "../../x"}]), "a path inside the OME-Zarr"),
    "an absolute path": (lambda p: broken(p, datasets=[{"path": "/etc"}]), "a path inside the OME-Zarr"),
    "no array": (lambda p: (p / "0" / ".zarray").unlink(), "a part of it is missing"),
    "a huge plane": (lambda p: resized(p, shape=[3, 2, 1, 10**6, 10**6]), "at most"),
    "endless time": (lambda p: resized(p, shape=[10**9, 2, 1, 8, 8]), "at most"),
    "a huge chunk": (lambda p: resized(p, chunks=[10**6, 10**6, 1, 8, 8]), "at most"),
    "no pixels": (lambda p: resized(p, shape=[3, 2, 0, 8, 8]), "without pixels"),
    "complex pixels": (lambda p: resized(p, dtype="<c8", fill_value=[0.0, 0.0]), "got complex64"),
}


@pytest.mark.parametrize("wrong", WRONG)
def test_what_is_wrong_is_one_line(wrong: str, zarrs: ModuleType, tmp_path: Path) -> None:
    path = zarrs.write_image(tmp_path / "m.zarr", np.ones((3, 2, 1, 8, 8), np.uint16))
    change, message = WRONG[wrong]
    change(path)
    with pytest.raises(InputError, match=message) as caught:
        read(path, **GIVEN)
    assert "\n" not in str(caught.value)
    assert "m.zarr" in str(caught.value)
    assert [entry.name for entry in find_movies([tmp_path])] == ["m"]


def test_a_damaged_chunk_is_told_when_it_is_read(
    zarrs: ModuleType, tmp_path: Path, numbered: Numbered
) -> None:
    path = zarrs.write_image(tmp_path / "m.zarr", numbered(3, 2))
    chunk = path / "0" / "1" / "0" / "0" / "0" / "0"
    chunk.write_bytes(chunk.read_bytes()[:9])
    movie = read(path)
    assert movie.image(0, "exosome")[0, 0] == 1
    with pytest.raises(InputError, match=r"m\.zarr: a whole OME-Zarr image was wanted"):
        movie.image(1, "exosome")


def test_an_empty_folder_called_zarr_is_told(tmp_path: Path) -> None:
    (tmp_path / "m.zarr").mkdir()
    with pytest.raises(InputError, match="neither multiscales nor a plate"):
        read(tmp_path / "m.zarr")
    with pytest.raises(InputError, match="there is no such file"):
        read(tmp_path / "gone.zarr")
