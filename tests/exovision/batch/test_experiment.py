"""The experiment of an output folder, from its tables alone, and at the end of a run."""

from __future__ import annotations

import json
import re
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import tifffile

from exovision import schema
from exovision.batch.experiment import TABLES, rebuild
from exovision.cli import run
from exovision.errors import InputError
from exovision.io.tables import read_table, write_csv, write_parquet
from exovision.settings import ExperimentSettings
from exovision.simulation.studies import simulate_study
from exovision.simulation.study_plan import Arm, StudyPlan

QUICK = ExperimentSettings(null_draws=0)
PLAN = StudyPlan(
    arms=(
        Arm("NK", docking_hr=1.6, fusion_share=0.2, fusion_hr=2.0, unresolved_share=0.2),
        Arm("dye", source="none", control="dye_only", docking_per_h=0.2),
    ),
    donors=2,
    cells_per_well=15,
    sights_every=6,
)


@pytest.fixture
def out(tmp_path: Path) -> Path:
    """The folder of a run over a simulated study: tables only, no images."""
    tables = simulate_study(PLAN, seed=1)
    for name in tables.movies["movie"]:
        folder = tmp_path / "out" / name
        folder.mkdir(parents=True)
        for table, file, columns in (
            (tables.fates, "fates.csv", schema.FATES),
            (tables.events, "events.csv", schema.EVENTS),
        ):
            write_csv(table[table["movie"] == name].drop(columns="movie"), folder / file, columns)
        cells = tables.cells[tables.cells["movie"] == name].drop(columns="movie")
        write_parquet(cells, folder / "cells.parquet", schema.CELLS)
    movies = tables.movies.assign(path=[f"/gone/{name}.tif" for name in tables.movies["movie"]])
    write_csv(movies, tmp_path / "out" / "movies.csv", {"movie": "string"})
    return tmp_path / "out"


def test_tables_figures_and_report_come_from_the_tables_alone(out: Path) -> None:
    report = rebuild(out, samples=None, settings=QUICK)
    assert report == out / "experiment" / "report.html"
    for name, columns in TABLES.items():
        table = read_table(out / "experiment" / f"{name}.csv", columns)
        assert list(table.columns)[: len(columns)] == list(columns) and len(table), name
    for name in ("survival", "hazard", "lag_sweep", "route", "hits_superplot", "latency", "after_docking"):
        assert (out / "experiment" / "figures" / f"{name}.png").stat().st_size > 5000
        assert (out / "experiment" / "figures" / f"{name}.svg").is_file()
    assert 'href="experiment/report.html"' in (out / "report.html").read_text(encoding="utf-8")


def test_the_page_holds_the_sentences_and_every_row_and_fetches_nothing(out: Path) -> None:
    text = rebuild(out, samples=None, settings=QUICK).read_text(encoding="utf-8")
    summary = json.loads((out / "experiment" / "summary.json").read_text(encoding="utf-8"))
    plain = re.sub(r"&#39;|’", "'", text.replace("&lt;", "<").replace("&gt;", ">"))
    for line in (*summary["allowed"], *summary["not_allowed"], *summary["design"]["testable"]):
        assert line.replace("’", "'") in plain
    hazard = read_table(out / "experiment" / "hazard.csv", schema.HAZARD)
    assert text.count("2 wells") or hazard["clusters"].max() == 4
    assert "<script" not in text
    for address in re.findall(r'(?:src|href)="([^"]*)"', text):
        assert not re.match(r"\s*(https?:|//|javascript:|file:)", address)


def test_a_second_rebuild_gives_the_same_bytes(out: Path) -> None:
    def read() -> dict[str, bytes]:
        folder = out / "experiment"
        return {p.name: p.read_bytes() for p in [*folder.glob("*.*"), *(folder / "figures").iterdir()]}

    settings = ExperimentSettings(null_draws=5)
    rebuild(out, samples=None, settings=settings)
    first = read()
    rebuild(out, samples=None, settings=settings)
    assert first == read()


