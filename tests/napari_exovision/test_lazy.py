"""Lazy frames answer as numpy would, and read no more than they are asked for."""

from __future__ import annotations

import numpy as np
import pytest
from napari_exovision.lazy import Frames, LabelFrames, movie_channel

from exovision.curation.labels import EditedLabels
from exovision.records import ArrayLabels, Movie

PIXELS = np.arange(4 * 5 * 6, dtype=np.int32).reshape(4, 5, 6)
KEYS = [
    2,
    -1,
    slice(1, 3),
    slice(None),
    (1, slice(2, 4)),
    (slice(0, 4, 2), 3, slice(None)),
    (Ellipsis, slice(1, 2)),
    (np.array([0, 3, 3]), np.array([1, 1, 2]), np.array([5, 0, 4])),
    (1, np.array([0, 2]), np.array([3, 3])),
    slice(2, 2),
]


@pytest.mark.parametrize("key", KEYS, ids=str)
def test_frames_are_indexed_as_numpy_indexes(key: object) -> None:
    frames = Frames(lambda t: PIXELS[t], PIXELS.shape, PIXELS.dtype)
    np.testing.assert_array_equal(frames[key], PIXELS[key])
    np.testing.assert_array_equal(np.asarray(frames), PIXELS)
    assert (frames.ndim, frames.size, len(frames)) == (3, 120, 4)


@pytest.mark.parametrize("key", KEYS[:-1], ids=str)
def test_labels_are_set_as_numpy_sets(key: object) -> None:
    expected = PIXELS.copy()
    labels = EditedLabels(ArrayLabels(PIXELS.copy()))
    frames = LabelFrames(labels, PIXELS.shape)
    for value in (7, expected[key] + 100):
        expected[key] = value
        frames[key] = value
        np.testing.assert_array_equal(np.stack([labels[t] for t in range(4)]), expected)


def test_only_the_frames_asked_for_are_read() -> None:
    read: list[int] = []
    frames = Frames(lambda t: read.append(t) or PIXELS[t], PIXELS.shape, PIXELS.dtype)
    frames[2, 1:3], frames[0:1]
    assert read == [2, 0]


def test_painting_remembers_how_a_frame_was() -> None:
    labels = EditedLabels(ArrayLabels(PIXELS.copy()))
    frames = LabelFrames(labels, PIXELS.shape)
    calls: list[int] = []
    frames.on_touch = lambda: calls.append(1)
    frames[1, 0, 0] = 50
    frames[1, 0, 1] = 51
    np.testing.assert_array_equal(frames.touched[1], PIXELS[1])
    assert list(frames.touched) == [1] and len(calls) == 2


def test_a_channel_that_was_not_acquired_shows_its_last_image() -> None:
    movie = Movie.from_array(
        np.random.default_rng(0).random((4, 2, 3, 3)).astype(np.float32),
        pixel_size_um=0.1,
        frame_interval_s=1,
        channels={"exosome": 0, "cell": 1},
    )
    movie.times_s[[0, 2], 1] = np.nan
    channel = movie_channel(movie, 1)
    assert not channel[0].any()
    np.testing.assert_array_equal(channel[2], channel[1])
