import numpy as np
import pytest

from exovision.errors import SettingsError
from exovision.simulation.event_patches import event_patches
from exovision.simulation.scene import Camera, Labels
from exovision.simulation.single_events import KINDS, PatchConditions

QUIET = Camera(read_noise_electrons=0.0)
CLEAR = {
    "photons": (5e4, 5e4),
    "background_photons": (0.01, 0.01),
    "body_photons": (1e-3, 1e-3),
    "membrane_photons": (1e-3, 1e-3),
    "bleach_tau_frames": (1e9, 1e9),
    "neighbour_share": 0.0,
    "passing": 0.0,
    "camera": QUIET,
    "frame_interval_s": (0.1, 0.1),
    "membrane_speed_um_s": (1e-6, 1e-6),
}
SLOW = Labels(lipid_diffusion_um2_s=(0.05, 0.05), quench=(0.5, 0.5), release_tau_s=(0.02, 0.02))


def _made(cause, count=20, seed=0, **more):
    conditions = PatchConditions(**{**CLEAR, "shares": {cause: 1.0}, "labels": SLOW, **more})
    return event_patches(np.random.default_rng(seed), conditions, count)


def _light(made, channel=0):
    """Photo-electrons of each patch, those of the intact vesicle being 1."""
    total = (made.counts[:, :, channel] - 100).sum(axis=(2, 3)) * QUIET.electrons_per_count
    return total / total[:, :8].mean(axis=1, keepdims=True)


def test_each_event_has_its_patches_times_places_and_truth():
    made = event_patches(np.random.default_rng(0), PatchConditions(before=5, after=7), 40)
    assert made.counts.shape == (40, 12, 1, 17, 17) and made.counts.dtype == np.float32
    assert made.times_s.shape == (40, 12) and made.places_px.shape == (40, 12, 2)
    assert (made.times_s[:, 4] < 0).all() and (made.times_s[:, 5] >= 0).all()
    assert len(made.truth) == 40 and (made.truth["onset_frame"] == 4).all()
    assert set(made.truth["cause"]) <= set(KINDS)
    np.testing.assert_allclose(np.hypot(made.truth["normal_y"], made.truth["normal_x"]), 1)


def test_the_same_seed_gives_the_same_patches():
    one, two = (event_patches(np.random.default_rng(4), PatchConditions(), 6) for _ in range(2))
    np.testing.assert_array_equal(one.counts, two.counts)
    assert one.truth.equals(two.truth)


def test_the_vesicle_is_where_the_truth_says():
    made = _made("unchanged")
    weights = (made.counts[:, :, 0] - 100).clip(0)
    axis = np.arange(17) - 8
    y = (weights.sum(axis=3) * axis).sum(axis=2) / weights.sum(axis=(2, 3))
    np.testing.assert_allclose(y, made.places_px[..., 0], atol=0.15)


@pytest.mark.parametrize("flat", [0.0, 1.0])
def test_fused_label_brightens_by_its_gain_and_leaves_the_slice_if_upright(flat):
    made = _made("fused", flat_share=flat)
    ages = made.times_s[:, 13] + 0.025
    seen = 1.0 if flat else 0.35 / np.sqrt(0.35**2 + 2 * 0.05 * ages)
    np.testing.assert_allclose(_light(made)[:, 13], 2 * seen, rtol=0.04)
    assert (made.truth["dequench_gain"] == 2).all() and (made.truth["kind"] == "fusion").all()


def test_half_of_the_label_stays_after_hemifusion():
    fast = Labels(lipid_diffusion_um2_s=(5.0, 5.0), quench=(0.0, 0.0), release_tau_s=(0.02, 0.02))
    made = _made("hemifused", labels=fast, flat_share=1.0)
    middle = (made.counts[:, -1, 0, 4:13, 4:13] - 100).sum(axis=(1, 2)) * QUIET.electrons_per_count
    whole = 0.82 * made.truth["photons"] / QUIET.quantum_efficiency
    np.testing.assert_allclose(middle / whole, 0.5, atol=0.04)


@pytest.mark.parametrize(
    ("cause", "before", "after"), [("bleached", 1, 0), ("detached", 1, 0), ("unchanged", 1, 1)]
)
def test_vanishing_label_is_gone_and_other_label_stays(cause, before, after):
    light = _light(_made(cause))
    np.testing.assert_allclose(light[:, :12], before, atol=0.02)
    np.testing.assert_allclose(light[:, 12:], after, atol=0.02)


def test_leaving_vesicles_go_outwards_and_taken_up_ones_inwards():
    for cause, sign in (("leaving", 1), ("taken_up", -1)):
        made = _made(cause, flat_share=0.0, leaving_speed_um_s=(0.5, 1.0), before=8, after=30)
        way = made.places_px[:, -1] - made.places_px[:, 0]
        normals = made.truth[["normal_y", "normal_x"]].to_numpy()
        assert (sign * (way * normals).sum(axis=1) > 1).mean() > 0.9


def test_merging_exosomes_add_up():
    light = _light(_made("aggregated", flat_share=1.0))
    np.testing.assert_allclose(light, 1, atol=0.02)


def test_in_two_colours_content_is_lost_in_kiss_and_run_and_kept_in_hemifusion():
    dual = SLOW.model_copy(update={"chemistry": "dual", "content_bleed": 0.0})
    lost = _light(_made("kiss_and_run", labels=dual, content_ratio=(1.0, 1.0)), channel=1)[:, -1]
    kept = _light(_made("hemifused", labels=dual, content_ratio=(1.0, 1.0)), channel=1)[:, -1]
    assert lost.max() < 0.05
    np.testing.assert_allclose(kept, 1, atol=0.03)


def test_slow_events_are_judged_to_be_beyond_telling_and_bursts_within():
    plain = {"photons": (300.0, 300.0), "background_photons": (6.0, 6.0), "judged": True}
    fast = Labels(lipid_diffusion_um2_s=(1.0, 1.0), quench=(0.0, 0.0), release_tau_s=(0.02, 0.02))
    for interval_s, verdict in ((0.05, True), (20.0, False)):
        made = _made("fused", 30, labels=fast, frame_interval_s=(interval_s, interval_s), **plain)
        assert (made.truth["identifiable"] == verdict).mean() > 0.7


def test_an_unknown_fate_is_refused_with_the_known_ones():
    with pytest.raises(SettingsError, match="unknown fates melted; known: fused, hemifused"):
        _made("melted")
