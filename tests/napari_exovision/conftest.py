"""A small analysed movie, and sessions over it that tests may correct."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from napari_exovision.session import Session


@pytest.fixture(scope="session")
def scene(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a short movie with dockings: movie.ome.tif and truth/."""
    from exovision.simulation.movie import simulate, write
    from exovision.simulation.scene import load_scene

    folder = tmp_path_factory.mktemp("scene")
    tiny = load_scene("tiny")
    longer = tiny.model_copy(update={"imaging": tiny.imaging.model_copy(update={"frames": 16})})
    write(simulate(longer, seed=3), folder)
    return folder


@pytest.fixture(scope="session")
def analysed(scene: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The finished folder of that movie."""
    import exovision

    folder = tmp_path_factory.mktemp("analysed") / "movie"
    exovision.analyse(exovision.read(scene / "movie.ome.tif"), device="cpu").save(folder)
    return folder


@pytest.fixture
def folder(analysed: Path, tmp_path: Path) -> Path:
    """A copy of the finished folder that a test may change."""
    return Path(shutil.copytree(analysed, tmp_path / "out" / "movie"))


@pytest.fixture
def session(folder: Path) -> Session:
    """A session over the copy, signed by Ada."""
    made = Session.open(folder)
    made.who = "Ada"
    return made
