import numpy as np
import pytest

from exovision.events.comotion import comotion

TIMES = np.arange(80) * 2.0


def verdict(stage, motion, *, se=0.03, least=0.3):
    return comotion(stage, motion, TIMES, np.full(80, se), least_motion_um=least)


def noise(seed, s=0.03):
    return np.random.default_rng(seed).normal(0, s, (80, 2))


MOTION = np.column_stack([TIMES * 0.02, -TIMES * 0.01])


@pytest.mark.parametrize("seed", range(5))
def test_moving_with_the_cell_is_told_from_resting_on_the_stage(seed):
    moving, resting = verdict(MOTION + noise(seed), MOTION), verdict(noise(seed), MOTION)
    assert moving.comoving is True and not moving.stuck and moving.log_ratio > 3
    assert resting.comoving is False and resting.stuck and resting.log_ratio < -3
    assert moving.extent_um == pytest.approx(np.hypot(3.16, 1.58), rel=0.01)


def test_a_cell_that_rests_cannot_tell():
    assert verdict(noise(0), MOTION * 0.01).comoving is None


def test_an_exosome_that_wanders_farther_than_its_cell_moves_is_not_called_stuck():
    rng = np.random.default_rng(2)
    wander = np.cumsum(rng.normal(0, 0.5, (80, 2)), axis=0)
    assert not verdict(wander, MOTION * 0.3).stuck


def test_two_spots_cannot_tell():
    found = comotion(np.zeros((2, 2)), MOTION[:2], TIMES[:2], np.full(2, 0.03), least_motion_um=0.0)
    assert found.comoving is None
