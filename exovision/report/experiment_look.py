"""Colour, dash and short name of each condition, the same in every chart of an experiment."""

from __future__ import annotations

from typing import Any

import pandas as pd

from exovision.report.style import BLACK, BLUE, GREEN, GREY, ORANGE, PURPLE, SKY, VERMILLION

COLOURS = (BLUE, VERMILLION, GREEN, ORANGE, PURPLE, SKY)
DASHES = ("-", "--", "-.", ":")
MARKERS = ("o", "s", "^", "D", "v", "P", "X")


def readable(name: str) -> str:
    """Return a name of a table or sheet without underscores."""
    return name.replace("_", " ")


class Look:
    """Colour, dash and short name of each condition, the same in every chart.

    Parameters
    ----------
    arms : DataFrame
        `condition target_type control`, a row per condition.
    """

    def __init__(self, arms: pd.DataFrame) -> None:
        rows = arms.to_dict("records")
        self.target = {str(row["condition"]): text_of(row["target_type"]) for row in rows}
        self.short = {name: _without(name, target) for name, target in self.target.items()}
        control = {self.short[str(row["condition"])]: row["control"] != "none" for row in rows}
        real = [name for name in dict.fromkeys(self.short.values()) if not control[name]]
        dull = [name for name in dict.fromkeys(self.short.values()) if control[name]]
        self.style = {name: (COLOURS[k % 6], DASHES[k // 6 % 4]) for k, name in enumerate(real)}
        self.style |= {name: ((GREY, BLACK)[k % 2], DASHES[1 + k // 2 % 3]) for k, name in enumerate(dull)}

    def of(self, condition: str) -> tuple[str, str]:
        """Return colour and dash of a condition."""
        return self.style[self.short[condition]]

    def panels(self) -> dict[str, list[str]]:
        """Return the conditions of each target type, or all in one panel where none is told."""
        groups: dict[str, list[str]] = {}
        for name, target in self.target.items():
            groups.setdefault(target, []).append(name)
        return groups


def text_of(value: Any) -> str:
    """Return a text, empty for what is not known."""
    return "" if pd.isna(value) else str(value)


def _without(name: str, target: str) -> str:
    told = readable(target)
    short = name.replace(f", {told}", "").replace(f" on {told}", "") if told else name
    return short or name
