"""Cells cut by the border of the image are filled up to their membranes."""

from __future__ import annotations

import numpy as np
import pytest

from exovision.cells.compartments import fill_compartments

SHAPE = (160, 160)
Y, X = np.indices(SHAPE)
SIGMA = 1.3


def depth(y: float, x: float, radius: float) -> np.ndarray:
    return np.hypot(Y - y, X - x) - radius


CUT, WHOLE = depth(80, 0, 40), depth(80, 110, 30)
TRUTH = np.where(CUT < 0, 3, np.where(WHOLE < 0, 5, 0)).astype(np.int32)


def picture(look: str = "membrane", gap: bool = False) -> np.ndarray:
    """One cell cut by the left border, one whole; 60 photons on membranes, 5 elsewhere."""
    nearest = np.minimum(np.abs(CUT), np.abs(WHOLE))
    light = np.exp(-0.5 * (nearest / SIGMA) ** 2) if look == "membrane" else (TRUTH > 0).astype(float)
    if gap:
        light[(X < 60) & (np.abs(Y - 80) < 15)] = 0
    return np.random.default_rng(1).poisson(5 + 60 * light).astype(np.float32)


def overlap(found: np.ndarray, cell: int) -> float:
    return float(((found == cell) & (cell == TRUTH)).sum() / ((found == cell) | (cell == TRUTH)).sum())


def test_a_cell_cut_by_the_border_is_filled_up_to_its_membrane() -> None:
    seen = np.where((TRUTH == 3) & (Y > 75), 0, TRUTH)
    assert overlap(seen, 3) < 0.5
    assert overlap(fill_compartments(seen, picture()), 3) > 0.93


def test_what_lies_beyond_the_membrane_of_a_cell_at_the_border_is_taken_off() -> None:
    seen = np.where((depth(50, 30, 14) < 0) & (TRUTH == 0), 3, TRUTH)
    assert overlap(seen, 3) < 0.9
    assert overlap(fill_compartments(seen, picture()), 3) > 0.93


def test_a_cell_inside_the_image_keeps_its_outline() -> None:
    seen = np.where((TRUTH == 5) & (X > 120), 0, TRUTH)
    np.testing.assert_array_equal(fill_compartments(seen, picture()) == 5, seen == 5)


def test_a_compartment_that_is_not_closed_is_not_filled() -> None:
    seen = np.where((TRUTH == 3) & (Y > 75), 0, TRUTH)
    np.testing.assert_array_equal(fill_compartments(seen, picture(gap=True)), seen)


@pytest.mark.parametrize("labels", [np.where((TRUTH == 3) & (Y > 75), 0, TRUTH), np.zeros_like(TRUTH)])
def test_without_a_membrane_or_cells_nothing_changes(labels: np.ndarray) -> None:
    np.testing.assert_array_equal(fill_compartments(labels, picture("cytoplasm")), labels)
