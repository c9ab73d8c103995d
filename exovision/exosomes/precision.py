"""How precisely a movie's exosomes were localised, and how near that is to the physical limit."""

from __future__ import annotations

import math

import numpy as np
import pandas as pd

from exovision.exosomes.camera import Camera
from exovision.numerics.psf import localisation_bound_px

MOST_SPOTS = 1000
"""More say no more: these many, evenly chosen, are looked at."""

LEAST_PROBABILITY = 0.5


def precision_reached(
    spots: pd.DataFrame, camera: Camera, *, sigma_px: float, pixel_size_um: float
) -> dict[str, float | int | None]:
    """Compare the stated standard errors with the Cramér–Rao bound of the same spots if each were alone.

    Parameters
    ----------
    spots : DataFrame
        `y_se_px x_se_px counts background probability`.
    camera : Camera
        Turns counts into photons.
    sigma_px : float
        Standard deviation of the PSF, px.
    pixel_size_um : float
        µm.

    Returns
    -------
    dict
        `spots` looked at; `precision_um` and `bound_um`, root mean squares of the standard errors and bounds of
        one coordinate; `over_bound`, their ratio. Null without likely spots.
    """
    likely = spots[(spots["probability"] >= LEAST_PROBABILITY) & (spots["counts"] > 0)]
    chosen = likely.iloc[:: max(1, math.ceil(len(likely) / MOST_SPOTS))]
    if chosen.empty:
        return {"spots": 0, "precision_um": None, "bound_um": None, "over_bound": None}
    gain = camera.photons_per_count
    bounds = [
        localisation_bound_px(
            counts * gain,
            sigma_px=sigma_px,
            background=max(level * gain, 0.0),
            read_noise=camera.read_noise_photons,
        )
        for counts, level in zip(chosen["counts"], chosen["background"])
    ]
    bound = float(np.sqrt(np.mean(np.square(bounds))))
    stated = float(np.sqrt((chosen[["y_se_px", "x_se_px"]].to_numpy() ** 2).mean()))
    return {
        "spots": len(chosen),
        "precision_um": stated * pixel_size_um,
        "bound_um": bound * pixel_size_um,
        "over_bound": stated / bound,
    }
