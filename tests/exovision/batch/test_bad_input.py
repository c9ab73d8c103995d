"""Malformed and odd input through the command line: one clear line each, and the other movies still done."""

from __future__ import annotations

import errno
import json
import os
from collections.abc import Callable
from contextlib import redirect_stderr
from dataclasses import dataclass
from io import StringIO
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import tifffile

from exovision.cli import run

GIVEN = ("--pixel-size-um", "0.2", "--frame-interval-s", "5", "--device", "cpu")
ROLES = ("--channels", "exosome=0,cell=1")
QUICK = "cells: {diameter_um: 5}\nreport: {overlay_frames: 1, kymographs: 0}\n"
SIZE = 64


def pixels(frames: int = 4, *, cells: bool = True, exosomes: bool = True) -> np.ndarray:
    """Return (T, 2, 64, 64) counts: exosomes that stay at the rims of two discs, and the discs."""
    rng = np.random.default_rng(1)
    yy, xx = np.mgrid[:SIZE, :SIZE]
    movie = rng.poisson(60, (frames, 2, SIZE, SIZE)).astype(np.uint16)
    for y, x in ((20, 20), (42, 44)):
        if cells:
            movie[:, 1] += (((yy - y) ** 2 + (xx - x) ** 2 < 12**2) * 120).astype(np.uint16)
        if exosomes:
            light = 150 * np.exp(-((yy - y) ** 2 + (xx - x - 12) ** 2) / (2 * 1.3**2))
            movie[:, 0] += rng.poisson(light, (frames, SIZE, SIZE)).astype(np.uint16)
    return movie


def write(path: Path, data: np.ndarray) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    tifffile.imwrite(path, data, imagej=True, metadata={"axes": "TCYX"})
    return path


def no_bytes(path: Path) -> None:
    path.touch()


def text(path: Path) -> None:
    path.write_text("these are not pixels")


def truncated(path: Path) -> None:
    write(path, pixels())
    path.write_bytes(path.read_bytes()[:-20_000])


def header_only(path: Path) -> None:
    path.write_bytes(write(path, pixels()).read_bytes()[:100])


def compressed_and_damaged(path: Path) -> None:
    tifffile.imwrite(path, pixels(), compression="zlib", photometric="minisblack", metadata={"axes": "TCYX"})
    with tifffile.TiffFile(path) as file:
        page = file.pages[4]
        start, size = page.dataoffsets[0], page.databytecounts[0]
    data = bytearray(path.read_bytes())
    data[start : start + size] = b"\x55" * size
    path.write_bytes(data)


def all_zeros(path: Path) -> None:
    write(path, pixels() * 0)


def with_nan(path: Path) -> None:
    data = pixels().astype(np.float32)
    data[2, 0, 3, 3] = np.nan
    write(path, data)


def no_pixels(path: Path) -> None:
    data = bytearray(write(path, pixels(1)[:, :1]).read_bytes())
    with tifffile.TiffFile(path) as file:
        offset = file.pages[0].tags["ImageWidth"].valueoffset
    data[offset : offset + 2] = b"\0\0"
    path.write_bytes(data)


def one_channel(path: Path) -> None:
    write(path, pixels()[:, :1])


def colour(path: Path) -> None:
    tifffile.imwrite(path, np.zeros((SIZE, SIZE, 3), np.uint8), photometric="rgb")


def unnamed_axes(path: Path) -> None:
    tifffile.imwrite(path, pixels(), photometric="minisblack")


BAD: dict[str, tuple[Callable[[Path], object], tuple[str, ...]]] = {
    "no_bytes": (no_bytes, ("empty", "0 bytes", "copy or export")),
    "text": (text, ("a TIFF movie was wanted", "no TIFF", "export it")),
    "truncated": (truncated, ("truncated", "export it again")),
    "header_only": (header_only, ("truncated or damaged", "again")),
    "damaged": (compressed_and_damaged, ("damaged", "again")),
    "zeros": (all_zeros, ("only zeros", "--channels")),
    "with_nan": (with_nan, ("finite numbers", "NaN", "frame 2", "replace or cut")),
    "no_pixels": (no_pixels, ("shape", "without pixels", "export it again")),
    "one_channel": (one_channel, ("cell=1 does not exist", "1 channel(s)", "--channels")),
    "colour": (colour, ("RGB", "split it into channels")),
    "unnamed_axes": (
        unnamed_axes,
        ("axes that can be read in one way", "--axes TCYX (4 frames, 2 channels)", "--axes ZCYX"),
    ),
}
ODD: dict[str, tuple[np.ndarray, str]] = {
    "one_frame": (pixels(1), "fewer than two frames"),
    "real": (pixels().astype(np.float32) / 7, "real numbers"),
    "eight_bit": (pixels().clip(0, 255).astype(np.uint8), "8 bits"),
    "no_cells": (pixels(cells=False), "no cells"),
    "no_exosomes": (pixels(exosomes=False), "no linked exosomes"),
    "black_between": (np.concatenate([pixels(2), pixels(2) * 0, pixels(2)]), "black"),
}
TWINS = ("monday__same", "tuesday__same")


