import numpy as np
import pytest

from exovision.death.crops import ROLES
from exovision.nets import weights
from exovision.nets.cell_judge import STATES
from exovision.simulation.lives import Life
from exovision.training import simulated_crops as module
from exovision.training.death import DeathTraining, learn
from exovision.training.death_evaluation import evaluate_death, only
from exovision.training.simulated_crops import simulated_crops


@pytest.fixture(scope="module")
def crops():
    """Crops of two movies of four frames, a quarter of a day apart."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "FRAMES", 4)
        patch.setattr(module, "INTERVAL_S", 6000.0)
        patch.setattr(module, "COUNT", 8)
        yield simulated_crops(3, 2), simulated_crops(3, 1)


def test_crops_show_every_channel_and_know_their_states(crops):
    both, _ = crops
    assert both.crops.shape[1:] == (len(ROLES), 64, 64) and np.isfinite(both.crops.astype(np.float32)).all()
    assert set(both.labels) <= set(STATES) and len(set(both.labels)) > 2


def test_a_movie_depends_on_the_seed_and_its_number_alone(crops):
    both, one = crops
    first = both.chosen(both.movies == "simulated_0")
    assert len(first) == len(one) and np.array_equal(first.crops, one.crops)
    assert first.labels.tolist() == one.labels.tolist()


def test_cells_that_have_barely_begun_to_die_are_no_examples():
    life = Life(onset_s=1000.0, mode="apoptotic", execution_s=1000.0, permeable_s=9000.0, loose_s=20000.0)
    told = [module._told(life, time_s) for time_s in (500.0, 1010.0, 1500.0, 9500.0, 21000.0)]
    assert told[1:4] == ["", "apoptotic", "apoptotic"] and told[0] == "live" and told[4] in ("", "debris")


def test_a_network_can_learn_from_simulation_alone_and_be_scored_by_channels(crops, tmp_path, monkeypatch):
    both, _ = crops
    tiny = DeathTraining(rehearsal=2, steps=2, batch=4, widths=(4, 4))
    network, facts = learn(None, both, tiny, device="cpu")
    assert facts["needs"] == ["cell", "nucleus"]
    weights.save(network, tmp_path / "w.safetensors", facts)
    monkeypatch.setattr("exovision.training.death_evaluation.simulated_crops", lambda *_: both)
    figures = evaluate_death(tmp_path / "w.safetensors", device="cpu")
    assert {"simulated, nucleus, live", "simulated, cell + annexin + pi, apoptotic"} <= set(figures)


def test_channels_can_be_taken_away(crops):
    seen = only(crops[0].crops, ["cell", "pi"])
    there = np.isfinite(seen[:, :, 0, 0]).all(axis=0)
    assert [role for role, shown in zip(ROLES, there) if shown] == ["cell", "pi"]
