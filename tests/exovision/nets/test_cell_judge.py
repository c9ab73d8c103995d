import json

import numpy as np
import pytest
import torch

from exovision.errors import InputError
from exovision.nets import weights
from exovision.nets.cell_judge import STATES, CellJudge, group, grouping, turned
from exovision.nets.morphology import MorphologyNet
from exovision.nets.training import class_loss, fresh_morphology
from exovision.nets.unet import FlowUNet

ROLES = ("cell", "nucleus", "pi")
CLASSES = {"Interphase": "live", "Apoptosis": "apoptotic", "Metaphase": "mitotic", "OutOfFocus": None}
FACTS = {"states": CLASSES, "needs": ["nucleus"], "temperature": 1.0}


def crops(n=5, seed=0):
    return np.random.default_rng(seed).random((n, len(ROLES), 32, 32)).astype(np.float32)


def saved(tmp_path, **facts):
    path = tmp_path / "w.safetensors"
    weights.save(fresh_morphology(ROLES, list(CLASSES), (8, 8), 3), path, {**FACTS, **facts})
    return path


def test_each_cell_gets_probabilities_that_sum_to_one(tmp_path):
    judged = CellJudge(saved(tmp_path), device="cpu").judge(crops())
    assert judged.shape == (5, len(STATES)) and np.allclose(judged.sum(axis=1), 1)
    assert (judged[:, STATES.index("lytic")] == 0).all() and (judged[:, :3] > 0).all()


def test_a_cell_is_judged_the_same_in_any_company(tmp_path):
    judge = CellJudge(saved(tmp_path), device="cpu")
    many = crops(150)
    together = judge.judge(many)
    alone = np.concatenate([judge.judge(many[k : k + 1]) for k in (0, 70, 149)])
    assert np.allclose(together[[0, 70, 149]], alone, atol=1e-5)


def test_a_missing_channel_differs_from_a_dark_one_and_a_cell_without_any_is_not_judged(tmp_path):
    judge = CellJudge(saved(tmp_path), device="cpu")
    dark, missing, none = crops(1), crops(1), crops(1)
    dark[:, 2], missing[:, 2], none[:] = 0, np.nan, np.nan
    assert np.isfinite(judge.judge(missing)).all()
    assert not np.allclose(judge.judge(dark), judge.judge(missing), atol=1e-4)
    assert np.isnan(judge.judge(none)).all() and judge.judge(crops(0)).shape == (0, len(STATES))


def test_eight_views_judge_a_turned_cell_as_the_cell_itself(tmp_path):
    judge = CellJudge(saved(tmp_path), device="cpu", views=8)
    one = crops(2)
    views = {turned(one, view).tobytes() for view in range(8)}
    assert len(views) == 8
    assert np.allclose(judge.judge(one), judge.judge(np.ascontiguousarray(turned(one, 5))), atol=1e-5)


def test_a_higher_temperature_makes_the_judge_less_sure(tmp_path):
    sure = CellJudge(saved(tmp_path, temperature=0.2), device="cpu").judge(crops())
    unsure = CellJudge(saved(tmp_path, temperature=5.0), device="cpu").judge(crops())
    assert (sure.max(axis=1) > unsure.max(axis=1)).all()


def test_a_cell_that_is_likely_of_no_state_has_no_probabilities():
    groups = grouping(list(CLASSES), CLASSES)
    found = group(np.array([[0.2, 0.6, 0.1, 0.1], [0.2, 0.1, 0.1, 0.6]]), groups)
    assert found[0] == pytest.approx([2 / 9, 1 / 9, 6 / 9, 0, 0]) and np.isnan(found[1]).all()


@pytest.mark.parametrize("lost", ["needs", "states", "temperature"])
def test_weights_without_their_facts_are_refused(tmp_path, lost):
    path = saved(tmp_path)
    facts = json.loads(path.with_suffix(".json").read_text())
    del facts[lost]
    path.with_suffix(".json").write_text(json.dumps(facts))
    with pytest.raises(InputError, match="exovision train death"):
        CellJudge(path, device="cpu")


def test_a_network_of_another_kind_is_refused(tmp_path):
    weights.save(FlowUNet((4, 8)), tmp_path / "cells.safetensors", {})
    with pytest.raises(InputError, match="must hold a MorphologyNet, got a FlowUNet"):
        CellJudge(tmp_path / "cells.safetensors", device="cpu")
    with pytest.raises(InputError, match="must hold a FlowUNet, got a MorphologyNet"):
        weights.load(saved(tmp_path), FlowUNet)


def test_the_loss_counts_the_summed_probability_of_all_allowed_classes():
    logits = torch.log(torch.tensor([[0.5, 0.3, 0.2]]))
    allowed = torch.tensor([[1.0, 1.0, 0.0]])
    assert float(class_loss(0.0)(logits, allowed)) == pytest.approx(-np.log(0.8))
    spread = -(0.9 * np.log(0.8) + 0.1 * np.log([0.5, 0.3, 0.2]).mean())
    assert float(class_loss(0.1)(logits, allowed)) == pytest.approx(spread)


def test_the_network_is_small():
    network = MorphologyNet(("cell", "nucleus", "annexin", "caspase", "pi"), [str(k) for k in range(18)])
    assert sum(value.numel() for value in network.state_dict().values()) * 4 < 2e6
