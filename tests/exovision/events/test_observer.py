import pytest

from exovision.events.observer import View, fusion_auc


def view(**changed):
    given = {"photons": 200.0, "background": 50.0, "read_noise": 0.0, "sigma_px": 0.13 / 0.108}
    given |= {"sigma_z_px": 0.35 / 0.108, "pixel_size_um": 0.108, "interval_s": 1.0, "exposure_s": 0.0}
    return View(**(given | changed))


TABLE = {
    (1, 0.15): (1.00, 0.995, 0.97, 0.79),
    (1, 1.0): (0.99, 0.85, 0.75, 0.59),
    (3, 1.0): (1.00, 0.999, 0.98, 0.76),
}
"""Ideal area under the curve by dequenching and D, for frames of .1, .5, 1, 5 s (200 photons, 50 per px)."""


@pytest.mark.parametrize(("gain", "diffusion"), TABLE)
def test_the_ideal_observer_gives_the_known_table(gain, diffusion):
    for interval, expected in zip((0.1, 0.5, 1.0, 5.0), TABLE[gain, diffusion]):
        found = fusion_auc(
            view(interval_s=interval), diffusion_um2_s=diffusion, gain=float(gain), phases=(1.0,)
        )
        assert found == pytest.approx(expected, abs=0.012)


def test_light_helps_and_background_hurts():
    usual = fusion_auc(view(), diffusion_um2_s=1.0, gain=1.0)
    assert fusion_auc(view(photons=400.0), diffusion_um2_s=1.0, gain=1.0) > usual
    assert fusion_auc(view(background=100.0), diffusion_um2_s=1.0, gain=1.0) < usual


def test_a_slow_pore_is_easier_to_see_and_nothing_released_cannot_be_seen():
    slow, fast = (fusion_auc(view(), diffusion_um2_s=1.0, gain=3.0, release_s=s) for s in (1.0, 0.02))
    assert slow > fast
    assert fusion_auc(view(), diffusion_um2_s=1.0, gain=1e-6) == pytest.approx(0.5, abs=0.01)
