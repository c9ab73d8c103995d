"""The sample sheet: which row belongs to which movie, and which cell is wrong."""

from __future__ import annotations

import io
from pathlib import Path

import pandas as pd
import pytest

from exovision.errors import InputError, SettingsError
from exovision.io.samples import COLUMNS, match_samples, read_samples, sheet_from_folders, template


def sheet(folder: Path, text: str) -> Path:
    for name in ("a.tif", "b.tif", "day1/c.tif", "day1/d.tif"):
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).touch()
    path = folder / "samples.csv"
    path.write_text(text, encoding="utf-8")
    return path


def test_facts_are_typed_and_unknown_columns_are_carried(tmp_path: Path) -> None:
    path = sheet(
        tmp_path,
        "path,condition,ph,dose,channels,operator,lot\n"
        'a.tif,NK exosomes,6.5,1e3,"exosome=0,cell=1",Ada,007\n'
        "b.tif,,,,,,\n",
    )
    samples = read_samples(path)
    assert samples.facts_for(tmp_path / "a.tif") == {
        "condition": "NK exosomes",
        "ph": 6.5,
        "dose": 1000.0,
        "channels": {"exosome": 0, "cell": 1},
        "operator": "Ada",
        "lot": "007",
    }
    assert samples.facts_for(tmp_path / "b.tif") == {}
    assert samples.facts_for(tmp_path / "elsewhere.tif") == {}


def test_a_glob_names_every_movie_that_it_matches(tmp_path: Path) -> None:
    samples = read_samples(sheet(tmp_path, "path,well\nday1/*.tif,A1\n*.tif,B1\n"))
    wells = {
        name: samples.facts_for(tmp_path / name)["well"] for name in ("day1/c.tif", "day1/d.tif", "a.tif")
    }
    assert wells == {"day1/c.tif": "A1", "day1/d.tif": "A1", "a.tif": "B1"}


def test_absolute_paths_are_taken_as_they_are(tmp_path: Path) -> None:
    sheet(tmp_path, "path\n")
    (tmp_path / "elsewhere").mkdir()
    path = tmp_path / "elsewhere" / "samples.csv"
    path.write_text(f"path,well\n{tmp_path / 'a.tif'},A1\n")
    assert read_samples(path).facts_for(tmp_path / "a.tif") == {"well": "A1"}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("movie,ph\na.tif,7\n", r"column `path` is needed, got movie, ph"),
        ("path,ph\na.tif,acid\n", r"row 2, column ph: must be a number, got 'acid'"),
        ("path,ph\na.tif,7\nb.tif,nan\n", r"row 3, column ph: must be a number, got 'nan'"),
        ("path,dose\na.tif,inf\n", r"row 2, column dose: must be a number, got 'inf'"),
        ("path,pixel_size_um\na.tif,0\n", r"column pixel_size_um: must be positive, got 0"),
        ("path,tracer_fraction\na.tif,1.5\n", r"column tracer_fraction: must be at most 1, got 1.5"),
        ("path,control\na.tif,mock\n", r"column control: must be one of none, dye_only.*got 'mock'"),
        ("path,channels\na.tif,exosome\n", r"row 2, column channels: .*ROLE=NUMBER"),
        ("path,channels\na.tif,exozome=0\n", r"row 2, column channels: .*exozome"),
        ("path\nz*.tif\n", r"row 2, column path: 'z\*.tif' matches no file"),
        ("path\n/nowhere/z.tif\n", r"row 2, column path: '/nowhere/z.tif' matches no file"),
        ("path\n../*[\n", r"row 2, column path"),
        ("path,ph\n,7\n", r"row 2, column path"),
        ("path\na.tif\n*.tif\n", r"row 3, column path: a.tif is in an earlier row too"),
        ("path,ph\na.tif,7,8,9\n", r"row 2: 2 cells were wanted.*got 4"),
        ("path,path\na.tif,b.tif\n", r"column path.*twice"),
        ("", r"an empty file"),
    ],
)
def test_a_wrong_sheet_is_told_in_one_line_with_row_and_column(
    text: str, message: str, tmp_path: Path
) -> None:
    with pytest.raises((InputError, SettingsError), match=message) as caught:
        read_samples(sheet(tmp_path, text))
    assert "\n" not in str(caught.value)


def test_a_missing_sheet_is_told(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"none\.csv"):
        read_samples(tmp_path / "none.csv")


def test_the_template_has_every_column_and_passes_its_own_check(tmp_path: Path) -> None:
    (tmp_path / "day1").mkdir()
    (tmp_path / "day1" / "x.ome.tif").touch()
    (tmp_path / "samples.csv").write_text(template(), encoding="utf-8")
    assert tuple(pd.read_csv(tmp_path / "samples.csv").columns) == COLUMNS
    facts = read_samples(tmp_path / "samples.csv").facts_for(tmp_path / "day1" / "x.ome.tif")
    assert facts["condition"] == "NK exosomes"


