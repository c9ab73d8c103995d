"""The tables that exovision writes: column names in order with their types; names and units never change."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    import pandas as pd

SPOT_STATES = ("stuck", "docked", "surfing", "tethered", "free", "inside", "under_projection", "unresolved")
OUTCOMES = (
    "detached",
    "fused",
    "hemifused",
    "kiss_and_run",
    "taken_up",
    "aggregated",
    "bleached",
    "left_focus",
    "movie_end",
    "loss_unresolved",
)
EVENT_KINDS = (
    "docking",
    "detachment",
    "hemifusion",
    "fusion",
    "kiss_and_run",
    "uptake",
    "recycling",
    "surfing",
    "aggregation",
    "loss_unresolved",
)

FLOAT, INT, TEXT, BOOL = "float64", "Int64", "string", "boolean"


def _with_interval(*names: str) -> dict[str, str]:
    return {f"{name}{end}": FLOAT for name in names for end in ("", "_lo", "_hi")}


SPOTS: Mapping[str, str] = {
    "frame": INT,
    **dict.fromkeys(("time_s", "y_px", "x_px", "y_um", "x_um", "y_se_px", "x_se_px"), FLOAT),
    **dict.fromkeys(("counts", "photons", "background", "sigma_px", "snr", "probability"), FLOAT),
    "exosome_id": INT,
    "cell_id": INT,
    "membrane_distance_um": FLOAT,
    "contour_um": FLOAT,
    "state": TEXT,
}
MEMBRANE_FRAME = ("normal_y", "normal_x", "cell_y_um", "cell_x_um")
"""Columns that spots have besides until events are found: the outward unit normal of the nearest membrane and
the centroid of its cell."""
NEXT_CELL = ("next_cell_id", "next_distance_um")
"""Likewise: the cell with the nearest membrane but for `cell_id`, and the distance to it."""
EXOSOMES: Mapping[str, str] = {
    **dict.fromkeys(("exosome_id", "first_frame", "last_frame", "n_spots", "cell_id"), INT),
    "mean_counts": FLOAT,
    **_with_interval("diffusion_um2_s"),
    **_with_interval("alpha"),
    "comoving": BOOL,
    "min_membrane_distance_um": FLOAT,
    "aggregate_probability": FLOAT,
    "dockings": INT,
    "dwell_s": FLOAT,
    "dwell_censored": TEXT,
    "outcome": TEXT,
}
EVENTS: Mapping[str, str] = {
    "event_id": INT,
    "kind": TEXT,
    **dict.fromkeys(("exosome_id", "cell_id", "start_frame", "end_frame"), INT),
    **dict.fromkeys(("start_s", "end_s", "duration_s"), FLOAT),
    "censored": TEXT,
    **dict.fromkeys(("y_um", "x_um", "membrane_distance_um", "probability"), FLOAT),
    "identifiable": BOOL,
    "fusion_log_likelihood_ratio": FLOAT,
    **{
        f"p_{name}": FLOAT
        for name in [
            "detached",
            "bleached",
            "left_focus",
            "hemifused",
            "fused",
            "kiss_and_run",
            "taken_up",
            "aggregated",
            "unresolved",
        ]
    },
    **_with_interval("diffusion_um2_s", "dequench_gain", "release_tau_s", "spread_fraction"),
}
CELLS: Mapping[str, str] = {
    "frame": INT,
    "time_s": FLOAT,
    "cell_id": INT,
    **dict.fromkeys(("y_um", "x_um", "area_um2", "perimeter_um", "eccentricity", "solidity"), FLOAT),
    "touches_border": BOOL,
    "state": TEXT,
    **dict.fromkeys(("p_live", "p_mitotic", "p_apoptotic", "p_lytic", "p_debris"), FLOAT),
    **dict.fromkeys(("docked_now", "dockings_so_far", "fusions_so_far", "uptakes_so_far"), INT),
}
FATES: Mapping[str, str] = {
    **dict.fromkeys(("cell_id", "parent_id", "first_frame", "last_frame"), INT),
    **dict.fromkeys(("entry", "exit", "death_mode"), TEXT),
    "death_probability": FLOAT,
    **_with_interval("onset_s", "permeable_s"),
    **dict.fromkeys(("dockings", "fusions", "uptakes"), INT),
}
TRUTH_FATES: Mapping[str, str] = {**FATES, "optional": BOOL}
TRUTH_SPOTS: Mapping[str, str] = {
    **SPOTS,
    **dict.fromkeys(("ignore", "linkable", "isolated"), BOOL),
    "crlb_px": FLOAT,
}
TRUTH_EVENTS: Mapping[str, str] = {**EVENTS, "optional": BOOL, "alt_end_frame": INT, "cause": TEXT}
DECOYS: Mapping[str, str] = {"frame": INT, "y_px": FLOAT, "x_px": FLOAT, "kind": TEXT}

_ARM: Mapping[str, str] = {"level": TEXT, "condition": TEXT, "well": TEXT}
SURVIVAL: Mapping[str, str] = {
    **_ARM,
    "start": TEXT,
    "hit": INT,
    "time_s": FLOAT,
    **_with_interval("survival"),
    **dict.fromkeys(("survival_earliest", "survival_latest"), FLOAT),
    **dict.fromkeys(("survival_lost_died", "survival_lost_lived"), FLOAT),
    **dict.fromkeys(("cells", "at_risk", "deaths"), INT),
}
CUMULATIVE_INCIDENCE: Mapping[str, str] = {
    **_ARM,
    "death_mode": TEXT,
    "time_s": FLOAT,
    **_with_interval("incidence"),
    **dict.fromkeys(("cells", "deaths"), INT),
}
LATENCY: Mapping[str, str] = {
    **dict.fromkeys(("condition", "well", "movie"), TEXT),
    "cell_id": INT,
    "kind": TEXT,
    "hit": INT,
    "hits": INT,
    "last": BOOL,
    **_with_interval("latency_s"),
    "death_mode": TEXT,
}
HAZARD: Mapping[str, str] = {
    **dict.fromkeys(("analysis", "condition", "exposure", "scale"), TEXT),
    "lag_s": FLOAT,
    **_with_interval("half_life_s", "hazard_ratio"),
    **dict.fromkeys(("p", "p_time_shift"), FLOAT),
    **dict.fromkeys(("deaths", "cells", "hits", "clusters"), INT),
    **dict.fromkeys(("cluster_level", "adjusted_for"), TEXT),
    "descriptive": BOOL,
    "note": TEXT,
}
COMPARISON: Mapping[str, str] = {
    **dict.fromkeys(("contrast", "readout", "condition", "reference", "target_type", "test"), TEXT),
    **dict.fromkeys(("wells", "wells_reference", "donors"), INT),
    **dict.fromkeys(("mean", "mean_reference"), FLOAT),
    **_with_interval("difference", "effect_size"),
    **dict.fromkeys(("p", "p_permutation", "p_smallest", "q"), FLOAT),
    "note": TEXT,
}
WELLS: Mapping[str, str] = {
    **dict.fromkeys(("condition", "well", "donor"), TEXT),
    **dict.fromkeys(("movies", "cells", "deaths", "lost", "dockings", "fusions", "uptakes"), INT),
    **dict.fromkeys(("cell_hours", "hit_hours", "deaths_per_cell_hour"), FLOAT),
    **dict.fromkeys(("dockings_per_cell_hour", "fusions_per_cell_hour", "uptakes_per_cell_hour"), FLOAT),
    **dict.fromkeys(("survival", "mean_time_alive_h"), FLOAT),
}


def conform(table: pd.DataFrame, columns: Mapping[str, str]) -> pd.DataFrame:
    """Give a table the contract's columns, order and types; missing columns become null, extra ones stay.

    Parameters
    ----------
    table : DataFrame
        Any subset of the contract's columns and any others.
    columns : mapping of str to str
        Name and pandas dtype of each contract column, such as `SPOTS`.

    Returns
    -------
    DataFrame
        A new table; ids and states that are absent are null, never 0 or −1.
    """
    import pandas as pd

    named = {name: _column(table, name, dtype) for name, dtype in columns.items()}
    extra = {name: table[name] for name in table.columns if name not in columns}
    return pd.DataFrame({**named, **extra}, index=table.index).reset_index(drop=True)


def _column(table: pd.DataFrame, name: str, dtype: Any) -> Any:
    import pandas as pd

    kind: Any = pd.api.types.pandas_dtype(dtype)
    if name not in table:
        missing: list[Any] = [pd.NA] * len(table)
        return np.full(len(table), np.nan) if dtype == FLOAT else pd.array(missing, dtype=kind)
    column: Any = table[name]
    if column.dtype == kind:
        return column
    if dtype == FLOAT:
        column = pd.to_numeric(column, errors="coerce")
    return column.astype(kind)


def empty(columns: Mapping[str, str]) -> pd.DataFrame:
    """Return a table with the given columns and no rows."""
    import pandas as pd

    return conform(pd.DataFrame(), columns)
