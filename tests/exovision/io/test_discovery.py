"""Which movies lie in files and folders, and what they are called."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import tifffile

from exovision.errors import InputError
from exovision.io.discovery import find_movies


def image(path: Path) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    tifffile.imwrite(path, np.zeros((4, 4), np.uint8))
    return path


def names(*inputs: Path, pattern: str | None = None) -> list[str]:
    return [entry.name for entry in find_movies(inputs, pattern=pattern)]


def test_names_are_paths_below_the_input(tmp_path: Path) -> None:
    for place in ("a.ome.tif", "day1/m.tif", "day2/m.tif", "day2/deep/m.TIFF"):
        image(tmp_path / place)
    assert names(tmp_path) == ["a", "day1__m", "day2__m", "day2__deep__m"]
    assert names(tmp_path / "day1" / "m.tif") == ["m"]


def test_equal_names_from_several_inputs_are_told_apart(tmp_path: Path) -> None:
    first, second = image(tmp_path / "x" / "m.tif"), image(tmp_path / "y" / "m.tif")
    assert names(first, second) == ["x__m", "y__m"]
    assert names(first, first) == ["m"]
    assert len(set(names(image(tmp_path / "x" / "m.tiff"), first))) == 2


def test_truth_labels_outputs_and_hidden_files_are_no_movies(tmp_path: Path) -> None:
    image(tmp_path / "m.tif")
    for place in ("truth/x.tif", "m_labels.tif", "out/cell_labels.ome.tif", ".hidden.tif", ".h/x.tif"):
        image(tmp_path / place)
    image(tmp_path / "out2" / "picture.tif")
    (tmp_path / "out2" / "run.json").write_text("{}")
    (tmp_path / "notes.txt").write_text("nothing")
    assert names(tmp_path) == ["m"]


def test_a_file_that_is_no_tiff_is_an_entry_that_fails_later(tmp_path: Path) -> None:
    (tmp_path / "bad.tif").write_text("text")
    assert names(tmp_path) == ["bad"]


def test_positions_of_a_file_are_movies(tmp_path: Path) -> None:
    with tifffile.TiffWriter(tmp_path / "m.ome.tif", ome=True) as writer:
        for _ in range(2):
            writer.write(np.zeros((2, 8, 9), np.uint8), photometric="minisblack", metadata={"axes": "TYX"})
    assert names(tmp_path) == ["m_p000", "m_p001"]


def test_a_folder_of_images_is_a_movie_for_each_well_and_position(tmp_path: Path) -> None:
    for well in ("A1", "B2"):
        for p in (1, 12):
            for t in range(2):
                image(tmp_path / "plate" / f"{well}_p{p}_t{t}.tif")
    pattern = r"(?P<well>[A-Z]\d)_p(?P<p>\d+)_t(?P<t>\d)"
    assert names(tmp_path, pattern=pattern) == [
        "plate_A1_p001",
        "plate_A1_p012",
        "plate_B2_p001",
        "plate_B2_p012",
    ]
    assert names(tmp_path / "plate", pattern=r"_t(?P<t>\d)") == ["plate"]


def test_a_pattern_with_a_slash_makes_the_input_the_movie(tmp_path: Path) -> None:
    for t in range(2):
        image(tmp_path / "series" / f"t{t}" / "exo.tif")
    entries = find_movies([tmp_path / "series"], pattern=r"^t(?P<t>\d)/exo")
    assert [(entry.name, entry.path) for entry in entries] == [("series", tmp_path / "series")]


@pytest.mark.parametrize("pattern", [None, r"t(?P<t>\d)"])
def test_nothing_to_analyse_is_told(pattern: str | None, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no movies found"):
        find_movies([tmp_path], pattern=pattern)
    with pytest.raises(InputError, match="nothing is there"):
        find_movies([tmp_path / "gone"], pattern=pattern)