def listed(folder: Path, *names: str) -> list[tuple[Path, Path]]:
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).touch()
    return [(folder / name, folder) for name in names]


def test_facts_are_read_off_the_names_of_folders(tmp_path: Path) -> None:
    paths = listed(tmp_path, "NK_tumour/D1/A1.ome.tif", "none_resting/D2/B12.tif", "odd.tif")
    text = sheet_from_folders(paths, "{source}_{target_type}/{donor}/{well}", beside=tmp_path)
    (tmp_path / "s.csv").write_text(text, encoding="utf-8")
    samples = read_samples(tmp_path / "s.csv")
    assert samples.facts_for(paths[0][0]) == {
        "source": "NK",
        "target_type": "tumour",
        "donor": "D1",
        "well": "A1",
    }
    assert samples.facts_for(paths[1][0])["well"] == "B12"
    assert samples.facts_for(paths[2][0]) == {}


def test_a_pattern_may_name_the_first_folders_only_and_columns_of_its_own(tmp_path: Path) -> None:
    paths = listed(tmp_path, "plate 1/NK/x.tif", "plate 1/NK/y.tif")
    text = sheet_from_folders(paths, "plate {plate}/{condition}", beside=tmp_path / "sheets")
    rows = pd.read_csv(io.StringIO(text))
    assert list(rows["path"]) == ["../plate 1/NK/x.tif", "../plate 1/NK/y.tif"]
    assert list(rows["condition"]) == ["NK", "NK"] and list(rows["plate"]) == [1, 1]


@pytest.mark.parametrize(
    ("pattern", "message"),
    [
        ("plain", "must name columns in braces"),
        ("{donor}/{donor}", "each once"),
        ("{path}", "not `path`"),
        ("{donor}/{well}/{source}/deeper", "fits no movie, such as a.tif"),
    ],
)
def test_a_folder_pattern_that_cannot_work_is_told(pattern: str, message: str, tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match=message):
        sheet_from_folders(listed(tmp_path, "a.tif"), pattern, beside=tmp_path)


def test_the_wells_of_a_plate_fill_the_sheet(tmp_path: Path) -> None:
    places = ("NK/p.ome.zarr/B/03/0", "NK/p.ome.zarr/B/04/0")
    for place in places:
        (tmp_path / place).mkdir(parents=True)
    paths = [(tmp_path / place, tmp_path) for place in places]
    for pattern in (None, "{condition}", "{condition}/{plate}"):
        text = sheet_from_folders(paths, pattern, beside=tmp_path, wells=["B03", "B04"])
        (tmp_path / "s.csv").write_text(text, encoding="utf-8")
        told = [read_samples(tmp_path / "s.csv").facts_for(path) for path, _ in paths]
        assert [one["well"] for one in told] == ["B03", "B04"]
        assert [one.get("condition") for one in told] == [None if pattern is None else "NK"] * 2
    assert [one["plate"] for one in told] == ["p", "p"]
    with pytest.raises(SettingsError, match="fits no movie"):
        sheet_from_folders(paths, "x{condition}", beside=tmp_path, wells=["B03", "B04"])


def test_the_wells_of_one_folder_have_rows_of_their_own(tmp_path: Path) -> None:
    (tmp_path / "plate").mkdir()
    sheet = tmp_path / "s.csv"
    sheet.write_text("path,well,condition\nplate,b2,NK\nplate,B03,none\n")
    samples = read_samples(sheet)
    assert samples.facts_for(tmp_path / "plate", well="B02")["condition"] == "NK"
    assert samples.facts_for(tmp_path / "plate", well="B3")["condition"] == "none"
    assert samples.facts_for(tmp_path / "plate", well="C1") == {}
    with pytest.raises(InputError, match="a row for each of its wells"):
        samples.facts_for(tmp_path / "plate")
    names = {"plate_B02_p001": str(tmp_path / "plate"), "plate_B3": str(tmp_path / "plate")}
    matched = match_samples(sheet, names)
    assert {name: facts["condition"] for name, facts in matched.items()} == {
        "plate_B02_p001": "NK",
        "plate_B3": "none",
    }
    sheet.write_text("path,well\nplate,B2\nplate,b02\n")
    with pytest.raises(InputError, match="row 3, column path: plate is in an earlier row too"):
        read_samples(sheet)


def test_a_row_for_a_whole_plate_leaves_each_movie_its_well(tmp_path: Path) -> None:
    (tmp_path / "plate").mkdir()
    (tmp_path / "s.csv").write_text("path,condition\nplate,NK\n")
    facts = read_samples(tmp_path / "s.csv").facts_for(tmp_path / "plate", well="B3")
    assert facts == {"well": "B3", "condition": "NK"}
