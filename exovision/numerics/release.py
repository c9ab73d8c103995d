"""The light of a spot whose dye is let into a membrane, frame by frame."""

from __future__ import annotations

import math

import numpy as np
from numba import njit
from numpy.typing import NDArray

Floats = NDArray[np.float64]

START, LOG_D, LOG_GAIN, LOG_TAU, SHARE, SPEED, LOG_N = range(7)
"""Parameters: start of the change, s; ln of D, px²/s; ln of the gain; ln of the release time, s; released
share; speed out of focus, px/s; ln of the photons before the change."""
PARAMETERS = 7
SIGMA, SIGMA_Z, NORMAL_Y, NORMAL_X, EXPOSURE, NOISE, LEVEL_PRECISION, AT_ONCE = range(8)
"""Optics: widths of the PSF, lateral and axial, px; unit normal of the membrane; exposure, s; variance of the
read noise; precision of the background of each frame; 1 if the gain is there from the start, as when a pH
changes, and not by dilution."""

NODES = 8
"""Classes of age: the released dye is as many rings."""
TABLE_STEP = 0.5
PIXEL_VARIANCE = 1 / 12
"""A pixel integrates over its square: that adds this variance to a point's image, px²."""
NO_SPREAD = -20.0


@njit(cache=True, fastmath=True)
def _spot(out: Floats, y: float, x: float, variance: float, total: float) -> None:
    """Add a round spot to an image of shape (P, P) whose centre is (0, 0)."""
    size = out.shape[0]
    middle = size // 2
    scale = -0.5 / variance
    height = -scale / math.pi * total
    columns = np.empty(size)
    for j in range(size):
        columns[j] = math.exp(scale * (j - middle - x) ** 2)
    for i in range(size):
        row = height * math.exp(scale * (i - middle - y) ** 2)
        for j in range(size):
            out[i, j] += row * columns[j]


@njit(cache=True, fastmath=True)
def _add_rings(
    table: Floats, age_s: float, weight: float, d: float, variance: float, depth: float, edge: bool
) -> None:
    """Add dye of one age to the table of brightness over squared distance."""
    wide = variance + 2 * d * age_s
    if edge:
        value = weight / math.sqrt(2 * math.pi * wide) * math.sqrt(depth / (depth + 2 * d * age_s))
    else:
        value = weight / (2 * math.pi * wide)
    ratio = math.exp(-TABLE_STEP / (2 * wide))
    for i in range(table.shape[0]):
        table[i] += value
        value *= ratio


@njit(cache=True, fastmath=True)
def _add_ages(
    table: Floats, after: float, tau: float, light: float, d: float, variance: float, depth: float, edge: bool
) -> None:
    """Add all dye that left in the time `after`, as rings whose age grows by a constant factor."""
    least = max(variance / (8 * d), 1e-6 * after)
    growth = math.log(1 + after / least) / NODES
    low = 0.0
    for node in range(NODES):
        high = least * (math.exp(growth * (node + 1)) - 1) if node < NODES - 1 else after
        width = (high - low) / tau
        part = 1 - math.exp(-width)
        weight = light * math.exp(-(after - high) / tau) * part
        if weight > 1e-12:
            age = high - tau + (high - low) * (1 - part) / part if width > 1e-3 else 0.5 * (low + high)
            _add_rings(table, age, weight, d, variance, depth, edge)
        low = high


@njit(cache=True, fastmath=True)
def _paint(
    out: Floats, table: Floats, y: float, x: float, variance: float, normal: Floats, edge: bool
) -> None:
    """Add the table to an image: by distance on a flat membrane, along the contour on one seen edge-on."""
    size = out.shape[0]
    middle = size // 2
    across = 1 / math.sqrt(2 * math.pi * variance)
    for i in range(size):
        dy = i - middle - y
        for j in range(size):
            dx = j - middle - x
            factor = 1.0
            if edge:
                off = dy * normal[0] + dx * normal[1]
                factor = across * math.exp(-off * off / (2 * variance))
                along = dx * normal[0] - dy * normal[1]
                place = along * along / TABLE_STEP
            else:
                place = (dy * dy + dx * dx) / TABLE_STEP
            cell = min(int(place), table.shape[0] - 2)
            part = place - cell
            out[i, j] += factor * ((1 - part) * table[cell] + part * table[cell + 1])


@njit(cache=True, fastmath=True)
def _shines(left: float, gain: float, at_once: bool) -> float:
    """Return the light of a share of the dye that is still in the vesicle."""
    if at_once:
        return gain * left
    return left * (gain - (gain - 1) * left) if gain > 1 else left


@njit(cache=True, fastmath=True)
def draw_light(
    theta: Floats,
    times_s: Floats,
    centres: Floats,
    optics: Floats,
    edge: bool,
    first: int,
    out: Floats,
) -> None:
    r"""Write the light of one photon before the change, from frame `first` on.

    Parameters
    ----------
    theta : ndarray of shape (7,)
        By `START` to `SPEED`; with an ln of D below -20 the released dye stays on the spot.
    times_s : ndarray of shape (K,)
    centres : ndarray of shape (K, 2)
        Of the spot, px from the middle of the patch.
    optics : ndarray of shape (8,)
        By `SIGMA` to `AT_ONCE`.
    edge : bool
        Whether the membrane is seen edge-on.
    first : int
    out : ndarray of shape (K, P, P)
        Overwritten.

    Notes
    -----
    Dye that quenches itself in proportion to its density shines, with a share f left in the vesicle, with
    :math:`f\,(Q - (Q - 1) f)` of the light before, where Q is the gain; what was released shines with
    :math:`Q (1 - f)`. A gain below 1 is loss on release only.
    """
    sigma, sigma_z, normal = optics[SIGMA], optics[SIGMA_Z], optics[NORMAL_Y : NORMAL_Y + 2]
    at_once = optics[AT_ONCE] > 0
    start, share, speed = theta[START], theta[SHARE], theta[SPEED]
    d, gain, tau = math.exp(theta[LOG_D]), math.exp(theta[LOG_GAIN]), math.exp(theta[LOG_TAU])
    variance = sigma * sigma + PIXEL_VARIANCE
    size = out.shape[1]
    table = np.empty(int(1.6 * size * size / TABLE_STEP) + 2)
    origin = 0
    for k in range(times_s.shape[0]):
        if times_s[k] <= start:
            origin = k
    half = 0.2887 * optics[EXPOSURE]
    for k in range(first, times_s.shape[0]):
        out[k] = 0.0
        table[:] = 0.0
        kept = 0.0
        spreads = False
        for side in (-1.0, 1.0):
            after = times_s[k] + side * half - start
            if after <= 0:
                kept += 0.5
                continue
            released = 1 - math.exp(-after / tau)
            left = 1 - share * released
            if theta[LOG_D] < NO_SPREAD:
                kept += 0.5 * (left + gain * share * released)
                continue
            kept += 0.5 * _shines(left, gain, at_once)
            if share * gain * released > 1e-9:
                spreads = True
                _add_ages(table, after, tau, 0.5 * gain * share, d, variance, sigma_z * sigma_z, edge)
        if kept > 1e-9:
            off = speed * max(times_s[k] - start, 0.0) / sigma_z
            _spot(out[k], centres[k, 0], centres[k, 1], variance * (1 + off * off), kept)
        if spreads:
            _paint(out[k], table, centres[origin, 0], centres[origin, 1], variance, normal, edge)
