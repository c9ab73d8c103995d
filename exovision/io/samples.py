"""The sample sheet: one row per movie with what the experiment knows of it."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from exovision.errors import InputError
from exovision.io.roles import parse_channels

COLUMNS = (
    *("path", "condition", "source", "target_type", "treatment", "ph", "dose", "tracer_fraction", "donor"),
    *("well", "replicate", "control", "chemistry", "modality", "channels", "pixel_size_um"),
    "frame_interval_s",
)
CONTROLS = ("none", "dye_only", "no_exosome", "detergent", "fixed")
NUMBERS = ("ph", "dose", "tracer_fraction", "pixel_size_um", "frame_interval_s")
POSITIVE = ("tracer_fraction", "pixel_size_um", "frame_interval_s")
EXAMPLE = {
    "path": "day1/*.ome.tif",
    "condition": "NK exosomes",
    "source": "NK",
    "target_type": "tumour",
    "treatment": "none",
    "ph": "7.4",
    "dose": "10",
    "tracer_fraction": "1",
    "donor": "1",
    "well": "A1",
    "replicate": "1",
    "control": "none",
    "chemistry": "lipid_dye",
    "modality": "spinning_disc",
    "channels": "exosome=0,cell=1",
}


@dataclass(frozen=True)
class SampleSheet:
    """A checked sample sheet.

    Attributes
    ----------
    table : DataFrame
        One row per row of the file; unknown columns are kept.
    rows : mapping of Path to int
        The row of each movie that the paths and patterns name.
    """

    table: pd.DataFrame
    rows: Mapping[Path, int]

    def facts_for(self, path: Path) -> dict[str, Any]:
        """Return what the sheet says of a movie without empty cells; nothing for one it does not name.

        `channels` is a mapping of role to number; numeric columns are numbers.
        """
        row = self.rows.get(path.resolve())
        if row is None:
            return {}
        facts: dict[str, Any] = {
            str(name): value for name, value in self.table.loc[row].items() if value != ""
        }
        facts.pop("path")
        for name in facts.keys() & set(NUMBERS):
            facts[name] = float(facts[name])
        if "channels" in facts:
            facts["channels"] = parse_channels(str(facts["channels"]))
        return facts


def read_samples(path: Path) -> SampleSheet:
    """Read and check a sample sheet; paths in it are relative to the sheet and may be patterns.

    Raises
    ------
    InputError
        If it cannot be read, has no `path` column, or a cell is wrong; the message names row and column.
    """
    try:
        table = pd.read_csv(path, dtype=str, keep_default_na=False, skipinitialspace=True)
    except (OSError, ValueError) as error:
        raise InputError(f"{path}: a sample sheet must be a readable CSV file: {error}") from error
    if "path" not in table:
        raise InputError(f"{path}: the column `path` is needed, got {', '.join(table.columns)}")
    rows: dict[Path, int] = {}
    for number, (index, row) in enumerate(table.iterrows(), start=2):
        for problem in _problems(row):
            raise InputError(f"{path}, row {number}, {problem}")
        for found in _matches(path, row["path"], number):
            if found in rows:
                raise InputError(
                    f"{path}, row {number}, column path: {found.name} is in an earlier row too; remove one"
                )
            rows[found] = int(index)  # type: ignore[call-overload]
    return SampleSheet(table, rows)


def _problems(row: pd.Series[str]) -> Iterator[str]:
    if row.get("control", "") not in ("", *CONTROLS):
        yield f"column control: must be one of {', '.join(CONTROLS)}, got {row['control']!r}"
    for name in NUMBERS:
        value = row.get(name, "")
        if value and not _is_number(value):
            yield f"column {name}: must be a number, got {value!r}"
        elif value and name in POSITIVE and float(value) <= 0:
            yield f"column {name}: must be positive, got {value}"
    if row.get("tracer_fraction", "") and float(row["tracer_fraction"]) > 1:
        yield f"column tracer_fraction: must be at most 1, got {row['tracer_fraction']}"


def _is_number(text: str) -> bool:
    try:
        return float(text) == float(text)
    except ValueError:
        return False


def _matches(sheet: Path, pattern: str, number: int) -> list[Path]:
    folder = sheet.parent.resolve()
    given = Path(pattern)
    direct = given if given.is_absolute() else folder / given
    found = [direct] if direct.exists() else []
    if pattern and not found and not given.is_absolute():
        found = sorted(folder.glob(pattern))
    if not found:
        raise InputError(f"{sheet}, row {number}, column path: {pattern!r} matches no file; correct it")
    return [path.resolve() for path in found]


def template() -> str:
    """Return a sample sheet with every column and one example row, as CSV text."""
    text = io.StringIO()
    writer = csv.DictWriter(text, COLUMNS, restval="", lineterminator="\n")
    writer.writeheader()
    writer.writerow(EXAMPLE)
    return text.getvalue()
