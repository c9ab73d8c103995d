"""Corrections of the states of cells along their lives, as annotations."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
import pandas as pd

from exovision.curation.annotations import Annotation
from exovision.errors import InputError
from exovision.records import StateRuling

ALIVE = ("live", "mitotic")
"""States that can become each other, and any other."""
DYING = (("early_apoptotic", "late_apoptotic", "secondary_necrotic", "debris"), ("lytic", "debris"))
"""The ways of dying: along each a state can only become a later one."""
STATES = (*ALIVE, *DYING[0][:-1], *DYING[1])
"""What a person can say a cell is."""


def rule_state(
    fates: pd.DataFrame,
    annotations: Sequence[Annotation],
    cell_id: int,
    state: str,
    first_frame: int,
    last_frame: int,
) -> Annotation:
    """Say what a cell is from one frame to another, both included.

    Parameters
    ----------
    fates : DataFrame
        `cell_id first_frame last_frame`, a row per cell.
    annotations : sequence of Annotation
        Made before; where they say otherwise of these frames, the new one wins.
    cell_id, state, first_frame, last_frame
        The decision.

    Raises
    ------
    InputError
        If there is no such cell or state, the cell is not there in these frames, or what was said of other
        frames cannot come before or after.
    """
    if state not in STATES:
        raise InputError(f"a state must be one of {', '.join(STATES)}, got {state}; choose one of these")
    fate = fates[fates["cell_id"] == cell_id]
    if not len(fate):
        raise InputError(f"cell {cell_id} was wanted, there is none of this id; choose another")
    first, last = (int(fate.iloc[0][name]) for name in ("first_frame", "last_frame"))
    if first_frame > last_frame or first_frame > last or last_frame < first:
        raise InputError(
            f"cell {cell_id} is there in frames {first} to {last}, got {first_frame} to {last_frame}; "
            "choose frames of its life"
        )
    values = {"cell_id": cell_id, "state": state, "first_frame": first_frame, "last_frame": last_frame}
    new = Annotation("state", values)
    _check_order(one for one in state_rulings([*annotations, new]) if one.cell_id == cell_id)
    return new


def accept_life(cell_id: int) -> Annotation:
    """Say that the fate of a cell and its states were looked at and are right."""
    return Annotation("life", {"cell_id": cell_id})


def state_rulings(annotations: Iterable[Annotation]) -> tuple[StateRuling, ...]:
    """Return what annotations say of cells, by cell and frame and without overlap; the later ones win."""
    said: dict[int, dict[int, str]] = {}
    for annotation in annotations:
        if annotation.action == "state":
            values = annotation.values
            frames = range(values["first_frame"], values["last_frame"] + 1)
            said.setdefault(values["cell_id"], {}).update(dict.fromkeys(frames, values["state"]))
    return tuple(ruling for cell_id in sorted(said) for ruling in _runs(cell_id, said[cell_id]))


def fate_reviews(fates: pd.DataFrame, annotations: Sequence[Annotation]) -> pd.Series[Any]:
    """Return for every fate whether it was "accepted" or "corrected" by a person, else ""."""
    named = {"life": "accepted", "state": "corrected"}
    states = {one.values["cell_id"]: named[one.action] for one in annotations if one.action in named}
    return fates["cell_id"].map(states).astype("object").fillna("")


def _runs(cell_id: int, states: dict[int, str]) -> list[StateRuling]:
    """Return runs of equal states in consecutive frames."""
    frames = np.array(sorted(states))
    names = np.array([states[frame] for frame in frames.tolist()], dtype=object)
    breaks = np.flatnonzero((np.diff(frames) != 1) | (names[1:] != names[:-1])) + 1
    return [
        StateRuling(cell_id, int(run[0]), int(run[-1]), states[int(run[0])])
        for run in np.split(frames, breaks)
    ]


def _check_order(rulings: Iterable[StateRuling]) -> None:
    before: StateRuling | None = None
    for ruling in rulings:
        if before is not None and not _can_follow(before.state, ruling.state):
            raise InputError(
                f"a cell that is {before.state} in frame {before.last_frame} cannot be {ruling.state} in "
                f"frame {ruling.first_frame}; correct the frames of the one or the other first"
            )
        before = ruling


def _can_follow(before: str, after: str) -> bool:
    if before in ALIVE:
        return True
    return any(before in way and after in way and way.index(before) <= way.index(after) for way in DYING)
