from dataclasses import replace

import numpy as np
import pytest

from exovision.numerics.psf import add_spot
from exovision.simulation.release import (
    Glow,
    Optics,
    Release,
    add_glow,
    edge_glow,
    flat_glow,
    vesicle_light,
    volume_glow,
)

OPTICS = Optics(pixel_size_um=0.108, sigma_um=0.13, sigma_z_um=0.35, exposure_s=1e-6)
AT_ONCE = Release(diffusion_um2_s=1.0, quench=0.0, tau_s=0.0)
CENTRE = np.array([100.0, 100.0])


def _straight(along):
    return CENTRE + np.outer(along, [1.0, 0.0])


def _draw(glow, total=1.0, size=201):
    image = np.zeros((size, size), dtype=np.float32)
    add_glow(image, glow, total)
    return image


def _density(glow):
    """Light per µm² in the middle, that of an unspread vesicle being 1."""
    away = ((glow.places_px - CENTRE) ** 2).sum(axis=1)
    here = glow.light / (2 * np.pi * glow.sigma_px**2) * np.exp(-away / (2 * glow.sigma_px**2))
    return here.sum() * 2 * np.pi * (OPTICS.sigma_um / OPTICS.pixel_size_um) ** 2


@pytest.mark.parametrize("age_s", [0.01, 0.1, 1.0])
@pytest.mark.parametrize("diffusion", [0.15, 1.0])
def test_flat_fusion_keeps_its_light_while_its_peak_falls(age_s, diffusion):
    glow = flat_glow(replace(AT_ONCE, diffusion_um2_s=diffusion, quench=0.8), age_s, OPTICS, CENTRE)
    assert _draw(glow).sum() == pytest.approx(5.0, rel=1e-3)
    falls = OPTICS.sigma_um**2 / (OPTICS.sigma_um**2 + 2 * diffusion * age_s)
    assert _density(glow) == pytest.approx(5 * falls, rel=1e-3)


def test_the_peak_of_a_fast_fusion_is_halved_after_the_known_time():
    half_s = OPTICS.sigma_um**2 / (2 * 1.0)
    assert half_s == pytest.approx(0.0085, abs=1e-4)
    assert _density(flat_glow(AT_ONCE, half_s, OPTICS, CENTRE)) == pytest.approx(0.5, rel=1e-3)


@pytest.mark.parametrize("age_s", [0.02, 0.1, 0.5])
def test_on_an_upright_membrane_label_spreads_along_the_outline_and_out_of_focus(age_s):
    glow = edge_glow(AT_ONCE, age_s, OPTICS, _straight)
    variance = 2 * age_s
    in_focus = OPTICS.sigma_z_um / np.sqrt(OPTICS.sigma_z_um**2 + variance)
    along = OPTICS.sigma_um / np.sqrt(OPTICS.sigma_um**2 + variance)
    assert glow.light.sum() == pytest.approx(in_focus, rel=1e-3)
    assert _density(glow) == pytest.approx(along * in_focus, rel=0.01)
    np.testing.assert_allclose(glow.places_px[:, 1], 100.0)
    widths = np.average((glow.places_px[:, 0] - 100) ** 2, weights=glow.light) * OPTICS.pixel_size_um**2
    assert widths == pytest.approx(variance, rel=0.02)


def test_on_a_curved_outline_the_light_stays_on_the_outline():
    def circle(along):
        return CENTRE + 20 * np.stack([np.sin(along / 20), np.cos(along / 20)], axis=1)

    glow = edge_glow(AT_ONCE, 0.3, OPTICS, circle)
    np.testing.assert_allclose(np.hypot(*(glow.places_px - CENTRE).T), 20.0)


@pytest.mark.parametrize(("tau_s", "lasts_s"), [(0.02, 0.08), (0.5, 0.67), (2.0, 2.2)])
def test_the_flash_of_a_quenched_vesicle_lasts_about_as_long_as_computed_before(tau_s, lasts_s):
    release = Release(diffusion_um2_s=1.0, quench=0.8, tau_s=tau_s)
    ages = np.linspace(1e-4, 5, 4000)
    peak = [vesicle_light(release, t, OPTICS) + _density(flat_glow(release, t, OPTICS, CENTRE)) for t in ages]
    assert (np.array(peak) > 1.25).mean() * 5 == pytest.approx(lasts_s, rel=0.15, abs=0.03)


