"""What may have become of an exosome at a membrane, each as a model of the light in a patch sequence."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from exovision.events.chemistry import Dye
from exovision.events.sequences import DARK, STILL, PatchSequence, Scenery, resting
from exovision.numerics.release import LOG_D, LOG_GAIN, LOG_N, LOG_TAU, PARAMETERS, SHARE, SPEED, START

Floats = NDArray[np.float64]

HOPELESS = -1e9
"""Log-evidence of a model that cannot be fitted."""
FADE_FRAMES, FADE_SD = 4.0, 0.8
FOCUS_UM_S, FOCUS_SD = 0.25, 0.7
"""Median and spread of the logarithm: e-folding of a slow loss, frames; speed out of focus (P)."""
HALF, HALF_SD = 0.5, 0.12
"""Share of the dye in the outer leaflet."""
PLATEAU_GAIN, PLATEAU_SD = 2.0, 0.6
DIM_GAIN, DIM_SD = 0.25, 0.6
LEAST_GAIN = 0.8
"""Dye that thins out in a membrane does not dim, up to an error in the photons before."""
REACH_SD = 3.0
"""Parameters stay within so many standard deviations of their priors."""


@dataclass(frozen=True)
class Hypothesis:
    """One model.

    Attributes
    ----------
    name : str
    free : tuple of int
        Free parameters besides the photons before the change.
    fixed : mapping of int to float
        Values of the others where they differ from a spot at rest.
    spreads : bool
        Whether its light depends on how the membrane is seen.
    """

    name: str
    free: tuple[int, ...]
    fixed: Mapping[int, float]
    spreads: bool = False


HYPOTHESES: Mapping[str, Hypothesis] = {
    h.name: h
    for h in (
        Hypothesis("stays", (), {}),
        Hypothesis("gone", (START,), {SHARE: 1.0, LOG_GAIN: DARK, LOG_TAU: STILL}),
        Hypothesis("fades", (START, LOG_TAU), {SHARE: 1.0, LOG_GAIN: DARK}),
        Hypothesis("defocuses", (START, SPEED), {SPEED: 1.0}),
        Hypothesis("brightens", (START, LOG_GAIN, LOG_TAU), {SHARE: 1.0, LOG_GAIN: 0.7}),
        Hypothesis("dims", (START, LOG_GAIN, LOG_TAU), {SHARE: 1.0, LOG_GAIN: -1.4}),
        Hypothesis("spreads", (START, LOG_D, LOG_GAIN, LOG_TAU), {SHARE: 1.0}, spreads=True),
        Hypothesis("half_spreads", (START, LOG_D, LOG_GAIN, LOG_TAU, SHARE), {SHARE: HALF}, spreads=True),
    )
}


@dataclass(frozen=True)
class Fit:
    """How well one hypothesis explains a patch sequence.

    Attributes
    ----------
    name : str
    edge : bool
        Whether the membrane is taken as seen edge-on.
    theta : ndarray of shape (7,)
    log_likelihood, log_evidence : float
        At the maximum, and averaged over the prior (Laplace).
    """

    name: str
    edge: bool
    theta: Floats
    log_likelihood: float
    log_evidence: float


@dataclass(frozen=True)
class Priors:
    """Normal priors, bounds and fixed numbers of one patch sequence; arrays by parameter."""

    mean: Floats
    precision: Floats
    lowest: Floats
    highest: Floats


def priors(
    hypothesis: Hypothesis, patch: PatchSequence, scenery: Scenery, dye: Dye, pixel_size_um: float
) -> Priors:
    """Return what is known of a hypothesis' parameters before looking at the change."""
    mean, sd = np.zeros(PARAMETERS), np.full(PARAMETERS, 1.0)
    mean[LOG_D], sd[LOG_D] = np.log(dye.diffusion_um2_s / pixel_size_um**2), dye.diffusion_sd
    mean[LOG_GAIN], sd[LOG_GAIN] = np.log(dye.gain), dye.gain_sd
    mean[LOG_TAU], sd[LOG_TAU] = np.log(dye.release_s), dye.release_sd
    mean[SHARE], sd[SHARE] = HALF, HALF_SD
    mean[SPEED], sd[SPEED] = FOCUS_UM_S / pixel_size_um, FOCUS_SD * FOCUS_UM_S / pixel_size_um
    mean[LOG_N], sd[LOG_N] = np.log(scenery.n), 1.0
    if hypothesis.name == "fades":
        mean[LOG_TAU], sd[LOG_TAU] = np.log(FADE_FRAMES * patch.interval_s), FADE_SD
    if hypothesis.name in ("brightens", "dims"):
        mean[LOG_TAU] = np.log(patch.interval_s)
        gain = (PLATEAU_GAIN, PLATEAU_SD) if hypothesis.name == "brightens" else (DIM_GAIN, DIM_SD)
        mean[LOG_GAIN], sd[LOG_GAIN] = np.log(gain[0]), gain[1]
    lowest, highest = mean - REACH_SD * sd, mean + REACH_SD * sd
    lowest[LOG_TAU] = min(np.log(0.01), lowest[LOG_TAU])
    if hypothesis.name == "fades":
        lowest[LOG_TAU] = np.log(0.7 * patch.interval_s)
    lowest[SPEED], lowest[SHARE], highest[SHARE] = 0.0, 0.2, 0.8
    if hypothesis.name == "brightens":
        lowest[LOG_GAIN] = np.log(1.15)
    if hypothesis.name == "dims":
        highest[LOG_GAIN] = np.log(0.85)
    if hypothesis.spreads:
        lowest[LOG_GAIN] = np.log(LEAST_GAIN)
    lowest[START], highest[START] = window(patch)
    precision = np.zeros(PARAMETERS)
    known = [*(p for p in hypothesis.free if p != START), LOG_N]
    precision[known] = 1 / sd[known] ** 2
    return Priors(mean, precision, lowest, highest)


def window(patch: PatchSequence) -> tuple[float, float]:
    """Return between which times the change may begin."""
    return float(patch.times_s[patch.before - 1]), float(patch.times_s[patch.latest])


def base(hypothesis: Hypothesis, scenery: Scenery) -> Floats:
    """Return the parameters of a hypothesis whose free ones are those of a spot at rest."""
    theta = resting()
    theta[LOG_N] = np.log(scenery.n)
    for parameter, value in hypothesis.fixed.items():
        theta[parameter] = value
    return theta
