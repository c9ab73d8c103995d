"""Is this installation fit to work? One check per line."""

from __future__ import annotations

import os
import platform
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version

import exovision

PACKAGES = ("torch", "cellpose", "scikit-image", "numpy", "pandas", "tifffile", "numba")


@dataclass(frozen=True)
class Check:
    """One finding.

    Attributes
    ----------
    name, found : str
        What was looked at and what was there.
    passed : bool
        Whether exovision can work with it.
    """

    name: str
    found: str
    passed: bool = True


def examine() -> list[Check]:
    """Return every check, in the order in which a user would want to read them."""
    return [
        Check("exovision", exovision.__version__),
        Check("python", f"{platform.python_version()} on {platform.system()} {platform.machine()}"),
        *(_package(name) for name in PACKAGES),
        _attempt("device", _device),
        _attempt("weights", _weights),
        _attempt("Cellpose models", _cellpose_models),
        _attempt("bundled sample", _sample),
        _attempt("temporary folder", _temporary_folder),
        Check("processors", str(os.cpu_count())),
    ]


def _package(name: str) -> Check:
    try:
        return Check(name, version(name))
    except PackageNotFoundError:
        return Check(name, f"not installed: pip install {name}", passed=False)


def _attempt(name: str, look: Callable[[], str]) -> Check:
    try:
        return Check(name, look())
    except Exception as error:
        return Check(name, " ".join(str(error).split()), passed=False)


def _device() -> str:
    from exovision.nets.device import resolve_device

    return f"{resolve_device('auto')} (what --device auto uses)"


def _weights() -> str:
    import exovision_models

    return ", ".join(f"{name} intact" for name in exovision_models.names() if exovision_models.weights(name))


def _cellpose_models() -> str:
    from exovision.nets.cellpose_files import models_folder, present

    here = ", ".join(present()) or "none of Cellpose's own yet (exovision models fetch cpsam_v2)"
    return f"{here}; folder {models_folder()}"


def _sample() -> str:
    import exovision_samples

    return str(exovision_samples.path("demo").name)


def _temporary_folder() -> str:
    with tempfile.TemporaryFile() as probe:
        probe.write(b"probe")
    return f"{tempfile.gettempdir()} is writable"