@dataclass(frozen=True)
class Ran:
    """One run over the whole corpus."""

    code: int
    out: Path
    said: list[str]

    def lines(self, name: str) -> list[str]:
        return [line for line in self.said if line.startswith(f"{name}: ")]


@pytest.fixture(scope="module")
def corpus(tmp_path_factory: pytest.TempPathFactory) -> Ran:
    folder = tmp_path_factory.mktemp("corpus")
    (folder / "in").mkdir()
    for name, (make, _) in BAD.items():
        make(folder / "in" / f"{name}.tif")
    for name, (data, _) in ODD.items():
        write(folder / "in" / f"{name}.tif", data)
    for day in ("monday", "tuesday"):
        write(folder / "in" / day / "same.tif", pixels(2))
    (folder / "quick.yaml").write_text(QUICK)
    command = ["run", str(folder / "in"), "--out", str(folder / "out"), *ROLES, *GIVEN]
    told = StringIO()
    with redirect_stderr(told):
        code = run([*command, "--settings", str(folder / "quick.yaml")])
    return Ran(code, folder / "out", told.getvalue().splitlines())


def test_a_run_with_some_bad_movies_is_exit_1_and_lists_them(corpus: Ran) -> None:
    assert corpus.code == 1
    failures = pd.read_csv(corpus.out / "failures.csv")
    assert sorted(failures["movie"]) == sorted(BAD)
    assert sorted(pd.read_csv(corpus.out / "movies.csv")["movie"]) == sorted([*ODD, *TWINS])
    assert not [line for line in corpus.said if "Traceback" in line or "internal error" in line]


@pytest.mark.parametrize("name", BAD)
def test_a_bad_movie_gets_one_line_with_what_was_wanted_what_came_and_what_to_do(
    name: str, corpus: Ran
) -> None:
    failed = [line for line in corpus.lines(name) if "failed: " in line]
    assert len(failed) == 1, corpus.lines(name)
    for word in (f"{name}.tif", *BAD[name][1]):
        assert word in failed[0]
    assert not (corpus.out / name / "run.json").exists()


@pytest.mark.parametrize("name", ODD)
def test_odd_movies_are_analysed_with_a_warning_and_no_invented_docking(name: str, corpus: Ran) -> None:
    folder = corpus.out / name
    assert (folder / "run.json").is_file()
    assert ODD[name][1] in " ".join(corpus.lines(name))
    summary = json.loads((folder / "summary.json").read_text(encoding="utf-8"))
    assert ODD[name][1] in " ".join([*summary["warnings"], *summary["notes"]])
    if name in ("one_frame", "no_cells", "no_exosomes"):
        events = pd.read_csv(folder / "events.csv")
        assert not (events["kind"] == "docking").any()
    if name == "no_cells":
        assert pd.read_parquet(folder / "cells.parquet").empty
    if name == "no_exosomes":
        assert pd.read_csv(folder / "exosomes.csv").empty


def test_two_files_of_one_name_in_two_folders_stay_apart(corpus: Ran) -> None:
    records = [json.loads((corpus.out / name / "run.json").read_text(encoding="utf-8")) for name in TWINS]
    assert [record["movie"] for record in records] == list(TWINS)
    assert [Path(record["input"]["path"]).parent.name for record in records] == ["monday", "tuesday"]


