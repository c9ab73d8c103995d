"""Which weights files the settings call for; nothing is loaded, torch is not needed."""

from __future__ import annotations

import hashlib
from pathlib import Path

import exovision_models

from exovision.errors import InputError
from exovision.settings import Settings

CELLS, SPOTS = "cells_embedded", "spots_embedded"


def shipped_or_own(name: str, own: str | None) -> Path:
    """Return the weights file of a network: the user's own, else the shipped one of this name.

    Raises
    ------
    InputError
        If the shipped file is missing or damaged.
    """
    if own is not None:
        return Path(own)
    try:
        return exovision_models.weights(name)
    except (exovision_models.WeightsError, OSError) as error:
        raise InputError(f"the weights that ship with exovision are needed: {error}") from error


def weights_used(settings: Settings, *, given_labels: bool = False) -> dict[str, str]:
    """Return the name and SHA-256 of every network that these settings use, for the record of a run.

    Parameters
    ----------
    settings : Settings
    given_labels : bool
        Whether label images replace the segmentation.

    Raises
    ------
    InputError
        If a file cannot be read.
    """
    paths = [shipped_or_own(SPOTS, settings.exosomes.weights)]
    if settings.cells.segmenter == "embedded" and not given_labels:
        paths.insert(0, shipped_or_own(CELLS, settings.cells.weights))
    return {path.stem: _digest(path) for path in paths}


def _digest(path: Path) -> str:
    try:
        return hashlib.sha256(path.read_bytes()).hexdigest()
    except OSError as error:
        raise InputError(f"{path}: weights must be readable, got: {error.strerror or error}") from error
