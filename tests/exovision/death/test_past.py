import numpy as np
import pytest

from exovision.death.past import usual_before

FRAMES = np.arange(60)
TIMES_S = 240.0 * FRAMES
ONE = [FRAMES]


def seen(area=100.0, light=50.0, solidity=0.95):
    """Return area, light and solidity of one nucleus over the frames."""
    return np.column_stack(np.broadcast_arrays(area, light, solidity, FRAMES)[:3]).astype(np.float64)


def test_the_usual_is_the_median_of_the_past():
    values, usual = usual_before(seen(area=100.0 + FRAMES / 10), TIMES_S, ONE)
    assert np.isnan(usual[0]).all()
    assert usual[40, 0] == pytest.approx(np.median(values[:40, 0]))


@pytest.mark.parametrize("change", [{"area": 0.5}, {"light": 2.0}, {"light": 0.4}])
def test_a_change_that_stays_is_never_taken_for_usual(change):
    after = {name: np.where(FRAMES < 20, 1.0, factor) for name, factor in change.items()}
    plain = {"area": 100.0, "light": 50.0}
    _, usual = usual_before(seen(**{name: plain[name] * step for name, step in after.items()}), TIMES_S, ONE)
    np.testing.assert_allclose(np.exp(usual[-1, :2]), (100.0, 50.0), rtol=1e-6)


def test_a_daughter_that_grows_and_dims_becomes_usual():
    young = FRAMES < 6
    _, usual = usual_before(
        seen(area=np.where(young, 40.0, 100.0), light=np.where(young, 100.0, 50.0)), TIMES_S, ONE
    )
    np.testing.assert_allclose(np.exp(usual[-1, :2]), (100.0, 50.0), rtol=1e-6)


def test_one_that_grows_long_after_it_was_first_seen_is_alive_whatever_its_light():
    small = FRAMES < 25
    _, usual = usual_before(
        seen(area=np.where(small, 60.0, 100.0), light=np.where(small, 80.0, 50.0)), TIMES_S, ONE
    )
    np.testing.assert_allclose(np.exp(usual[-1, :2]), (100.0, 50.0), rtol=1e-6)


def test_bleaching_that_all_share_is_no_change():
    rows = [FRAMES + 60 * cell for cell in range(4)]
    light = np.tile(50.0 * np.exp(-FRAMES / 60), 4)
    values, usual = usual_before(
        np.column_stack([np.full(240, 100.0), light, np.full(240, 0.95)]), np.tile(TIMES_S, 4), rows
    )
    np.testing.assert_allclose((values - usual)[1:60], 0.0, atol=0.02)


def test_frames_in_which_nothing_was_seen_are_left_out():
    cut = seen()
    cut[10:30] = np.nan
    values, usual = usual_before(cut, TIMES_S, ONE)
    assert np.isnan(values[10:30]).all()
    np.testing.assert_allclose(np.exp(usual[-1, :2]), (100.0, 50.0), rtol=1e-6)
