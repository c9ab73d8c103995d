"""Small experiments with known truth, as tables."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
import pytest

from exovision.experiment.study import Study, make_study
from exovision.simulation.studies import simulate_study
from exovision.simulation.study_plan import Arm, StudyPlan


def study_of(plan: StudyPlan, seed: int) -> Study:
    """The tables of a simulated experiment."""
    tables = simulate_study(plan, seed=seed)
    return make_study(tables.movies, fates=tables.fates, events=tables.events, cells=tables.cells)


def by_hand(
    cells: list[tuple[str, float, float, str]],
    hits: list[tuple[int, float]],
    *,
    movies: pd.DataFrame | None = None,
    kinds: list[str] | None = None,
) -> Study:
    """A study from (movie, first, last or onset, exit) of cells and (cell, time) of dockings, hours."""
    names = [movie for movie, *_ in cells]
    fates = pd.DataFrame(
        {
            "movie": names,
            "cell_id": np.arange(1, len(cells) + 1),
            "entry": "start",
            "exit": [end for *_, end in cells],
            "first_s": [first * 3600 for _, first, _, _ in cells],
            "last_s": [last * 3600 for _, _, last, _ in cells],
            "onset_s": [last * 3600 if end == "died" else np.nan for _, _, last, end in cells],
        }
    )
    events = pd.DataFrame(
        {
            "movie": [names[cell - 1] for cell, _ in hits],
            "cell_id": [cell for cell, _ in hits],
            "exosome_id": np.arange(1, len(hits) + 1),
            "kind": kinds or ["docking"] * len(hits),
            "start_s": [time * 3600 for _, time in hits],
        }
    )
    if movies is None:
        movies = pd.DataFrame({"movie": sorted(set(names)), "condition": "NK"})
    return make_study(movies, fates=fates, events=events, cells=pd.DataFrame())


@pytest.fixture
def make() -> Callable[..., Study]:
    return by_hand


@pytest.fixture
def simulated() -> Callable[..., Study]:
    return study_of


@pytest.fixture(scope="session")
def killing() -> Study:
    """Two conditions of six wells in three donors: NK exosomes kill, dye does not."""
    arms = (
        Arm("NK exosomes", docking_hr=1.5, fusion_share=0.2, fusion_hr=2.5, unresolved_share=0.3),
        Arm("dye", source="none", control="dye_only", docking_per_h=0.3, unresolved_share=0.3),
    )
    return study_of(StudyPlan(arms=arms, late=0.2, lost_per_h=0.01, sights_every=6), 5)


@pytest.fixture(scope="session")
def settings_of() -> Any:
    from exovision.settings import ExperimentSettings

    return lambda **changes: ExperimentSettings(null_draws=changes.pop("null_draws", 0), **changes)
