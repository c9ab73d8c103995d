import exovision_models
import numpy as np
import pytest
import torch

from exovision.errors import SettingsError
from exovision.exosomes.probability import inputs
from exovision.nets.spot_judge import SpotJudge

WEIGHTS = exovision_models.weights("spots_embedded")
INPUTS = inputs(1), inputs(2)


@pytest.mark.parametrize("together", [True, False])
def test_spots_are_judged_the_same_in_one_batch_or_several(together, monkeypatch):
    told = np.random.default_rng(0).normal(size=(23, INPUTS[together])).astype(np.float32)
    whole = SpotJudge(WEIGHTS, inputs=INPUTS)(told, together=together)
    monkeypatch.setattr("exovision.nets.spot_judge.CPU_SPOTS", 5)
    parts = SpotJudge(WEIGHTS, inputs=INPUTS)(told, together=together)
    assert whole.shape == (23,) and np.ptp(whole) > 0
    assert parts == pytest.approx(whole, abs=1e-5)


def test_no_spots_are_no_problem():
    assert SpotJudge(WEIGHTS, inputs=INPUTS)(np.empty((0, INPUTS[0]), np.float32), together=False).shape == (
        0,
    )


def test_a_device_that_is_not_there_is_refused(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(SettingsError, match="needs an NVIDIA GPU"):
        SpotJudge(WEIGHTS, inputs=INPUTS, device="cuda")


def test_the_network_runs_where_it_is_told(monkeypatch):
    asked = []

    def resolve(name):
        asked.append(name)
        return torch.device("cpu")

    monkeypatch.setattr("exovision.nets.spot_judge.resolve_device", resolve)
    SpotJudge(WEIGHTS, inputs=INPUTS, device="cuda:1")
    assert set(asked) == {"cuda:1"}
