"""The probability that a fitted peak is a spot of light the width of the PSF."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from exovision.errors import InputError
from exovision.exosomes.camera import Camera
from exovision.exosomes.spot_finder import Found
from exovision.files import write_text
from exovision.numerics.neighbours import pairs_within
from exovision.numerics.spot_evidence import LONG_Z, LOOK_SIDE, TOTAL_SE, WIDTH, WIDTH_SE, WIDTH_Z
from exovision.numerics.spot_fits import BACKGROUND, TOTAL, X, Y

Floats = NDArray[np.float64]

MODEL = "spot probability"

COEFFICIENTS: tuple[float, ...] = (0.7, 1.0, -20.0, -8.0)
"""Of the features. Chosen on frames of a simulated scene and of the benchmark's conditions and, for the
widths, on a picture of beads: the network learned from pictures of all kinds and is too doubtful of ordinary
ones."""

WIDTH_TOLERANCE = 0.18
"""Relative deviation from the PSF's width that is natural: aggregates, focus, motion blur."""

WIDTH_SES = 2.0
"""Standard errors of the width that are noise."""

NARROW_SE = 0.3
"""A hot pixel's fit has no meaningful error; a spot as wide as the PSF errs by no more than this."""

LOGIT_CAP = 8.0
WIDTH_CAP = 2.0
PEAK_ERROR, WIDTH_ERROR = 0.08, 0.1
"""How exactly the shape of the PSF is known, relative to a spot's peak, and its width."""

MOST_SIGNIFICANCE = 40.0
"""Standard errors of a spot's light; brighter spots look alike."""

COMPANY_SIGMAS = 12.0
"""How far the company of a spot reaches, widths of the PSF."""

MEASURES = 11


def describe(found: Found, *, camera: Camera, sigma_px: float, area_px: float) -> NDArray[np.float32]:
    """Return what the network is told of the spots of one frame.

    Parameters
    ----------
    found : Found
        All fitted peaks of the frame, shape (M,).
    camera : Camera
        Its read noise counts.
    sigma_px : float
        Standard deviation of the PSF, px.
    area_px : float
        Of the frame, px².

    Returns
    -------
    ndarray of shape (M, K * S * S + MEASURES)
        The looks of each, then significance, width and its error, excess width and length in standard errors,
        background and PSF, then what the frame holds: the density of peaks and the median and 90 % quantile
        of their significance; each brought to the order of one.

    Notes
    -----
    The error of the model PSF counts as noise: all that is told of a bright spot is relative to its peak.
    """
    spots, evidence = found.spots, found.evidence
    told = np.empty((len(spots), inputs(found.looks.shape[1])), dtype=np.float32)
    if not len(spots):
        return told
    middle = found.looks.shape[-1] // 2
    doubt = np.hypot(1.0, PEAK_ERROR * np.maximum(found.looks[:, 0, middle, middle], 0.0))
    seen = found.looks / doubt[:, None, None, None]
    told[:, :-MEASURES] = (seen / (2 + np.abs(seen) / 4)).reshape(len(spots), -1)
    light = np.clip(spots[:, TOTAL] / evidence[:, TOTAL_SE], 0.1, MOST_SIGNIFICANCE)
    significance = np.log(light) - 2
    width_z = evidence[:, WIDTH_Z] / np.hypot(1.0, WIDTH_ERROR / evidence[:, WIDTH_SE])
    ones = np.ones(len(spots))
    measures = (
        significance,
        3 * np.log(np.clip(evidence[:, WIDTH] / sigma_px, 0.2, 5.0)),
        np.log(np.clip(evidence[:, WIDTH_SE], 0.03, 3.0)) + 2,
        np.arcsinh(np.clip(width_z, -1e3, 1e3)),
        np.arcsinh(np.clip(evidence[:, LONG_Z] / doubt, 0, 1e3)),
        np.log(np.clip(spots[:, BACKGROUND] + camera.read_noise_photons**2, 0.1, 1e6)) - 2,
        ones * (2 * np.log(sigma_px) - 1),
        _company(found, sigma_px),
        *(ones * value for value in _context(found, significance, sigma_px**2 / area_px)),
    )
    told[:, -MEASURES:] = np.column_stack(measures)
    return told


