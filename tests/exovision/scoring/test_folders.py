import pandas as pd
import pytest

from exovision.errors import InputError
from exovision.scoring.folders import load, pair_folders
from exovision.scoring.score import score


def refusal(result, truth):
    with pytest.raises(InputError) as error:
        score(result, truth)
    assert "\n" not in str(error.value)
    return str(error.value)


@pytest.fixture
def truth(example, tmp_path):
    return example.save(tmp_path / "truth", finished=False)


def test_a_missing_folder_and_a_file_in_its_place_are_refused(example, truth, tmp_path):
    assert "got nothing" in refusal(tmp_path / "none", truth)
    (tmp_path / "file").write_text("x")
    result = example.save(tmp_path / "out")
    assert "got a file" in refusal(result, tmp_path / "file")


def test_an_unfinished_result_is_refused(example, truth, tmp_path):
    assert "no finished output" in refusal(example.save(tmp_path / "out", finished=False), truth)


def test_an_empty_truth_folder_is_refused(example, tmp_path):
    (tmp_path / "empty").mkdir()
    assert "got none" in refusal(example.save(tmp_path / "out"), tmp_path / "empty")


@pytest.mark.parametrize(
    ("file", "content", "words"),
    [
        ("spots.parquet", b"not parquet", "spots.parquet"),
        ("events.csv", b"", "events.csv"),
        ("events.csv", b"kind,exosome_id\ndocking,1\n", "start_frame, end_frame missing"),
        ("fates.csv", b"cell_id,first_frame\none,0\n", "fates.csv"),
        ("events.csv", b"kind,exosome_id,start_frame,end_frame\ndocking,1,soon,3\n", "events.csv"),
        ("cell_labels.ome.tif", b"no image", "cell_labels.ome.tif"),
    ],
)
@pytest.mark.parametrize("side", ["out", "truth"])
def test_a_broken_file_is_refused_by_name(example, truth, tmp_path, side, file, content, words):
    result = example.save(tmp_path / "out")
    (tmp_path / side / file).write_bytes(content)
    message = refusal(result, truth)
    assert words in message and str(tmp_path / side) in message


def test_spots_without_a_place_are_refused(example, truth, tmp_path):
    spots = example.tables["spots"].copy()
    spots.loc[3, "x_px"] = float("nan")
    assert "got nulls" in refusal(example.save(tmp_path / "out", spots=spots), truth)


def test_labels_of_another_length_are_refused(example, truth, tmp_path):
    result = example.save(tmp_path / "out", labels=example.labels[:30])
    assert "30 (result) and 40 (truth)" in refusal(result, truth)


def test_an_id_of_zero_is_no_exosome_no_cell_and_no_parent(example, tmp_path):
    tables = {name: example.tables[name].copy() for name in ("spots", "fates")}
    tables["spots"]["exosome_id"] = tables["spots"]["exosome_id"].mask(tables["spots"]["exosome_id"] == 7, 0)
    tables["spots"]["cell_id"] = tables["spots"]["cell_id"].fillna(0)
    tables["fates"]["parent_id"] = tables["fates"]["parent_id"].fillna(0)
    loaded = load(example.save(tmp_path / "zeros", **tables)).tables
    assert loaded["spots"]["exosome_id"].isna().sum() == 10
    pd.testing.assert_series_equal(loaded["spots"]["cell_id"], example.tables["spots"]["cell_id"])
    assert loaded["fates"]["parent_id"].isna().sum() == 3


def test_the_truth_of_a_movie_may_lie_in_its_own_folder_or_in_a_folder_truth(example, tmp_path):
    result = example.save(tmp_path / "out" / "movie")
    for place in ("a", "b/truth", "c/movie", "d/movie/truth"):
        folder = example.save(tmp_path / place, finished=False)
        pairs, notes = pair_folders(tmp_path / "out", tmp_path / place.split("/")[0])
        assert pairs == [("movie", result, folder)] and notes == ()


def test_movies_without_a_partner_are_left_out_and_named(example, tmp_path):
    for name in ("one", "sub__two"):
        example.save(tmp_path / "out" / name)
    example.save(tmp_path / "sim" / "sub" / "two" / "truth", finished=False)
    example.save(tmp_path / "sim" / "three" / "truth", finished=False)
    pairs, notes = pair_folders(tmp_path / "out", tmp_path / "sim")
    assert [name for name, _, _ in pairs] == ["sub__two"]
    assert notes == ("left out, no truth: one", "truth without a finished result: three")
