"""Image analysis for live microscopy of exosomes docking on and fusing with target cells."""

from __future__ import annotations

from importlib import import_module
from typing import Any

__version__ = "0.1.0"

_PLACES = {
    "Movie": "exovision.records",
    "Settings": "exovision.settings",
    "Result": "exovision.result",
    "read": "exovision.io.movies",
    "analyse": "exovision.pipeline",
    "make_study": "exovision.experiment.study",
    "analyse_study": "exovision.experiment.analyse",
    "ExovisionError": "exovision.errors",
}

__all__ = [
    "ExovisionError",
    "Movie",
    "Result",
    "Settings",
    "__version__",
    "analyse",
    "analyse_study",
    "make_study",
    "read",
]


def __getattr__(name: str) -> Any:
    """Import a public name when it is first used, so that `import exovision` stays light."""
    if name not in _PLACES:
        raise AttributeError(f"module 'exovision' has no attribute {name!r}")
    return getattr(import_module(_PLACES[name]), name)
