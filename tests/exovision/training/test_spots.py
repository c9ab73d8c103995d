"""The spot model is fitted to known peaks, from known coefficients on, and judged on sets it never saw."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

import exovision
from exovision.errors import InputError
from exovision.exosomes.probability import COEFFICIENTS, probability, read_model, write_model
from exovision.pipeline import preview
from exovision.settings import Settings
from exovision.simulation.movie import simulate, write
from exovision.simulation.scene import load_scene
from exovision.training.spots import (
    SUFFIX,
    evaluate_spots,
    examples_of,
    fit_coefficients,
    read_examples,
    train_spots,
    write_examples,
)

TRUE = (-3.0, 2.0, -40.0, -40.0)


def peaks(n, seed, coefficients=TRUE):
    """Peaks whose chance to be a spot is that of the coefficients."""
    rng = np.random.default_rng(seed)
    table = pd.DataFrame({"y_px": rng.uniform(0, 99, n), "x_px": rng.uniform(0, 99, n)})
    table["logit"], table["width_ratio"], table["width_se"] = rng.uniform(-2, 5, n), 1.0, 0.05
    evidence = (table[name].to_numpy() for name in ("logit", "width_ratio", "width_se"))
    return table.assign(is_spot=rng.random(n) < probability(*evidence, coefficients=coefficients))


def taught(folder, n_frames=6, n=400):
    folder.mkdir()
    for k in range(n_frames):
        write_examples(peaks(n, seed=k), folder / f"movie_t{k:05d}{SUFFIX}")
    return read_examples(folder)


def test_the_fit_finds_the_coefficients_that_made_the_peaks():
    found = fit_coefficients(peaks(20_000, seed=1), COEFFICIENTS)
    assert found[:2] == pytest.approx(TRUE[:2], abs=0.1)
    assert found[2:] == COEFFICIENTS[2:]


def test_few_peaks_move_the_coefficients_little_and_none_not_at_all():
    few = np.abs(np.array(fit_coefficients(peaks(5, seed=1), COEFFICIENTS)) - COEFFICIENTS)
    many = np.abs(np.array(fit_coefficients(peaks(5000, seed=1), COEFFICIENTS)) - COEFFICIENTS)
    assert (few[:2] < many[:2]).all()
    assert fit_coefficients(peaks(0, seed=1), COEFFICIENTS) == COEFFICIENTS


def test_training_is_better_on_sets_it_never_saw(tmp_path):
    examples = taught(tmp_path / "lessons")
    before = evaluate_spots(examples)
    after = evaluate_spots(examples, train_spots(tmp_path, examples))
    assert after["f1"] > before["f1"] + 0.1 and after["ece"] < 0.5 * before["ece"]
    assert (
        after["spots"]
        == before["spots"]
        == sum(
            one["is_spot"].sum() for name, one in zip(examples.names, examples.tables) if name[7:12] in _OUT
        )
    )


_OUT = ("00000", "00004", "00005")


def test_what_is_held_out_does_not_change_the_model(tmp_path):
    first = train_spots(tmp_path / "a", taught(tmp_path / "one")).read_bytes()
    folder = tmp_path / "two"
    examples = taught(folder)
    write_examples(peaks(400, seed=99), folder / f"movie_t00005{SUFFIX}")
    again = train_spots(tmp_path / "b", read_examples(folder)).read_bytes()
    assert first == again and len(examples.names) == 6


def test_peaks_are_spots_where_a_known_one_is_near_and_missed_ones_are_kept():
    evidence = peaks(3, seed=1).drop(columns="is_spot")
    evidence[["y_px", "x_px"]] = [[10, 10], [30, 30], [50, 50]]
    table = examples_of(evidence, np.array([[11.0, 10.0], [80.0, 80.0]]), ignored_px=np.array([[50.0, 51.0]]))
    assert table["y_px"].tolist() == [10, 30, 80] and table["is_spot"].tolist() == [True, False, True]
    assert table["logit"].isna().tolist() == [False, False, True]
    assert len(examples_of(evidence.iloc[:0], np.zeros((0, 2)))) == 0


def test_scenes_with_truth_are_examples_and_the_analysis_uses_the_model(tmp_path):
    for seed in (3, 4):
        write(simulate(load_scene("tiny"), seed=seed), tmp_path / f"scene_{seed}")
    examples = read_examples(tmp_path)
    assert examples.names == ("scene_3", "scene_4")
    assert evaluate_spots(examples)["recall"] > 0.5
    nothing = tmp_path / "none.json"
    write_model(nothing, [-30.0, 0.0, 0.0, 0.0], {})
    assert evaluate_spots(examples, nothing)["recall"] == 0
    movie = exovision.read(tmp_path / "scene_3/movie.ome.tif")
    settings = Settings.from_mapping({"exosomes": {"weights": str(nothing)}})
    assert len(preview(movie, Settings(), 3, device="cpu").spots) > 0
    assert len(preview(movie, settings, 3, device="cpu").spots) == 0


@pytest.mark.parametrize("content", ["{}", '{"model": "spot probability", "coefficients": [1, 2]}', "x"])
def test_a_damaged_model_is_refused(tmp_path, content):
    path = tmp_path / "model.json"
    path.write_text(content)
    with pytest.raises(InputError, match="as `exovision train spots` writes it"):
        read_model(path)


def test_a_folder_without_examples_says_what_was_wanted(tmp_path):
    with pytest.raises(InputError, match=r"taught frames .* or scenes"):
        read_examples(tmp_path)
    (tmp_path / f"a{SUFFIX}").write_text("x\n1\n")
    with pytest.raises(InputError, match="columns y_px"):
        read_examples(tmp_path)
    with pytest.raises(InputError, match="at least 2 frames or scenes"):
        write_examples(peaks(5, seed=1), tmp_path / f"a{SUFFIX}")
        train_spots(tmp_path, read_examples(tmp_path))
