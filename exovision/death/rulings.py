"""What a person decided of the states of cells, as bounds on the chain that follows them."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from exovision.death.markov import DEAD, NAMES, STATES
from exovision.errors import InputError
from exovision.records import StateRuling

FINAL = tuple(dict.fromkeys(NAMES[STATES[state]] for state in DEAD))
"""States of the contract without return."""

Floats = NDArray[np.float64]
Names = NDArray[np.object_]


def ruled_states(cells: pd.DataFrame, rulings: Sequence[StateRuling]) -> Names:
    """Return the state that was decided for every row of the cells, shape (N,), "" where none was.

    Parameters
    ----------
    cells : DataFrame
        Columns `frame` and `cell_id`.
    rulings : sequence of StateRuling
        The later ones win.
    """
    found = np.full(len(cells), "", dtype=object)
    frames, ids = (cells[name].to_numpy(dtype=np.int64) for name in ("frame", "cell_id"))
    for one in rulings:
        inside = (frames >= one.first_frame) & (frames <= one.last_frame)
        found[(ids == one.cell_id) & inside] = one.state
    return found


def bound(log_emission: Floats, ruled: Names, rates: Floats, *, cell_id: int) -> Floats:
    """Return the log-likelihood of a cell's frames with only those states left that rulings allow.

    Parameters
    ----------
    log_emission : ndarray of shape (T, 9)
    ruled : ndarray of shape (T,)
        The state decided for each frame, "" where none was.
    rates : ndarray of shape (9, 9)
        Generator of the chain: what has no way to a later decided state, or from an earlier one, is out. A
        state without return begins where a person says that it does.
    cell_id : int
        Named in the error.

    Raises
    ------
    InputError
        If no way leads from one decided state to a later one.
    """
    names = np.array([NAMES[state] for state in STATES], dtype=object)
    allowed = (ruled[:, None] == "") | (ruled[:, None] == names)
    for k in np.flatnonzero((ruled[1:] != ruled[:-1]) & np.isin(ruled[1:], FINAL) & (ruled[:-1] == "")):
        allowed[k] = names != ruled[k + 1]
    ways = _ways(rates)
    for t in range(1, len(allowed)):
        allowed[t] &= allowed[t - 1] @ ways
    for t in range(len(allowed) - 2, -1, -1):
        allowed[t] &= ways @ allowed[t + 1]
    if not allowed.any(axis=1).all():
        said = " then ".join(dict.fromkeys(str(state) for state in ruled if state))
        raise InputError(
            f"the states of cell {cell_id} must follow each other as in life, got {said}; correct one of them"
        )
    return np.where(allowed, log_emission, -np.inf)


def _ways(rates: Floats) -> NDArray[np.bool_]:
    """Return which states can become which, in any number of steps, staying included."""
    ways = (rates > 0) | np.eye(len(rates), dtype=bool)
    for _ in range(len(rates)):
        ways = ways @ ways
    return ways
