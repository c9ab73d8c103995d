"""Tables of cells that live, divide and die at known times, with and without each sign."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pandas as pd
import pytest

from exovision import schema

SEEN = {
    "live": (0.94, 0.03, 0.01, 0.01, 0.01),
    "mitotic": (0.15, 0.8, 0.03, 0.01, 0.01),
    "early": (0.5, 0.05, 0.4, 0.04, 0.01),
    "apoptotic": (0.02, 0.02, 0.9, 0.03, 0.03),
    "lytic": (0.05, 0.02, 0.05, 0.85, 0.03),
    "debris": (0.02, 0.02, 0.05, 0.05, 0.86),
}
CLASSES = ("p_live", "p_mitotic", "p_apoptotic", "p_lytic", "p_debris")
INTERVAL_S = 240.0


@pytest.fixture
def cell() -> Callable[..., pd.DataFrame]:
    """Give one cell's rows: looks as a list of (state, frames), stains from a frame on, noise by seed."""

    def make(
        cell_id: int,
        looks: list[tuple[str, int]],
        *,
        stains: dict[str, int | None] | None = None,
        judged: bool = True,
        times_s: np.ndarray | None = None,
    ) -> pd.DataFrame:
        rng = np.random.default_rng(cell_id)
        states = [state for state, n in looks for _ in range(n)]
        n = len(states)
        times = INTERVAL_S * np.arange(n) if times_s is None else times_s
        shrunk = np.array([0.6 if state == "apoptotic" else 1.0 for state in states])
        table = {
            "frame": np.arange(n),
            "time_s": times,
            "cell_id": cell_id,
            "y_um": 20.0 * cell_id,
            "x_um": 20.0,
            "area_um2": 200 * shrunk * np.exp(rng.normal(0, 0.02, n)),
            "touches_border": False,
        }
        for role, start in (stains or {}).items():
            on = np.zeros(n) if start is None else (np.arange(n) >= start).astype(float)
            table[f"mean_{role}"] = 100 + 40 * on + rng.normal(0, 0.5, n)
        if judged:
            looked = np.array([SEEN[state] for state in states])
            table |= dict(zip(CLASSES, looked.T))
        return schema.conform(pd.DataFrame(table), schema.CELLS)

    return make


@pytest.fixture
def tracks() -> Callable[[pd.DataFrame], pd.DataFrame]:
    """Give the fates that tracking would know of some cells."""

    def make(cells: pd.DataFrame) -> pd.DataFrame:
        rows = cells.groupby("cell_id", as_index=False).agg(
            first_frame=("frame", "min"), last_frame=("frame", "max")
        )
        return schema.conform(rows.assign(entry="start", exit="movie_end"), schema.FATES)

    return make
