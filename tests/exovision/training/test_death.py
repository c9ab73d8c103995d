import json
from dataclasses import replace

import numpy as np
import pytest
import tifffile

from exovision.death.crops import ROLES
from exovision.errors import InputError, SettingsError
from exovision.training.crop_batches import CropVariation, chances, draw_batch, targets_of, vary
from exovision.training.death import DeathTraining, classes_in, learn, train_death, unseen
from exovision.training.death_evaluation import agreement, evaluate_death, state_figures
from exovision.training.labelled_crops import (
    KNOWN,
    LabelledCrops,
    folds_by_movie,
    join,
    read_labelled,
    write_labelled,
)

TINY = DeathTraining(rehearsal=2, steps=2, batch=4, widths=(4, 4), simulated=0)
STILL = CropVariation(scale=(1.0, 1.0), shift_px=0, gamma=0, blur=0, noise=0, alone=0, drop=0)
Y, X = np.indices((64, 64))


def nucleus(kind, rng):
    """One body for Interphase, fragments for Apoptosis, a bar for Metaphase."""
    image = 10 + rng.normal(0, 1, Y.shape)
    if kind == "Apoptosis":
        for y, x in rng.uniform(20, 44, (6, 2)):
            image += 200 * np.exp(-((Y - y) ** 2 + (X - x) ** 2) / 8)
    else:
        across = 3 if kind == "Metaphase" else 11
        image += 100 * ((Y - 31.5) ** 2 / 12**2 + (X - 31.5) ** 2 / across**2 < 1)
    return image.astype(np.float32)


@pytest.fixture(scope="module")
def archive(tmp_path_factory):
    """Ten movies of six crops each, and one crop out of focus."""
    rng = np.random.default_rng(0)
    labels = ["Interphase", "Interphase", "Interphase", "Apoptosis", "Apoptosis", "Metaphase"] * 10
    images = np.stack([nucleus(label, rng) for label in labels] + [np.zeros(Y.shape)])
    path = tmp_path_factory.mktemp("crops") / "crops.npz"
    movies = [f"m{k // 6}" for k in range(60)] + ["m3"]
    np.savez(path, images=images, label=[*labels, "OutOfFocus"], movie=movies)
    return path


def test_an_archive_is_read_as_nuclei(archive):
    crops = read_labelled(archive)
    assert crops.crops.shape == (61, len(ROLES), 64, 64) and len(crops) == 61
    there = np.isfinite(crops.crops.astype(np.float32)).all(axis=(0, 2, 3))
    assert [role for role, seen in zip(ROLES, there) if seen] == ["nucleus"]


def test_a_folder_gives_the_same_crops_as_the_archive(archive, tmp_path):
    rng = np.random.default_rng(0)
    crops = read_labelled(archive)
    for k, (label, movie) in enumerate(zip(crops.labels[:12], crops.movies[:12])):
        (tmp_path / str(label)).mkdir(exist_ok=True)
        tifffile.imwrite(tmp_path / str(label) / f"{movie}__{k:02d}.tif", nucleus(label, rng))
    read = read_labelled(tmp_path)
    assert sorted(zip(read.labels, read.movies)) == sorted(zip(crops.labels[:12], crops.movies[:12]))
    same = read.labels == "Interphase"
    assert np.array_equal(
        read.crops[same], crops.crops[:12][crops.labels[:12] == "Interphase"], equal_nan=True
    )


def test_several_channels_are_named_and_larger_crops_made_smaller(tmp_path):
    images = np.random.default_rng(0).random((4, 2, 128, 128)).astype(np.float32)
    given = {"images": images, "label": ["live", "lytic"] * 2, "movie": ["a", "a", "b", "b"]}
    np.savez(tmp_path / "two.npz", **given, channels=["cell", "pi"])
    crops = read_labelled(tmp_path / "two.npz")
    there = np.isfinite(crops.crops[:, :, 0, 0]).all(axis=0)
    assert [role for role, seen in zip(ROLES, there) if seen] == ["cell", "pi"]
    np.savez(tmp_path / "unnamed.npz", **given)
    with pytest.raises(InputError, match=r"each of 2 channel\(s\), got nucleus"):
        read_labelled(tmp_path / "unnamed.npz")


