from dataclasses import replace

import numpy as np
import pytest

from exovision.simulation.fates import Course, typical_release
from exovision.simulation.identifiable import (
    LOOK_ALIKES,
    View,
    expected,
    identifiable,
    look_alike_aucs,
    merger_identifiable,
)
from exovision.simulation.release import Optics
from exovision.simulation.scene import Labels

OPTICS = Optics(pixel_size_um=0.108, sigma_um=0.13, sigma_z_um=0.35, exposure_s=0.05)
LIPID = Labels(quench=(0.0, 0.0), release_tau_s=(0.02, 0.02))


def _view(interval_s, electrons=200.0, flat=True):
    return View(
        optics=OPTICS,
        ages_s=interval_s * np.arange(1, 41),
        electrons={"exosome": electrons, "content": electrons},
        background={"exosome": 50.0, "content": 50.0},
        read_noise=1.6,
        flat=flat,
    )


def _course(labels, fraction=1.0):
    return Course({"exosome": typical_release(labels, "lipid", fraction)})


@pytest.mark.parametrize("flat", [True, False])
def test_fusion_can_be_told_in_bursts_and_not_in_slow_movies(flat):
    assert identifiable("fused", _course(LIPID), LIPID, _view(0.05, flat=flat)) is True
    assert identifiable("fused", _course(LIPID), LIPID, _view(5.0, flat=flat)) is False


def test_between_the_two_it_is_not_scored():
    verdicts = [identifiable("fused", _course(LIPID), LIPID, _view(dt)) for dt in (0.05, 0.3, 0.4, 0.5, 5.0)]
    assert verdicts[0] is True and None in verdicts and verdicts[-1] is False


def test_a_dim_vesicle_cannot_be_told_where_a_bright_one_can():
    assert identifiable("fused", _course(LIPID), LIPID, _view(0.1, electrons=20.0)) is not True
    assert identifiable("fused", _course(LIPID), LIPID, _view(0.1, electrons=400.0)) is True


def test_lipid_dye_alone_never_parts_hemifusion_from_fusion_and_a_lumen_label_does():
    view = _view(0.1, electrons=1000.0)
    assert identifiable("hemifused", _course(LIPID, 0.5), LIPID, view) is None
    dual = LIPID.model_copy(update={"chemistry": "dual"})
    assert identifiable("hemifused", _course(dual, 0.5), dual, view) is True


def test_a_lumen_label_alone_cannot_tell_fusion_from_leakage():
    labels = Labels(chemistry="lumen")
    course = Course({"exosome": typical_release(labels, "lumen")})
    aucs = look_alike_aucs("fused", course, labels, _view(0.1))
    assert aucs["kiss_and_run"] == 0.5
    assert identifiable("fused", course, labels, _view(0.1)) is False


def test_kiss_and_run_is_seen_by_a_lumen_label_beside_a_lipid_dye_only():
    assert identifiable("kiss_and_run", Course(), LIPID, _view(0.1)) is False
    dual = LIPID.model_copy(update={"chemistry": "dual"})
    course = Course({"content": typical_release(dual, "lumen")})
    assert identifiable("kiss_and_run", course, dual, _view(0.1, electrons=400.0)) is True


def test_uptake_needs_evidence_of_acid():
    assert identifiable("taken_up", Course(), Labels(chemistry="phluorin"), _view(0.1, flat=False)) is True
    assert identifiable("taken_up", Course(), LIPID, _view(0.1, flat=False)) is None


def test_nothing_is_decided_without_frames_after_the_event():
    view = replace(_view(0.1), ages_s=np.zeros(0))
    assert identifiable("fused", _course(LIPID), LIPID, view) is None


def test_a_merger_is_told_by_its_sum_unless_it_is_dim():
    assert merger_identifiable(200.0, 200.0, _view(0.1)) is True
    assert merger_identifiable(2.0, 200.0, replace(_view(0.1), ages_s=np.array([0.1]))) is False


@pytest.mark.parametrize("cause", LOOK_ALIKES)
def test_no_fate_looks_like_itself(cause):
    assert cause not in LOOK_ALIKES[cause]


def test_expected_images_hold_the_light_of_the_vesicle_on_its_background():
    view = _view(0.1)
    unchanged = expected("unchanged", Course(), LIPID, view)
    assert unchanged.shape == (1, 40, 41, 41)
    np.testing.assert_allclose((unchanged - 50).sum(axis=(0, 2, 3)), 200, rtol=1e-3)
    np.testing.assert_allclose(expected("bleached", Course(), LIPID, view), 50)
