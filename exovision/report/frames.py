"""The few frames that the report shows: which ones, how they are shrunk, and the outlines drawn on them."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from exovision.numerics.contours import smooth_closed, trace_regions
from exovision.records import Movie

Floats = NDArray[np.float64]
Image = NDArray[np.float32]

OUTLINE_CUTOFF_PX = 12.0


def pick_frames(movie: Movie, n: int) -> list[int]:
    """Return at most `n` frames spread over the movie, from those in which the main channel was acquired."""
    role = "exosome" if "exosome" in movie.roles else movie.cell_role
    frames = np.arange(movie.n_frames)
    if role is not None:
        acquired = np.flatnonzero(np.isfinite(movie.role_times_s(role)))
        frames = acquired if acquired.size else frames
    return spread(frames, n)


def spread(values: NDArray[np.int64], n: int) -> list[int]:
    """Return at most `n` of the values, first and last included, evenly spread."""
    picks = np.unique(np.linspace(0, len(values) - 1, min(n, len(values))).round().astype(int))
    return [int(values[i]) for i in picks]


def latest_image(movie: Movie, role: str | None, t: int) -> Image | None:
    """Return the channel's image at frame `t`, or the last one before it; None without one."""
    if role is None or role not in movie.roles:
        return None
    earlier = np.flatnonzero(np.isfinite(movie.role_times_s(role)[: t + 1]))
    return movie.image(int(earlier[-1]), role) if earlier.size else None


def shrink(image: Image, factor: int, *, keep_peaks: bool) -> Image:
    """Shrink an image by a whole factor: blocks become their maximum, so that spots stay, or their mean."""
    height, width = (side // factor * factor for side in image.shape)
    blocks = image[:height, :width].reshape(height // factor, factor, width // factor, factor)
    small: Image = blocks.max(axis=(1, 3)) if keep_peaks else blocks.mean(axis=(1, 3))
    return small


def outlines_px(labels: NDArray[np.int32]) -> dict[int, Floats]:
    """Return the closed outline (y, x) of each cell in px, first vertex repeated at the end."""
    return {
        cell: np.concatenate([smooth, smooth[:1]]) - 1
        for cell, points in trace_regions(np.pad(labels, 1)).items()
        for smooth in [smooth_closed(points, cutoff_px=OUTLINE_CUTOFF_PX)]
    }


def clock_text(seconds: float) -> str:
    """Return a time stamp: seconds below ten minutes, else h:mm:ss."""
    if not np.isfinite(seconds):
        return "time unknown"
    if abs(seconds) < 600:
        return f"{seconds:.3g} s"
    whole = round(abs(seconds))
    return f"{'-' if seconds < 0 else ''}{whole // 3600}:{whole // 60 % 60:02d}:{whole % 60:02d}"
