import numpy as np
import pytest

from exovision.simulation.ideal_observer import ideal_auc, verdict
from exovision.simulation.release import Optics, Release, add_glow, flat_glow

OPTICS = Optics(pixel_size_um=0.108, sigma_um=0.13, sigma_z_um=0.35, exposure_s=0.05)
CENTRE = np.array([50.2, 50.3])


def _fusion_and_loss(gain, diffusion, interval_s, photons=200.0, background=50.0):
    release = Release(diffusion, quench=1 - 1 / gain, tau_s=0.0)
    frames = int(np.clip(10 / interval_s, 4, 100))
    lost = np.full((frames, 101, 101), background)
    light = np.zeros_like(lost, dtype=np.float32)
    for number, image in enumerate(light, start=1):
        add_glow(image, flat_glow(release, number * interval_s, OPTICS, CENTRE), photons)
    return lost + light, lost


@pytest.mark.parametrize(
    ("gain", "diffusion", "expected"),
    [
        (1, 0.15, {0.1: 1.00, 0.5: 0.995, 1.0: 0.97, 5.0: 0.79}),
        (1, 1.0, {0.1: 0.99, 0.5: 0.85, 1.0: 0.75, 5.0: 0.59}),
        (3, 1.0, {0.1: 1.00, 0.5: 0.999, 1.0: 0.98, 5.0: 0.76}),
    ],
)
def test_fusion_is_told_from_a_loss_as_well_as_computed_before(gain, diffusion, expected):
    for interval_s, auc in expected.items():
        images = _fusion_and_loss(gain, diffusion, interval_s)
        assert ideal_auc(*images, read_noise=1.6) == pytest.approx(auc, abs=0.035)


def test_the_area_is_that_of_the_likelihood_ratio_on_drawn_images():
    one, other = _fusion_and_loss(1, 1.0, 1.0)
    one, other = one[:2], other[:2]
    rng = np.random.default_rng(0)
    ratio = np.log(one / other)
    ones, others = (
        (rng.poisson(mean, (800, *mean.shape)) * ratio).sum(axis=(1, 2, 3)) for mean in (one, other)
    )
    drawn = (ones[:, None] > others).mean()
    assert ideal_auc(one, other, read_noise=0.0) == pytest.approx(drawn, abs=0.02)


def test_equal_courses_cannot_be_told_apart():
    same = np.full((3, 5, 5), 7.0)
    assert ideal_auc(same, same, read_noise=1.6) == 0.5


def test_read_noise_and_background_hide_differences():
    image, dark = _fusion_and_loss(1, 1.0, 1.0)
    quiet = ideal_auc(image, dark, read_noise=0.0)
    assert ideal_auc(image, dark, read_noise=5.0) < quiet
    assert ideal_auc(image + 100, dark + 100, read_noise=0.0) < quiet


def test_between_sure_and_blind_there_is_no_verdict():
    assert [verdict(auc) for auc in (0.5, 0.85, 0.851, 0.989, 0.99, 1.0)] == [
        False,
        False,
        None,
        None,
        True,
        True,
    ]