@pytest.mark.parametrize("name", BAD)
def test_a_bad_movie_alone_is_exit_2(name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    BAD[name][0](tmp_path / f"{name}.tif")
    assert run(["run", str(tmp_path / f"{name}.tif"), "--out", str(tmp_path / "o"), *ROLES, *GIVEN]) == 2
    lines = [line for line in capsys.readouterr().err.splitlines() if "failed: " in line]
    assert len(lines) == 1
    assert BAD[name][1][0] in lines[0]


@pytest.mark.parametrize("name", sorted(BAD.keys() - {"with_nan", "zeros", "damaged"}))
def test_validate_finds_what_is_wrong_before_the_analysis(
    name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    BAD[name][0](tmp_path / f"{name}.tif")
    assert run(["validate", str(tmp_path / f"{name}.tif"), *ROLES, *GIVEN]) == 2
    captured = capsys.readouterr()
    assert BAD[name][1][0] in captured.err
    assert len(captured.err.splitlines()) == 1


def use(tmp_path: Path, *arguments: str) -> list[str]:
    return ["run", str(write(tmp_path / "m.tif", pixels(2))), "--out", str(tmp_path / "o"), *arguments]


def error_line(capsys: pytest.CaptureFixture[str]) -> str:
    lines = [line for line in capsys.readouterr().err.splitlines() if line]
    assert len(lines) == 1, lines
    return lines[0]


@pytest.mark.parametrize("pattern", [(), ("--pattern", r"t(?P<t>\d+)")])
def test_an_empty_folder_is_exit_2(
    pattern: tuple[str, ...], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "in").mkdir()
    assert run(["run", str(tmp_path / "in"), "--out", str(tmp_path / "o"), *ROLES, *GIVEN, *pattern]) == 2
    line = error_line(capsys)
    assert "no movies found" in line
    assert ".tif" in line
    assert "--pattern" in line
    assert not (tmp_path / "o").exists()


@pytest.mark.parametrize(
    ("yaml", "words"),
    [
        ("events: {bandwidth_um: 1}", ("events.bandwidth_um", "known: band_um")),
        ("event: {}", ("unknown setting event", "known: reading")),
        ("events: {band_um: wide}", ("events.band_um", "got 'wide'")),
        ("- 1", ("mapping of stages", "got list")),
    ],
)
def test_a_wrong_setting_is_exit_2_before_anything_is_written(
    yaml: str, words: tuple[str, ...], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "s.yaml").write_text(yaml)
    assert run(use(tmp_path, *ROLES, *GIVEN, "--settings", str(tmp_path / "s.yaml"))) == 2
    line = error_line(capsys)
    assert all(word in line for word in words), line
    assert not (tmp_path / "o").exists()


def test_an_output_in_the_way_of_a_file_is_exit_2(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "o").write_text("a file, not a folder")
    assert run(use(tmp_path, *ROLES, *GIVEN)) == 2
    line = error_line(capsys)
    assert "must be writable" in line
    assert "--out" in line


def test_a_read_only_output_is_exit_2(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    out = tmp_path / "o"
    out.mkdir(mode=0o500)
    if os.access(out, os.W_OK):  # root, and Windows, may write all the same: refuse as the system would

        def refuse(path: Path, *arguments: object, **options: object) -> None:
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))

        monkeypatch.setattr(Path, "touch", refuse)
    assert run(use(tmp_path, *ROLES, *GIVEN)) == 2
    line = error_line(capsys)
    assert "must be writable" in line
    assert "--out" in line


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("--channels", "exosome=0,cell=7", *GIVEN), ("cell=7", "numbered 0 to 1", "--channels")),
        (("--channels", "exozome=0", *GIVEN), ("exozome", "known: exosome")),
        ((*ROLES, "--pixel-size-um", "0.2"), ("frame interval was wanted", "--frame-interval-s")),
        ((*ROLES, "--frame-interval-s", "5"), ("pixel size was wanted", "--pixel-size-um")),
        ((*ROLES, *GIVEN, "--axes", "XYZ"), ("--axes must be letters", "'XYZ'")),
        ((*ROLES, *GIVEN, "--labels", "gone.tif"), ("gone.tif", "must be readable", "check the path")),
        (GIVEN, ("roles of 2 channel(s) were wanted", "--channels")),
    ],
)
def test_wrong_facts_about_the_only_movie_are_exit_2(
    arguments: tuple[str, ...], words: tuple[str, ...], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(use(tmp_path, *arguments)) == 2
    lines = [line for line in capsys.readouterr().err.splitlines() if "failed: " in line or "error: " in line]
    assert len(lines) == 1
    assert all(word in lines[0] for word in words), lines[0]
