"""The overview of a batch: one row a movie, what failed and why, and the pooled rate."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pandas as pd
from scipy.special import gammaincinv

from exovision.files import write_text
from exovision.report import wording
from exovision.report.page import render

FACTS = ("condition", "treatment", "donor", "well")
"""Columns of the sample sheet that the overview shows where any movie has them."""


def write_index(out: Path, *, movies: pd.DataFrame, failures: Sequence[Mapping[str, str]]) -> Path:
    """Write `report.html` of a batch.

    Parameters
    ----------
    out : Path
        The output folder; each movie's own report is in the folder of its name.
    movies : DataFrame
        A row per complete movie: `movie`, facts of the sample sheet, and the headline of its summary.
    failures : sequence of mapping
        `movie path error` of each movie that failed.

    Returns
    -------
    Path
        `out/report.html`.

    Raises
    ------
    OutputError
        If the file cannot be written.
    """
    rows = [
        {
            str(name): None if pd.isna(value) else value.item() if hasattr(value, "item") else value
            for name, value in row.items()
        }
        for row in movies.to_dict("records")
    ]
    content = {
        "movies": rows,
        "addresses": [f"{quote(str(row['movie']), safe='')}/report.html" for row in rows],
        "facts": [name for name in FACTS if any(row.get(name) is not None for row in rows)],
        "failures": failures,
        "pooled": pooled_rate(rows),
        "experiment": (out / "experiment" / "report.html").is_file(),
        "words": wording,
    }
    report = out / "report.html"
    write_text(render("index.html.j2", content), report)
    return report


def pooled_rate(rows: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Return the arrivals of all movies per cell-hour with the exact 95 % Poisson interval.

    Parameters
    ----------
    rows : sequence of mapping
        `cells exosomes dockings arrivals cell_hours` of each movie; None counts as nothing.

    Returns
    -------
    dict
        The five sums and `per_cell_hour`, `_lo`, `_hi`; None without exposure.

    References
    ----------
    Garwood 1936, doi:10.1093/biomet/28.3-4.437.
    """
    sums = {
        name: sum(row.get(name) or 0 for row in rows)
        for name in ("cells", "exosomes", "dockings", "arrivals", "cell_hours")
    }
    count, hours = sums["arrivals"], sums["cell_hours"]
    if not hours > 0:
        return {**sums, **dict.fromkeys(("per_cell_hour", "per_cell_hour_lo", "per_cell_hour_hi"))}
    return {
        **sums,
        "per_cell_hour": count / hours,
        "per_cell_hour_lo": float(gammaincinv(count, 0.025)) / hours if count else 0.0,
        "per_cell_hour_hi": float(gammaincinv(count + 1, 0.975)) / hours,
    }
