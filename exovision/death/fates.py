"""The fates of a movie's cells: states in every frame, deaths with onset, mode and what they rest on."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from itertools import compress
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from exovision import schema
from exovision.death.crops import BODIES, DEATH_STAINS
from exovision.death.decoding import Decoded, Panel, decode_cells, limit_of, make_panel, means_of, name_states
from exovision.death.evidence import CLASSES, is_unsure
from exovision.death.rulings import ruled_states
from exovision.death.stains import saturated
from exovision.records import StateRuling
from exovision.settings import DeathSettings

Floats = NDArray[np.float64]

SWAPPED_DEATHS = 3
"""Deaths with PI well before annexin from which channels may be swapped."""
SWAPPED_LEAD_S = 600.0
HOUR_S = 3600.0
EXPECTED_H = 100.0
"""Cell-hours that the expected rate of death counts for beside those of the movie."""
UNSURE = (
    "the morphology network is unsure of most cells in this movie: its answers are in cells.parquet, but no "
    "death rests on them"
)


@dataclass(frozen=True)
class DeathTables:
    """What became of the cells of a movie.

    Attributes
    ----------
    cells : DataFrame
        The cells with `state` and `dying_probability`.
    fates : DataFrame
        The fates with the columns of death.
    summary : dict
        Counts, rates, the dying over time, what each call rests on, and warnings.
    """

    cells: pd.DataFrame
    fates: pd.DataFrame
    summary: dict[str, Any]


def find_deaths(
    cells: pd.DataFrame,
    fates: pd.DataFrame,
    *,
    nuclei_only: bool,
    settings: DeathSettings,
    rulings: Sequence[StateRuling] = (),
) -> DeathTables:
    """Say what every cell was in each frame, and which cells died, when and how.

    Parameters
    ----------
    cells : DataFrame
        `exovision.schema.CELLS` and `mean_<role>`, a row per cell and frame; `p_*` where the morphology
        network judged.
    fates : DataFrame
        `exovision.schema.FATES` as tracking knows them, a row per cell.
    nuclei_only : bool
        The outlines are those of nuclei.
    settings : DeathSettings
    rulings : sequence of StateRuling
        States decided by a person; the rest of the cell's life is told in their light.

    Returns
    -------
    DeathTables
        Without any channel that tells of death the states of cells without rulings are unknown and none of
        them dies; the summary says so.

    Raises
    ------
    InputError
        If rulings contradict each other.
    """
    cells = cells.reset_index(drop=True)
    order = cells.sort_values(["cell_id", "frame"], kind="stable")
    ids, starts = np.unique(order["cell_id"].to_numpy(dtype=np.int64), return_index=True)
    tracks = np.split(order.index.to_numpy(dtype=np.int64), starts[1:]) if len(ids) else []
    nuclei_only = nuclei_only and "mean_nucleus" in cells
    unsure = is_unsure(cells)
    used = cells.assign(**dict.fromkeys([f"p_{name}" for name in CLASSES], np.nan)) if unsure else cells
    panel = make_panel(used, tracks, settings, nuclei_only=nuclei_only)
    entry = dict(zip(fates["cell_id"], fates["entry"]))
    entries = [str(entry.get(int(cell))) for cell in ids]
    ruled = ruled_states(cells, rulings)
    told = [panel.tells_death or bool((ruled[rows] != "").any()) for rows in tracks]
    ids, tracks, entries = ids[told], list(compress(tracks, told)), list(compress(entries, told))
    decoded = decode_cells(used, tracks, entries, panel, settings, ruled=ruled)
    usual = settings.model_copy(update={"deaths_per_h": _deaths_per_h(cells, decoded, settings)})
    decoded = decode_cells(used, tracks, entries, panel, usual, ruled=ruled)
    filled = _fill_cells(cells, decoded, settings)
    ended = _fill_fates(fates, dict(zip(ids.tolist(), decoded)))
    summary = _summarise(filled, ended, dict(zip(ids.tolist(), decoded)), panel)
    summary["warnings"] += [UNSURE] if unsure else []
    return DeathTables(filled, ended, summary)


def death_limits(roles: Collection[str], settings: DeathSettings) -> str:
    """Say by what deaths will be told in a movie with channels of these roles, and what cannot be told."""
    judged = settings.morphology != "none" and bool(set(BODIES) & set(roles))
    nuclei_only = "nucleus" in roles and "cell" not in roles
    stains = [role for role in DEATH_STAINS if role in roles]
    means = means_of(stains, judged=judged, nuclei_only=nuclei_only)
    said = [f"told by {', '.join(means)}"] if means else []
    return "; ".join([*said, *([limit] if (limit := limit_of(means)) else [])])


def count_hits(fates: pd.DataFrame, events: pd.DataFrame) -> pd.DataFrame:
    """Return the fates with only those dockings, fusions and uptakes of dying cells that began before it.

    Parameters
    ----------
    fates : DataFrame
        `exovision.schema.FATES`.
    events : DataFrame
        `kind cell_id start_s`.
    """
    limit = events["cell_id"].map(fates.set_index("cell_id")["onset_s_lo"]).to_numpy(dtype=np.float64)
    before = events[~(events["start_s"].to_numpy(dtype=np.float64) >= limit)]
    died = fates["onset_s_lo"].notna()
    counts = {}
    for column, kind in (("dockings", "docking"), ("fusions", "fusion"), ("uptakes", "uptake")):
        hits = before.loc[before["kind"] == kind, "cell_id"].value_counts()
        counted = fates["cell_id"].map(hits).fillna(0).astype("Int64")
        counts[column] = fates[column].mask(died & fates[column].notna(), counted)
    return fates.assign(**counts)


def _deaths_per_h(cells: pd.DataFrame, decoded: list[Decoded], settings: DeathSettings) -> float:
    """Return the rate of death that a movie shows, drawn towards the one expected where little was seen."""
    times_s = cells["time_s"].to_numpy(dtype=np.float64)
    alive_h = sum(float((np.diff(times_s[one.rows]) * (1 - one.dying[1:])).sum()) for one in decoded) / HOUR_S
    deaths = sum(float(one.dying[-1] - one.dying[0]) for one in decoded)
    return (deaths + settings.deaths_per_h * EXPECTED_H) / (alive_h + EXPECTED_H)


def _fill_cells(cells: pd.DataFrame, decoded: list[Decoded], settings: DeathSettings) -> pd.DataFrame:
    state = np.full(len(cells), "unknown", dtype=object)
    dying = np.full(len(cells), np.nan)
    times_s = cells["time_s"].to_numpy(dtype=np.float64)
    for one in decoded:
        state[one.rows] = name_states(one, times_s[one.rows], settings)
        dying[one.rows] = one.dying
    return schema.conform(cells.assign(state=state, dying_probability=dying), schema.CELLS)


def _fill_fates(fates: pd.DataFrame, decoded: dict[int, Decoded]) -> pd.DataFrame:
    rows = [_facts(decoded.get(int(cell))) for cell in fates["cell_id"]]
    facts = pd.DataFrame(rows, index=fates.index, columns=list(_facts(None)))
    died = facts.pop("died").fillna(False).to_numpy(dtype=bool)
    exits = fates["exit"].where(~died, "died")
    return schema.conform(fates.assign(**facts, exit=exits), schema.FATES)


def _facts(one: Decoded | None) -> dict[str, Any]:
    """Return the columns of death of one cell."""
    facts: dict[str, Any] = {"died": False, "death_mode": None, "death_probability": np.nan}
    facts |= {f"{name}_s{end}": np.nan for name in ("onset", "permeable") for end in ("", "_lo", "_hi")}
    if one is None:
        return facts
    death = one.death
    facts |= {"died": death.called, "death_mode": death.mode, "death_probability": death.probability}
    for name, moment in (("onset", death.onset), ("permeable", death.permeable)):
        facts |= dict(zip((f"{name}_s", f"{name}_s_lo", f"{name}_s_hi"), moment))
    return facts


def _summarise(
    cells: pd.DataFrame, fates: pd.DataFrame, decoded: dict[int, Decoded], panel: Panel
) -> dict[str, Any]:
    """Return what the report prints of deaths."""
    called = {cell: one for cell, one in decoded.items() if one.death.called}
    missed = [one for one in decoded.values() if not one.death.called]
    hours = _cell_hours(cells)
    false = float(sum(1 - one.death.probability for one in called.values()))
    modes = pd.Series([one.death.mode for one in called.values()], dtype="object").value_counts()
    return {
        "told_by": panel.means,
        "deaths": len(called),
        "divisions": int((fates["exit"] == "divided").sum()),
        "cell_hours": hours,
        "modes": {str(name): int(n) for name, n in modes.items()},
        "expected_false": false,
        "expected_false_per_1000_cell_h": 1000 * false / hours if hours else None,
        "expected_missed": float(sum(one.death.probability for one in missed)),
        "calls": [_call(cell, one) for cell, one in called.items()],
        "warnings": _warnings(cells, called, panel),
    }


def _cell_hours(cells: pd.DataFrame) -> float:
    spans = cells.groupby("cell_id")["time_s"].agg(["min", "max"])
    return float((spans["max"] - spans["min"]).sum() / HOUR_S)


def _call(cell: int, one: Decoded) -> dict[str, Any]:
    """Return what one call rests on."""
    death = one.death
    return {
        "cell_id": cell,
        "mode": death.mode,
        "probability": death.probability,
        "apoptotic_probability": death.apoptotic,
        "onset_h": death.onset.time_s / HOUR_S,
        "call_h": death.call_s / HOUR_S,
        "signs_h": {name: time_s / HOUR_S for name, time_s in death.signs.items()},
    }


def _warnings(cells: pd.DataFrame, called: dict[int, Decoded], panel: Panel) -> list[str]:
    """Return what may be wrong, or cannot be told."""
    said = [limit] if (limit := limit_of(panel.means)) else []
    said += [
        f"the {role} channel is saturated in many cells: its times are right, its brightness is not"
        for role in panel.stains
        if saturated(cells, role)
    ]
    leads = [one.death.annexin_lead_s for one in called.values()]
    leads = [lead for lead in leads if np.isfinite(lead)]
    early = sum(lead < -SWAPPED_LEAD_S for lead in leads)
    if early >= SWAPPED_DEATHS and early > len(leads) / 2:
        said.append(
            f"PI came well before annexin in {early} of {len(leads)} deaths: the two channels may be "
            "swapped; check --channels"
        )
    return said
