"""Arrays that read one frame when it is looked at, so that movies larger than memory can be shown."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from exovision.curation.labels import EditedLabels
from exovision.records import Movie

Key = Any


class Frames:
    """An array of shape (T, Y, X) of which a frame is made when it is asked for.

    Parameters
    ----------
    frame : callable
        Returns frame `t`, shape (Y, X).
    shape : tuple of int
        (T, Y, X).
    dtype : dtype
    """

    def __init__(
        self, frame: Callable[[int], NDArray[Any]], shape: tuple[int, int, int], dtype: np.dtype[Any]
    ) -> None:
        self._frame = frame
        self.shape = shape
        self.dtype = np.dtype(dtype)

    @property
    def ndim(self) -> int:
        """Three."""
        return len(self.shape)

    @property
    def size(self) -> int:
        """The number of pixels."""
        return int(np.prod(self.shape))

    def __len__(self) -> int:
        return self.shape[0]

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> NDArray[Any]:
        return np.asarray(self[:], dtype=dtype)

    def __getitem__(self, key: Key) -> NDArray[Any]:
        """Return what numpy would; only the frames that the first index names are read."""
        first, rest = _split(key)
        if isinstance(first, int | np.integer):
            return np.asarray(self._frame(range(len(self))[int(first)])[rest])
        frames = _frames(first, len(self))
        if not isinstance(first, slice):
            return self._points(frames, rest)
        if not len(frames):
            return np.empty((0, *np.empty(self.shape[1:], dtype=self.dtype)[rest].shape), dtype=self.dtype)
        return np.stack([np.asarray(self._frame(t)[rest]) for t in frames])

    def _points(self, frames: list[int], rest: tuple[Any, ...]) -> NDArray[Any]:
        """Return single pixels: all indices are sequences of the same length."""
        values = np.empty(len(frames), dtype=self.dtype)
        wanted = np.array(frames)
        for t in np.unique(wanted):
            here = wanted == t
            values[here] = self._frame(int(t))[tuple(np.asarray(part)[here] for part in rest)]
        return values


class LabelFrames(Frames):
    """The label images of an analysis, which can be painted; the frames painted wait in `touched`.

    Parameters
    ----------
    labels : EditedLabels
        Painted frames are put there.
    shape : tuple of int
        (T, Y, X).
    """

    def __init__(self, labels: EditedLabels, shape: tuple[int, int, int]) -> None:
        super().__init__(labels.__getitem__, shape, np.dtype(np.int32))
        self._labels = labels
        self.touched: dict[int, NDArray[np.int32]] = {}
        self.on_touch: Callable[[], None] = lambda: None

    def __setitem__(self, key: Key, value: Any) -> None:
        """Set pixels as numpy would; remembers each frame as it was before."""
        first, rest = _split(key)
        single = isinstance(first, int | np.integer)
        frames = [range(len(self))[int(first)]] if single else _frames(first, len(self))
        values = np.asarray(value)
        if isinstance(first, slice) and values.ndim > np.empty(self.shape[1:], dtype=bool)[rest].ndim:
            parts = list(values)
        elif single or isinstance(first, slice):
            parts = [values] * len(frames)
        else:
            self._set_points(np.array(frames), rest, values)
            return
        for t, part in zip(frames, parts):
            self._set(t, rest, part)
        self.on_touch()

    def _set_points(self, frames: NDArray[np.int64], rest: tuple[Any, ...], values: NDArray[Any]) -> None:
        for t in np.unique(frames):
            here = frames == t
            part = values[here] if values.ndim else values
            self._set(int(t), tuple(np.asarray(index)[here] for index in rest), part)
        self.on_touch()

    def _set(self, t: int, rest: tuple[Any, ...], value: NDArray[Any]) -> None:
        labels = self._labels[t]
        self.touched.setdefault(t, labels.copy())
        labels[rest] = value
        self._labels.put(t, labels)


def _split(key: Key) -> tuple[Any, tuple[Any, ...]]:
    """Return the index of the first axis and those of the others."""
    parts = key if isinstance(key, tuple) else (key,)
    if parts and parts[0] is Ellipsis:
        parts = (slice(None), *parts)
    return (parts[0], tuple(parts[1:])) if parts else (slice(None), ())


def _frames(index: Any, n: int) -> list[int]:
    if isinstance(index, slice):
        return list(range(*index.indices(n)))
    return [int(t) for t in np.asarray(index).ravel()]


def movie_channel(movie: Movie, c: int) -> Frames:
    """Return one channel of a movie, Z projected as the analysis does it; shape (T, Y, X), counts.

    Frames in which the channel was not acquired show the last one before, or black.
    """
    acquired = np.isfinite(movie.times_s[:, c])
    latest = np.maximum.accumulate(np.where(acquired, np.arange(movie.n_frames), -1))

    def frame(t: int) -> NDArray[np.float32]:
        if latest[t] < 0:
            return np.zeros(movie.image_shape, dtype=np.float32)
        return movie.channel_image(int(latest[t]), c)

    return Frames(frame, (movie.n_frames, *movie.image_shape), np.dtype(np.float32))
