"""True states and fates of cells, from the plan of each life and what could be seen of it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from exovision import schema
from exovision.simulation.lives import Life

Floats = NDArray[np.float64]

CLASSES = {
    "live": "p_live",
    "mitotic": "p_mitotic",
    "early_apoptotic": "p_apoptotic",
    "late_apoptotic": "p_apoptotic",
    "secondary_necrotic": "p_apoptotic",
    "lytic": "p_lytic",
    "debris": "p_debris",
}
"""The classifier's class of each state."""
LEAST_EXECUTION, LEAST_FRAMES, LARGEST_CUT = 0.5, 3, 0.5
"""A death is optional if less than this part of its execution, or fewer frames, were in view, or if the cell
was cut by the border in more than this share of the frames from its onset on."""


def state_columns(lives: Sequence[Life], rows: NDArray[np.int64], time_s: float) -> dict[str, Any]:
    """Return `state` and the probabilities of some cells at one time.

    Parameters
    ----------
    lives : sequence of Life
        Empty where all live throughout.
    rows : ndarray of shape (M,)
        Of the cells that are in view.
    time_s : float
    """
    states = [(lives[row].state(time_s) or "unknown") if lives else "live" for row in rows]
    if not lives:
        return {"state": states, "p_live": 1.0}
    called = [CLASSES.get(state) for state in states]
    return {
        "state": states,
        **{name: [float(c == name) for c in called] for name in dict.fromkeys(CLASSES.values())},
    }


def fate_rows(
    cells: pd.DataFrame, cell_ids: NDArray[np.int32], lives: Sequence[Life], times_s: Sequence[float]
) -> pd.DataFrame:
    """Return the fate of every cell that was in view.

    Parameters
    ----------
    cells : DataFrame
        `frame cell_id dockings_so_far fusions_so_far uptakes_so_far touches_border`, a row per cell and
        frame in view.
    cell_ids : ndarray of shape (N,)
        The id of each row of `lives`.
    lives : sequence of Life
    times_s : sequence of float
        Of the frames.

    Returns
    -------
    DataFrame
        Columns of `exovision.schema.FATES`; where cells divide or die also `optional`: deaths of which too
        little was seen to tell.
    """
    rows = cells.groupby("cell_id", as_index=False).agg(
        first_frame=("frame", "min"),
        last_frame=("frame", "max"),
        **{name: (f"{name}_so_far", "max") for name in ("dockings", "fusions", "uptakes")},
    )
    last = len(times_s) - 1
    rows["entry"] = np.where(rows["first_frame"] == 0, "start", "entered_field")
    rows["exit"] = np.where(rows["last_frame"] == last, "movie_end", "left_field")
    if not lives:
        return schema.conform(rows, schema.FATES)
    number = {int(cell): row for row, cell in enumerate(cell_ids)}
    cut = cells[cells["touches_border"]].groupby("cell_id")["frame"].agg(set).to_dict()
    facts = [
        _facts(
            {**row, "cut": cut.get(row["cell_id"], set())},
            lives[number[int(row["cell_id"])]],
            cell_ids,
            np.asarray(times_s),
        )
        for row in rows.to_dict("records")
    ]
    rows = rows.assign(**pd.DataFrame(facts, index=rows.index))
    hits = _hits_before(cells, rows.set_index("cell_id")["onset_s_lo"])
    rows[list(hits.columns)] = hits.reindex(rows["cell_id"]).to_numpy()
    rows["parent_id"] = rows["parent_id"].where(rows["parent_id"].isin(rows["cell_id"]))
    return schema.conform(rows, schema.TRUTH_FATES)


def _hits_before(cells: pd.DataFrame, onset_s: pd.Series) -> pd.DataFrame:
    """Return the hits on each cell until the last frame before its onset."""
    limit = cells["cell_id"].map(onset_s)
    before = cells[limit.isna() | (cells["time_s"] <= limit)]
    names = {name: (f"{name}_so_far", "max") for name in ("dockings", "fusions", "uptakes")}
    return before.groupby("cell_id").agg(**names).reindex(onset_s.index).fillna(0)


def _facts(
    row: Mapping[Any, Any], life: Life, cell_ids: NDArray[np.int32], times_s: Floats
) -> dict[str, Any]:
    """Return the columns that a life decides, of a cell seen in the frames of `row`."""
    first_s, last_s = times_s[row["first_frame"]], times_s[row["last_frame"]]
    end_s = times_s[-1] + (times_s[-1] - times_s[0]) / max(len(times_s) - 1, 1)
    born = life.parent >= 0 and row["first_frame"] == int(np.searchsorted(times_s, life.born_s))
    died = life.onset_s <= last_s
    facts: dict[str, Any] = {
        "parent_id": int(cell_ids[life.parent]) if born else None,
        "entry": "birth" if born else row["entry"],
        "exit": row["exit"],
        "death_mode": None,
        "death_probability": float(died),
        "onset_s": np.nan,
        "permeable_s": np.nan,
        "optional": False,
    }
    if died:
        seen = np.flatnonzero((times_s >= life.onset_s) & (times_s <= last_s))
        cut = np.isin(seen, list(row["cut"])).mean() > LARGEST_CUT if len(seen) else True
        least = min(LEAST_EXECUTION * life.execution_s, 1800.0)
        facts |= {
            "exit": "died",
            "death_mode": life.mode,
            "onset_s": max(life.onset_s, 0.0),
            "permeable_s": life.permeable_s if life.permeable_s <= last_s else np.nan,
            "optional": len(seen) < LEAST_FRAMES
            or cut
            or last_s - life.onset_s < least
            or life.onset_s < first_s,
        }
    elif life.divides_s < end_s and life.divides_s - last_s <= (
        times_s[1] - times_s[0] if len(times_s) > 1 else 0
    ):
        facts["exit"] = "divided"
    return facts | _intervals(facts, times_s)


def _intervals(facts: dict[str, Any], times_s: Floats) -> dict[str, float]:
    """Return the frame times around each true time."""
    found = {}
    for name in ("onset_s", "permeable_s"):
        after = int(np.searchsorted(times_s, facts[name])) if np.isfinite(facts[name]) else None
        found[f"{name}_lo"] = np.nan if after is None else float(times_s[max(after - 1, 0)])
        found[f"{name}_hi"] = np.nan if after is None else float(times_s[min(after, len(times_s) - 1)])
    return found
