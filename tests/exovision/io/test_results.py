"""Finished folders opened again: whole, without their movie, and broken in every way."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import exovision
from exovision.errors import InputError
from exovision.io.results import TABLES, movie_folders, open_result
from exovision.result import Result


@pytest.fixture(scope="module")
def finished(tiny: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Result]:
    """A finished output folder, as `OUT/movie`, and the result in memory."""
    movie = exovision.read(tiny / "movie.ome.tif")
    result = exovision.analyse(movie, device="cpu")
    folder = tmp_path_factory.mktemp("finished") / "movie"
    result.save(folder)
    return folder, result


@pytest.fixture
def copy(finished: tuple[Path, Result], tmp_path: Path) -> Path:
    """A copy that a test may break."""
    shutil.copytree(finished[0], tmp_path / "movie")
    return tmp_path / "movie"


def test_a_folder_opens_to_what_was_saved(finished: tuple[Path, Result]) -> None:
    folder, result = finished
    stored = open_result(folder)
    for name in TABLES:
        pd.testing.assert_frame_equal(getattr(stored, name), getattr(result, name))
    np.testing.assert_array_equal(stored.labels[3], result.labels[3])
    assert stored.settings == result.settings and stored.problem == ""
    assert stored.movie is not None
    np.testing.assert_array_equal(stored.movie.image(5, "exosome"), result.movie.image(5, "exosome"))
    np.testing.assert_array_equal(stored.movie.times_s, result.movie.times_s)


def test_the_tables_open_also_when_the_movie_is_gone(copy: Path) -> None:
    record = json.loads((copy / "run.json").read_text())
    record["reading"]["path"] = str(copy / "gone.ome.tif")
    (copy / "run.json").write_text(json.dumps(record))
    stored = open_result(copy)
    assert stored.movie is None and "gone.ome.tif" in stored.problem
    assert len(stored.spots)


def test_the_movies_of_an_output_folder_are_found_by_name(finished: tuple[Path, Result]) -> None:
    folder, _ = finished
    assert movie_folders(folder) == movie_folders(folder.parent) == [folder]


def test_a_folder_without_results_says_what_was_wanted(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="choose another folder"):
        movie_folders(tmp_path)


@pytest.mark.parametrize(
    "name",
    ["run.json", "summary.json", "spots.parquet", "events.csv", "cells.parquet", "cell_labels.ome.tif"],
)
@pytest.mark.parametrize("how", ["missing", "damaged"])
def test_a_broken_folder_is_one_line_that_names_the_file(copy: Path, name: str, how: str) -> None:
    if how == "missing":
        (copy / name).unlink()
    else:
        (copy / name).write_bytes(b'"\x00broken')
    with pytest.raises(InputError, match=name) as caught:
        open_result(copy)
    assert "\n" not in str(caught.value)


def test_labels_of_another_shape_are_refused(copy: Path) -> None:
    record = json.loads((copy / "run.json").read_text())
    record["shape"]["Y"] += 1
    (copy / "run.json").write_text(json.dumps(record))
    with pytest.raises(InputError, match="label images"):
        open_result(copy)
