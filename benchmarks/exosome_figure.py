"""The figure of `exosomes.py`: what was found, how precisely, how honestly, and at what cost."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import matplotlib
import pandas as pd

matplotlib.use("Agg")
import matplotlib.pyplot as plt

OURS, PEERS = "#c0392b", "#7f8c8d"


def draw(found: dict[str, list[dict[str, Any]]], path: Path) -> None:
    """Draw a panel for each part that was run."""
    panels = [(part, panel) for part, panel in PANELS if part in found]
    if not panels:
        return
    plt.style.use("default")  # some peers change it when they are imported
    columns = min(len(panels), 3)
    rows = -(-len(panels) // columns)
    figure, axes = plt.subplots(rows, columns, figsize=(4.6 * columns, 3.6 * rows), squeeze=False)
    for axis in axes.flat[len(panels) :]:
        axis.set_visible(False)
    for axis, (part, panel) in zip(axes.flat, panels):
        panel(axis, pd.DataFrame(found[part]))
        axis.spines[["top", "right"]].set_visible(False)
    figure.tight_layout()
    figure.savefig(path, dpi=110)
    plt.close(figure)


def _grid(axis: Any, table: pd.DataFrame) -> None:
    """Draw F1 in every cell of the grid: ours, and the best of the peers there."""
    cells = list(table.groupby(["background", "SNR", "per frame"], sort=False))
    ours = [rows[rows["setting"] == "fits together"]["F1"].max() for _, rows in cells]
    best = [rows[rows["method"] != "exovision"]["F1"].max() for _, rows in cells]
    at = range(len(cells))
    axis.plot(at, best, "o", color=PEERS, label="best peer of the cell")
    axis.plot(at, ours, "o", color=OURS, label="exovision")
    axis.set_xticks(list(at), [f"{b[:4]} {s:g}/{n}" for (b, s, n), _ in cells], rotation=90, fontsize=7)
    axis.set(ylabel="F1", title="Finding: background, SNR/density")
    axis.legend(fontsize=8)


def _errors(axis: Any, table: pd.DataFrame) -> None:
    """Draw the error over the bound against milliseconds per frame, of one cell of the grid."""
    cell = table[(table["background"] == "flat") & (table["SNR"] == 4) & (table["per frame"] == 500)]
    for _, row in cell.iterrows():
        ours = row["method"] == "exovision"
        axis.plot(row["ms/frame"], row["RMSE/CRLB"], "o", color=OURS if ours else PEERS)
        axis.annotate(
            row["method"] + (f", {row['setting']}" if ours else ""),
            (row["ms/frame"], row["RMSE/CRLB"]),
            fontsize=7,
        )
    axis.axhline(1, color="k", lw=0.5)
    axis.set(xscale="log", xlabel="ms per frame", ylabel="RMSE / bound", title="SNR 4, 500 per frame, flat")


def _bound(axis: Any, table: pd.DataFrame) -> None:
    axis.plot(table["SNR"], table["RMSE/CRLB"], "o-", color=OURS, label="RMSE / bound")
    axis.plot(
        table["SNR"], table["error over stated error, rms"], "s--", color="k", label="error / stated error"
    )
    axis.axhline(1, color="k", lw=0.5)
    axis.set(xlabel="SNR", ylim=(0.8, 1.3), title="Isolated spots")
    axis.legend(fontsize=8)


def _membrane(axis: Any, table: pd.DataFrame) -> None:
    _bars(axis, table[table["setting"] != "fits alone"], "F1")
    axis.set(title="On membranes, SNR 2")


def _linking(axis: Any, table: pd.DataFrame) -> None:
    best = table.loc[table.groupby(["scene", "method"])["beta"].idxmax()]
    moderate = best[best["scene"] == "moderate"]
    _bars(axis, moderate, "beta")
    axis.set(title="Tracks, 1000 per frame")


def _bars(axis: Any, table: pd.DataFrame, value: str) -> None:
    table = table.sort_values(value)
    colours = [OURS if name == "exovision" else PEERS for name in table["method"]]
    axis.barh(table["method"], table[value], color=colours)
    for i, number in enumerate(table[value]):
        axis.text(number, i, f" {number:.2f}", va="center", fontsize=8)
    axis.set(xlabel=value, xlim=(0, 1.1))


def _calibration(axis: Any, table: pd.DataFrame) -> None:
    axis.plot([0, 1], [0, 1], color="k", lw=0.5)
    axis.plot(table["stated"], table["true"], "o-", color=OURS)
    error = table["expected calibration error"].max()
    axis.set(
        xlabel="stated probability", ylabel="share of true spots", title=f"Calibration, error {error:.3f}"
    )


def _growth(axis: Any, table: pd.DataFrame) -> None:
    names = [name for name in table.columns if name not in ("what", "per frame", "frames")]
    for what, frames, style in (("finding", 1, "s--"), ("linking", 30, "o-")):
        rows = table[(table["what"] == what) & (table["frames"] == frames)]
        for name in names:
            cost = pd.to_numeric(rows[name], errors="coerce")
            if cost.notna().any():
                colour = OURS if name == "exovision" else PEERS
                axis.plot(rows["per frame"], cost, style, color=colour, label=f"{what}, {name}")
    axis.set(
        xscale="log", yscale="log", xlabel="spots per frame", ylabel="ms per frame", title="Cost with density"
    )
    axis.set_xticks([250, 500, 1000, 2000, 5000], ["250", "500", "1000", "2000", "5000"])
    axis.set_xticks([], minor=True)
    axis.legend(fontsize=8)


PANELS: list[tuple[str, Callable[[Any, pd.DataFrame], None]]] = [
    ("grid", _grid),
    ("grid", _errors),
    ("bound", _bound),
    ("membrane", _membrane),
    ("calibration", _calibration),
    ("linking", _linking),
    ("growth", _growth),
]
