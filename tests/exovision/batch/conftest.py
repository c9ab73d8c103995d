"""Small jobs that are really analysed: noise in three movies, and a file that is none."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import tifffile

from exovision.batch.jobs import Job, ReadingOptions, plan
from exovision.settings import Settings


def make_jobs(folder: Path, seed: int) -> list[Job]:
    """Write movies a, b and c and the broken d into a folder; return their jobs."""
    rng = np.random.default_rng(seed)
    for name in ("a", "b", "c"):
        frames = rng.poisson(100, (3, 1, 48, 48)).astype(np.uint16)
        tifffile.imwrite(folder / f"{name}.tif", frames, imagej=True, metadata={"axes": "TCYX"})
    (folder / "d.tif").write_bytes(b"no image")
    options = ReadingOptions(channels={"exosome": 0}, pixel_size_um=0.1, frame_interval_s=1.0)
    return plan([folder], options, Settings())


@pytest.fixture(scope="session")
def jobs(tmp_path_factory: pytest.TempPathFactory) -> list[Job]:
    return make_jobs(tmp_path_factory.mktemp("in"), 0)


@pytest.fixture
def other_jobs(tmp_path: Path) -> list[Job]:
    """Jobs of the same names on other movies."""
    (tmp_path / "in").mkdir()
    return make_jobs(tmp_path / "in", 1)
