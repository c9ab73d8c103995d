"""Which weights files the settings call for; nothing is loaded, torch is not needed."""

from __future__ import annotations

import hashlib
from pathlib import Path

import exovision_models

from exovision.errors import InputError
from exovision.settings import CellSettings

CELLS = "cells_embedded"


def cell_weights(settings: CellSettings) -> Path:
    """Return the weights file of the embedded segmenter: the user's own, else the shipped one.

    Raises
    ------
    InputError
        If the shipped file is missing or damaged.
    """
    if settings.weights is not None:
        return Path(settings.weights)
    try:
        return exovision_models.weights(CELLS)
    except (exovision_models.WeightsError, OSError) as error:
        raise InputError(f"the weights that ship with exovision are needed: {error}") from error


def weights_used(settings: CellSettings) -> dict[str, str]:
    """Return the name and SHA-256 of every network that these settings use, for the record of a run.

    Raises
    ------
    InputError
        If a file cannot be read.
    """
    if settings.segmenter != "embedded":
        return {}
    path = cell_weights(settings)
    try:
        return {path.stem: hashlib.sha256(path.read_bytes()).hexdigest()}
    except OSError as error:
        raise InputError(f"{path}: weights must be readable, got: {error.strerror or error}") from error
