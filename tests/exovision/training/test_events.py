import json
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest

from exovision.errors import InputError, SettingsError
from exovision.events.examples import NUMBERS
from exovision.events.weighing import CLASSES, REST
from exovision.nets import weights
from exovision.training.event_evaluation import agreement, evaluate_events, fusion_figures, model_scores
from exovision.training.event_examples import EventExamples, join, read_examples, write_examples
from exovision.training.events import (
    EventTraining,
    _batches,
    from_reviews,
    kept_apart,
    learn,
    logits_of,
    simulated_examples,
    train_events,
    turned_moment,
)
from exovision.training.movie_moments import _classes, movie_moments

SMALL = EventTraining(movies=0, sets=3, steps=30, batch=16, widths=(4, 4, 4), hidden=8)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("events")


@pytest.fixture(scope="module")
def examples(folder):
    return simulated_examples(folder, seed=1, movies=0, sets=3)


def made(classes, ratios=None, group="movie_0"):
    n = len(classes)
    pictures = np.zeros((n, 49, 17, 17), dtype=np.float16)
    ratios = np.zeros(n) if ratios is None else np.asarray(ratios, dtype=float)
    return EventExamples(pictures, np.array(classes), ratios, np.full(n, group))


def test_single_events_are_examined_and_named(examples):
    assert set(examples.classes) <= set(CLASSES) and len(examples) == 120
    assert sorted(set(examples.groups)) == ["single_0", "single_1", "single_2"]
    fused = examples.classes == CLASSES[0]
    assert np.median(examples.ratios[fused]) > np.median(examples.ratios[examples.classes == REST])


def test_examples_that_are_there_are_used_again_and_damaged_ones_are_refused(folder, examples, tmp_path):
    again = simulated_examples(folder, seed=1, movies=0, sets=3)
    assert np.array_equal(again.pictures, examples.pictures, equal_nan=True)
    (tmp_path / "single_examples_1_3.npz").write_bytes(b"not these")
    with pytest.raises(InputError, match="remove the file"):
        simulated_examples(tmp_path, seed=1, movies=0, sets=3)
    with pytest.raises(SettingsError, match="at least one"):
        simulated_examples(tmp_path, seed=1, movies=0, sets=0)


def test_examples_survive_the_disk_and_joining(tmp_path, examples):
    write_examples(join([examples, made([REST])]), tmp_path / "e.npz")
    read = read_examples(tmp_path / "e.npz")
    assert len(read) == 121 and read.groups[-1] == "movie_0"
    assert np.array_equal(read.chosen(read.groups != "movie_0").ratios, examples.ratios)


def test_a_turned_moment_turns_its_normal():
    image = np.zeros((3, 17, 17), dtype=np.float32)
    image[0, 8, 14] = 1  # To the right of the middle, as the normal points.
    image[1, 3, 5] = 1
    image[-1].ravel()[:3] = 0.0, 1.0, 7.0
    views = [turned_moment(image, view) for view in range(8)]
    assert len({view[1].tobytes() for view in views}) == 8
    for view in views:
        y, x = np.argwhere(view[0] == 1)[0] - 8
        assert (y, x) == pytest.approx(6 * view[-1].ravel()[:2])
        assert view[-1].ravel()[2] == 7


def test_each_batch_tells_the_numbers_with_noise_and_leaves_the_normals_length():
    examples = made(["fused", "hemifused", "kiss_and_run", REST] * 5)
    examples.pictures[:, -1, 0, 1] = 1.0
    chances = np.full(len(examples), 1 / len(examples))
    images, targets = _batches(examples, chances, EventTraining(batch=200, noise=0.1))(0)
    told = images[:, -1].reshape(200, -1)
    assert np.allclose(np.hypot(told[:, 0], told[:, 1]), 1)
    assert told[:, 2 : len(NUMBERS)].std() == pytest.approx(0.1, rel=0.05)
    assert (told[:, len(NUMBERS) :] == 0).all() and (targets.sum(axis=1) == 1).all()


def test_every_sixth_movie_or_set_is_kept_apart():
    parts = join([made([REST], group=f"movie_{k}") for k in range(12)])
    assert list(parts.groups[kept_apart(parts)]) == ["movie_5", "movie_11"]


def test_a_class_without_examples_is_an_error():
    with pytest.raises(SettingsError, match=r"kiss_and_run.*more movies"):
        learn(made(["fused", "hemifused", REST]), SMALL, device="cpu")


def test_a_network_learns_likelihoods_however_often_a_class_is_drawn():
    rng = np.random.default_rng(0)
    drawn = [made(["fused", REST, "hemifused", "kiss_and_run"] * 10), made(["fused"] * 160)]
    examples = join(drawn)
    examples.pictures[:, -1, 0, 2] = rng.normal(size=len(examples))  # A number that says nothing.
    network, _ = learn(examples, EventTraining(**{**SMALL.__dict__, "steps": 300, "batch": 64}), device="cpu")
    likely = logits_of(network, examples).mean(axis=0)
    assert abs(likely[0] - likely[-1]) < 0.5  # Drawn 17 times as often, which would be 2.8.


