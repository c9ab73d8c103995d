"""Which kinds of event this movie can tell from their look-alikes, from its timing and its precision."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from exovision.settings import EventSettings

NOT_ASSESSED = (
    "hemifusion",
    "fusion",
    "kiss_and_run",
    "uptake",
    "recycling",
    "aggregation",
)
"""Kinds of event that this version neither calls nor assesses."""

LARGEST_ERROR = 1.5
"""Relative standard error of the diffusion of the shortest docking (P)."""


class DockingLimits(NamedTuple):
    """What a movie can show of dockings.

    Attributes
    ----------
    identifiable : bool
    shortest_s : float
        The shortest docking that can be seen, s.
    localisation_um, band_um : float
        Standard error of one coordinate, and half-width of the band.
    diffusion_error : float
        Relative standard error of the diffusion coefficient of the shortest docking, at the docked limit.
    reason : str
        Why not, or empty.
    """

    identifiable: bool
    shortest_s: float
    localisation_um: float
    band_um: float
    diffusion_error: float
    reason: str


def docking_limits(interval_s: float, se_um: float, settings: EventSettings) -> DockingLimits:
    r"""Tell whether a docking could be told from a visit with this interval and localisation error.

    Three conditions on the shortest docking, of n steps: there is more than one frame; the localisation error
    s is at most half the band; and the diffusion coefficient along the membrane, which parts docked from
    tethered, has a relative standard error of at most 1.5 at the limit D (P: that of three frames without
    localisation error is 1):

    .. math:: \frac{\sqrt{2 (D\delta t + s^2)^2 + 2 s^4}}{D\delta t \sqrt n} \le 1.5

    Parameters
    ----------
    interval_s : float
        Median interval, s; NaN with one frame.
    se_um : float
        Typical standard error of one coordinate, µm; NaN without spots.
    settings : EventSettings

    Returns
    -------
    DockingLimits

    References
    ----------
    Qian 1991, doi:10.1016/S0006-3495(91)82125-7.
    """
    band = max(settings.band_um, settings.band_sigmas * float(np.hypot(se_um, settings.membrane_sigma_um)))
    if not np.isfinite(interval_s) or not np.isfinite(se_um):
        missing = "fewer than two frames" if not np.isfinite(interval_s) else "no linked exosomes"
        return DockingLimits(False, float("nan"), se_um, settings.band_um, float("nan"), missing)
    frames = max(settings.docked_min_frames, int(np.ceil(settings.docked_min_s / interval_s)))
    walk = settings.docked_max_diffusion_um2_s * interval_s
    error = float(np.sqrt(2 * ((walk + se_um**2) ** 2 + se_um**4) / (frames - 1)) / walk)
    reason = ""
    if se_um > band / 2:
        reason = f"localisation error {se_um:.2f} um exceeds half the band of {band:.2f} um"
    elif error > LARGEST_ERROR:
        reason = f"diffusion is uncertain by {100 * error:.0f} % over {frames} frames"
    return DockingLimits(not reason, frames * interval_s, se_um, band, error, reason)
