"""Movies whose every plane says which one it is."""

from __future__ import annotations

import importlib.util
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest


@pytest.fixture
def numbered() -> Callable[..., np.ndarray]:
    """Give (T, C, Z, Y, X) pixels of value 100 t + 10 c + z + 1, in the axes asked for."""

    def make(t: int = 1, c: int = 1, z: int = 1, size: tuple[int, int] = (12, 16)) -> np.ndarray:
        value = 100 * np.arange(t)[:, None, None] + 10 * np.arange(c)[:, None] + np.arange(z) + 1
        return np.broadcast_to(value[..., None, None], (t, c, z, *size)).astype(np.uint16)

    return make


@pytest.fixture(scope="session")
def vendor() -> ModuleType:
    """Give the writers of vendor files; see `vendor_files.py`."""
    return beside("vendor_files")


@pytest.fixture(scope="session")
def zarrs() -> ModuleType:
    """Give the writers of OME-Zarr images and plates; see `zarr_files.py`."""
    return beside("zarr_files")


def beside(name: str) -> ModuleType:
    """Import a module of helpers that lies beside this file."""
    spec = importlib.util.spec_from_file_location(name, Path(__file__).with_name(f"{name}.py"))
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module
