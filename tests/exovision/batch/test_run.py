"""Batches: what is skipped, what is done again, what a failure or an interruption leaves."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import tifffile

from exovision.batch import single as batch
from exovision.batch.jobs import ReadingOptions, plan
from exovision.batch.run import Outcome, run_batch
from exovision.errors import Cancelled, InputError
from exovision.records import Movie
from exovision.result import FILES
from exovision.settings import Settings

HEADLINE = {"cells": 2, "exosomes": 3, "dockings": 1, "cell_hours": 0.5, "enrichment": None, "chance_p": None}


@dataclass
class Stage:
    """An analysis that only counts, and fails where it is told to."""

    done: list[str] = field(default_factory=list)
    trouble: dict[str, BaseException] = field(default_factory=dict)
    trouble_saving: dict[str, BaseException] = field(default_factory=dict)

    def analyse(self, movie: Movie, settings: Settings, **options: Any) -> Saved:
        if movie.name in self.trouble:
            raise self.trouble[movie.name]
        self.done.append(movie.name)
        return Saved(self.trouble_saving.get(movie.name))


@dataclass
class Saved:
    """A result that writes the files of a complete movie, `run.json` last."""

    trouble: BaseException | None
    summary: dict[str, Any] = field(default_factory=lambda: {"movie": HEADLINE, "warnings": ["look twice"]})

    def save(self, folder: Path, *, key: str) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "run.json").unlink(missing_ok=True)
        for name in FILES[:-1]:
            (folder / name).write_text(json.dumps(self.summary))
        if self.trouble:
            raise self.trouble
        (folder / "run.json").write_text(json.dumps({"key": key}))


@pytest.fixture
def stage(monkeypatch: pytest.MonkeyPatch) -> Iterator[Stage]:
    made = Stage()
    monkeypatch.setattr(batch, "analyse", made.analyse)
    yield made


@pytest.fixture
def movies(tmp_path: Path) -> Path:
    for name in ("a", "b", "c"):
        write(tmp_path / "in" / f"{name}.tif", ord(name))
    return tmp_path / "in"


def write(path: Path, value: int) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    tifffile.imwrite(path, np.full((3, 8, 9), value, np.uint16), photometric="minisblack", metadata=None)
    return path


def go(
    movies: Path,
    out: Path,
    *,
    settings: Settings | None = None,
    say: Callable[[str], None] = lambda text: None,
    overwrite: bool = False,
    **changes: Any,
) -> Outcome:
    given = {"channels": {"cell": 0}, "pixel_size_um": 0.1, "frame_interval_s": 1.0, **changes}
    jobs = plan([movies], ReadingOptions(**given), settings or Settings())
    return run_batch(jobs, out, device="cpu", overwrite=overwrite, say=say)


def test_a_second_run_skips_what_is_complete_and_says_so(stage: Stage, movies: Path, tmp_path: Path) -> None:
    said: list[str] = []
    assert go(movies, tmp_path / "o").done == ["a", "b", "c"]
    second = go(movies, tmp_path / "o", say=said.append)
    assert (second.done, second.skipped, second.exit_code) == ([], ["a", "b", "c"], 0)
    assert [line for line in said if "complete already" in line] == said
    assert list(pd.read_csv(tmp_path / "o/movies.csv")["movie"]) == ["a", "b", "c"]
    assert go(movies, tmp_path / "o", overwrite=True).done == ["a", "b", "c"]


def test_what_a_killed_process_left_half_written_is_removed(
    stage: Stage, movies: Path, tmp_path: Path
) -> None:
    (tmp_path / "out/a").mkdir(parents=True)
    (tmp_path / "out/a/.events.csv.123.part").write_text("event_id,ki")
    go(movies, tmp_path / "out")
    assert not list((tmp_path / "out").rglob("*.part"))


def test_moving_or_touching_the_input_changes_nothing(stage: Stage, movies: Path, tmp_path: Path) -> None:
    go(movies, tmp_path / "o")
    (movies / "a.tif").touch()
    assert go(movies, tmp_path / "o").done == []
    movies.rename(tmp_path / "elsewhere")
    assert go(tmp_path / "elsewhere", tmp_path / "o").done == []


@pytest.mark.parametrize(
    "changes",
    [
        {"pixel_size_um": 0.2},
        {"frame_interval_s": 2.0},
        {"channels": {"nucleus": 0}},
        {"settings": Settings.from_mapping({"events": {"band_um": 0.5}})},
        {"settings": Settings.from_mapping({"cells": {"segmenter": "labels"}})},
    ],
)
def test_whatever_decides_the_result_is_analysed_again(
    changes: dict[str, Any], stage: Stage, movies: Path, tmp_path: Path
) -> None:
    go(movies, tmp_path / "o")
    assert go(movies, tmp_path / "o", **changes).done == ["a", "b", "c"]


def test_settings_of_the_experiment_analyse_no_movie_again(
    stage: Stage, movies: Path, tmp_path: Path
) -> None:
    go(movies, tmp_path / "o")
    settings = Settings.from_mapping({"experiment": {"lag_h": 2.0}})
    assert go(movies, tmp_path / "o", settings=settings).skipped == ["a", "b", "c"]


def test_an_experiment_that_fails_costs_no_movie_and_is_said(
    stage: Stage, movies: Path, tmp_path: Path
) -> None:
    (tmp_path / "s.csv").write_text("path,condition\nin/*.tif,NK\n")
    said: list[str] = []
    outcome = go(movies, tmp_path / "o", samples=tmp_path / "s.csv", say=said.append)
    assert (outcome.done, outcome.exit_code, outcome.experiment) == (["a", "b", "c"], 0, None)
    assert said[-1].startswith("experiment: failed: ") and "cells.parquet" in said[-1]


def test_only_the_movie_that_changed_is_analysed_again(stage: Stage, movies: Path, tmp_path: Path) -> None:
    go(movies, tmp_path / "o")
    write(movies / "b.tif", 1)
    assert go(movies, tmp_path / "o").done == ["b"]
    (tmp_path / "o/c/spots.parquet").unlink()
    assert go(movies, tmp_path / "o").done == ["c"]


def test_changed_labels_and_facts_are_analysed_again(stage: Stage, movies: Path, tmp_path: Path) -> None:
    for name in "abc":
        write(tmp_path / "labels" / f"{name}.tif", 1)
    (tmp_path / "s.csv").write_text("path,ph\nin/a.tif,7\n")
    given: dict[str, Any] = {"labels": str(tmp_path / "labels/{name}.tif"), "samples": tmp_path / "s.csv"}
    go(movies, tmp_path / "o", **given)
    assert go(movies, tmp_path / "o", **given).done == []
    write(tmp_path / "labels/c.tif", 2)
    assert go(movies, tmp_path / "o", **given).done == ["c"]
    (tmp_path / "s.csv").write_text("path,ph\nin/a.tif,6\n")
    assert go(movies, tmp_path / "o", **given).done == ["a"]


def test_the_users_weights_decide_the_result_too(stage: Stage, movies: Path, tmp_path: Path) -> None:
    weights = tmp_path / "w.safetensors"
    settings = Settings.from_mapping({"cells": {"weights": str(weights)}})
    missing = go(movies, tmp_path / "o", settings=settings)
    assert missing.exit_code == 2
    assert "w.safetensors" in missing.failures[0]["error"]
    weights.write_bytes(b"one")
    assert go(movies, tmp_path / "o", settings=settings).done == ["a", "b", "c"]
    assert go(movies, tmp_path / "o", settings=settings).done == []
    weights.write_bytes(b"two")
    assert go(movies, tmp_path / "o", settings=settings).done == ["a", "b", "c"]


def test_an_output_inside_a_folder_of_images_is_no_part_of_the_movie(stage: Stage, tmp_path: Path) -> None:
    for t in range(3):
        tifffile.imwrite(tmp_path / f"t{t}.tif", np.full((8, 9), t, np.uint16))
    out = tmp_path / "out"
    assert go(tmp_path, out, pattern=r"t(?P<t>\d)").done == [tmp_path.name]
    assert go(tmp_path, out, pattern=r"t(?P<t>\d)").skipped == [tmp_path.name]
    (tmp_path / "t2.tif").rename(tmp_path / "t4.tif")
    assert go(tmp_path, out, pattern=r"t(?P<t>\d)").done == [tmp_path.name]


def test_one_bad_movie_never_stops_the_others(stage: Stage, movies: Path, tmp_path: Path) -> None:
    stage.trouble["a"] = InputError("a.tif: pixels were wanted,\ngot none")
    stage.trouble["b"] = ZeroDivisionError("oops")
    outcome = go(movies, tmp_path / "o")
    assert (outcome.done, outcome.exit_code) == (["c"], 1)
    failures = pd.read_csv(tmp_path / "o/failures.csv")
    assert list(failures["movie"]) == ["a", "b"]
    assert list(failures["path"]) == [str(movies / "a.tif"), str(movies / "b.tif")]
    assert failures["error"][0] == "a.tif: pixels were wanted, got none"
    assert "ZeroDivisionError('oops')" in failures["error"][1]
    assert "Traceback" in (tmp_path / "o/b/error.txt").read_text()
    assert list(pd.read_csv(tmp_path / "o/movies.csv")["movie"]) == ["c"]
    stage.trouble.clear()
    assert go(movies, tmp_path / "o").done == ["a", "b"]
    assert pd.read_csv(tmp_path / "o/failures.csv").empty
    assert not (tmp_path / "o/b/error.txt").exists()


def test_if_every_movie_fails_the_input_is_bad(stage: Stage, movies: Path, tmp_path: Path) -> None:
    stage.trouble = {name: InputError("no") for name in "abc"}
    outcome = go(movies, tmp_path / "o")
    assert outcome.exit_code == 2
    assert json.loads((tmp_path / "o/run.json").read_text())["failed"] == ["a", "b", "c"]


def test_a_result_that_cannot_be_kept_is_a_failure_even_for_its_trace(
    stage: Stage, movies: Path, tmp_path: Path
) -> None:
    stage.trouble["b"] = ZeroDivisionError("oops")
    (tmp_path / "o").mkdir()
    (tmp_path / "o/b").write_text("a file where the folder should be")
    outcome = go(movies, tmp_path / "o")
    assert (outcome.done, len(outcome.failures)) == (["a", "c"], 1)


@pytest.mark.parametrize("stop", [KeyboardInterrupt(), Cancelled("enough")])
@pytest.mark.parametrize("when", ["trouble", "trouble_saving"])
def test_an_interrupted_run_keeps_what_is_complete_and_goes_on_there(
    stop: BaseException, when: str, stage: Stage, movies: Path, tmp_path: Path
) -> None:
    getattr(stage, when)["b"] = stop
    with pytest.raises(type(stop)):
        go(movies, tmp_path / "o")
    assert list(pd.read_csv(tmp_path / "o/movies.csv")["movie"]) == ["a"]
    assert not (tmp_path / "o/b/run.json").exists()
    getattr(stage, when).clear()
    outcome = go(movies, tmp_path / "o")
    assert (outcome.skipped, outcome.done) == (["a"], ["b", "c"])


def test_facts_reach_the_overview_and_never_hide_what_was_found(
    stage: Stage, movies: Path, tmp_path: Path
) -> None:
    (tmp_path / "s.csv").write_text(
        'path,condition,cells,lot,channels\nin/*.tif,NK,many,007,"cell=0"\n', encoding="utf-8"
    )
    go(movies, tmp_path / "o", samples=tmp_path / "s.csv", channels=None)
    table = pd.read_csv(tmp_path / "o/movies.csv", dtype=str)
    assert list(table["condition"]) == ["NK"] * 3
    assert list(table["lot"]) == ["007"] * 3
    assert list(table["cells"]) == ["2"] * 3
    assert list(table["sample_cells"]) == ["many"] * 3
    assert list(table["channels"]) == ["cell=0"] * 3


def test_everything_worth_knowing_is_said_once(stage: Stage, movies: Path, tmp_path: Path) -> None:
    said: list[str] = []
    shutil.copy(movies / "a.tif", tmp_path / "one.tif")
    outcome = go(tmp_path / "one.tif", tmp_path / "o", say=said.append)
    assert said == [
        "one: 3 pages read as time, because a frame interval was given",
        "one: look twice",
    ]
    assert outcome.report == tmp_path / "o/one/report.html"
