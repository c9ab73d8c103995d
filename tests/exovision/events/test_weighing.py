import importlib.util
from pathlib import Path

import numpy as np
import pytest

from exovision.events.chemistry import CHEMISTRIES
from exovision.events.examples import FRAMES_AFTER, FRAMES_BEFORE, NUMBERS, ROLES, SIZE_PX, examine, picture
from exovision.events.verdicts import FATES
from exovision.events.weighing import CLASSES, model_ratio, weigh

SPEC = importlib.util.spec_from_file_location("patch_world", Path(__file__).with_name("patch_world.py"))
world = importlib.util.module_from_spec(SPEC)
SPEC.loader.exec_module(world)

CHEMISTRY = CHEMISTRIES["lipid_dye"]
FRAMES = FRAMES_BEFORE + FRAMES_AFTER


def moment(kind, seed=1, **facts):
    patch = world.make_patch(np.random.default_rng(seed), kind, **facts)
    return examine({"exosome": patch}, CHEMISTRY.dye, pixel_size_um=world.PIXEL_UM)


class Sure:
    """A network that is sure of one class."""

    def __init__(self, name, by=20.0):
        self.row = np.where(np.array(CLASSES) == name, by, 0.0)

    def log_likelihoods(self, pictures):
        return np.tile(self.row, (len(pictures), 1))


def weighed(moments, network=None, shows=CHEMISTRY.shows, prior=0.01):
    return weigh(
        moments, CHEMISTRY, shows=shows, fusion_prior=prior, pixel_size_um=world.PIXEL_UM, network=network
    )


def seen(examined):
    return picture(examined, CHEMISTRY.dye, pixel_size_um=world.PIXEL_UM)


def test_a_picture_shows_the_spot_until_the_change_in_units_of_its_crest():
    planes = seen(moment("gone"))
    assert planes.shape == (len(ROLES) * FRAMES + 1, SIZE_PX, SIZE_PX)
    middle = planes[:FRAMES, SIZE_PX // 2 - 1 : SIZE_PX // 2 + 2, SIZE_PX // 2 - 1 : SIZE_PX // 2 + 2]
    light = middle.max(axis=(1, 2))
    assert light[FRAMES_BEFORE - 4 : FRAMES_BEFORE].mean() == pytest.approx(1.0, abs=0.4)
    assert light[FRAMES_BEFORE + 1 : FRAMES_BEFORE + 6].mean() < 0.5


def test_a_missing_channel_and_frames_outside_the_movie_are_nan_throughout():
    planes = seen(moment("gone"))
    assert np.isnan(planes[FRAMES : 2 * FRAMES]).all()
    whole = np.isnan(planes[:FRAMES]).reshape(FRAMES, -1)
    assert (whole.all(axis=1) == whole.any(axis=1)).all()


def test_the_last_plane_tells_the_numbers():
    examined = moment("spreads")
    told = dict(zip(NUMBERS, seen(examined)[-1].ravel()))
    assert told["evidence_spreads"] > told["evidence_gone"]
    assert told["log_photons"] == pytest.approx(np.log(examined.scenery.n), abs=1e-4)
    assert np.hypot(told["normal_y"], told["normal_x"]) == pytest.approx(1)
    assert told["content"] == 0


def test_without_a_network_the_models_decide():
    fused, gone = weighed([moment("spreads"), moment("gone")])
    assert fused.fates["fused"] > 0.9 and gone.fates["fused"] < 0.01


def test_a_network_decides_on_fusion_and_the_models_share_out_the_rest():
    alone, against = weighed([moment("spreads")])[0], weighed([moment("spreads")], Sure("rest"))[0]
    assert alone.fates["fused"] > 0.9 and against.fates["fused"] < 0.01
    for_it = weighed([moment("gone")], Sure("fused"))[0]
    assert for_it.fates["fused"] > 0.9 and for_it.fusion_log_likelihood_ratio > 15
    for posterior in (alone, against, for_it):
        assert sum(posterior.fates.values()) == pytest.approx(1) and set(posterior.fates) == set(FATES)


def test_the_prior_moves_what_the_network_says_and_not_its_likelihood_ratio():
    rare, common = (weighed([moment("gone")], Sure("fused", 4.0), prior=p)[0] for p in (1e-4, 0.3))
    assert rare.fates["fused"] < 0.1 < 0.9 < common.fates["fused"]
    ratios = [posterior.fusion_log_likelihood_ratio for posterior in (rare, common)]
    assert ratios == pytest.approx([4.0, 4.0], abs=0.05)


def test_what_the_label_cannot_show_is_unresolved_whatever_the_network_says():
    posterior = weighed([moment("gone")], Sure("hemifused"), shows=("fusion",))[0]
    assert posterior.fates["hemifused"] == 0 and posterior.fates["unresolved"] > 0.9


def test_the_ratio_of_the_models_alone_does_not_depend_on_what_a_label_shows():
    assert model_ratio(moment("spreads")) > 10 > -1 > model_ratio(moment("gone"))


def test_no_moments_make_no_posteriors():
    assert weighed([], Sure("fused")) == []
