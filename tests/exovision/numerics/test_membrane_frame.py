import numpy as np
import pytest

from exovision.numerics.membrane_frame import beside_membrane

UP = np.array([[-1.0, 0.0]])


def test_a_spot_that_is_carried_by_a_membrane_rests_beside_it():
    left, outwards = beside_membrane(np.array([[-3.0, 0.0]]), UP, UP, np.zeros(1))
    assert left == pytest.approx(np.zeros((1, 2)))
    assert outwards == pytest.approx([3.0])


def test_motion_along_the_membrane_is_kept_and_across_it_is_the_change_of_distance():
    left, outwards = beside_membrane(np.array([[-3.0, 2.0]]), UP, UP, np.array([0.5]))
    assert left == pytest.approx(np.array([[-0.5, 2.0]]))
    assert outwards == pytest.approx([2.5])


def test_a_spot_that_leaves_a_membrane_at_rest_moves_as_on_the_stage():
    left, outwards = beside_membrane(np.array([[-3.0, 2.0]]), UP, UP, np.array([3.0]))
    assert left == pytest.approx(np.array([[-3.0, 2.0]]))
    assert outwards == pytest.approx([0.0])


def test_the_reversed_step_is_the_step_reversed():
    rng = np.random.default_rng(0)
    angle = rng.uniform(0, 2 * np.pi, 20)
    turned = angle + rng.uniform(-1, 1, 20)
    one, two = (np.column_stack([np.sin(a), np.cos(a)]) for a in (angle, turned))
    steps, change = rng.normal(0, 1, (20, 2)), rng.normal(0, 1, 20)
    forth, back = beside_membrane(steps, one, two, change), beside_membrane(-steps, two, one, -change)
    assert forth[0] == pytest.approx(-back[0])
    assert forth[1] == pytest.approx(-back[1])


@pytest.mark.parametrize("later", [-UP, np.full((1, 2), np.nan)])
def test_another_side_of_the_cell_or_none_is_not_the_same_membrane(later):
    left, outwards = beside_membrane(np.ones((1, 2)), UP, later, np.zeros(1))
    assert np.isnan(left).all() and np.isnan(outwards).all()
