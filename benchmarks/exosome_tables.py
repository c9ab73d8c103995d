"""The tables of `exosomes.py`, printed and written."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd


def markdown(rows: list[dict[str, Any]]) -> str:
    """Return rows as a table."""
    table = pd.DataFrame(rows)
    names = list(table.columns)
    lines = ["| " + " | ".join(names) + " |", "|" + "---|" * len(names)]
    lines += [
        "| " + " | ".join(_cell(row[name]) for name in names) + " |" for row in table.to_dict("records")
    ]
    return "\n".join(lines)


def _cell(value: Any) -> str:
    if isinstance(value, float):
        if not np.isfinite(value):
            return ""
        return f"{value:.1f}" if abs(value) >= 10 else f"{value:.3f}"
    return str(value)


def write(found: dict[str, Any], out: Path) -> None:
    """Write the rows of every part as JSON and as tables, and the figure."""
    out.mkdir(parents=True, exist_ok=True)
    (out / "exosomes.json").write_text(json.dumps(found, indent=1, default=float))
    (out / "exosomes.md").write_text(
        "\n\n".join(f"## {part}\n{markdown(rows)}" for part, rows in found.items())
    )
    from exosome_figure import draw

    draw(found, out / "exosomes.png")
