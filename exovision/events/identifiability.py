"""Which kinds of event this movie can tell from their look-alikes, from its timing and its precision."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from exovision.events.chemistry import Chemistry
from exovision.events.observer import View, fusion_auc, usual_auc
from exovision.settings import EventSettings

FATES_BY_LABEL = ("fusion", "hemifusion", "kiss_and_run", "uptake")
"""Kinds of event that are told by their light."""
SPREADING = {"fusion": 1.0, "hemifusion": 0.5}
"""Kinds that are told by dye that spreads in the membrane, and the share of it that does."""
DIFFUSIONS, GAINS = (0.3, 1.0, 3.0), (1.0, 3.0)
"""D in units of the label's usual one, and gains, for which the ideal observer is asked."""

LARGEST_ERROR = 1.5
"""Relative standard error of the diffusion of the shortest docking (P)."""


class FateLimits(NamedTuple):
    """What a movie can show of one kind of event.

    Attributes
    ----------
    identifiable : bool
    reason : str
    auc : list of dict
        For fusion: `diffusion_um2_s`, `gain`, and the ideal `auc` against a disappearance.
    """

    identifiable: bool
    reason: str
    auc: list[dict[str, float]]


def fate_limits(
    name: str, chemistry: Chemistry, view: View | None, settings: EventSettings
) -> dict[str, FateLimits]:
    """Tell which fates this label, timing and light can show, before any event is looked at.

    Parameters
    ----------
    name : str
        Of the chemistry.
    chemistry : Chemistry
    view : View or None
        A typical exosome; None without any.
    settings : EventSettings

    Returns
    -------
    dict of str to FateLimits
        By kind of event. That of a single event depends on its own light: see its row.
    """
    limits = {}
    for kind in (*FATES_BY_LABEL, "aggregation"):
        if kind in FATES_BY_LABEL and kind not in chemistry.shows:
            limits[kind] = FateLimits(False, f"a label of the kind {name} cannot show it", [])
        elif view is None or not np.isfinite(view.interval_s):
            limits[kind] = FateLimits(False, "no exosomes, or one frame", [])
        elif kind in SPREADING:
            limits[kind] = _spread_limits(kind, chemistry, view, settings)
        else:
            limits[kind] = FateLimits(True, REASONS[kind], [])
    return limits


REASONS = {
    "kiss_and_run": "the content is lost while the exosome stays",
    "uptake": "only where the label changes its light on the way inwards",
    "aggregation": "two exosomes approach each other, one vanishes, and the other gains its light",
}


def _spread_limits(kind: str, chemistry: Chemistry, view: View, settings: EventSettings) -> FateLimits:
    dye, share = chemistry.dye, SPREADING[kind]
    table = [
        {
            "diffusion_um2_s": round(float(scale * dye.diffusion_um2_s), 3),
            "gain": gain,
            "auc": fusion_auc(
                view,
                diffusion_um2_s=scale * dye.diffusion_um2_s,
                gain=gain,
                release_s=dye.release_s,
                share=share,
                at_once=dye.at_once,
            ),
        }
        for scale in DIFFUSIONS
        for gain in GAINS
    ]
    usual = usual_auc(view, dye, share=share)
    if kind == "hemifusion":
        table = []
    able = usual >= settings.identifiable_min_auc
    words = "can be told" if able else "cannot be told"
    return FateLimits(
        able,
        f"{words} from a disappearance at {view.interval_s:g} s a frame and {view.photons:.0f} photons: "
        f"ideal AUC {usual:.3f} at {dye.diffusion_um2_s:g} um2/s without dequenching",
        table,
    )


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
