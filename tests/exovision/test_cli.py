"""The command line as a user meets it: good runs, wrong use, bad files, a second run."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import tifffile

from exovision import schema
from exovision.cli import run

FILES = [
    "run.json",
    "report.html",
    "spots.parquet",
    "exosomes.csv",
    "events.csv",
    "cells.parquet",
    "fates.csv",
    "summary.json",
    "cell_labels.ome.tif",
    "rois.zip",
    "exosome_tracks.xml",
    "exosome_tracks_napari.csv",
]
PLAIN = ("--pixel-size-um", "0.108", "--frame-interval-s", "2", "--device", "cpu")


def pixels(frames: int = 4, channels: int = 2, size: int = 64, dtype: str = "uint16") -> np.ndarray:
    rng = np.random.default_rng(0)
    return rng.poisson(100, (frames, channels, size, size)).astype(dtype)


def write(path: Path, data: np.ndarray) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    tifffile.imwrite(path, data, imagej=True, metadata={"axes": "TCYX"})
    return path


def one_line(capsys: pytest.CaptureFixture[str], *words: str) -> None:
    """Check that standard error holds one line of error with these words and no trace."""
    text = capsys.readouterr().err
    lines = [line for line in text.splitlines() if "error" in line or "failed: " in line]
    assert len(lines) == 1, text
    assert "Traceback" not in text
    for word in words:
        assert word in lines[0], text


def test_a_run_leaves_every_file_and_a_second_run_skips_it(
    tiny: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    command = ["run", str(tiny / "movie.ome.tif"), "--out", str(tmp_path), "--device", "cpu"]
    assert run(command) == 0
    folder = tmp_path / "movie"
    assert [name for name in FILES if not (folder / name).is_file()] == []
    assert all(
        (tmp_path / name).is_file() for name in ("run.json", "movies.csv", "failures.csv", "report.html")
    )
    before = {path: path.read_bytes() for path in folder.iterdir() if path.is_file()}
    capsys.readouterr()
    assert run(command) == 0
    assert "complete already" in capsys.readouterr().err
    assert before == {path: path.read_bytes() for path in folder.iterdir() if path.is_file()}
    assert len(pd.read_csv(tmp_path / "movies.csv")) == 1


def test_a_changed_setting_is_analysed_again(tiny: Path, tmp_path: Path) -> None:
    command = ["run", str(tiny / "movie.ome.tif"), "--out", str(tmp_path), "--device", "cpu"]
    assert run(command) == 0
    key = json.loads((tmp_path / "movie/run.json").read_text())["key"]
    (tmp_path / "s.yaml").write_text("events: {band_um: 0.5}")
    assert run([*command, "--settings", str(tmp_path / "s.yaml")]) == 0
    assert json.loads((tmp_path / "movie/run.json").read_text())["key"] != key


def test_the_tables_have_the_columns_of_the_contract(tiny: Path, tmp_path: Path) -> None:
    assert run(["run", str(tiny), "--out", str(tmp_path), "--device", "cpu"]) == 0
    folder = next(path.parent for path in tmp_path.rglob("spots.parquet"))
    for name, columns in (("spots", schema.SPOTS), ("cells", schema.CELLS)):
        assert list(pd.read_parquet(folder / f"{name}.parquet").columns)[: len(columns)] == list(columns)
    for name, columns in (("exosomes", schema.EXOSOMES), ("events", schema.EVENTS), ("fates", schema.FATES)):
        assert list(pd.read_csv(folder / f"{name}.csv").columns)[: len(columns)] == list(columns)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["run", "nowhere", "--out", "o"], ["nowhere"]),
        (["run", ".", "--out", "o"], ["no movie"]),
        (["run", "."], ["--out"]),
        (["run", ".", "--out", "o", "--channels", "cell"], ["ROLE=NUMBER"]),
        (["run", ".", "--out", "o", "--device", "abacus"], ["abacus", "cpu"]),
        (["run", ".", "--out", "o", "--settings", "none.yaml"], ["none.yaml"]),
        (["frobnicate"], ["frobnicate"]),
        (["simulate", "atlantis", "--out", "o"], ["atlantis", "docking"]),
        (["simulate", "tiny", "--out", "o", "--onto", "m.tif"], ["--labels"]),
        (["score", "nowhere", "neither"], ["nowhere"]),
    ],
)
def test_wrong_use_is_one_line_and_exit_2(
    arguments: list[str],
    words: list[str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    assert run(arguments) == 2
    one_line(capsys, *words)


def empty_text(path: Path) -> None:
    path.write_text("these are not pixels")


def truncated(path: Path) -> None:
    write(path, pixels())
    path.write_bytes(path.read_bytes()[:-20_000])


def with_nan(path: Path) -> None:
    data = pixels(dtype="float32")
    data[2, 0, 3, 3] = np.nan
    write(path, data)


def all_zero(path: Path) -> None:
    write(path, pixels() * 0)


def no_pixels(path: Path) -> None:
    data = bytearray(write(path, pixels(frames=1, channels=1)).read_bytes())
    with tifffile.TiffFile(path) as file:
        offset = file.pages[0].tags["ImageWidth"].valueoffset
    data[offset : offset + 2] = b"\0\0"
    path.write_bytes(data)


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (empty_text, ["bad.tif", "TIFF"]),
        (truncated, ["bad.tif", "truncated"]),
        (with_nan, ["bad.tif", "NaN", "frame 2"]),
        (all_zero, ["bad.tif", "zeros"]),
        (no_pixels, ["bad.tif", "0"]),
    ],
)
def test_a_bad_movie_is_one_line_and_the_good_one_beside_it_is_analysed(
    make: object, words: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "in"
    write(folder / "good.tif", pixels())
    make(folder / "bad.tif")  # type: ignore[operator]
    code = run(["run", str(folder), "--out", str(tmp_path / "o"), "--channels", "exosome=0,cell=1", *PLAIN])
    assert code == 1
    one_line(capsys, *words)
    assert (tmp_path / "o/good/run.json").is_file()
    failures = pd.read_csv(tmp_path / "o/failures.csv")
    assert list(failures["movie"]) == ["bad"]
    assert words[1] in failures["error"][0]


def test_a_wrong_channel_index_is_one_line_and_exit_2(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = write(tmp_path / "m.tif", pixels())
    assert (
        run(["run", str(path), "--out", str(tmp_path / "o"), "--channels", "exosome=0,cell=7", *PLAIN]) == 2
    )
    one_line(capsys, "cell=7", "0 to 1")


@pytest.mark.parametrize(
    ("data", "channels"),
    [
        (pixels(frames=1), "exosome=0,cell=1"),
        (pixels(dtype="float32"), "exosome=0,cell=1"),
        (pixels(dtype="uint8"), "exosome=0,cell=1"),
        (np.full((4, 2, 64, 64), 100, dtype="uint16"), "exosome=0,cell=1"),
        (pixels(), "exosome=0"),
        (pixels(), "cell=1"),
        (np.concatenate([pixels(2), pixels(2) * 0, pixels(2)]), "exosome=0,cell=1"),
    ],
    ids=["one_frame", "float", "eight_bit", "nothing_in_it", "exosomes_only", "cells_only", "black_frames"],
)
def test_odd_but_usable_movies_are_analysed(data: np.ndarray, channels: str, tmp_path: Path) -> None:
    path = write(tmp_path / "m.tif", data)
    assert run(["run", str(path), "--out", str(tmp_path / "o"), "--channels", channels, *PLAIN]) == 0
    assert (tmp_path / "o/m/report.html").is_file()
    events = pd.read_csv(tmp_path / "o/m/events.csv")
    assert (events["kind"] == "docking").sum() == 0


def test_an_output_that_cannot_be_written_is_one_line_and_exit_2(
    tiny: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "file").write_text("not a folder")
    assert run(["run", str(tiny / "movie.ome.tif"), "--out", str(tmp_path / "file" / "o")]) == 2
    one_line(capsys, "must be writable", "--out")


def test_two_files_of_one_name_in_two_folders_stay_apart(tmp_path: Path) -> None:
    for folder in ("a", "b"):
        write(tmp_path / "in" / folder / "m.tif", pixels(frames=2))
    command = ["run", str(tmp_path / "in"), "--out", str(tmp_path / "o"), "--channels", "exosome=0,cell=1"]
    assert run([*command, *PLAIN]) == 0
    assert (tmp_path / "o/a__m/run.json").is_file()
    assert (tmp_path / "o/b__m/run.json").is_file()


def test_an_unknown_setting_is_one_line_and_exit_2(
    tiny: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "s.yaml").write_text("events: {bandwidth_um: 1}")
    command = ["run", str(tiny), "--out", str(tmp_path / "o"), "--settings", str(tmp_path / "s.yaml")]
    assert run(command) == 2
    one_line(capsys, "events.bandwidth_um", "band_um")


def test_validate_describes_a_movie_without_analysing_it(
    tiny: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["validate", str(tiny / "movie.ome.tif")]) == 0
    text = capsys.readouterr().out
    for word in ("pixel size", "exosome", "docking", "memory", "time"):
        assert word in text


def test_templates_are_written_once_and_never_over_a_file(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for what in ("settings", "samples"):
        path = str(tmp_path / f"{what}.txt")
        assert run([what, "init", "--out", path]) == 0
        assert run([what, "init", "--out", path]) == 2
    assert run(["settings", "schema"]) == 0
    assert json.loads(capsys.readouterr().out)["title"] == "Settings"


def test_models_are_listed_and_verified(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["models", "list"]) == 0
    assert run(["models", "verify"]) == 0
    assert "intact" in capsys.readouterr().out


def test_the_doctor_finds_this_installation_fit() -> None:
    assert run(["doctor"]) == 0


def test_a_result_is_scored_against_its_truth(
    tiny: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["run", str(tiny / "movie.ome.tif"), "--out", str(tmp_path), "--device", "cpu"]) == 0
    out = tmp_path / "scores.json"
    assert run(["score", str(tmp_path / "movie"), str(tiny), "--out", str(out)]) == 0
    assert json.loads(out.read_text())
    assert "spots" in capsys.readouterr().out


def test_an_interrupted_run_says_so_and_keeps_what_is_finished(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    from exovision.batch import run as batch

    for name in ("a", "b"):
        write(tmp_path / "in" / f"{name}.tif", pixels(frames=2))
    analyse = batch.analyse

    def interrupted(movie, *arguments, **options):  # type: ignore[no-untyped-def]
        if movie.name == "b":
            raise KeyboardInterrupt
        return analyse(movie, *arguments, **options)

    monkeypatch.setattr(batch, "analyse", interrupted)
    command = ["run", str(tmp_path / "in"), "--out", str(tmp_path / "o"), "--channels", "exosome=0,cell=1"]
    assert run([*command, *PLAIN]) == 130
    assert "interrupted" in capsys.readouterr().err
    assert list(pd.read_csv(tmp_path / "o/movies.csv")["movie"]) == ["a"]
    monkeypatch.undo()
    assert run([*command, *PLAIN]) == 0
    assert "a: complete already" in capsys.readouterr().err
    assert sorted(pd.read_csv(tmp_path / "o/movies.csv")["movie"]) == ["a", "b"]
