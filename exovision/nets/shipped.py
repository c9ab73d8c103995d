"""Which weights files the settings call for; nothing is loaded, torch is not needed."""

from __future__ import annotations

import hashlib
from pathlib import Path

import exovision_models

from exovision.errors import InputError
from exovision.nets.cellpose_files import find_model
from exovision.settings import CellSettings, DeathSettings, EventSettings, ExosomeSettings, Settings, Stage

NETWORK_SUFFIX = ".safetensors"
"""Of networks; coefficients of the spot model are JSON, and weigh what the shipped network says."""

SHIPPED: dict[type[Stage], str] = {
    CellSettings: "cells_embedded",
    DeathSettings: "death_embedded",
    EventSettings: "events_embedded",
    ExosomeSettings: "spots_embedded",
}


def weights_file(settings: CellSettings | DeathSettings | EventSettings) -> Path:
    """Return the weights file of a stage's network: the user's own, else the shipped one.

    Raises
    ------
    InputError
        If the shipped file is missing or damaged, or a Cellpose model is named that is not there.
    """
    if isinstance(settings, CellSettings) and settings.segmenter == "cellpose":
        return find_model(settings.weights)
    if settings.weights is not None:
        return Path(settings.weights)
    return shipped_file(type(settings))


def shipped_file(stage: type[Stage]) -> Path:
    """Return the weights file of a stage's network that comes with exovision.

    Raises
    ------
    InputError
        If it is missing or damaged.
    """
    try:
        return exovision_models.weights(SHIPPED[stage])
    except (exovision_models.WeightsError, OSError) as error:
        raise InputError(f"the weights that ship with exovision are needed: {error}") from error


def weights_used(settings: Settings, *, labels: bool = False) -> dict[str, str]:
    """Return the name and SHA-256 of every trained model that these settings use, for the record of a run.

    Parameters
    ----------
    settings : Settings
    labels : bool
        Whether label images are given, so that no network finds cells.

    Raises
    ------
    InputError
        If a file cannot be read.
    """
    finds = settings.cells.segmenter != "labels" and not labels
    paths = [weights_file(settings.cells)] if finds else []
    own = [] if settings.exosomes.weights is None else [Path(settings.exosomes.weights)]
    paths += own if own and own[0].suffix == NETWORK_SUFFIX else [shipped_file(ExosomeSettings), *own]
    paths += [weights_file(settings.death)] if settings.death.morphology == "embedded" else []
    paths += [weights_file(settings.events)] if settings.events.network == "embedded" else []
    return {path.stem: _digest(path) for path in paths}


def _digest(path: Path) -> str:
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise InputError(f"{path}: weights must be readable, got: {error.strerror or error}") from error
