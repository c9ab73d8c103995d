"""Uptake: the way inwards from the membrane, with the change of light that shows that it was not beneath."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import median_filter
from scipy.special import expit

from exovision.events.dockings import Docking
from exovision.settings import EventSettings

Floats = NDArray[np.float64]

BEFORE_SPOTS, LEAST_SPOTS, SMOOTH_SPOTS = 15, 6, 5
PRIOR = 0.35
"""Share of docked exosomes that are taken up (SCIENCE, R)."""
RATES_S = np.geomspace(2.0, 60.0, 12)
FLOORS = (0.05, 0.11, 0.2)
"""Decay times, s, and lights left, of dimming in acid that are tried."""
GAINS = np.geomspace(1.5, 10.0, 10)
SCATTER = 0.1
"""Changes of brightness beyond noise."""


def uptake_probability(docking: Docking, change: str, settings: EventSettings) -> float:
    """Return the probability that an exosome was taken up at the end of a docking.

    Parameters
    ----------
    docking : Docking
    change : str
        What the label does in the cell: "dims" in acid, "brightens" by dequenching; empty if nothing.
    settings : EventSettings

    Returns
    -------
    float
        0 without a way inwards below the band of at least `inside_min_frames` spots, or without a label
        that changes: in a flat image depth alone is no evidence.
    """
    track, stop = docking.track, docking.stop
    band = track.band_um(settings)
    inside = np.flatnonzero(track.distance_um[stop:] < -band)
    if not change or len(inside) < max(settings.inside_min_frames, LEAST_SPOTS):
        return 0.0
    outside = track.distance_um[stop:] > band
    if outside.mean() > 0.1:
        return 0.0
    before = track.counts[max(docking.start, stop - BEFORE_SPOTS) : stop]
    after = slice(stop, len(track))
    age = track.times_s[after] - track.times_s[stop - 1]
    ratio = _change(before, track.counts[after], age, change)
    return float(expit(ratio + np.log(PRIOR / (1 - PRIOR))))


def crossing(docking: Docking, settings: EventSettings) -> int:
    """Return the last spot of the track, from the docking's first on, that is not yet inside the band."""
    distance = median_filter(docking.track.distance_um[docking.start :], SMOOTH_SPOTS, mode="nearest")
    outside = np.flatnonzero(~(distance < -settings.band_um))
    return docking.start + (int(outside[-1]) if len(outside) else 0)


def _change(before: Floats, after: Floats, age_s: Floats, change: str) -> float:
    """Return the log-likelihood ratio of changing against steady brightness, averaged over the ways tried."""
    level = float(np.median(before))
    noise = max(1.4826 * float(np.median(np.abs(before - level))), SCATTER * level, 1e-9)
    steady = _misfit(after, np.full(len(after), level), noise)
    if change == "dims":
        shapes = [floor + (1 - floor) * np.exp(-age_s / tau) for tau in RATES_S for floor in FLOORS]
    else:
        begins = np.quantile(age_s, (0.0, 0.2, 0.4, 0.6))
        shapes = [1 + (gain - 1) * (age_s > begin) for gain in GAINS for begin in begins]
    ratios = np.array([_misfit(after, level * shape, noise) - steady for shape in shapes])
    top = float(ratios.max())
    return top + float(np.log(np.mean(np.exp(ratios - top))))


def _misfit(values: Floats, expected: Floats, noise: float) -> float:
    """Return a log-likelihood that single wrong values cannot decide (Student's t with 3 degrees)."""
    return float(-2 * np.sum(np.log1p(((values - expected) / noise) ** 2 / 3)))
