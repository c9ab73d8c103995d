"""The probability that a fitted peak is a spot of light the width of the PSF."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from exovision.errors import InputError
from exovision.files import write_text

Floats = NDArray[np.float64]

MODEL = "spot probability"

COEFFICIENTS: tuple[float, ...] = (-6.5, 2.3, -40.0, -40.0)
"""Chosen on simulated scenes and, for the widths, on a picture of beads: a spot otherwise beyond doubt has a
probability of one half at about 1.4 and 0.7 times the width of the PSF."""

WIDTH_TOLERANCE = 0.18
"""Relative deviation from the PSF's width that is natural: aggregates, focus, motion blur."""

WIDTH_SES = 2.0
"""Standard errors of the width that are noise."""

NARROW_SE = 0.3
"""A hot pixel's fit has no meaningful error; a spot as wide as the PSF errs by no more than this."""

OVER_RIDGE_CAP = 5.0
WIDTH_CAP = 2.0


def features(over_ridge: Floats, width_ratio: Floats, width_se: Floats) -> Floats:
    """Return the regressors of the logistic model.

    Parameters
    ----------
    over_ridge : ndarray of shape (M,)
        Standard deviations by which the spot rises above the best-fitting ridge.
    width_ratio : ndarray of shape (M,)
        Freely fitted width over the PSF's.
    width_se : ndarray of shape (M,)
        Relative standard error of that width.

    Returns
    -------
    ndarray of shape (M, 4)
        1, the capped rise, and by how much the spot is too narrow and too wide (log ratio beyond what
        noise and tolerance explain).
    """
    deviation = np.log(np.maximum(width_ratio, 1e-3))
    narrow, wide = (
        np.hypot(WIDTH_TOLERANCE, WIDTH_SES * np.minimum(width_se, most)) for most in (NARROW_SE, 1.0)
    )
    return np.column_stack(
        [
            np.ones_like(over_ridge),
            np.clip(over_ridge, -2.0, OVER_RIDGE_CAP),
            np.clip(-deviation - narrow, 0.0, WIDTH_CAP),
            np.clip(deviation - wide, 0.0, WIDTH_CAP),
        ]
    )


def probability(
    over_ridge: Floats,
    width_ratio: Floats,
    width_se: Floats,
    *,
    coefficients: Sequence[float] = COEFFICIENTS,
) -> Floats:
    """Return the calibrated probability of each fitted peak, shape (M,); parameters as in `features`."""
    logit = features(over_ridge, width_ratio, width_se) @ np.array(coefficients)
    result: Floats = 1 / (1 + np.exp(-np.clip(logit, -30, 30)))
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
