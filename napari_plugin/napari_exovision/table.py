"""Tables to browse: filtered and sorted by row numbers alone, so that 100,000 rows scroll; no Qt."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

EVENT_COLUMNS: Mapping[str, str] = {
    "event_id": "event",
    "kind": "kind",
    "exosome_id": "exosome",
    "cell_id": "cell",
    "start_frame": "frame",
    "start_s": "start, s",
    "duration_s": "lasts, s",
    "probability": "probability",
    "censored": "cut off",
    "membrane_distance_um": "distance, µm",
    "identifiable": "can be told",
    "review": "review",
}
FATE_COLUMNS: Mapping[str, str] = {
    "cell_id": "cell",
    "exit": "exit",
    "death_mode": "death",
    "onset_s": "onset, s",
    "dockings": "dockings",
    "review": "review",
    "death_probability": "probability",
    "first_frame": "first frame",
    "last_frame": "last frame",
    "entry": "entry",
}
UNREVIEWED = "unreviewed"


@dataclass(frozen=True)
class Filter:
    """Which events are shown; what is None or empty shows all.

    Attributes
    ----------
    kind : str
    review : str
        "unreviewed", "accepted" or "corrected".
    exosome_id, cell_id : int or None
    least_probability : float
        Events without a probability are shown at 0 only.
    """

    kind: str = ""
    review: str = ""
    exosome_id: int | None = None
    cell_id: int | None = None
    least_probability: float = 0.0

    def mask(self, events: pd.DataFrame) -> NDArray[np.bool_]:
        """Return which events pass, shape (N,)."""
        passed = _equal(events, {"kind": self.kind}) & _reviewed_so(events, self.review)
        for name, value in (("exosome_id", self.exosome_id), ("cell_id", self.cell_id)):
            if value is not None:
                passed &= (events[name] == value).to_numpy(dtype=np.bool_, na_value=False)
        if self.least_probability > 0:
            known = events["probability"].to_numpy(dtype=np.float64, na_value=np.nan)
            passed &= np.nan_to_num(known, nan=-1.0) >= self.least_probability
        return passed


@dataclass(frozen=True)
class FateFilter:
    """Which cells are shown; what is empty shows all.

    Attributes
    ----------
    exit, mode : str
        How the cell went, and how it died.
    review : str
        "unreviewed", "accepted" or "corrected".
    """

    exit: str = ""
    mode: str = ""
    review: str = ""

    def mask(self, fates: pd.DataFrame) -> NDArray[np.bool_]:
        """Return which fates pass, shape (N,)."""
        return _equal(fates, {"exit": self.exit, "death_mode": self.mode}) & _reviewed_so(fates, self.review)


def _equal(table: pd.DataFrame, wanted: Mapping[str, str]) -> NDArray[np.bool_]:
    """Return which rows have the values wanted; an empty one is not asked for."""
    passed = np.ones(len(table), dtype=np.bool_)
    for name, value in wanted.items():
        if value:
            passed &= (table[name] == value).to_numpy(dtype=np.bool_, na_value=False)
    return passed


def _reviewed_so(table: pd.DataFrame, review: str) -> NDArray[np.bool_]:
    wanted = "" if review == UNREVIEWED else review
    held = (table["review"] == wanted).to_numpy(dtype=np.bool_)
    return held if review else np.ones(len(table), dtype=np.bool_)


class Browsable:
    """A table of which some rows are shown in some order.

    Parameters
    ----------
    table : DataFrame
        Its index is 0, 1, ….
    columns : mapping of str to str
        Column to heading, in order.

    Attributes
    ----------
    rows : ndarray of shape (M,)
        Row numbers of the table, as shown.
    order : (int, bool) or None
        The column sorted by, and whether it descends.
    """

    def __init__(self, table: pd.DataFrame, columns: Mapping[str, str]) -> None:
        self.table = table.reset_index(drop=True)
        self.names = list(columns)
        self.headings = list(columns.values())
        self._values = [_values(self.table[name]) for name in self.names]
        self._mask = np.ones(len(table), dtype=np.bool_)
        self.order: tuple[int, bool] | None = None
        self.rows: NDArray[np.int64] = np.arange(len(table))

    def __len__(self) -> int:
        return len(self.rows)

    def text(self, row: int, column: int) -> str:
        """Return what a cell shows."""
        return _text(self._values[column][self.rows[row]])

    def record(self, row: int) -> dict[str, Any]:
        """Return a shown row of the table."""
        return {str(name): value for name, value in self.table.iloc[int(self.rows[row])].items()}

    def show(self, mask: NDArray[np.bool_]) -> None:
        """Show the rows of the mask, shape (N,)."""
        self._mask = mask
        self._arrange()

    def sort(self, column: int, *, descending: bool) -> None:
        """Sort by a column; equal rows keep the table's order, missing values come last."""
        self.order = (column, descending)
        self._arrange()

    def find(self, column: str, value: Any) -> int | None:
        """Return the shown row with a value in a column, None if it is not shown."""
        held = self.table[column].to_numpy(dtype=object)[self.rows]
        found = np.flatnonzero(held == value)
        return int(found[0]) if found.size else None

    def next_where(self, mask: NDArray[np.bool_], after: int) -> int | None:
        """Return the first shown row after a shown row, or from the start, that the mask (N,) holds."""
        held = np.flatnonzero(mask[self.rows])
        if not held.size:
            return None
        later = held[held > after]
        return int(later[0] if later.size else held[0])

    def counts(self, column: str) -> dict[str, int]:
        """Return how often each value of a column is shown."""
        shown = self.table[column].iloc[self.rows].value_counts()
        return {str(name): int(count) for name, count in shown.items()}

    def _arrange(self) -> None:
        rows = np.flatnonzero(self._mask)
        if self.order is not None:
            column, descending = self.order
            keys = self.table[self.names[column]].iloc[rows]
            ordered = keys.reset_index(drop=True).sort_values(
                ascending=not descending, kind="stable", na_position="last"
            )
            rows = rows[ordered.index.to_numpy()]
        self.rows = rows


def reviewed(table: pd.DataFrame, reviews: Sequence[str] | pd.Series[Any]) -> pd.DataFrame:
    """Return events or fates with what people said of them in a column `review`."""
    return table.reset_index(drop=True).assign(review=list(reviews))


def _values(column: pd.Series[Any]) -> list[Any]:
    plain: list[Any] = column.astype(object).where(column.notna(), None).tolist()
    return plain


def _text(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, bool | np.bool_):
        return "yes" if value else "no"
    return f"{value:.4g}" if isinstance(value, float) else str(value)