def test_training_goes_on_from_known_weights_without_examples_of_every_class(tmp_path):
    blind = made(list(CLASSES) * 8)
    blind.pictures[:, -1, 0, 2] = np.random.default_rng(0).choice([-1, 1], len(blind))
    first, facts = learn(blind, SMALL, device="cpu")
    weights.save(first, tmp_path / "w.safetensors", facts)
    rest, fused = made([REST] * 8), made(["fused"] * 8)
    rest.pictures[:, -1, 0, 2], fused.pictures[:, -1, 0, 2] = 1, -1
    reviews = replace(from_reviews(tmp_path / "w.safetensors"), steps=60, learning_rate=2e-2, averaging=0.0)
    second, _ = learn(join([rest, fused]), reviews, device="cpu")
    assert second.widths == (4, 4, 4)
    gain = [logits_of(second, part) - logits_of(first, part) for part in (rest, fused)]
    said = [(part[:, 0] - part[:, -1]).mean() for part in gain]
    assert said[1] > said[0] + 1  # What told them apart was learned.


def test_what_a_person_said_is_compared_at_the_prior_of_the_analysis():
    class Sure:
        def log_likelihoods(self, pictures):
            return np.array([[3.0, 0, 0, 0], [9.0, 0, 0, 0], [0, 0, 0, 0.0]])

    found = agreement(Sure(), made(["fused", "fused", REST]), fusion_prior=0.01)
    assert found["right"] == pytest.approx(2 / 3) and found["moments"] == 3
    first = 0.01 * np.exp(3) / (0.01 * (np.exp(3) + 2) + 0.97)
    second = 0.01 * np.exp(9) / (0.01 * (np.exp(9) + 2) + 0.97)
    assert found["probability"] == pytest.approx((first + second + 0.97) / 3)


def test_training_writes_weights_that_can_be_judged_with_and_is_repeatable(folder, examples, tmp_path):
    training = EventTraining(**{**SMALL.__dict__, "seed": 1})
    first = train_events(folder, training=training, device="cpu")
    record = json.loads(first.with_suffix(".json").read_text())
    assert record["told"] == list(NUMBERS) and record["temperature"] > 0
    figures = evaluate_events(first, folder, movies=0, sets=1, seed=-600, device="cpu")
    assert set(figures) == {"single moments, network", "single moments, models alone"}
    for values in figures.values():
        assert 0 <= values["called_right"] <= values["called"] < values["moments"]
    assert figures["single moments, models alone"]["called_right"] > 0
    bytes_before = first.read_bytes()
    assert train_events(folder, training=training, device="cpu").read_bytes() == bytes_before


def test_a_perfect_score_has_perfect_figures_and_a_useless_one_has_not():
    truth = ["fused"] * 10 + [REST] * 90
    perfect = fusion_figures(made(truth), np.array([1.0] * 10 + [0.0] * 90))
    assert perfect["auc"] == perfect["ap"] == perfect["recall"] == 1 and perfect["ece"] == 0
    useless = fusion_figures(made(truth), np.full(100, 0.9))
    assert useless["auc"] == 0.5 and useless["recall"] == 0 and useless["ece"] == pytest.approx(0.8)


def test_the_models_alone_are_scored_at_the_share_of_fusions_among_the_examples():
    scores = model_scores(made(["fused", REST, REST, REST], ratios=[0.0, 0.0, 40.0, -40.0]))
    assert scores == pytest.approx([0.25, 0.25, 1.0, 0.0], abs=1e-6)
    assert model_scores(made(["fused", REST], ratios=[0.0, 0.0]), 0.01) == pytest.approx([0.01, 0.01])


def test_moments_of_a_movie_are_labelled_by_what_truly_happened_there():
    found = movie_moments(np.random.default_rng([0, 5, 3]), "movie_3")
    assert len(found) > 10 and set(found.groups) == {"movie_3"} and set(found.classes) <= set(CLASSES)


def test_a_fusion_counts_while_what_is_left_of_the_vesicle_may_still_be_seen():
    spots = pd.DataFrame({"frame": np.arange(50), "y_px": 20.0, "x_px": 30.0 + 0.1 * np.arange(50)})
    truth = spots.assign(spot_id=np.arange(50), exosome_id=3, snr=6.0, ignore=False, decoy="", cell_id=1)
    events = pd.DataFrame({"kind": ["fusion"], "exosome_id": [3], "start_frame": [20]})
    at = (15, 20, 29, 40)
    moments = [SimpleNamespace(track=SimpleNamespace(exosome_id=7), first=t, last=t) for t in at]
    tables = {"events": events, "spots": truth}
    assert list(_classes(moments, tables, spots.assign(exosome_id=7))) == ["fused", "fused", "fused", REST]
    other = spots.assign(exosome_id=7, y_px=200.0)
    assert set(_classes(moments, tables, other)) == {REST}
