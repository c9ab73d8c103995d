"""Folders of single images: names into axes, missing images, positions, and names that do not fit."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import tifffile

from exovision.errors import InputError, SettingsError
from exovision.io.discovery import find_movies
from exovision.io.movies import read

TIME_CHANNEL = r"t(?P<t>\d+)_c(?P<c>\d+)"
GIVEN = {"channels": {"exosome": 0, "cell": 1}, "pixel_size_um": 0.1, "frame_interval_s": 2.0}


def image(path: Path, value: int, shape: tuple[int, int] = (8, 9)) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    tifffile.imwrite(path, np.full(shape, value, dtype=np.uint16))
    return path


def movie_folder(folder: Path, frames: range = range(1, 4)) -> Path:
    for t in frames:
        for c in (1, 2):
            image(folder / f"t{t:03d}_c{c}.tif", 10 * t + c)
    return folder


def test_a_file_per_time_and_channel_is_one_movie(tmp_path: Path) -> None:
    movie = read(movie_folder(tmp_path / "m"), pattern=TIME_CHANNEL, **GIVEN)
    assert movie.name == "m"
    assert movie.shape == (3, 2, 1, 8, 9)
    assert [movie.image(t, "exosome")[0, 0] for t in range(3)] == [11, 21, 31]
    assert [movie.image(t, "cell")[0, 0] for t in range(3)] == [12, 22, 32]
    np.testing.assert_array_equal(movie.role_times_s("cell"), [0, 2, 4])


def test_a_missing_image_is_a_channel_not_acquired_in_that_frame(tmp_path: Path) -> None:
    (movie_folder(tmp_path) / "t002_c1.tif").unlink()
    movie = read(tmp_path, pattern=TIME_CHANNEL, **GIVEN)
    assert [movie.acquired(t, "exosome") for t in range(3)] == [True, False, True]
    assert [movie.acquired(t, "cell") for t in range(3)] == [True, True, True]
    assert any("1 of 6 images are missing" in note for note in movie.notes)
    with pytest.raises(InputError, match="no file for it"):
        movie.image(1, "exosome")


def test_a_time_point_left_out_is_an_empty_frame(tmp_path: Path) -> None:
    folder = movie_folder(tmp_path)
    for c in (1, 2):
        (folder / f"t002_c{c}.tif").unlink()
        image(folder / f"t004_c{c}.tif", 40 + c)
    movie = read(folder, pattern=TIME_CHANNEL, **GIVEN)
    assert movie.n_frames == 4
    np.testing.assert_array_equal(movie.role_times_s("exosome"), [0, np.nan, 4, 6])


def test_a_constant_step_is_one_frame_and_is_said(tmp_path: Path) -> None:
    movie = read(movie_folder(tmp_path, range(0, 30, 10)), pattern=TIME_CHANNEL, **GIVEN)
    assert movie.n_frames == 3
    assert any("advance by 10" in note for note in movie.notes)


def test_numbers_are_ordered_as_numbers(tmp_path: Path) -> None:
    for t in range(12):
        image(tmp_path / f"t{t}_c1.tif", t)
    movie = read(tmp_path, pattern=TIME_CHANNEL, channels={"exosome": 0}, pixel_size_um=1, frame_interval_s=1)
    assert [int(movie.image(t, "exosome")[0, 0]) for t in range(12)] == list(range(12))


def test_channel_names_become_roles_and_depth_is_projected(tmp_path: Path) -> None:
    for t in range(2):
        for name, base in (("PKH", 0), ("membrane", 100)):
            for z in range(3):
                image(tmp_path / f"{name}_t{t}_z{z}.tif", base + 10 * t + z)
    pattern = r"(?P<c>\w+?)_t(?P<t>\d+)_z(?P<z>\d+)"
    movie = read(tmp_path, pattern=pattern, pixel_size_um=1, frame_interval_s=1)
    assert movie.shape[:3] == (2, 2, 3)
    assert movie.image(1, "exosome")[0, 0] == 12
    assert movie.image(1, "cell")[0, 0] == 112


def test_wells_and_positions_must_be_chosen(tmp_path: Path) -> None:
    for well in ("A01", "B02"):
        for p in (1, 2):
            image(tmp_path / f"{well}_p{p}_t0.tif", 10 * (well == "B02") + p)
    pattern = r"(?P<well>[A-H]\d+)_p(?P<p>\d+)_t(?P<t>\d+)"
    given = {"channels": {"exosome": 0}, "pixel_size_um": 1.0}
    with pytest.raises(InputError, match="A01_p001 to B02_p002"):
        read(tmp_path, pattern=pattern, **given)
    movie = read(tmp_path, pattern=pattern, position="B02_p002", **given)
    assert movie.name.endswith("_B02_p002")
    assert movie.image(0, "exosome")[0, 0] == 12


def test_a_pattern_with_a_slash_reaches_into_subfolders(tmp_path: Path) -> None:
    for t in range(3):
        image(tmp_path / f"t{t}" / "exo.tif", t)
    movie = read(
        tmp_path,
        pattern=r"^t(?P<t>\d+)/exo",
        channels={"exosome": 0},
        pixel_size_um=1,
        frame_interval_s=1,
    )
    assert [int(movie.image(t, "exosome")[0, 0]) for t in range(3)] == [0, 1, 2]


@pytest.mark.parametrize(
    ("pattern", "error", "message"),
    [
        ("t(?P<t>", SettingsError, "regular expression"),
        (r"t(\d+)", SettingsError, "named groups"),
        (r"t(?P<time>\d+)", SettingsError, "named groups"),
        (r"nothing(?P<t>\d+)", InputError, "got none; correct --pattern"),
        (r"t\d+_(?P<t>c)\d", InputError, "numbers for group t"),
        (r"_c(?P<c>\d)", InputError, "claim the same"),
        (None, InputError, "pass --pattern"),
    ],
)
def test_a_pattern_that_does_not_fit_is_told(
    pattern: str | None, error: type[Exception], message: str, tmp_path: Path
) -> None:
    with pytest.raises(error, match=message):
        read(movie_folder(tmp_path), pattern=pattern, **GIVEN)


def test_images_of_another_size_or_depth_are_told(tmp_path: Path) -> None:
    image(movie_folder(tmp_path) / "t002_c1.tif", 0, shape=(5, 5))
    movie = read(tmp_path, pattern=TIME_CHANNEL, **GIVEN)
    with pytest.raises(InputError, match=r"t002_c1.tif: an image of \(8, 9\) px"):
        movie.image(1, "exosome")
    tifffile.imwrite(tmp_path / "t001_c1.tif", np.zeros((4, 8, 9), np.uint16), photometric="minisblack")
    with pytest.raises(InputError, match="one image a file"):
        read(tmp_path, pattern=TIME_CHANNEL, **GIVEN)


def test_numbers_that_are_dates_are_refused(tmp_path: Path) -> None:
    for t in (20260101, 20260102, 20270101):
        image(tmp_path / f"t{t}_c1.tif", 0)
    with pytest.raises(InputError, match="let the group match a counter"):
        read(tmp_path, pattern=TIME_CHANNEL, **GIVEN)


@pytest.mark.parametrize(
    "times",
    [
        ("00d00h00m", "00d02h00m", "01d00h10m"),
        ("2026y02m28d_23h00m", "2026y03m01d_01h00m", "2026y03m01d_23h10m"),
    ],
)
def test_an_incucyte_export_gives_wells_fields_and_the_times_in_the_names(
    times: tuple[str, str, str], tmp_path: Path
) -> None:
    for well in ("A1", "B12"):
        for t, time in enumerate(times):
            for c, channel in enumerate(("Phase", "Green")):
                image(
                    tmp_path / "e" / f"VID 7_{channel}_{well}_2_{time}.tif",
                    10 * t + c + 100 * (well == "B12"),
                )
    (tmp_path / "e" / f"VID 7_Green_A1_2_{times[1]}.tif").unlink()
    entries = find_movies([tmp_path], pattern="incucyte")
    assert [(entry.name, entry.well) for entry in entries] == [("e_A1_p002", "A1"), ("e_B12_p002", "B12")]
    given = {"channels": {"cell": 1, "annexin": 0}, "pixel_size_um": 1.24}
    movies = [read(e.path, pattern="incucyte", position=e.position, **given) for e in entries]
    assert movies[0].channel_names == ("Green", "Phase")
    np.testing.assert_array_equal(movies[0].role_times_s("annexin"), [0, np.nan, 87000])
    np.testing.assert_array_equal(movies[0].role_times_s("cell"), [0, 7200, 87000])
    assert [int(movies[1].image(t, "cell")[0, 0]) for t in range(3)] == [100, 110, 120]


@pytest.mark.parametrize(
    ("preset", "name"),
    [
        ("micromanager", "img_channel{c:03d}_position001_time{t:09d}_z{z:03d}.tif"),
        ("micromanager1", "img_{t:09d}_Dye {c}_{z:03d}.tif"),
    ],
)
def test_a_folder_of_micro_manager_is_one_movie(preset: str, name: str, tmp_path: Path) -> None:
    for t, c, z in np.ndindex(3, 2, 2):
        image(tmp_path / name.format(t=t, c=c, z=z), 100 * t + 10 * c + z)
    movie = read(tmp_path, pattern=preset, projection=1, **GIVEN)
    assert movie.shape == (3, 2, 2, 8, 9)
    assert [int(movie.image(t, "cell")[0, 0]) for t in range(3)] == [11, 111, 211]


def test_a_date_that_does_not_exist_is_no_time(tmp_path: Path) -> None:
    image(tmp_path / "x_A1_1_2026y02m30d_10h00m.tif", 0)
    with pytest.raises(InputError, match="numbers for group t were wanted"):
        read(tmp_path, pattern="incucyte", **GIVEN)


def frame_facts(name: str, ms: float, channel: str) -> dict[str, object]:
    return {"FileName": name, "ElapsedTime-ms": ms, "Channel": channel, "PixelSizeUm": 0.16}


@pytest.mark.parametrize("version", [1, 2])
def test_micro_managers_own_file_gives_times_sizes_and_names(version: int, tmp_path: Path) -> None:
    facts: dict[str, object] = {"Summary": {"PixelSize_um": 0.5, "Interval_ms": 0}}
    for t, c in np.ndindex(3, 2):
        dye = ("PKH67", "CellMask")[c]
        name = (
            f"img_{t:09d}_{c}_000.tif"
            if version == 1
            else f"img_channel00{c}_position000_time00000000{t}_z000.tif"
        )
        image(tmp_path / name, 10 * t + c)
        told = frame_facts(f"Default/{name}", 1000.0 * (0, 2, 5)[t] + 400 * c + 70, dye)
        key = f"FrameKey-{t}-{c}-0" if version == 1 else f"Metadata-Default/{name}"
        facts[key] = {k: v for k, v in told.items() if version == 1 or k != "FileName"}
    (tmp_path / "metadata.txt").write_text(json.dumps(facts))
    pattern = "micromanager1" if version == 1 else "micromanager"
    movie = read(tmp_path, pattern=pattern)
    assert dict(movie.roles) == {"exosome": 0, "cell": 1}
    assert movie.pixel_size_um == 0.16
    np.testing.assert_allclose(movie.times_s, [[0.07, 0.47], [2.07, 2.47], [5.07, 5.47]])
    (tmp_path / "metadata.txt").write_text(json.dumps(facts)[:-5])
    cut = read(tmp_path, pattern=pattern, **GIVEN)
    assert cut.channel_names == (("0", "1") if version == 1 else ("000", "001"))
    assert any("metadata.txt is damaged" in note for note in cut.notes)
