"""Whether an exosome moves with its cell or is fixed to the stage."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import cholesky_banded, solveh_banded

from exovision.events.motion import Track
from exovision.settings import EventSettings

Floats = NDArray[np.float64]

WALKS = (0.0, 1e-4, 1e-3, 1e-2, 1e-1, 1.0)
"""Diffusion coefficients, µm²/s, among which each hypothesis takes its best."""
MIN_LOG_RATIO = 3.0
"""Natural log of the likelihood ratio that decides: about 20 to 1 (P)."""


class Comotion(NamedTuple):
    """The verdict on one track or a part of it.

    Attributes
    ----------
    comoving : bool or None
        True: with the cell; False: fixed to the stage; None: untestable or undecided.
    log_ratio : float
        Log likelihood of moving with the cell less that of staying on the stage.
    extent_um : float
        How far the cell moved meanwhile, µm.
    still : bool
        The stage position is explained without any diffusion faster than 0.001 µm²/s.
    """

    comoving: bool | None
    log_ratio: float
    extent_um: float
    still: bool

    @property
    def stuck(self) -> bool:
        """Fixed to the stage, and resting there."""
        return self.comoving is False and self.still


UNTESTABLE = Comotion(None, 0.0, 0.0, False)


def judge(track: Track, part: slice, settings: EventSettings) -> Comotion:
    """Return the verdict on a part of a track; the cell must move `stuck_sigmas` errors of the distance.

    Moving with the cell means with its centroid, or with the membrane beside the track, whichever suits.
    """
    motions = [track.motion_um]
    if track.membrane_um.any():
        motions.append(track.motion_um + track.membrane_um)
    verdicts = [
        comotion(
            track.stage_um[part],
            motion[part],
            track.times_s[part],
            track.se_um[part],
            least_motion_um=settings.stuck_sigmas * track.distance_error_um(settings),
        )
        for motion in motions
    ]
    return max(verdicts, key=lambda verdict: verdict.log_ratio)


def comotion(
    stage_um: Floats, motion_um: Floats, times_s: Floats, se_um: Floats, *, least_motion_um: float
) -> Comotion:
    r"""Compare moving with the cell against being fixed to the stage.

    Both hypotheses let the exosome diffuse by D and be mislocalised by s, so that its steps are normal with

    .. math:: \mathrm{var} = 2D\delta t_n + s_n^2 + s_{n+1}^2, \qquad
              \mathrm{cov}(\Delta_n, \Delta_{n+1}) = -s_{n+1}^2

    and mean equal to the cell's step, or zero. Each takes the D that suits it best.

    Parameters
    ----------
    stage_um : ndarray of shape (N, 2)
        Stage positions without drift, µm.
    motion_um : ndarray of shape (N, 2)
        Smoothed position of the cell at the same times, µm.
    times_s : ndarray of shape (N,)
    se_um : ndarray of shape (N,)
        Standard errors per coordinate, µm.
    least_motion_um : float
        A cell that moves less cannot be told from one at rest, µm.

    Returns
    -------
    Comotion

    Notes
    -----
    A vesicle that diffuses along the membrane farther than the
    cell moves is undecided, never called fixed.
    """
    if len(times_s) < 3:
        return UNTESTABLE
    extent = float(np.linalg.norm(np.ptp(motion_um, axis=0)))
    steps = np.diff(stage_um, axis=0)
    both = np.stack([steps - np.diff(motion_um, axis=0), steps], axis=2).reshape(len(steps), 4)
    scores = np.array([_log_likelihoods(both, np.diff(times_s), se_um, d) for d in WALKS])
    ratio = float(scores[:, 0].max() - scores[:, 1].max())
    still = bool(WALKS[int(scores[:, 1].argmax())] <= 1e-3)
    verdict = ratio > 0 if abs(ratio) >= MIN_LOG_RATIO and extent > least_motion_um else None
    return Comotion(verdict, ratio, extent, still)


def _log_likelihoods(both: Floats, waits_s: Floats, se_um: Floats, d_um2_s: float) -> tuple[float, float]:
    """Return log likelihoods of moving and of staying; columns are (y cell, y stage, x cell, x stage)."""
    variance = np.maximum(se_um, 1e-4) ** 2
    bands = np.zeros((2, len(waits_s)))
    bands[1] = 2 * d_um2_s * waits_s + variance[1:] + variance[:-1]
    bands[0, 1:] = -variance[1:-1]
    log_det = 2 * float(np.sum(np.log(cholesky_banded(bands)[1])))
    squares = np.sum(both * solveh_banded(bands, both), axis=0)
    moving, staying = squares[0] + squares[2], squares[1] + squares[3]
    return -0.5 * float(moving) - log_det, -0.5 * float(staying) - log_det