def _company(found: Found, sigma_px: float) -> Floats:
    """Return the logarithm of how many probable spots are around each, or of how many peaks."""
    peaks, places = found.promise, found.spots[:, [Y, X]]
    peaks = peaks if len(peaks) else np.column_stack([places, np.ones((len(places), 2))])
    reach = np.full(len(places), COMPANY_SIGMAS * sigma_px)
    rows, columns = pairs_within(np.ascontiguousarray(places), np.ascontiguousarray(peaks[:, :2]), reach)
    company: Floats = np.log(0.3 + np.bincount(rows, weights=peaks[columns, 3], minlength=len(places)))
    return company


def _context(found: Found, significance: Floats, share: float) -> tuple[float, float, float]:
    """Return what the frame holds: density, and mean and spread of the significance of probable spots."""
    if not len(found.promise):
        middle, high = np.quantile(significance, [0.5, 0.9])
        return float(np.log(len(significance) * share) / 2 + 3), float(middle), float(high)
    light, chance = found.promise[:, 2:].T
    level, weight = np.log(np.clip(light, 0.1, MOST_SIGNIFICANCE)) - 2, chance + 1e-6
    mean = float(np.average(level, weights=weight))
    spread = float(np.sqrt(np.average((level - mean) ** 2, weights=weight)))
    return float(np.log((chance.sum() + 0.5) * share) / 2 + 3), mean, 2 * spread


def inputs(kinds: int) -> int:
    """Return how many numbers the network is told of a spot that is looked at in one or two ways."""
    return kinds * LOOK_SIDE**2 + MEASURES


def features(logit: Floats, width_ratio: Floats, width_se: Floats) -> Floats:
    """Return the regressors of the logistic model.

    Parameters
    ----------
    logit : ndarray of shape (M,)
        What the network says.
    width_ratio : ndarray of shape (M,)
        Freely fitted width over the PSF's.
    width_se : ndarray of shape (M,)
        Relative standard error of that width.

    Returns
    -------
    ndarray of shape (M, 4)
        1, the capped logit, and by how much the spot is too narrow and too wide (log ratio beyond what
        noise and tolerance explain).
    """
    deviation = np.log(np.maximum(width_ratio, 1e-3))
    narrow, wide = (
        np.hypot(WIDTH_TOLERANCE, WIDTH_SES * np.minimum(width_se, most)) for most in (NARROW_SE, 1.0)
    )
    return np.column_stack(
        [
            np.ones_like(logit),
            np.clip(logit, -LOGIT_CAP, LOGIT_CAP),
            np.clip(-deviation - narrow, 0.0, WIDTH_CAP),
            np.clip(deviation - wide, 0.0, WIDTH_CAP),
        ]
    )


def probability(
    logit: Floats,
    width_ratio: Floats,
    width_se: Floats,
    *,
    coefficients: Sequence[float] = COEFFICIENTS,
) -> Floats:
    """Return the calibrated probability of each fitted peak, shape (M,); parameters as in `features`."""
    return sigmoid(features(logit, width_ratio, width_se) @ np.array(coefficients))


def sigmoid(logit: NDArray[np.floating]) -> Floats:
    """Return the probability of a logit, of the same shape."""
    result: Floats = 1 / (1 + np.exp(-np.clip(logit, -30, 30, dtype=np.float64)))
    return result


def write_model(path: Path, coefficients: Sequence[float], facts: Mapping[str, Any]) -> None:
    """Write the coefficients of the logistic model, and how they came about, as JSON.

    Raises
    ------
    OutputError
        If the file cannot be written.
    """
    record = {"model": MODEL, "coefficients": [float(one) for one in coefficients], **facts}
    write_text(json.dumps(record, indent=2) + "\n", path)


def read_model(path: Path | None) -> tuple[float, ...]:
    """Return the coefficients that `write_model` wrote, the shipped ones without a path.

    Raises
    ------
    InputError
        If the file is missing or damaged.
    """
    if path is None:
        return COEFFICIENTS
    try:
        record = json.loads(path.read_text(encoding="utf-8"))
        found = tuple(float(one) for one in record["coefficients"])
        if record["model"] != MODEL or len(found) != len(COEFFICIENTS) or not np.isfinite(found).all():
            raise ValueError(f"{len(COEFFICIENTS)} coefficients of {MODEL} were wanted")
    except (OSError, ValueError, KeyError, TypeError) as error:
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise InputError(
            f"{path}: a spot model as `exovision train spots` writes it was wanted, got: {reason}"
        ) from error
    return found
