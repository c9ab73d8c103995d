import numpy as np
import pytest

from exovision.simulation.places import (
    along_outline,
    curve_at,
    deep_inside,
    on_outline,
    signed_distance,
    within,
)

ANGLES = np.linspace(0, 2 * np.pi, 256, endpoint=False)
DISC = np.array([50.0, 60.0]) + 20 * np.stack([np.sin(ANGLES), np.cos(ANGLES)], axis=1)


@pytest.mark.parametrize("part", [0.0, 0.31, 0.999])
@pytest.mark.parametrize("length", [-30.0, 0.0, 7.5, 200.0])
def test_the_curve_from_a_place_is_the_outline(part, length):
    curve = curve_at(DISC, part)
    expected = on_outline(DISC, along_outline(DISC, part, length), 0.0)
    np.testing.assert_allclose(curve(np.array([length]))[0], expected, atol=1e-9)


def test_lengths_along_the_curve_are_those_in_the_image():
    points = curve_at(DISC, 0.2)(np.arange(0, 20, 0.5))
    np.testing.assert_allclose(np.hypot(*np.diff(points, axis=0).T), 0.5, rtol=0.01)


@pytest.mark.parametrize("outline", [DISC, DISC[::-1]])
def test_outside_is_positive_whichever_way_the_outline_runs(outline):
    for away in (-3.0, 0.0, 2.5):
        assert signed_distance(outline, on_outline(outline, 0.4, away)) == pytest.approx(away, abs=0.01)


def test_what_is_too_near_the_outline_or_outside_is_moved_inwards_and_the_rest_stays():
    centre = np.array([50.0, 60.0])
    stays = centre + np.array([3.0, -4.0])
    np.testing.assert_array_equal(deep_inside(DISC, stays, 5.0), stays)
    for radius in (17.0, 20.0, 35.0):
        moved = deep_inside(DISC, centre + np.array([radius, 0.0]), 5.0)
        assert signed_distance(DISC, moved) < -5 and moved[1] == pytest.approx(60.0)


def test_depth_runs_from_centre_to_outline():
    np.testing.assert_allclose(within(DISC, 0.1, 0.0), [50, 60], atol=1e-9)
    np.testing.assert_allclose(within(DISC, 0.1, 1.0), on_outline(DISC, 0.1, 0.0))
    assert signed_distance(DISC, within(DISC, 0.1, 0.5)) == pytest.approx(-10, abs=0.02)
