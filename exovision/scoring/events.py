"""Events of exosomes: which true dockings and point events were called, which calls are false, and why."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from exovision.scoring.matching import assign
from exovision.scoring.spots import SpotMatch, flag

END_TOLERANCE_FRAMES = 3
END_TOLERANCE_FRACTION = 0.1
LEAST_SHARE = 0.5


@dataclass(frozen=True)
class DockingMatch:
    """Which docking of the result belongs to which true one.

    Attributes
    ----------
    truth : DataFrame
        True dockings, rows numbered from 0, with `scored`, `hit` (row of the result's docking by every
        criterion, −1 if none) and `failure` ("" for hits; else merged, split, wrong_cell, ends_off, missed).
    result : DataFrame
        Dockings of the result, with `verdict` ("hit", "forgiven", "false") and `on`: what most spots of a
        false one were, a kind of decoy, a true state, "exosome" or "noise".
    loose : DataFrame
        `truth_row result_row`: pairs by exosome and cell alone, scored truth only.
    """

    truth: pd.DataFrame
    result: pd.DataFrame
    loose: pd.DataFrame


def match_dockings(
    truth: pd.DataFrame, result: pd.DataFrame, spots: SpotMatch, cells: pd.DataFrame | None
) -> DockingMatch:
    """Match dockings by exosome, cell and both ends.

    Parameters
    ----------
    truth, result : DataFrame
        Events; only rows of kind `docking` are used.
    spots : SpotMatch
        Matched spots, both tables with `exosome_id`.
    cells : DataFrame, optional
        `frame truth_cell result_cell` of matched cells; without it the cell is not checked.

    Returns
    -------
    DockingMatch

    Notes
    -----
    The exosome is right if at least half of the docking's true spots that count were found and carry the
    called docking; the cell is right if the called cell is matched to the true one in a frame that both
    share; an end is right within max(3 frames, 10 % of the true duration) of `end_frame` or
    `alt_end_frame`, and is not checked where truth is censored. A call is forgiven if at least half of its
    spots lie on an optional docking, or on one without any spot that counts.
    """
    true, called = (_dockings(table) for table in (truth, result))
    true["scored"] = ~flag(true, "optional", default=False)
    candidates = _candidates(true, called, spots)
    visible = candidates.groupby("truth_row")["visible"].first().reindex(true.index, fill_value=0)
    true["scored"] &= (_members(true, spots.truth[spots.scored])["event"].value_counts().reindex(true.index, fill_value=0) > 0)
    del visible
    return DockingMatch(true, called, candidates)
