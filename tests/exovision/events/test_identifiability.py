import pytest

from exovision.events.identifiability import docking_limits
from exovision.settings import EventSettings


def limits(interval_s, se_um, **settings):
    return docking_limits(interval_s, se_um, EventSettings(**settings))


def test_a_usual_movie_can_tell_dockings():
    found = limits(2.0, 0.03)
    assert found.identifiable and found.reason == ""
    assert (found.shortest_s, found.band_um) == (10.0, 0.3)
    # five frames, four steps of 0.1 µm²
    assert found.diffusion_error == pytest.approx((2 * ((0.1009) ** 2 + 0.0009**2) / 4) ** 0.5 / 0.1)


def test_the_shortest_docking_is_three_frames_of_a_slow_movie():
    assert limits(60.0, 0.03).shortest_s == 180.0 and limits(60.0, 0.03).identifiable


@pytest.mark.parametrize(
    ("interval_s", "se_um", "words"),
    [
        (float("nan"), 0.03, "fewer than two frames"),
        (2.0, float("nan"), "no linked exosomes"),
        (2.0, 1.0, "diffusion is uncertain"),
        (60.0, 1.2, "exceeds half the band"),
    ],
)
def test_what_cannot_be_told_has_a_reason(interval_s, se_um, words):
    found = limits(interval_s, se_um, band_sigmas=1.0 if "band" in words else 3.0)
    assert not found.identifiable and words in found.reason


def test_fast_frames_with_large_errors_hide_diffusion():
    assert "diffusion" in limits(0.5, 0.14, docked_min_s=2.0).reason