def test_a_sheet_given_later_replaces_the_conditions_by_path_or_name(out: Path, tmp_path: Path) -> None:
    names = pd.read_csv(out / "movies.csv")["movie"].tolist()
    sheet = tmp_path / "samples.csv"
    sheet.write_text(
        "path,condition,control,donor,well,operator\n"
        "/gone/NK_*.tif,renamed,none,1,,Ada\n"
        + "".join(f"{name},mock,no_exosome,1,{k},\n" for k, name in enumerate(names[4:]))
    )
    rebuild(out, samples=sheet, settings=QUICK)
    movies = pd.read_csv(out / "movies.csv")
    assert movies["condition"].tolist() == ["renamed"] * 4 + ["mock"] * 4
    assert movies["operator"].tolist()[:4] == ["Ada"] * 4
    comparison = read_table(out / "experiment" / "comparison.csv", schema.COMPARISON)
    assert set(comparison["reference"]) == {"mock"}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("path,condition\nnone.tif,a\n", r"row 2, column path: 'none.tif' matches no analysed movie"),
        (
            "path,condition\n/gone/*.tif,a\n/gone/NK*.tif,b\n",
            r"row 3, column path: NK_.* is in an earlier row too",
        ),
        ("path,control\n/gone/*.tif,odd\n", r"row 2, column control"),
        ("movie\na\n", r"the column `path` is needed"),
    ],
)
def test_a_wrong_sheet_is_one_line(text: str, message: str, out: Path, tmp_path: Path) -> None:
    (tmp_path / "s.csv").write_text(text)
    with pytest.raises(InputError, match=message):
        rebuild(out, samples=tmp_path / "s.csv", settings=QUICK)


def test_without_conditions_only_the_overview_is_made_and_it_says_so(out: Path) -> None:
    movies = pd.read_csv(out / "movies.csv").drop(columns=["condition", "source", "target_type", "treatment"])
    movies.to_csv(out / "movies.csv", index=False)
    said: list[str] = []
    assert rebuild(out, samples=None, settings=QUICK, say=said.append) == out / "report.html"
    assert "no movie has a condition" in said[0]
    assert not (out / "experiment").exists()


def test_tables_that_somebody_else_made_need_no_movies_csv(out: Path, tmp_path: Path) -> None:
    (out / "movies.csv").unlink()
    (tmp_path / "s.csv").write_text("path,condition\nout/NK*,a\nout/dye*,b\n")
    rebuild(out, samples=tmp_path / "s.csv", settings=QUICK)
    assert set(pd.read_csv(out / "experiment" / "wells.csv")["condition"]) == {"a", "b"}


def test_the_command_rebuilds_and_tells_what_is_wrong_in_one_line(
    out: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    settings = tmp_path / "quick.yaml"
    settings.write_text("experiment:\n  null_draws: 0\n")
    assert run(["report", str(out), "--settings", str(settings)]) == 0
    assert "experiment/report.html" in capsys.readouterr().err
    (out / "NK_tumour_0_d1_w1" / "fates.csv").unlink()
    assert run(["report", str(out)]) == 2
    assert "fates.csv" in capsys.readouterr().err
    assert run(["report", str(tmp_path / "nowhere")]) == 2
    assert run(["report", str(tmp_path / "out" / "experiment")]) == 2
    assert "Traceback" not in capsys.readouterr().err


def test_movies_and_sheet_without_an_effect_on_death_are_told_at_the_end_of_a_run(
    tiny: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The whole way: two copies of a movie, a sheet with conditions, no judged deaths."""
    for name in ("a", "b"):
        folder = tmp_path / "in" / name
        folder.mkdir(parents=True)
        pixels = tifffile.imread(tiny / "movie.ome.tif")
        assert isinstance(pixels, np.ndarray)
        (folder / "movie.ome.tif").write_bytes((tiny / "movie.ome.tif").read_bytes())
    sheet = tmp_path / "samples.csv"
    assert (
        run(["samples", "init", str(tmp_path / "in"), "--pattern", "{condition}", "--out", str(sheet)]) == 0
    )
    assert "a: 1 well(s)" in capsys.readouterr().out
    out = tmp_path / "out"
    command = ["run", str(tmp_path / "in"), "--out", str(out), "--samples", str(sheet), "--device", "cpu"]
    assert run(command) == 0
    text = capsys.readouterr().err
    assert "design: a: 1 well(s), no donor(s), 1 movie(s)" in text
    assert text.index("design:") < text.index("analysed")
    assert "experiment: " in text
    summary = json.loads((out / "experiment" / "summary.json").read_text(encoding="utf-8"))
    assert "no death was judged in these movies" in summary["allowed"][0]
    assert run(command) == 0
    assert "2 complete already" in capsys.readouterr().err
