import importlib.util
from pathlib import Path

import numpy as np
import pytest

from exovision.events.chemistry import LIPID
from exovision.events.estimates import estimate
from exovision.events.hypothesis_fits import compare
from exovision.events.posterior import judge_fates
from exovision.events.sequences import survey

SPEC = importlib.util.spec_from_file_location("patch_world", Path(__file__).with_name("patch_world.py"))
world = importlib.util.module_from_spec(SPEC)
SPEC.loader.exec_module(world)

SHOWS = ("fusion", "hemifusion", "kiss_and_run", "uptake")


def fitted(patch):
    scenery = survey(patch)
    return scenery, compare(patch, scenery, LIPID, pixel_size_um=world.PIXEL_UM)


def best(patch):
    _, fits = fitted(patch)
    return max(fits, key=lambda name: fits[name].log_evidence)


@pytest.mark.parametrize("kind", ["stays", "gone", "defocuses", "brightens"])
def test_the_model_that_made_the_light_explains_it_best(kind):
    rng = np.random.default_rng(3)
    interval = 0.5 if kind == "defocuses" else 0.1
    patches = [world.make_patch(rng, kind, interval_s=interval) for _ in range(4)]
    # A spot that goes out during an exposure leaves a dim last image, as one that fades does.
    same = {"gone": {"gone", "fades"}}.get(kind, {kind})
    assert {best(patch) for patch in patches} <= same


@pytest.mark.parametrize("edge", [False, True])
def test_dye_that_spreads_is_told_from_all_else_and_so_is_how_the_membrane_is_seen(edge):
    rng = np.random.default_rng(4)
    for _ in range(4):
        _, fits = fitted(world.make_patch(rng, "spreads", edge=edge))
        assert max(fits, key=lambda name: fits[name].log_evidence) == "spreads"
        assert fits["spreads"].edge == edge


def test_half_of_the_dye_spreads_in_a_hemifusion():
    rng = np.random.default_rng(5)
    for _ in range(4):
        patch = world.make_patch(rng, "spreads", share=0.5, gain=3.0)
        scenery, fits = fitted(patch)
        found = estimate(patch, scenery, fits["half_spreads"], pixel_size_um=world.PIXEL_UM)
        assert max(fits, key=lambda name: fits[name].log_evidence) == "half_spreads"
        assert found["spread_fraction"].lo <= 0.5 <= found["spread_fraction"].hi


def test_a_fusion_too_fast_for_the_frames_is_not_told_from_a_disappearance():
    rng = np.random.default_rng(6)
    for _ in range(4):
        patch = world.make_patch(
            rng, "spreads", interval_s=5.0, diffusion_um2_s=1.0, gain=1.0, release_s=0.02, molecules=800
        )
        _, fits = fitted(patch)
        posterior = judge_fates(fits, None, fusion_prior=0.01, shows=SHOWS)
        assert posterior.fates["unresolved"] > 0.9


@pytest.mark.parametrize("seed", range(3))
def test_probabilities_sum_to_one_and_what_a_label_cannot_show_is_unresolved(seed):
    _, fits = fitted(world.make_patch(np.random.default_rng(seed), "spreads"))
    able = judge_fates(fits, None, fusion_prior=0.01, shows=SHOWS)
    unable = judge_fates(fits, None, fusion_prior=0.01, shows=())
    assert sum(able.fates.values()) == pytest.approx(1) and sum(unable.fates.values()) == pytest.approx(1)
    assert able.fates["fused"] > 0.9 and able.fusion_log_likelihood_ratio > 5
    assert unable.fates["fused"] == 0 and unable.fates["unresolved"] > 0.9


def test_a_smaller_prior_makes_fusion_less_likely_and_leaves_the_likelihood_ratio():
    patch = world.make_patch(np.random.default_rng(8), "spreads", gain=1.0, interval_s=0.4)
    _, fits = fitted(patch)
    rare, common = (judge_fates(fits, None, fusion_prior=p, shows=SHOWS) for p in (1e-4, 0.3))
    assert rare.fates["fused"] < common.fates["fused"]
    assert rare.fusion_log_likelihood_ratio == pytest.approx(common.fusion_log_likelihood_ratio, abs=0.5)


def test_two_colours_part_bleaching_kiss_and_run_and_hemifusion():
    rng = np.random.default_rng(9)
    light = {kind: fitted(world.make_patch(rng, kind))[1] for kind in ("stays", "gone", "spreads")}
    half = fitted(world.make_patch(rng, "spreads", share=0.5, gain=3.0))[1]
    for exosome, content, fate in (
        (light["gone"], light["stays"], "bleached"),
        (light["gone"], light["gone"], "unresolved"),
        (light["stays"], light["gone"], "kiss_and_run"),
        (light["spreads"], light["gone"], "fused"),
        (half, light["stays"], "hemifused"),
    ):
        fates = judge_fates(exosome, content, fusion_prior=0.01, shows=SHOWS).fates
        assert max(fates, key=lambda name: fates[name]) == fate


def test_truth_lies_in_the_intervals():
    rng = np.random.default_rng(10)
    inside = {"diffusion_um2_s": 0, "dequench_gain": 0, "release_tau_s": 0}
    truth = {"diffusion_um2_s": 0.5, "dequench_gain": 2.0, "release_tau_s": 0.2}
    for _ in range(20):
        patch = world.make_patch(rng, "spreads")
        scenery, fits = fitted(patch)
        found = estimate(patch, scenery, fits["spreads"], pixel_size_um=world.PIXEL_UM)
        for name, value in truth.items():
            assert found[name].lo <= found[name].value <= found[name].hi
            inside[name] += found[name].lo <= value <= found[name].hi
    assert all(count >= 16 for count in inside.values()), inside
