"""The sample sheet: one row per movie with what the experiment knows of it."""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from exovision.errors import InputError, SettingsError
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
    facts : mapping of Path to mapping
        What the sheet says of each movie, by its absolute path.
    """

    facts: Mapping[Path, Mapping[str, Any]]

    def facts_for(self, path: Path) -> dict[str, Any]:
        """Return what the sheet says of a movie without empty cells; nothing for one it does not name.

        `channels` is a mapping of role to number; numeric columns are numbers; unknown columns are texts.
        """
        return dict(self.facts.get(path.resolve(), {}))


def read_samples(path: Path) -> SampleSheet:
    """Read and check a sample sheet; paths in it are relative to the sheet and may be patterns.

    Raises
    ------
    InputError
        If it cannot be read, has no `path` column, or a cell is wrong; the message names row and column.
    """
    facts: dict[Path, dict[str, Any]] = {}
    for number, row in _rows(path):
        where = f"{path}, row {number}"
        for problem in _problems(row):
            raise InputError(f"{where}, {problem}")
        for found in _matches(path, row["path"], where):
            if found in facts:
                raise InputError(
                    f"{where}, column path: {found.name} is in an earlier row too; remove one of them"
                )
            facts[found] = _typed(row)
    return SampleSheet(facts)


def _rows(path: Path) -> Iterator[tuple[int, dict[str, str]]]:
    """Yield the number and the cells of each row, counted from the header as 1."""
    try:
        text = path.read_text(encoding="utf-8-sig")
        lines = list(csv.reader(io.StringIO(text, newline=""), skipinitialspace=True, strict=True))
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise InputError(f"{path}: a sample sheet must be a readable CSV file in UTF-8: {error}") from error
    header = [name.strip() for name in lines[0]] if lines else []
    if "path" not in header:
        raise InputError(f"{path}: the column `path` is needed, got {', '.join(header) or 'an empty file'}")
    twice = next((name for name in header if header.count(name) > 1), None)
    if twice is not None:
        raise InputError(f"{path}, column {twice}: it is there twice; remove one of them")
    for number, cells in enumerate(lines[1:], start=2):
        if not any(cells):
            continue
        if len(cells) > len(header):
            raise InputError(
                f"{path}, row {number}: {len(header)} cells were wanted, as in the header, got {len(cells)}; "
                "put quotes around cells with a comma"
            )
        yield number, dict.fromkeys(header, "") | dict(zip(header, (cell.strip() for cell in cells)))


def _problems(row: Mapping[str, str]) -> Iterator[str]:
    if not row["path"]:
        yield "column path: a file or pattern is needed, got nothing"
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
    try:
        parse_channels(row.get("channels", ""))
    except SettingsError as error:
        yield f"column channels: {error}"


def _is_number(text: str) -> bool:
    try:
        return math.isfinite(float(text))
    except ValueError:
        return False


def _typed(row: Mapping[str, str]) -> dict[str, Any]:
    facts: dict[str, Any] = {name: value for name, value in row.items() if value and name != "path"}
    facts |= {name: float(facts[name]) for name in facts.keys() & set(NUMBERS)}
    if "channels" in facts:
        facts["channels"] = parse_channels(facts["channels"])
    return facts


def _matches(sheet: Path, pattern: str, where: str) -> list[Path]:
    folder = sheet.parent.resolve()
    direct = folder / pattern
    found = [direct] if direct.exists() else []
    if not found and not Path(pattern).is_absolute():
        found = sorted(folder.glob(pattern))
    if not found:
        raise InputError(f"{where}, column path: {pattern!r} matches no file; correct it")
    return [path.resolve() for path in found]


def template() -> str:
    """Return a sample sheet with every column and one example row, as CSV text."""
    text = io.StringIO()
    writer = csv.DictWriter(text, COLUMNS, restval="", lineterminator="\n")
    writer.writeheader()
    writer.writerow(EXAMPLE)
    return text.getvalue()