@pytest.mark.parametrize("tau_s", [0.5, 2.0])
def test_half_quenched_label_that_leaves_slowly_gives_no_usable_flash(tau_s):
    release = Release(diffusion_um2_s=1.0, quench=0.5, tau_s=tau_s)
    for age in (0.05, 0.2, 0.5, 1.0):
        glow = flat_glow(release, age, OPTICS, CENTRE)
        assert vesicle_light(release, age, OPTICS) + _density(glow) < 1.25


def test_after_hemifusion_half_of_the_label_is_still_in_the_vesicle():
    release = Release(diffusion_um2_s=1.0, quench=0.0, tau_s=0.1, fraction=0.5)
    assert vesicle_light(release, 2.0, OPTICS) == pytest.approx(0.5)
    assert flat_glow(release, 2.0, OPTICS, CENTRE).light.sum() == pytest.approx(0.5)


def test_the_half_that_stays_is_less_crowded_and_so_brighter():
    release = Release(diffusion_um2_s=1.0, quench=0.8, tau_s=0.1, fraction=0.5)
    assert vesicle_light(release, 2.0, OPTICS) == pytest.approx(0.5 * (1 - 0.8 * 0.5) / 0.2)
    assert flat_glow(release, 2.0, OPTICS, CENTRE).light.sum() == pytest.approx(2.5)


@pytest.mark.parametrize("age_s", [0.003, 0.05, 0.4, 3.0, 40.0])
@pytest.mark.parametrize("tau_s", [0.02, 0.5, 10.0])
def test_no_label_is_lost_on_its_way_through_a_slow_pore(age_s, tau_s):
    release = Release(diffusion_um2_s=0.5, quench=0.0, tau_s=tau_s)
    glow = flat_glow(release, age_s, OPTICS, CENTRE)
    assert vesicle_light(release, age_s, OPTICS) + glow.light.sum() == pytest.approx(1.0)


def test_label_from_a_slow_pore_lies_as_a_source_convolved_with_its_spread():
    release = Release(diffusion_um2_s=1.0, quench=0.0, tau_s=0.5)
    since = np.linspace(0, 1.0, 400001)
    source = np.exp(-(1.0 - since) / 0.5) / 0.5
    expected = np.trapezoid(source * OPTICS.sigma_um**2 / (OPTICS.sigma_um**2 + 2 * since), since)
    assert _density(flat_glow(release, 1.0, OPTICS, CENTRE)) == pytest.approx(expected, rel=0.02)


def test_phluorin_steps_up_and_then_leaves():
    release = Release(diffusion_um2_s=0.15, quench=0.5, tau_s=1.0, at_once=True)
    light = release.vesicle_light(np.array([-1.0, 0.01, 1.0, 2.0]))
    np.testing.assert_allclose(light, [1, 2 * np.exp(-0.01), 2 / np.e, 2 / np.e**2])


def test_an_exposure_in_which_the_pore_opens_shows_both():
    optics = replace(OPTICS, exposure_s=0.4)
    release = replace(AT_ONCE, diffusion_um2_s=0.15)
    before, glow = vesicle_light(release, -0.2, optics), flat_glow(release, -0.2, optics, CENTRE)
    assert before == pytest.approx(0.5) and glow.light.sum() == pytest.approx(0.5)
    assert not flat_glow(release, -0.4, optics, CENTRE).light.size


def test_soluble_label_leaves_the_focal_slice():
    glow = volume_glow(replace(AT_ONCE, diffusion_um2_s=10.0), 0.1, OPTICS, CENTRE)
    assert glow.light.sum() == pytest.approx(0.35 / np.hypot(0.35, np.sqrt(2.0)), rel=1e-4)


def test_spread_light_is_drawn_as_the_renderer_draws_spots():
    spot = np.zeros((41, 41), dtype=np.float32)
    add_spot(spot, 20.3, 18.9, 500.0, 1.7, 12, np.empty((6, 25)))
    glow = Glow(np.array([[20.3, 18.9]]), np.ones(1), np.array([1.7]))
    np.testing.assert_allclose(_draw(glow, 500.0, 41), spot, atol=2e-3)


def test_light_beyond_the_border_is_cut_off():
    at_border = Glow(np.array([[0.0, 100.0], [-500.0, 0.0]]), np.ones(2), np.full(2, 3.0))
    assert _draw(at_border).sum() == pytest.approx(0.5 + 1 / (2 * 3 * np.sqrt(2 * np.pi)), rel=0.01)
