"""Small simulated movies that many tests share."""

from __future__ import annotations

from pathlib import Path

import pytest


@pytest.fixture(scope="session")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the `tiny` scene: movie.ome.tif and truth/."""
    from exovision.simulation.movie import simulate, write
    from exovision.simulation.scene import load_scene

    folder = tmp_path_factory.mktemp("tiny")
    write(simulate(load_scene("tiny"), seed=11), folder)
    return folder
