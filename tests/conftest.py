"""Small simulated movies that many tests share."""

from __future__ import annotations

import os
import sys
import tempfile
from importlib.util import find_spec
from pathlib import Path

import pytest

NAPARI = all(find_spec(name) for name in ("napari", "pytestqt"))
DISPLAY = sys.platform in ("win32", "darwin") or any(map(os.environ.get, ("DISPLAY", "WAYLAND_DISPLAY")))
collect_ignore = [] if NAPARI else ["napari_exovision"]
collect_ignore += [] if DISPLAY else ["napari_exovision/gui"]
if NAPARI:
    # Tests must neither read nor change the preferences of whoever runs them.
    os.environ["NAPARI_CONFIG"] = str(Path(tempfile.mkdtemp(prefix="exovision-napari-")) / "settings.yaml")


def pytest_report_header() -> str:
    """Say which tests of the plugin are left out, and why."""
    if not NAPARI:
        return "plugin: napari and pytest-qt are not installed, its tests are not collected"
    return "plugin: tested" if DISPLAY else "plugin: no display, tests of its panels are not collected"


@pytest.fixture(scope="session")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the `tiny` scene: movie.ome.tif and truth/."""
    from exovision.simulation.movie import simulate, write
    from exovision.simulation.scene import load_scene

    folder = tmp_path_factory.mktemp("tiny")
    write(simulate(load_scene("tiny"), seed=11), folder)
    return folder
