"""The scale, units and axis names that every layer of a movie shares."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from exovision.calibration import median_interval_s


def calibrated(pixel_size_um: float, times_s: NDArray[np.float64]) -> dict[str, Any]:
    """Return a layer's `scale`, `units` and `axis_labels` for data of axes T, Y, X.

    Parameters
    ----------
    pixel_size_um : float
    times_s : ndarray of shape (T,)
        Seconds, NaN where not acquired. Uneven times are shown at their median interval.
    """
    interval_s = median_interval_s(times_s)
    known = bool(np.isfinite(interval_s) and interval_s > 0)
    return {
        "scale": (interval_s if known else 1.0, pixel_size_um, pixel_size_um),
        "units": ("s" if known else "pixel", "um", "um"),
        "axis_labels": ("t", "y", "x"),
    }


def movie_times_s(times_s: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return one time per frame from times of shape (T, C), s: the earliest of the channels acquired."""
    known = np.isfinite(times_s).any(axis=1)
    times = np.full(len(times_s), np.nan)
    times[known] = np.nanmin(times_s[known], axis=1)
    return times
