"""The package as a whole: what importing it costs and what it offers."""

from __future__ import annotations

import subprocess
import sys

import pytest

import exovision


def test_importing_exovision_loads_neither_torch_nor_pandas() -> None:
    heavy = ("torch", "pandas", "napari", "cellpose")
    code = f"import sys, exovision; print([name for name in {heavy} if name in sys.modules])"
    answer = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert answer.stdout.strip() == "[]"


def test_every_public_name_can_be_imported() -> None:
    assert all(getattr(exovision, name) is not None for name in exovision.__all__)
    assert len(exovision.__all__) <= 20


def test_an_unknown_name_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="no attribute 'nonsense'"):
        _ = exovision.nonsense
