import numpy as np
import pytest

from exovision.simulation.fates import CHEMISTRIES, LEAVING, Contact, draw_course, released
from exovision.simulation.release import Optics, Release
from exovision.simulation.scene import Labels

OPTICS = Optics(pixel_size_um=0.108, sigma_um=0.13, sigma_z_um=0.35, exposure_s=0.05)


def _course(chemistry, cause, seed=0, **more):
    return draw_course(np.random.default_rng(seed), Labels(chemistry=chemistry, **more), cause)


@pytest.mark.parametrize(
    ("chemistry", "cause", "leaving"),
    [
        ("lipid_dye", "fused", {"exosome": 1.0}),
        ("lipid_dye", "hemifused", {"exosome": 0.5}),
        ("lipid_dye", "kiss_and_run", {}),
        ("lumen", "fused", {"exosome": 1.0}),
        ("lumen", "hemifused", {}),
        ("lumen", "kiss_and_run", {"exosome": 1.0}),
        ("dual", "fused", {"exosome": 1.0, "content": 1.0}),
        ("dual", "hemifused", {"exosome": 0.5}),
        ("dual", "kiss_and_run", {"content": 1.0}),
        ("phluorin", "fused", {"exosome": 1.0}),
        ("phluorin", "hemifused", {}),
        ("protein_tag", "fused", {"exosome": 1.0}),
        ("protein_tag", "kiss_and_run", {}),
        ("dual", "bleached", {}),
        ("dual", "taken_up", {}),
    ],
)
def test_each_label_leaves_in_those_fates_that_free_it(chemistry, cause, leaving):
    course = _course(chemistry, cause)
    assert {role: one.fraction for role, one in course.releases.items()} == leaving


def test_every_label_of_every_chemistry_has_its_fates():
    assert {label for labels in CHEMISTRIES.values() for label in labels.values()} == set(LEAVING)


def test_releases_are_drawn_between_the_limits_of_the_scene():
    limits = {"lipid_diffusion_um2_s": (0.2, 2.0), "quench": (0.5, 0.9), "release_tau_s": (0.02, 10.0)}
    drawn = [_course("lipid_dye", "fused", seed, **limits).releases["exosome"] for seed in range(300)]
    for name, field in zip(limits, ("diffusion_um2_s", "quench", "tau_s")):
        values = np.array([getattr(one, field) for one in drawn])
        low, high = limits[name]
        assert low <= values.min() < low * 1.1 and high * 0.9 < values.max() <= high
    assert np.median([one.tau_s for one in drawn]) == pytest.approx(np.sqrt(0.02 * 10), rel=0.3)


def test_what_hemifusion_and_kiss_and_run_leave_stays_for_five_seconds_at_least():
    for cause in ("hemifused", "kiss_and_run"):
        stays = [_course("dual", cause, seed, remnant_s=1.0).remnant_s for seed in range(50)]
        assert min(stays) >= 5 and np.mean(stays) == pytest.approx(6, abs=0.5)
    assert _course("dual", "fused").remnant_s == 0


def test_phluorin_goes_dark_in_an_acid_endosome_and_lipid_dye_may_brighten_in_it():
    acid = _course("phluorin", "taken_up", acid_tau_s=10.0)
    assert acid.endosome_light(0.0) == 1.0
    assert acid.endosome_light(1000.0) == pytest.approx(1 / 9)
    assert acid.endosome_light(10.0) == pytest.approx(1 - 8 / 9 * (1 - np.exp(-1)))
    gains = [_course("lipid_dye", "taken_up", seed, plateau_share=1.0) for seed in range(50)]
    plateaus = [one.endosome_light(1e4) for one in gains]
    assert min(plateaus) >= 2 and max(plateaus) <= 10
    assert all(one.endosome_light(one.plateau_s) == 1.0 for one in gains)
    assert _course("lumen", "taken_up", plateau_share=1.0).endosome_light(1e4) == 1.0


def test_label_that_faces_the_camera_spreads_in_both_directions_and_upright_along_the_outline():
    release = Release(diffusion_um2_s=1.0, quench=0.0, tau_s=0.0)
    middle = np.zeros(2)
    _, flat = released(release, 0.5, OPTICS, Contact(middle))
    _, upright = released(release, 0.5, OPTICS, Contact(middle, lambda s: np.outer(s, [0.0, 1.0])))
    assert (flat.places_px == 0).all() and (flat.sigma_px > 5).all()
    assert upright.places_px[:, 1].std() > 5 and upright.sigma_px.max() < 2
    assert upright.light.sum() < 0.5 < flat.light.sum()


def test_a_label_that_stays_shines_as_before():
    light, glow = released(None, 3.0, OPTICS, Contact(np.zeros(2)))
    assert light == 1.0 and not glow.light.size
    before, nothing = released(Release(1.0, 0.5, 0.1), -1.0, OPTICS, Contact(np.zeros(2)))
    assert before == 1.0 and not nothing.light.size
