import numpy as np
import pandas as pd
import pytest

from exovision.death.crops import ROLES
from exovision.death.morphology import COLUMNS, Morphology
from exovision.nets import weights
from exovision.nets.training import fresh_morphology
from exovision.settings import DeathSettings

STATES = {"live": "live", "apoptotic": "apoptotic", "mitotic": "mitotic"}
Y, X = np.indices((90, 120))


@pytest.fixture
def settings(tmp_path):
    path = tmp_path / "w.safetensors"
    network = fresh_morphology(ROLES, list(STATES), (8, 8), 3)
    facts = {"states": STATES, "needs": ["nucleus"], "temperature": 1.0}
    weights.save(network, path, facts)
    return DeathSettings(morphology="embedded", weights=str(path))


def frame(t):
    labels = np.zeros(Y.shape, dtype=np.int32)
    labels[np.hypot(Y - 30, X - 40 - t) < 12] = 3
    labels[np.hypot(Y - 60, X - 80) < 12] = 7
    image = np.random.default_rng(t).normal(50, 5, Y.shape) + 100 * (labels > 0)
    return labels, image.astype(np.float32)


def table(frames):
    return pd.DataFrame({"frame": np.repeat(frames, 2), "cell_id": [3, 7] * len(frames)})


def judged(settings, roles, frames, *, waits=False):
    morphology = Morphology(settings, roles=roles, device="cpu")
    for t in frames:
        labels, image = frame(t)
        morphology.take(t, labels, dict.fromkeys(roles, image))
    return morphology, morphology.join(table(list(frames)))


def test_every_cell_of_every_frame_is_judged(settings):
    _, cells = judged(settings, ["nucleus"], range(3))
    assert np.allclose(cells[COLUMNS].sum(axis=1), 1) and len(cells) == 6
    assert cells["p_live"].nunique() == 6


def test_rows_find_their_own_probabilities_whatever_their_order(settings):
    morphology, cells = judged(settings, ["nucleus"], range(3))
    mixed = morphology.join(table([0, 1, 2]).sample(frac=1, random_state=1))
    again = mixed.sort_values(["frame", "cell_id"]).reset_index(drop=True)
    pd.testing.assert_frame_equal(again, cells)


def test_a_frame_is_judged_the_same_in_any_movie_that_starts_alike(settings):
    long, short = (judged(settings, ["nucleus"], frames)[1] for frames in (range(4), (0, 3)))
    pd.testing.assert_frame_equal(
        long[long["frame"] == 3].reset_index(drop=True), short[short["frame"] == 3].reset_index(drop=True)
    )


def test_a_channel_that_the_network_never_saw_is_not_judged_and_it_says_so(settings):
    morphology, cells = judged(settings, ["cell", "exosome"], range(2))
    assert not set(COLUMNS) & set(cells)
    assert len(morphology.notes) == 1
    assert "learned from real cells by nucleus, this movie shows cell" in morphology.notes[0]


def test_no_network_is_loaded_without_cells_without_channels_or_when_switched_off(settings):
    broken = settings.model_copy(update={"weights": "/nowhere/w.safetensors"})
    labels, image = frame(0)
    for one, roles, shown in (
        (broken, ["nucleus"], np.zeros_like(labels)),
        (broken, ["exosome"], labels),
        (broken.model_copy(update={"morphology": "none"}), ["nucleus"], labels),
    ):
        morphology = Morphology(one, roles=roles, device="cpu")
        morphology.take(0, shown, dict.fromkeys(roles, image))
        assert morphology.notes == [] and len(morphology.join(table([0]))) == 2


def test_frames_without_the_channel_stay_null(settings):
    morphology = Morphology(settings, roles=["nucleus", "cell"], device="cpu")
    labels, image = frame(0)
    morphology.take(0, labels, {"nucleus": image})
    morphology.take(1, labels, {"cell": image})
    cells = morphology.join(table([0, 1]))
    assert cells["p_live"].notna().tolist() == [True, True, False, False]
