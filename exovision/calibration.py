"""The only conversions between pixels and micrometres and between frames and seconds."""

from __future__ import annotations

from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from exovision.errors import InputError

Number = TypeVar("Number", float, NDArray[np.float64])


def px_to_um(value_px: Number, pixel_size_um: float) -> Number:
    """Convert lengths or coordinates from px to µm."""
    return value_px * pixel_size_um


def um_to_px(value_um: Number, pixel_size_um: float) -> Number:
    """Convert lengths or coordinates from µm to px."""
    return value_um / pixel_size_um


def px2_to_um2(area_px: Number, pixel_size_um: float) -> Number:
    """Convert areas from px² to µm²."""
    return area_px * pixel_size_um**2


def regular_times(n_frames: int, n_channels: int, frame_interval_s: float) -> NDArray[np.float64]:
    """Return the times of a movie whose frames are evenly spaced.

    Returns
    -------
    ndarray of shape (T, C)
        Seconds since the first frame, equal in all channels.

    Raises
    ------
    InputError
        If the interval is not positive and there is more than one frame.
    """
    if n_frames > 1 and not frame_interval_s > 0:
        raise InputError(
            f"the frame interval must be a positive number of seconds, got {frame_interval_s}; "
            "give it with --frame-interval-s"
        )
    return np.repeat(np.arange(n_frames, dtype=np.float64)[:, None] * frame_interval_s, n_channels, axis=1)


def median_interval_s(times_s: NDArray[np.float64]) -> float:
    """Return the median interval of the acquired frames of one channel.

    Parameters
    ----------
    times_s : ndarray of shape (T,)
        Seconds, NaN where the channel was not acquired.

    Returns
    -------
    float
        Seconds; NaN with fewer than two acquired frames.
    """
    acquired = times_s[np.isfinite(times_s)]
    return float(np.median(np.diff(acquired))) if acquired.size > 1 else float("nan")
