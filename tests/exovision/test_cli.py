"""The command line as a user meets it: good runs, wrong use, bad files, a second run."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import pandas as pd
import pytest

from exovision import schema
from exovision.cli import run
from exovision.result import FILES


@pytest.fixture(scope="module")
def out(tiny: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The output of one run over the `tiny` scene."""
    folder = tmp_path_factory.mktemp("out")
    assert run(["run", str(tiny / "movie.ome.tif"), "--out", str(folder), "--device", "cpu"]) == 0
    return folder


def one_line(capsys: pytest.CaptureFixture[str], *words: str) -> None:
    """Check that standard error holds one line of error with these words and no trace."""
    text = capsys.readouterr().err
    lines = [line for line in text.splitlines() if "error" in line or "failed: " in line]
    assert len(lines) == 1, text
    assert "Traceback" not in text
    for word in words:
        assert word in lines[0], text


def test_a_run_leaves_every_file_and_a_second_run_skips_it(
    tiny: Path, out: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert [name for name in FILES if not (out / "movie" / name).is_file()] == []
    assert all((out / name).is_file() for name in ("run.json", "movies.csv", "failures.csv", "report.html"))
    before = {path: path.read_bytes() for path in (out / "movie").iterdir() if path.is_file()}
    assert run(["run", str(tiny / "movie.ome.tif"), "--out", str(out), "--device", "cpu"]) == 0
    assert "complete already" in capsys.readouterr().err
    assert before == {path: path.read_bytes() for path in (out / "movie").iterdir() if path.is_file()}
    assert len(pd.read_csv(out / "movies.csv")) == 1


def test_the_record_names_the_weights_with_their_hash(out: Path) -> None:
    import exovision_models

    names = ("cells_embedded", "spots_embedded")
    hashes = {name: hashlib.sha256(exovision_models.weights(name).read_bytes()).hexdigest() for name in names}
    record = json.loads((out / "movie/run.json").read_text(encoding="utf-8"))
    assert record["weights"] == hashes


def test_the_tables_have_the_columns_of_the_contract(out: Path) -> None:
    for name, columns in (("spots", schema.SPOTS), ("cells", schema.CELLS)):
        table = pd.read_parquet(out / "movie" / f"{name}.parquet")
        assert list(table.columns)[: len(columns)] == list(columns)
    for name, columns in (("exosomes", schema.EXOSOMES), ("events", schema.EVENTS), ("fates", schema.FATES)):
        table = pd.read_csv(out / "movie" / f"{name}.csv")
        assert list(table.columns)[: len(columns)] == list(columns)


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
    tiny: Path, out: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    metrics = tmp_path / "scores.json"
    assert run(["score", str(out / "movie"), str(tiny), "--out", str(metrics)]) == 0
    assert json.loads(metrics.read_text())
    assert "spots" in capsys.readouterr().out


def test_an_interrupted_run_is_exit_130_and_says_how_to_go_on(
    tiny: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    from exovision.batch import single as batch

    def interrupted(*arguments: object, **options: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(batch, "analyse", interrupted)
    assert run(["run", str(tiny / "movie.ome.tif"), "--out", str(tmp_path / "o"), "--device", "cpu"]) == 130
    assert "run the same command again" in capsys.readouterr().err
    assert pd.read_csv(tmp_path / "o/movies.csv").empty


def test_a_sample_sheet_is_checked_without_movies_being_analysed(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for name in ("a.tif", "b.tif"):
        (tmp_path / name).touch()
    sheet = tmp_path / "s.csv"
    sheet.write_text("path,condition,control\na.tif,NK,\nb.tif,none,no_exosome\n")
    assert run(["samples", "check", str(sheet)]) == 0
    text = capsys.readouterr().out
    assert "NK: 1 well(s), no donor(s), 1 movie(s)" in text
    assert "1 and 1 wells (described only): NK against none" in text
    assert "note: one well only: NK, none" in text


def test_folders_and_pattern_of_a_sheet_go_together(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["samples", "init", "--pattern", "{condition}"]) == 2
    one_line(capsys, "INPUT and --pattern go together")
