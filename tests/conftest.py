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


@pytest.fixture(scope="session")
def burst(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The results of a short burst in which many dockings end, beside its movie.ome.tif."""
    import exovision
    from exovision.io.labels_source import open_labels
    from exovision.simulation.movie import simulate, write
    from exovision.simulation.scene import load_scene

    folder = tmp_path_factory.mktemp("burst")
    scene = load_scene("fates")
    imaging = scene.imaging.model_copy(update={"frames": 90, "shape_px": (160, 160)})
    cells = scene.cells.model_copy(update={"count": 2})
    exosomes = scene.exosomes.model_copy(update={"dwell_long_s": 3.0, "dockings_per_cell_hour": 6000.0})
    changed = scene.model_copy(update={"imaging": imaging, "cells": cells, "exosomes": exosomes})
    write(simulate(changed, seed=12), folder)
    movie = exovision.read(folder / "movie.ome.tif")
    labels = open_labels(folder / "truth" / "cell_labels.ome.tif", movie)
    settings = exovision.Settings.from_mapping({"events": {"docked_min_s": 1.0, "chemistry": "lipid_dye"}})
    exovision.analyse(movie, settings, labels=labels, device="cpu").save(folder / "out" / "movie")
    return folder / "out"