@pytest.mark.parametrize("wrong", ["label", "lengths", "no archive", "empty folder"])
def test_crops_that_cannot_be_learned_from_are_refused_in_one_line(tmp_path, wrong):
    path = tmp_path / "crops.npz"
    labels = ["live", "dying" if wrong == "label" else "lytic"]
    np.savez(path, images=np.zeros((2, 8, 8)), label=labels, movie=["a"] * (1 if wrong == "lengths" else 2))
    if wrong == "no archive":
        path.write_text("nothing")
    messages = {"label": "unknown label 'dying'", "lengths": "with N labels", "no archive": "images, label"}
    where = tmp_path / "none" if wrong == "empty folder" else path
    (tmp_path / "none").mkdir()
    with pytest.raises(InputError, match=messages.get(wrong, "folder per label, found none")) as raised:
        read_labelled(where)
    assert "\n" not in str(raised.value)


def test_whole_movies_are_dealt_into_even_folds(archive):
    crops = read_labelled(archive)
    fold = folds_by_movie(crops)
    assert all(np.unique(fold[crops.movies == movie]).size == 1 for movie in np.unique(crops.movies))
    assert np.bincount(fold[:60]).tolist() == [12] * 5


def test_coarse_labels_allow_every_class_of_their_state():
    classes, states = classes_in(np.array(["Interphase", "Apoptosis", "Metaphase", "live", "lytic", "Large"]))
    assert classes == ["Apoptosis", "Interphase", "Large", "Metaphase", "lytic"]
    targets = targets_of(np.array(["live", "Large", "lytic"]), classes, states)
    assert targets.tolist() == [[0, 1, 1, 0, 0], [0, 0, 1, 0, 0], [0, 0, 0, 0, 1]]
    with pytest.raises(SettingsError, match="different labels, got only live"):
        classes_in(np.array(["live", "live"]))


def test_rare_classes_are_drawn_more_often():
    labels = np.array(["live"] * 9 + ["lytic"])
    assert chances(labels, 0.0)[-1] == pytest.approx(0.1) and chances(labels, 1.0)[-1] == pytest.approx(0.5)


def test_crops_are_turned_but_keep_their_channels_together(archive):
    crop = read_labelled(archive).crops[0].astype(np.float32)
    crop[ROLES.index("pi")] = crop[ROLES.index("nucleus")]
    seen = vary(crop, np.random.default_rng(3), STILL)
    assert not np.allclose(seen[1], crop[1], atol=0.1)
    assert np.corrcoef(seen[1].ravel(), seen[ROLES.index("pi")].ravel())[0, 1] > 0.9
    assert np.isnan(seen[0]).all()


def test_channels_are_left_out_but_never_all_that_show_the_body():
    crop = np.random.default_rng(0).random((len(ROLES), 64, 64)).astype(np.float32)
    seen = [vary(crop, np.random.default_rng(k), replace(STILL, drop=0.6)) for k in range(40)]
    there = np.array([np.isfinite(one[:, 0, 0]) for one in seen])
    assert there[:, :2].any(axis=1).all() and 0.2 < there[:, 2:].mean() < 0.6
    assert not there[:, 0].all() and not there[:, 1].all()
    single = [vary(crop, np.random.default_rng(k), replace(STILL, alone=1.0)) for k in range(20)]
    there = np.array([np.isfinite(one[:, 0, 0]) for one in single])
    assert (there.sum(axis=1) == 1).all() and 0 < there[:, 0].mean() < 1 and not there[:, 2:].any()


def test_batches_depend_on_the_seed_alone(archive):
    crops = read_labelled(archive)
    picked = np.array([0, 7, 30])
    targets = np.zeros((len(crops), 2), dtype=np.float32)
    one, same, other = (
        draw_batch(crops, targets, picked, np.random.default_rng(seed), CropVariation())[0]
        for seed in (1, 1, 2)
    )
    assert np.array_equal(one, same, equal_nan=True) and not np.array_equal(one, other, equal_nan=True)
    assert one.shape == (3, len(ROLES), 64, 64) and one.dtype == np.float32


def test_training_never_sees_the_movies_held_out_and_is_repeatable(archive, tmp_path):
    first, second = (
        train_death(tmp_path / out, data=archive, training=TINY, device="cpu") for out in ("x", "y")
    )
    assert first.read_bytes() == second.read_bytes()
    facts = json.loads(first.with_suffix(".json").read_text())
    crops = read_labelled(archive)
    assert (facts["movies"], facts["held_out"], facts["needs"]) == (8, True, ["nucleus"])
    assert facts["crops"] == int((~unseen(crops)).sum())
    figures = evaluate_death(first, data=archive, simulated=0, device="cpu")
    assert set(figures) == {"labelled, live", "labelled, mitotic", "labelled, apoptotic"}
    found = figures["labelled, apoptotic"]
    assert (found["positive"], found["crops"]) == (4, 12)


