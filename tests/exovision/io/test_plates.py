"""A plate in OME-Zarr from sheet to results, with everything saved that can be saved."""

from __future__ import annotations

import importlib.util
import json
from pathlib import Path
from types import ModuleType

import geff
import pandas as pd
import pytest
import tifffile
import zarr

from exovision.cli import run
from exovision.errors import SettingsError
from exovision.io.label_files import LabelWriter
from exovision.io.zarr_labels import write_zarr_labels
from exovision.settings import Settings


def test_a_plate_feeds_the_sheet_and_its_wells_are_analysed(
    tiny: Path, zarrs: ModuleType, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    pixels = tifffile.imread(tiny / "movie.ome.tif")[:4]
    pixels = pixels.reshape(4, 2, 1, *pixels.shape[-2:])
    plate = zarrs.write_plate(tmp_path / "in" / "p.ome.zarr", {"B/2": [pixels], "C/11": [pixels]})
    sheet, settings, out = tmp_path / "s.csv", tmp_path / "s.yaml", tmp_path / "out"
    assert run(["samples", "init", str(tmp_path / "in"), "--out", str(sheet)]) == 0
    table = pd.read_csv(sheet)
    assert table[["path", "well"]].to_numpy().tolist() == [
        ["in/p.ome.zarr/B/2/0", "B2"],
        ["in/p.ome.zarr/C/11/0", "C11"],
    ]
    table.assign(condition=["NK", "none"]).to_csv(sheet, index=False)
    settings.write_text("saving: {zarr_labels: '0.4', geff: true}\n")
    command = ["run", str(plate), "--samples", str(sheet), "--out", str(out), "--device", "cpu"]
    command += ["--settings", str(settings), "--channels", "exosome=0,cell=1"]
    assert run(command) == 0, capsys.readouterr().err
    movies = pd.read_csv(out / "movies.csv")
    assert movies[["movie", "well", "condition"]].to_numpy().tolist() == [
        ["p_B2", "B2", "NK"],
        ["p_C11", "C11", "none"],
    ]
    labels = zarr.open_group(out / "p_B2" / "cell_labels.ome.zarr", mode="r")["labels/cells/0"]
    assert (labels[:, 0, 0] == tifffile.imread(out / "p_B2" / "cell_labels.ome.tif")).all()
    spots = pd.read_parquet(out / "p_C11" / "spots.parquet")
    graph, _ = geff.read(out / "p_C11" / "exosome_tracks.geff")
    assert len(graph) == len(spots) > 0
    assert graph.number_of_edges() == (spots["exosome_id"].value_counts() - 1).sum()
    assert json.loads((out / "p_B2" / "run.json").read_text(encoding="utf-8"))["facts"]["well"] == "B2"
    # Labels added to an image do not make its results old.
    added = LabelWriter(pixels.shape[-2:], pixel_size_um=0.1, frame_interval_s=1.0)
    added.append(labels[0, 0, 0])
    write_zarr_labels(plate / "B" / "2" / "0", added)
    capsys.readouterr()
    assert run(command) == 0
    assert "2 complete already" in capsys.readouterr().err


def test_a_sheet_of_movies_without_wells_needs_a_pattern(
    zarrs: ModuleType, tiny: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["samples", "init", str(tiny / "movie.ome.tif")]) == 2
    assert "no movie's well is known: pass --pattern" in capsys.readouterr().err


def test_geff_that_cannot_be_written_is_told_before_the_analysis(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("exovision.settings.find_spec", lambda name: None)
    assert importlib.util.find_spec("geff") is not None
    with pytest.raises(SettingsError, match=r"saving\.geff: .*pip install 'exovision\[geff\]'"):
        Settings.from_mapping({"saving": {"geff": True}})
