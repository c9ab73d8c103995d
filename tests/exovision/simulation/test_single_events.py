import numpy as np
import pytest

from exovision.simulation.scene import Labels
from exovision.simulation.single_events import KINDS, PatchConditions, SingleEvent

STILL = PatchConditions(
    frame_interval_s=(0.1, 0.1),
    neighbour_share=0.0,
    passing=0.0,
    bleach_tau_frames=(1e9, 1e9),
    photons=(1e4, 1e4),
)


def _event(cause, seed=0, **more):
    fields = {name: getattr(STILL, name) for name in STILL.__dataclass_fields__}
    return SingleEvent(np.random.default_rng(seed), PatchConditions(**fields | more), cause)


@pytest.mark.parametrize("cause", KINDS)
def test_every_fate_has_light_in_every_frame_and_its_row_of_truth(cause):
    event = _event(cause)
    light = event.electrons()
    assert light.shape == (32, 1, 17, 17) and (light > 0).all()
    facts = event.facts()
    assert (facts["cause"], facts["kind"]) == (cause, KINDS[cause])
    spreads = cause in ("fused", "hemifused")
    assert np.isfinite(facts["diffusion_um2_s"]) == spreads
    assert facts["spread_fraction"] == {"fused": 1.0, "hemifused": 0.5}.get(
        cause, pytest.approx(np.nan, nan_ok=True)
    )


def test_the_patch_follows_the_membrane_by_whole_pixels():
    for seed in range(20):
        places = _event("unchanged", seed, membrane_speed_um_s=(1.0, 1.0)).places_px
        assert np.abs(places).max() < 1.1


def test_loss_of_focus_widens_the_spot_and_keeps_its_light():
    event = _event("left_focus", focus_speed_um_s=(0.4, 0.4), flat_share=1.0, body_photons=(1e-3, 1e-3))
    light = event.electrons()[:, 0]
    light = light - np.median(light, axis=(1, 2), keepdims=True)
    assert light[20].max() < 0.6 * light[5].max()
    assert light[20].sum() == pytest.approx(light[5].sum(), rel=0.1)


def test_light_bleeds_between_the_channels():
    dual = Labels(chemistry="dual", content_bleed=0.5)
    clean = Labels(chemistry="dual", content_bleed=0.0)
    even = {"content_ratio": (0.1, 0.1), "body_photons": (1e-3, 1e-3), "flat_share": 1.0}
    with_bleed, without = (
        _event("unchanged", labels=labels, **even).electrons()[:12, 1].sum() for labels in (dual, clean)
    )
    assert with_bleed - without == pytest.approx(0.5 * 0.82 * 1e4 * 12, rel=0.02)
