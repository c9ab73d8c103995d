import numpy as np
import pytest

from exovision.errors import InputError
from exovision.nets import weights
from exovision.nets.fate_judge import FateJudge
from exovision.nets.morphology import MorphologyNet
from exovision.nets.training import fresh_fates

CLASSES, NUMBERS = ("fused", "rest"), ("normal_y", "normal_x", "more")
FACTS = {"told": list(NUMBERS), "temperature": 1.0}


def saved(tmp_path, **facts):
    path = tmp_path / "w.safetensors"
    weights.save(fresh_fates(CLASSES, len(NUMBERS), 2, (4, 6, 8), 8, 3), path, {**FACTS, **facts})
    return path


def judge(path):
    return FateJudge(path, numbers=NUMBERS, classes=CLASSES, device="cpu")


def moments(n=5, seed=0):
    return np.random.default_rng(seed).normal(size=(n, 2 * 24 + 1, 17, 17)).astype(np.float32)


def test_each_moment_gets_a_likelihood_per_class(tmp_path):
    found = judge(saved(tmp_path)).log_likelihoods(moments())
    assert found.shape == (5, 2) and np.isfinite(found).all() and np.ptp(found[:, 0]) > 1e-3


def test_a_moment_is_judged_the_same_in_any_company(tmp_path):
    many, one = moments(150), judge(saved(tmp_path))
    alone = np.concatenate([one.log_likelihoods(many[k : k + 1]) for k in (0, 70, 149)])
    assert np.allclose(one.log_likelihoods(many)[[0, 70, 149]], alone, atol=1e-5)


def test_missing_frames_and_channels_differ_from_dark_ones(tmp_path):
    one, dark, missing = judge(saved(tmp_path)), moments(1), moments(1)
    dark[:, 30:48], missing[:, 30:48] = 0, np.nan
    found = [one.log_likelihoods(part) for part in (dark, missing)]
    assert np.isfinite(found).all() and not np.allclose(*found, atol=1e-4)


def test_a_higher_temperature_brings_the_classes_nearer(tmp_path):
    cool = np.diff(judge(saved(tmp_path)).log_likelihoods(moments()), axis=1)
    warm = np.diff(judge(saved(tmp_path, temperature=2.0)).log_likelihoods(moments()), axis=1)
    assert np.allclose(cool, 2 * warm)


@pytest.mark.parametrize("facts", [{"told": ["normal_y"]}, {"temperature": None}])
def test_weights_made_for_something_else_are_refused_in_one_line(tmp_path, facts):
    with pytest.raises(InputError, match="train events"):
        judge(saved(tmp_path, **facts))


def test_weights_of_another_network_are_refused(tmp_path):
    path = tmp_path / "m.safetensors"
    weights.save(MorphologyNet(), path, {})
    with pytest.raises(InputError, match="FateNet"):
        judge(path)
