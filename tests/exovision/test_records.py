"""Movies as records: shapes, times, roles and what is refused."""

from __future__ import annotations

import numpy as np
import pytest

from exovision.errors import InputError, SettingsError
from exovision.records import Movie


def movie(pixels: np.ndarray, **changes: object) -> Movie:
    arguments = {"pixel_size_um": 0.1, "frame_interval_s": 2.0, "channels": {"exosome": 0}, **changes}
    return Movie.from_array(pixels, **arguments)  # type: ignore[arg-type]


def test_an_array_becomes_a_movie_with_regular_times() -> None:
    made = movie(np.zeros((3, 2, 4, 5)))
    assert made.shape == (3, 2, 1, 4, 5)
    np.testing.assert_array_equal(made.times_s, [[0, 0], [2, 2], [4, 4]])
    assert made.interval_s("exosome") == 2.0
    assert made.image(0, "exosome").shape == (4, 5)


def test_z_is_projected_by_maximum_mean_or_plane() -> None:
    stack = np.zeros((1, 1, 3, 2, 2))
    stack[0, 0, 1] = 6
    made = movie(stack)
    assert made.image(0, "exosome").max() == 6
    for projection, expected in (("mean", 2), (0, 0), (1, 6)):
        changed = Movie(**{**made.__dict__, "projection": projection})
        assert changed.image(0, "exosome").max() == expected


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_pixels_that_are_not_finite_are_refused_with_their_frame(value: float) -> None:
    pixels = np.ones((3, 1, 4, 4))
    pixels[2, 0, 1, 1] = value
    with pytest.raises(InputError, match=r"frame 2, channel 0 \(exosome\)"):
        movie(pixels).image(2, "exosome")


@pytest.mark.parametrize(
    ("pixels", "changes", "error", "message"),
    [
        (np.zeros((2, 2)), {}, InputError, r"must be \(T, C, Y, X\)"),
        (np.zeros((2, 1, 4, 4)), {"pixel_size_um": 0}, InputError, "--pixel-size-um"),
        (np.zeros((2, 1, 4, 4)), {"frame_interval_s": -1}, InputError, "--frame-interval-s"),
        (np.zeros((2, 1, 4, 4)), {"channels": {"exosome": 1}}, SettingsError, "exosome=1 does not exist"),
        (np.zeros((2, 1, 4, 4)), {"channels": {"exozome": 0}}, SettingsError, "unknown channel role"),
    ],
)
def test_what_is_wrong_is_said(pixels: np.ndarray, changes: dict, error: type, message: str) -> None:
    with pytest.raises(error, match=message):
        movie(pixels, **changes)


def test_chunks_cover_every_frame_once() -> None:
    made = movie(np.zeros((7, 1, 2, 2)))
    assert [t for chunk in made.chunks(3) for t in chunk] == list(range(7))