@pytest.mark.slow
def test_a_network_learns_fragments_from_whole_nuclei_and_bars(archive, tmp_path):
    training = replace(TINY, steps=60, batch=16, widths=(8, 16), averaging=0.9)
    weights = train_death(tmp_path, data=archive, training=training, device="cpu")
    figures = evaluate_death(weights, data=archive, simulated=0, device="cpu")["labelled, apoptotic"]
    assert figures["auc"] > 0.95 and figures["auc against Metaphase"] > 0.9


def test_figures_leave_out_labels_without_state_and_count_cells_not_judged_as_missed():
    labels = np.array(["Apoptosis", "Apoptosis", "Interphase", "Metaphase", "OutOfFocus"])
    judged = np.array(
        [[0.1, 0, 0.9, 0, 0], [np.nan] * 5, [0.9, 0, 0.1, 0, 0], [0, 1, 0, 0, 0], [0, 0, 1, 0, 0]]
    )
    figures = state_figures(judged, labels, "apoptotic")
    assert (figures["crops"], figures["positive"]) == (4, 2)
    assert figures["auc"] == pytest.approx((2 + 0.5) / 4)
    assert set(figures) >= {"auc against Interphase", "auc against Metaphase", "ap", "ece"}


def test_learning_needs_different_labels(archive):
    crops = read_labelled(archive)
    with pytest.raises(SettingsError, match="different labels"):
        learn(crops.chosen(crops.labels == "Apoptosis"), None, TINY, device="cpu")
    with pytest.raises(SettingsError, match="at least one simulated movie"):
        learn(None, None, TINY, device="cpu")
    both = join([crops.chosen(crops.labels == name) for name in ("Apoptosis", "Interphase")])
    assert isinstance(both, LabelledCrops) and len(both) == 50


def test_every_known_label_is_a_state_or_stands_for_one():
    assert {state for state in KNOWN.values() if state} == {"live", "mitotic", "apoptotic", "lytic", "debris"}


def test_crops_come_back_as_written_and_several_files_are_one_set(tmp_path):
    rng = np.random.default_rng(0)
    crops = rng.random((3, len(ROLES), 64, 64)).astype(np.float16)
    crops[:, 1:] = np.nan
    one = LabelledCrops(crops, np.array(["live", "lytic", "live"]), np.array(["a", "a", "b"]))
    for name in ("x", "y"):
        write_labelled(one, tmp_path / f"{name}.npz")
    both = read_labelled(tmp_path)
    np.testing.assert_array_equal(both.crops, np.concatenate([crops, crops]))
    assert both.labels.tolist() == 2 * ["live", "lytic", "live"]
    assert both.movies.tolist() == 2 * ["a", "a", "b"]


def test_training_goes_on_from_known_weights_with_their_classes(tmp_path):
    rng = np.random.default_rng(0)
    crops = rng.random((4, len(ROLES), 64, 64)).astype(np.float16)
    crops[:, 1:] = np.nan
    known = LabelledCrops(crops, np.array(["live", "lytic"] * 2), np.array(["a", "b", "a", "b"]))
    write_labelled(known, tmp_path / "known.npz")
    first = train_death(tmp_path / "first", data=tmp_path / "known.npz", training=TINY, hold_out=False)
    start = replace(TINY, start=str(first), widths=(9, 9), steps=1)
    alone = LabelledCrops(crops[:1], np.array(["lytic"]), np.array(["c"]))
    network, facts = learn(alone, None, start)
    assert network.classes == ("live", "lytic") and network.widths == TINY.widths
    assert facts["needs"] == ["cell"] and facts["states"] == {"live": "live", "lytic": "lytic"}


def test_agreement_counts_the_likeliest_state_and_what_cannot_be_judged_as_wrong():
    judged = np.array([[0.8, 0.1, 0.1, 0, 0], [0.6, 0.1, 0.3, 0, 0], [np.nan] * 5, [0.2] * 5])
    found = agreement(judged, np.array(["Interphase", "apoptotic", "live", "OutOfFocus"]))
    assert found == {"crops": 3.0, "right": pytest.approx(1 / 3), "probability": pytest.approx(1.1 / 3)}
