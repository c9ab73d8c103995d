"""States of spots: what the program called them against what they were."""

from __future__ import annotations

import pandas as pd

from exovision.schema import SPOT_STATES
from exovision.scoring.scores import Value, proportion
from exovision.scoring.spots import SpotMatch


def score_states(match: SpotMatch) -> tuple[dict[str, Value], pd.DataFrame]:
    """Compare the states of matched spots.

    Parameters
    ----------
    match : SpotMatch
        Both tables with a column `state`.

    Returns
    -------
    dict of str to Metric or str
        `states.accuracy`, and per state that occurs `states.recall.<state>` and `states.precision.<state>`.
    DataFrame
        Counts, truth in rows, result in columns; in the order of `SPOT_STATES`.
    """
    for side in ("truth", "result"):
        table = getattr(match, side)
        if "state" not in table or table["state"].isna().all():
            return {"states.accuracy": f"the {side} has no states"}, pd.DataFrame()
    hits = match.verdict == "hit"
    true = match.truth["state"].reindex(match.truth_row[hits]).to_numpy(dtype=object)
    called = match.result["state"].to_numpy(dtype=object)[hits]
    pairs = pd.DataFrame({"truth": true, "result": called}).dropna()
    counts = pd.crosstab(pairs["truth"], pairs["result"]) if len(pairs) else pd.DataFrame(dtype=int)
    known = [s for s in SPOT_STATES if s in counts.index or s in counts.columns]
    counts = counts.reindex(index=known, columns=known, fill_value=0).rename_axis(
        index="truth", columns="result"
    )
    values: dict[str, Value] = {
        "states.accuracy": proportion(
            int((pairs["truth"] == pairs["result"]).sum()), len(pairs), of="matched spots with a state"
        )
    }
    for state in known:
        is_true, is_called = pairs["truth"] == state, pairs["result"] == state
        right = int((is_true & is_called).sum())
        values[f"states.recall.{state}"] = proportion(
            right, int(is_true.sum()), of=f"matched spots {state} in truth"
        )
        values[f"states.precision.{state}"] = proportion(
            right, int(is_called.sum()), of=f"matched spots called {state}"
        )
    return values, counts
