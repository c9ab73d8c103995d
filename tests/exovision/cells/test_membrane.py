"""Outlines move onto a stained membrane, and stay where there is none."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from exovision.cells.membrane import snap_to_membrane

SHAPE, RADIUS, SIGMA = (120, 120), 35.0, 1.3


def disc(radius: float) -> np.ndarray:
    y, x = np.indices(SHAPE)
    return (np.hypot(y - 60, x - 60) < radius).astype(np.int32)


def picture(look: str, seed: int = 0) -> np.ndarray:
    """A cell of radius 35 px with 30 photons on its membrane or in its body, over a background of 5."""
    y, x = np.indices(SHAPE)
    depth = np.hypot(y - 60, x - 60) - RADIUS
    light = {
        "membrane": np.exp(-0.5 * (depth / SIGMA) ** 2),
        "cytoplasm": cv2.GaussianBlur((depth < 0).astype(np.float64), (0, 0), SIGMA),
        "phase": (depth > 0) * (1.0 + np.exp(-np.maximum(depth, 0) / 4)),
        "none": np.zeros(SHAPE),
    }[look]
    return np.random.default_rng(seed).poisson(5 + 30 * light).astype(np.float32)


@pytest.mark.parametrize("wrong_by", [-5.0, -2.0, 0.0, 2.0, 5.0])
def test_an_outline_near_a_membrane_moves_onto_it(wrong_by: float) -> None:
    snapped = snap_to_membrane(disc(RADIUS + wrong_by), picture("membrane"), reach_px=7.0, sigma_px=SIGMA)
    truth = disc(RADIUS)
    shared = ((snapped == 1) & (truth == 1)).sum() / ((snapped == 1) | (truth == 1)).sum()
    # half a pixel all around would be an overlap of 0.971
    assert shared > 0.975


@pytest.mark.parametrize("look", ["cytoplasm", "phase", "none"])
def test_an_outline_without_a_membrane_stays(look: str) -> None:
    labels = disc(RADIUS + 2)
    for seed in range(5):
        snapped = snap_to_membrane(labels, picture(look, seed), reach_px=7.0, sigma_px=SIGMA)
        np.testing.assert_array_equal(snapped, labels)


def test_ids_and_other_cells_are_kept() -> None:
    labels = 7 * disc(RADIUS + 3)
    labels[2:12, 2:12] = 4
    snapped = snap_to_membrane(labels, picture("membrane"), reach_px=7.0, sigma_px=SIGMA)
    assert set(np.unique(snapped)) == {0, 4, 7}
    np.testing.assert_array_equal(snapped == 4, labels == 4)


def test_no_cells_are_no_problem() -> None:
    empty = np.zeros(SHAPE, dtype=np.int32)
    assert not snap_to_membrane(empty, picture("membrane"), reach_px=7.0, sigma_px=SIGMA).any()
