"""Small simulated scenes of which everything is known."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
import pytest

from exovision.simulation.movie import LIGHT, Backdrop, Simulation
from exovision.simulation.optics import ExosomeLight
from exovision.simulation.scene import Cells, Exosomes, Imaging, Scene
from exovision.simulation.truth import Truth

NOTHING = {
    "free_per_um2": 0.0,
    "stuck_per_um2": 0.0,
    "dye_per_um2": 0.0,
    "dockings_per_cell_hour": 0.0,
    "tethered_per_cell_hour": 0.0,
    "beneath_per_cell": 0.0,
}


@dataclass(frozen=True)
class Played:
    """A simulation that was run: frames (T, Y, X), what lies behind them and the truth's tables."""

    exosomes: np.ndarray
    content: np.ndarray | None
    backdrops: list[Backdrop]
    tables: dict[str, pd.DataFrame]


@pytest.fixture(scope="session")
def dark() -> Callable[..., Scene]:
    """Give a scene of one small cell without vesicles, clouds, shading, drift or bleed, but what is asked."""

    def make(*, imaging: Any = None, cells: Any = None, exosomes: Any = None) -> Scene:
        plain = {
            "shape_px": (64, 64),
            "frames": 4,
            "haze": 0.0,
            "shading": 0.0,
            "drift_um_min": 0.0,
            "bleed": 0.0,
        }
        bare = {"count": 1, "radius_um": 1.5, "margin_radii": -1.6, "lysosomes_per_cell": 0.0}
        return Scene(
            name="dark",
            imaging=Imaging(**{**plain, "drift_um_min": 0.0, **(imaging or {})}),
            cells=Cells(**{**bare, "autofluorescence_photons": 0.0, **(cells or {})}),
            exosomes=Exosomes(**{**NOTHING, **(exosomes or {})}),
        )

    return make


@pytest.fixture(scope="session")
def play() -> Callable[[Simulation], Played]:
    """Run a simulation in memory."""

    def run(simulation: Simulation) -> Played:
        light = ExosomeLight(np.random.default_rng([simulation.seed, LIGHT]), simulation.scene)
        truth = Truth(simulation.scene, light, simulation.cell_ids)
        made = list(simulation.frames(truth, light))
        exosomes, content = (
            np.stack([images[role] for _, images in made]) if role in simulation.vesicle_roles else None
            for role in ("exosome", "content")
        )
        return Played(exosomes, content, [back for back, _ in made], truth.tables())

    return run
