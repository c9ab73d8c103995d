"""The corpus of `benchmarks/hostile.py`: one clear line each, the good movie as without it, no code run."""

from __future__ import annotations

import importlib.util
import os
import sys
from collections.abc import Callable
from contextlib import redirect_stderr
from dataclasses import dataclass
from io import StringIO
from pathlib import Path
from types import ModuleType

import pandas as pd
import pytest

from exovision.cli import run
from exovision.io.results import TABLES


def load_corpus() -> ModuleType:
    place = Path(__file__).parents[3] / "benchmarks" / "hostile.py"
    spec = importlib.util.spec_from_file_location("hostile", place)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


hostile = load_corpus()
LINUX = sys.platform == "linux"
MOVIES = {
    name: entry
    for name, entry in hostile.MOVIES.items()
    if name not in hostile.LARGE and (LINUX or name not in hostile.LINUX_ONLY)
}
if hasattr(os, "geteuid") and os.geteuid() == 0:
    del MOVIES["unreadable"]  # Root reads it; benchmarks/faults.py lays that right down first.


@dataclass(frozen=True)
class Ran:
    """How a command ended and what it said."""

    code: int
    said: list[str]
    folder: Path

    def failed(self) -> list[str]:
        return [line for line in self.said if ": failed: " in line or line.startswith("error: ")]


def use(folder: Path, *more: str, settings: str = "quick.yaml") -> Ran:
    """Run the command line on what lies in a folder; the working directory is that folder."""
    command = ["run", "in", "--out", "out", *hostile.GIVEN, "--device", "cpu", "--settings", settings, *more]
    told, before = StringIO(), Path.cwd()
    os.chdir(folder)
    try:
        with redirect_stderr(told):
            code = run(command)
    finally:
        os.chdir(before)
    assert not list(folder.rglob(f"{hostile.CANARY}*")), "code was run"
    return Ran(code, told.getvalue().splitlines(), folder)


@pytest.fixture
def place(tmp_path: Path) -> Path:
    return furnish(tmp_path)


def furnish(folder: Path) -> Path:
    (folder / "in").mkdir()
    hostile.write_good(folder / "in" / "good.tif")
    (folder / "quick.yaml").write_text(hostile.QUICK)
    return folder


@pytest.fixture(scope="module")
def good(tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    folder = furnish(tmp_path_factory.mktemp("good"))
    assert use(folder).code == 0
    return {name: (folder / "out/good" / name).read_bytes() for name, _ in TABLES.values()}


@pytest.fixture(scope="module")
def everything(tmp_path_factory: pytest.TempPathFactory) -> tuple[Ran, dict[str, str]]:
    """One run over the good movie and all bad ones, and which entry made which path."""
    folder = furnish(tmp_path_factory.mktemp("corpus"))
    made = {}
    for k, (name, (make, _)) in enumerate(MOVIES.items()):
        before = set((folder / "in").iterdir())
        make(folder / "in" / f"bad{k:03d}.tif")
        for path in set((folder / "in").iterdir()) - before:
            made[os.fsencode(Path("in") / path.name).decode("utf-8", "replace")] = name
    return use(folder), made


def test_one_clear_line_for_every_bad_movie_and_the_good_one_is_unchanged(
    everything: tuple[Ran, dict[str, str]], good: dict[str, bytes]
) -> None:
    ran, made = everything
    assert ran.code == 1
    refused = sorted(name for name, (_, verdict) in MOVIES.items() if verdict == "refused")
    failures = pd.read_csv(ran.folder / "out/failures.csv")
    assert sorted(made[path] for path in failures["path"]) == refused
    assert len(ran.failed()) == len(refused)
    assert not [line for line in ran.said if "Traceback" in line or "internal error" in line]
    assert {name: (ran.folder / "out/good" / name).read_bytes() for name, _ in TABLES.values()} == good


def test_what_is_odd_but_whole_is_analysed(everything: tuple[Ran, dict[str, str]]) -> None:
    ran, made = everything
    movies = pd.read_csv(ran.folder / "out/movies.csv")
    analysed = sorted(made[path] for path in movies["path"] if path != "in/good.tif")
    assert analysed == sorted(name for name, (_, verdict) in MOVIES.items() if verdict == "analysed")
    assert (ran.folder / "out/report.html").is_file()


@pytest.mark.parametrize("name", hostile.SETTINGS)
def test_wrong_settings_are_one_line_and_nothing_is_written(name: str, place: Path) -> None:
    (place / "bad.yaml").write_bytes(hostile.SETTINGS[name])
    ran = use(place, settings="bad.yaml")
    assert (ran.code, len(ran.said)) == (2, 1), ran.said
    assert ran.said[0].startswith("error: bad.yaml") and len(ran.said[0]) < 400
    assert not (place / "out").exists()


@pytest.mark.parametrize("name", hostile.SHEETS)
def test_a_wrong_sample_sheet_is_one_line_and_nothing_is_written(name: str, place: Path) -> None:
    (place / "bad.csv").write_bytes(hostile.SHEETS[name])
    ran = use(place, "--samples", "bad.csv")
    assert (ran.code, len(ran.said)) == (2, 1), ran.said
    assert ran.said[0].startswith("error: bad.csv") and len(ran.said[0]) < 400
    assert not (place / "out").exists()


def test_text_of_a_sample_sheet_is_no_code_of_the_pages(place: Path) -> None:
    (place / "odd.csv").write_bytes(hostile.ODD_SHEETS["formula and HTML"])
    assert use(place, "--samples", "odd.csv").code == 0
    pages = [path.read_text(encoding="utf-8") for path in (place / "out").rglob("*.html")]
    assert pages and not any("<script>alert" in page for page in pages)


def fails_alone(ran: Ran) -> bool:
    return ran.code == 2 and len(ran.failed()) == 1 and "internal error" not in ran.failed()[0]


@pytest.mark.parametrize("name", [name for name in hostile.LABELS if LINUX or name != "a pipe"])
def test_wrong_labels_are_one_line(name: str, place: Path) -> None:
    (place / "labels").mkdir()
    hostile.LABELS[name](place / "labels/good.tif")
    ran = use(place, "--labels", "labels/{name}.tif")
    assert fails_alone(ran), ran.said


@pytest.mark.parametrize("name", hostile.WEIGHTS)
def test_wrong_weights_are_one_line_and_run_nothing(name: str, place: Path) -> None:
    make: Callable[[Path], object] = hostile.WEIGHTS[name]
    make(place / "bad.safetensors")
    text = hostile.QUICK.replace("cells: {", "cells: {weights: bad.safetensors, ")
    (place / "bad.yaml").write_text(text)
    ran = use(place, settings="bad.yaml")
    assert fails_alone(ran), ran.said
