"""What each track is as a whole: when, how bright, how mobile in the stage's frame."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from exovision import schema
from exovision.numerics.diffusion import diffusion


def summarise(
    spots: pd.DataFrame,
    *,
    times_s: NDArray[np.float64],
    drift_px: NDArray[np.float64],
    pixel_size_um: float,
) -> pd.DataFrame:
    """Return one row per exosome with what its spots alone tell.

    Parameters
    ----------
    spots : DataFrame
        With `exosome_id`; `counts_corrected` is used for brightness where it is there, else `counts`.
    times_s : ndarray of shape (T,)
        Seconds.
    drift_px : ndarray of shape (T, 2)
        Stage drift (y, x), taken off.
    pixel_size_um : float

    Returns
    -------
    DataFrame
        Columns of `exovision.schema.EXOSOMES`; diffusion is that in the stage's frame, null for tracks
        that are too short.
    """
    brightness = "counts_corrected" if "counts_corrected" in spots else "counts"
    rows = [
        _row(track, brightness, times_s, drift_px, pixel_size_um)
        for _, track in spots[spots["exosome_id"].notna()].groupby("exosome_id", sort=True)
    ]
    return schema.conform(pd.DataFrame(rows), schema.EXOSOMES)


def _row(
    track: pd.DataFrame,
    brightness: str,
    times_s: NDArray[np.float64],
    drift_px: NDArray[np.float64],
    pixel_size_um: float,
) -> dict[str, Any]:
    frames = track["frame"].to_numpy(dtype=np.int64)
    place = (track[["y_px", "x_px"]].to_numpy(dtype=np.float64) - drift_px[frames]) * pixel_size_um
    squared = track[["y_se_px", "x_se_px"]].to_numpy(dtype=np.float64) ** 2
    error = np.sqrt(squared.mean(axis=1)) * pixel_size_um
    found = diffusion(place[:, 0], place[:, 1], times_s[frames], error)
    return {
        "exosome_id": track["exosome_id"].iloc[0],
        "first_frame": frames[0],
        "last_frame": frames[-1],
        "n_spots": len(frames),
        "mean_counts": float(track[brightness].mean()),
        "diffusion_um2_s": found.d_um2_s,
        "diffusion_um2_s_lo": found.lo,
        "diffusion_um2_s_hi": found.hi,
        "alpha": found.alpha,
        "alpha_lo": found.alpha_lo,
        "alpha_hi": found.alpha_hi,
    }
