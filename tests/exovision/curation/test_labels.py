"""Corrected label images: only the frames that differ are held, and runs restore them."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from exovision.curation.labels import EditedLabels, changed_runs, painted
from exovision.records import ArrayLabels

IMAGES = arrays(np.int32, (5, 7), elements=st.integers(0, 3))


@given(IMAGES, IMAGES)
def test_the_runs_turn_one_image_into_the_other(before: np.ndarray, after: np.ndarray) -> None:
    runs = changed_runs(before, after)
    np.testing.assert_array_equal(painted(before, runs), after)
    assert sum(length for _, length, _ in runs) == int((before != after).sum())


def test_a_straight_stroke_is_one_run_a_row() -> None:
    before = np.zeros((6, 8), dtype=np.int32)
    after = before.copy()
    after[2:4, 1:5] = 9
    assert changed_runs(before, after) == [[17, 4, 9], [25, 4, 9]]


def test_only_frames_that_differ_are_held() -> None:
    labels = EditedLabels(ArrayLabels(np.zeros((4, 3, 3), dtype=np.int32)))
    new = np.ones((3, 3), dtype=np.int32)
    labels.put(2, new)
    twin = labels.copy()
    assert labels.frames == [2]
    labels.put(2, np.zeros((3, 3), dtype=np.int32))
    assert labels.frames == []
    np.testing.assert_array_equal(twin[2], new)


def test_a_frame_that_is_handed_out_is_a_copy() -> None:
    labels = EditedLabels(ArrayLabels(np.zeros((1, 3, 3), dtype=np.int32)))
    labels[0][0, 0] = 5
    assert labels[0][0, 0] == 0
