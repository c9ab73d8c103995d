import hashlib
import json
from dataclasses import replace

import numpy as np
import pytest
import tifffile

from exovision.errors import InputError, SettingsError
from exovision.nets.scaling import measure_diameter_px
from exovision.training.cells import CellTraining, held_out, train_cells, training_names
from exovision.training.evaluation import evaluate_cells
from exovision.training.samples import Variation, draw_batch, draw_crop, make_sample

ROWS, COLUMNS = np.indices((80, 100))
TINY = CellTraining(
    steps=2, batch=2, simulated=1, frame_px=64, widths=(4, 8, 8, 8), variation=Variation(crop_px=32)
)
PLAIN = Variation(crop_px=64, scale=(1.0, 1.0), gamma=0, invert=0, blur=0, noise=0, shade=0, halo=0)


def picture(radius=16):
    labels = np.zeros(ROWS.shape, dtype=np.int32)
    labels[np.hypot(ROWS - 40, COLUMNS - 30) < radius] = 1
    labels[np.hypot(ROWS - 40, COLUMNS - 70) < radius] = 2
    return (100 * (labels > 0) + 10).astype(np.float32), labels


@pytest.fixture
def folder(tmp_path):
    """Six labelled pictures, and one without labels."""
    image, labels = picture()
    for name in "abcdef":
        tifffile.imwrite(tmp_path / f"{name}.tif", image.astype(np.uint8))
        tifffile.imwrite(tmp_path / f"{name}_labels.tif", labels.astype(np.uint16))
    tifffile.imwrite(tmp_path / "unlabelled.tif", image.astype(np.uint8))
    return tmp_path


def test_samples_are_at_the_working_scale():
    image, labels = picture(radius=16)
    sample = make_sample(image, labels, working_diameter_px=16.0)
    assert sample.image.shape == (40, 50) and sample.target.shape == (3, 40, 50)
    assert measure_diameter_px((sample.target[2] > 0.5).astype(np.int32)) == pytest.approx(
        16 * 2**0.5, rel=0.1
    )
    assert sample.image.min() == 0 and sample.image.max() == pytest.approx(1, abs=0.1)


def test_flows_turn_with_the_picture():
    sample = make_sample(*picture(), working_diameter_px=32.0)
    for seed in range(6):
        _, target = draw_crop(sample, np.random.default_rng(seed), PLAIN)
        y, x = np.nonzero((target[2] > 0.9) & (target[3] > 0))
        ahead = np.stack([y, x]) + np.rint(6 * target[:2, y, x]).astype(int)
        there = target[2][tuple(np.clip(ahead, 0, 63))]
        assert (there > 0.5).mean() > 0.97


def test_crops_depend_on_the_seed_alone():
    samples = [make_sample(*picture(), working_diameter_px=32.0)]
    draws = [
        draw_batch(samples, np.ones(1), np.random.default_rng(seed), Variation(crop_px=32), 3)
        for seed in (4, 4, 5)
    ]
    assert draws[0][0].shape == (3, 1, 32, 32) and draws[0][1].shape == (3, 4, 32, 32)
    assert np.array_equal(draws[0][0], draws[1][0]) and not np.array_equal(draws[0][0], draws[2][0])


def test_two_in_five_pictures_are_held_out_and_unlabelled_ones_left_alone(folder):
    assert held_out(list("abcdefghij")) == ["a", "e", "f", "j"]
    assert training_names(folder) == ["b", "c", "d"]
    assert training_names(folder, hold_out=False) == list("abcdef")


def test_training_is_repeatable_writes_its_facts_and_can_be_scored(folder, tmp_path):
    first, second = (train_cells(tmp_path / out, data=folder, training=TINY, device="cpu") for out in "xy")
    assert first.read_bytes() == second.read_bytes()
    facts = json.loads(first.with_suffix(".json").read_text())
    assert (facts["pictures"], facts["held_out"], facts["training"]["steps"]) == (3, True, 2)
    figures = evaluate_cells(first, data=folder, simulated=1, frame_px=64, device="cpu")
    assert [figures[name]["images"] for name in ("first of five", "fifth of five", "simulated")] == [2, 1, 1]
    assert all(0 <= values["ap50"] <= 1 for values in figures.values())


def test_weights_gone_on_from_are_told_by_their_hash_wherever_they_lay(tmp_path):
    first = train_cells(tmp_path / "a", training=TINY, device="cpu")
    second = train_cells(tmp_path / "b", training=replace(TINY, start=str(first)), device="cpu")
    told = [
        json.loads(path.with_suffix(".json").read_text())["training"]["start"] for path in (first, second)
    ]
    assert told == [None, hashlib.sha256(first.read_bytes()).hexdigest()]
    assert first.read_bytes() != second.read_bytes()


def test_training_needs_something_to_learn_from(tmp_path):
    with pytest.raises(SettingsError, match="at least one simulated frame"):
        train_cells(tmp_path, training=CellTraining(simulated=0), device="cpu")
    with pytest.raises(InputError, match=r"_labels\.tif, found none"):
        train_cells(tmp_path, data=tmp_path, training=TINY, device="cpu")


def test_a_picture_that_does_not_fit_its_labels_is_named(folder, tmp_path):
    tifffile.imwrite(folder / "b_labels.tif", np.zeros((5, 5), dtype=np.uint16))
    with pytest.raises(InputError, match=r"/b: .*\(80, 100\) and \(5, 5\)"):
        train_cells(tmp_path / "out", data=folder, training=TINY, device="cpu")
