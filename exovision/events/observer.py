"""How well anybody could tell a fusion from a spot that just disappears, given light and timing."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtr

from exovision.events.chemistry import Dye
from exovision.events.sequences import DARK, STILL, resting
from exovision.numerics.release import LOG_D, LOG_GAIN, LOG_TAU, SHARE, START, draw_light

Floats = NDArray[np.float64]

RADIUS_PX = 30
FRAMES = 12
"""Frames after the change; what comes later adds nothing."""
PHASES = (0.5, 1.0)
"""Where between two frames the change may begin."""


@dataclass(frozen=True)
class View:
    """What the camera sees of one exosome.

    Attributes
    ----------
    photons, background : float
        Of the spot per frame, and per pixel.
    read_noise : float
        Photo-electrons rms.
    sigma_px, sigma_z_px : float
        Of the PSF.
    pixel_size_um, interval_s, exposure_s : float
    """

    photons: float
    background: float
    read_noise: float
    sigma_px: float
    sigma_z_px: float
    pixel_size_um: float
    interval_s: float
    exposure_s: float


def fusion_auc(
    view: View,
    *,
    diffusion_um2_s: float,
    gain: float,
    release_s: float = 0.0,
    share: float = 1.0,
    edge: bool = False,
    at_once: bool = False,
    phases: Sequence[float] = PHASES,
) -> float:
    r"""Return the area under the ROC curve of the ideal test of fusion against disappearance.

    The test is the likelihood ratio of all pixels with everything known but which of the two it was. Its
    logarithm is nearly normal, so that

    .. math:: \mathrm{AUC} = \Phi\Big(\frac{J}{\sqrt{v_f + v_g}}\Big), \quad
        J = \sum(\mu_f - \mu_g)\ln\frac{\mu_f}{\mu_g}, \quad v_i = \sum\mu_i\ln^2\frac{\mu_f}{\mu_g}

    where μ are the photons expected of fusion and of a disappearance, plus the variance of the read noise.

    Parameters
    ----------
    view : View
    diffusion_um2_s, gain, release_s, share : float
        Of the label: D in the membrane, brightness after dequenching, release time, share that spreads.
    edge : bool
        Whether the membrane is seen edge-on.
    at_once : bool
        As in `exovision.numerics.release.draw_light`.
    phases : sequence of float
        Where between two frames it begins, over which the area is averaged.

    Returns
    -------
    float
        0.5 (no difference) to 1: an upper bound for any method.
    """
    theta = resting()
    theta[[LOG_GAIN, SHARE]] = np.log(gain), share
    theta[LOG_D] = np.log(diffusion_um2_s / view.pixel_size_um**2)
    theta[LOG_TAU] = np.log(release_s) if release_s > 0 else STILL
    gone = theta.copy()
    gone[[LOG_GAIN, LOG_TAU]] = DARK, STILL
    found = []
    for phase in phases:
        theta[START] = gone[START] = -phase * view.interval_s
        expected = [
            view.photons * _light(view, course, edge, at_once) + view.background + view.read_noise**2
            for course in (theta, gone)
        ]
        ratio = np.log(expected[0] / expected[1])
        apart = float(np.sum((expected[0] - expected[1]) * ratio))
        spread = float(np.sum((expected[0] + expected[1]) * ratio**2))
        found.append(float(ndtr(apart / np.sqrt(spread))) if spread > 0 else 0.5)
    return float(np.mean(found))


def _light(view: View, theta: Floats, edge: bool, at_once: bool) -> Floats:
    size = 2 * RADIUS_PX + 1
    times = view.interval_s * np.arange(FRAMES, dtype=np.float64)
    light = np.zeros((FRAMES, size, size))
    exposure = min(view.exposure_s, 0.9 * view.interval_s)
    optics = np.array([view.sigma_px, view.sigma_z_px, 1.0, 0.0, exposure, 0.0, 1.0, float(at_once)])
    draw_light(theta, times, np.zeros((FRAMES, 2)), optics, edge, 0, light)
    return light


def usual_auc(view: View, dye: Dye, *, share: float, edge: bool = False) -> float:
    """Return the area under the curve for the label's usual D and release, without dequenching.

    What one event is fitted with does not count: noise and neighbours are fitted by a slow dye of large gain,
    which would tell anything from anything. Parameters as for `fusion_auc`.
    """
    return fusion_auc(
        view,
        diffusion_um2_s=dye.diffusion_um2_s,
        gain=1.0,
        release_s=dye.release_s,
        share=share,
        edge=edge,
        at_once=dye.at_once,
    )
