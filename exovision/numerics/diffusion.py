"""The diffusion coefficient of one track, corrected for localisation error and motion blur."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.special import chdtri

from exovision.errors import InputError

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

MIN_POSITIONS = 4
MIN_LAGS = 3
MAX_LAGS = 10
POWERS = 0.05, 1.95
"""Exponents for which fractional Brownian motion has a covariance."""


class Diffusion(NamedTuple):
    """How a track moves.

    Attributes
    ----------
    d_um2_s, lo, hi : float
        Diffusion coefficient with its 95 % interval, µm²/s; NaN with fewer than four positions.
    alpha, alpha_lo, alpha_hi : float
        Anomalous exponent of the mean squared displacement with its 95 % interval; NaN where it cannot be
        told.
    """

    d_um2_s: float
    lo: float
    hi: float
    alpha: float
    alpha_lo: float
    alpha_hi: float


UNKNOWN = Diffusion(*(float("nan"),) * 6)


def diffusion(
    y_um: Floats,
    x_um: Floats,
    times_s: Floats,
    se_um: Floats | float,
    exposure_s: float = 0.0,
    *,
    axes: int = 2,
) -> Diffusion:
    r"""Estimate diffusion coefficient and anomalous exponent of one track.

    With displacements :math:`\Delta` over :math:`\delta t`, localisation variance :math:`s^2` and exposure
    :math:`t_e` (:math:`R = t_e / 6\delta t`), per axis

    .. math:: \langle\Delta_n^2\rangle = 2D(\delta t - t_e/3) + 2s^2, \qquad
              \langle\Delta_n\Delta_{n+1}\rangle = D t_e/3 - s^2

    which is solved for D with the given :math:`s^2`, or without it from both moments.

    Parameters
    ----------
    y_um, x_um : ndarray of shape (N,)
        Positions, µm, in the order of time.
    times_s : ndarray of shape (N,)
        Seconds, increasing; missing frames are simply absent.
    se_um : ndarray of shape (N,) or float
        Standard error per coordinate, µm; where one is not finite, the error is estimated from the track.
    exposure_s : float
        Time over which one position is averaged, s.
    axes : int
        2 for diffusion in the image plane; 1 along a curve, such as a membrane seen edge-on: the position
        across it then shows only error, whatever the curve's direction.

    Returns
    -------
    Diffusion
        The estimate is at least 0. The interval takes the mean squared displacement as a scaled chi-squared
        variable whose degrees of freedom follow from its exact variance.

    Raises
    ------
    InputError
        If the arrays differ in length or the times do not increase.

    Notes
    -----
    Directed motion at speed v adds about v²δt/4 to D. The exponent is the log-log slope of the mean squared
    displacement, less its noise, over at most ten lags; NaN when fewer than three lags rise above the noise.
    Its interval follows from the covariance that these would have for fractional Brownian motion of that
    exponent, evenly sampled.

    References
    ----------
    Vestergaard et al. 2014, doi:10.1103/PhysRevE.89.022726; Berglund 2010, doi:10.1103/PhysRevE.82.011917.
    """
    at = np.column_stack([y_um, x_um])
    times = np.asarray(times_s, dtype=np.float64)
    error = np.broadcast_to(np.asarray(se_um, dtype=np.float64), times.shape)
    if len(at) != len(times) or not (np.diff(times) > 0).all():
        raise InputError(
            f"a track needs one increasing time per position, got {len(at)} positions and {len(times)} times"
        )
    if len(times) < MIN_POSITIONS:
        return UNKNOWN
    steps, waits = np.diff(at, axis=0), np.diff(times)
    variance = error**2 if np.isfinite(error).all() else np.full(len(times), _noise(steps, waits, exposure_s))
    sums = variance[1:] + variance[:-1]
    clock = axes * (float(np.mean(waits)) - exposure_s / 3)
    power, noise = float(np.mean(steps**2)), float(np.mean(sums))
    d = max((power - noise) / clock, 0.0)
    dof = _degrees_of_freedom(d, waits, variance, exposure_s, axes)
    lo, hi = ((power * dof / chdtri(dof, tail) - noise) / clock for tail in (0.025, 0.975))
    return Diffusion(d, max(float(lo), 0.0), max(float(hi), 0.0), *_exponent(at, times, variance))


def _noise(steps: Floats, waits: Floats, exposure_s: float) -> float:
    """Return the localisation variance of a track from both moments of its displacements, µm²."""
    power, product = float(np.mean(steps**2)), float(np.mean(steps[1:] * steps[:-1]))
    d = max((power + 2 * product) / (2 * float(np.mean(waits))), 0.0)
    return max(d * exposure_s / 3 - product, 0.0)


def _degrees_of_freedom(d: float, waits: Floats, variance: Floats, exposure_s: float, axes: int) -> float:
    """Return the effective degrees of freedom of the mean squared displacement over both axes."""
    total = spread = 0.0
    for axis in range(2):
        rate = d if axis < axes else 0.0
        diagonal = 2 * rate * (waits - exposure_s / 3) + variance[1:] + variance[:-1]
        beside = rate * exposure_s / 3 - variance[1:-1]
        total += float(np.sum(diagonal))
        spread += float(np.sum(diagonal**2) + 2 * np.sum(beside**2))
    return total**2 / spread if spread > 0 else float(axes * len(waits))


def _exponent(at: Floats, times: Floats, variance: Floats) -> tuple[float, float, float]:
    """Return the slope of log mean squared displacement against log lag and its interval, NaN if untold."""
    lags = np.arange(1, min(MAX_LAGS, len(times) // 3) + 1)
    delays = np.array([np.mean(times[k:] - times[:-k]) for k in lags])
    squared = np.array(
        [np.mean(np.sum((at[k:] - at[:-k]) ** 2, axis=1) - 2 * (variance[k:] + variance[:-k])) for k in lags]
    )
    usable = squared > 0
    if usable.sum() < MIN_LAGS:
        return (float("nan"),) * 3
    lags, away = lags[usable], np.log(delays[usable]) - np.log(delays[usable]).mean()
    weights = away / np.sum(away**2)
    alpha = float(weights @ np.log(squared[usable]))
    power = float(np.clip(alpha, *POWERS))
    rate = float(np.exp(np.mean(np.log(squared[usable]) - power * np.log(lags))))
    share = weights / (rate * lags**power)
    spread = _squares_covariance(lags, len(times), power, rate / 2, float(np.mean(variance)))
    half = 1.96 * float(np.sqrt(share @ spread @ share))
    return alpha, alpha - half, alpha + half


def _squares_covariance(lags: Ints, count: int, power: float, rate: float, variance: float) -> Floats:
    r"""Return the covariance of the mean squared displacements of one track at some lags, over both axes.

    Displacements over k steps, and over l steps that begin d later, covary per axis by

    .. math:: c = \tfrac{1}{2}\left(V_{|d+l|} + V_{|d-k|} - V_{|d|} - V_{|d+l-k|}\right), \qquad
              V_m = r m^\alpha + 2 s^2\,[m > 0]

    with the rate r and the localisation variance s², and their squares by 2c² (Isserlis 1918,
    doi:10.1093/biomet/12.1-2.134).
    """
    first, second = lags[:, None, None], lags[None, :, None]
    d = np.arange(-lags[-1], lags[-1] + 1)

    def moved(m: Ints) -> Floats:
        m = np.abs(m)
        return np.asarray(rate * m**power + 2 * variance * (m > 0), dtype=np.float64)

    c = (moved(d + second) + moved(d - first) - moved(d) - moved(d + second - first)) / 2
    pairs = np.maximum(np.minimum(count - first, count - second - d) - np.maximum(0, -d), 0)
    total: Floats = 4 * np.sum(pairs * c**2, axis=2) / ((count - lags)[:, None] * (count - lags))
    return total
