"""The sample sheet: one row per movie with what the experiment knows of it."""

from __future__ import annotations

import csv
import io
import math
import os
import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatch
from pathlib import Path
from typing import Any

from exovision.errors import InputError, SettingsError
from exovision.io.formats import stem
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
    facts : mapping of (Path, str) to mapping
        What the sheet says of each movie, by its absolute path and, where several rows name it, the well.
    """

    facts: Mapping[tuple[Path, str], Mapping[str, Any]]

    def facts_for(self, path: Path, *, well: str = "") -> dict[str, Any]:
        """Return what the sheet says of a movie without empty cells; nothing for one it does not name.

        `channels` is a mapping of role to number; numeric columns are numbers; unknown columns are texts. A
        well that the sheet leaves empty is the one given here.

        Raises
        ------
        InputError
            If several rows name the path by well, and the movie's own well is not known.
        """
        place = path.resolve()
        key = (place, "") if (place, "") in self.facts else (place, well_key(well))
        if key not in self.facts and not well and any(named == place for named, _ in self.facts):
            raise InputError(
                f"{path}: the sample sheet has a row for each of its wells, but not its own; pass "
                "--pattern with the group well, or leave one row"
            )
        found = self.facts.get(key)
        return {} if found is None else {**({"well": well} if well else {}), **found}


def read_samples(path: Path) -> SampleSheet:
    """Read and check a sample sheet; paths in it are relative to the sheet and may be patterns.

    Raises
    ------
    InputError
        If it cannot be read, has no `path` column, or a cell is wrong; the message names row and column.
    """
    named: dict[Path, dict[str, dict[str, Any]]] = {}
    for number, row in _rows(path):
        where = f"{path}, row {number}"
        for problem in _problems(row):
            raise InputError(f"{where}, {problem}")
        for found in _matches(path, row["path"], where):
            rows, well = named.setdefault(found, {}), well_key(row.get("well", ""))
            if rows and (not well or {"", well} & rows.keys()):
                raise InputError(
                    f"{where}, column path: {found.name} is in an earlier row too; remove one of them"
                )
            rows[well] = _typed(row)
    return SampleSheet(
        {
            (found, well if len(rows) > 1 else ""): facts
            for found, rows in named.items()
            for well, facts in rows.items()
        }
    )


def well_key(well: str) -> str:
    """Return a well's name in one spelling: `b02` and `B2` are the same."""
    match = re.fullmatch(r"\s*([A-Za-z]{1,2})[-_ ]?0*(\d+)\s*", well)
    return f"{match[1].upper()}{match[2]}" if match else well.strip()


def match_samples(path: Path, movies: Mapping[str, str]) -> dict[str, dict[str, Any]]:
    """Read a sample sheet for movies whose images need not be there any more.

    Parameters
    ----------
    path : Path
        The sheet.
    movies : mapping of str to str
        Name of each movie to the path that it was read from.

    Returns
    -------
    dict
        Facts by the movie's name. A row is about every movie whose path matches the row's path or pattern,
        seen from the sheet's folder, and about the movie of that name.

    Raises
    ------
    InputError
        If the sheet is wrong, a row matches no movie, or two rows match the same one.
    """
    facts: dict[str, dict[str, Any]] = {}
    folder = path.parent.resolve()
    rows = list(_rows(path))
    patterns = Counter(row["path"] for _, row in rows)
    for number, row in rows:
        where = f"{path}, row {number}"
        for problem in _problems(row):
            raise InputError(f"{where}, {problem}")
        pattern = row["path"]
        whole = str(folder / pattern)
        names = [
            name
            for name, at in movies.items()
            if name == pattern
            or (fnmatch(str(Path(at).resolve()), whole) and (patterns[pattern] == 1 or _in_well(name, row)))
        ]
        if not names:
            raise InputError(f"{where}, column path: {pattern!r} matches no analysed movie; correct it")
        for name in names:
            if name in facts:
                raise InputError(f"{where}, column path: {name} is in an earlier row too; remove one of them")
            facts[name] = _typed(row)
    return facts


def _in_well(name: str, row: Mapping[str, str]) -> bool:
    """Tell whether the name of a movie ends with the row's well, before its position if there is one."""
    parts = [part for part in name.split("_") if not re.fullmatch(r"p\d{3}", part)]
    return bool(row.get("well")) and well_key(row["well"]) == well_key(parts[-1])


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
    try:
        found = [direct] if direct.exists() else []
        if not found and not Path(pattern).is_absolute():
            found = sorted(folder.glob(pattern))
    except (OSError, ValueError) as error:
        raise InputError(
            f"{where}, column path: a file or pattern was wanted, got {pattern[:80]!r}: {error.args[-1]}"
        ) from error
    if not found:
        raise InputError(f"{where}, column path: {pattern!r} matches no file; correct it")
    return [path.resolve() for path in found]


def template() -> str:
    """Return a sample sheet with every column and one example row, as CSV text."""
    return _sheet(COLUMNS, [EXAMPLE])


def sheet_from_folders(
    paths: Sequence[tuple[Path, Path]], pattern: str | None, *, beside: Path, wells: Sequence[str] = ()
) -> str:
    """Return a sample sheet with a row per movie, its facts read off the names of its folders and file.

    Parameters
    ----------
    paths : sequence of (Path, Path)
        Each movie and the folder under which it was found.
    pattern : str
        What the first parts of the path under that folder look like, with columns in braces, such as
        `{source}_{target_type}/{donor}/{well}`; the last part may be the file's name without suffix. None:
        only the wells are filled in.
    beside : Path
        The folder that the sheet will lie in: its paths are relative to it.
    wells : sequence of str
        The well of each movie where its plate names one, else empty; a well in the pattern wins.

    Returns
    -------
    str
        CSV text with all columns, and those of the pattern that are not among them.

    Raises
    ------
    SettingsError
        If the pattern names no column, names one twice, or fits no movie.
    """
    expression, names = _folder_expression(pattern) if pattern is not None else (re.compile(""), [])
    depth = 0 if pattern is None else pattern.strip("/").count("/") + 1
    rows, fits = [], 0
    for (path, root), well in zip(paths, wells or [""] * len(paths)):
        match = expression.fullmatch("/".join(_folder_parts(path, root)[:depth]))
        told = match.groupdict() if match else {}
        fits += bool(told)
        rows.append({"path": Path(os.path.relpath(path, beside)).as_posix(), "well": well, **told})
    if pattern is not None and not fits:
        raise SettingsError(f"the pattern {pattern!r} fits no movie, such as {rows[0]['path']}; correct it")
    return _sheet((*COLUMNS, *(name for name in names if name not in COLUMNS)), rows)


def _folder_parts(path: Path, root: Path) -> tuple[str, ...]:
    """Return the parts of a movie's path below the input, without the endings of files and Zarr folders."""
    parts = path.relative_to(root).parts if path != root else (path.name,)
    parts = tuple(stem(Path(part)) if part.lower().endswith(".zarr") else part for part in parts)
    return (*parts[:-1], path.name.split(".")[0]) if path.is_file() else parts


def _folder_expression(pattern: str) -> tuple[re.Pattern[str], list[str]]:
    """Return the regular expression of a pattern with columns in braces, and the columns."""
    names = re.findall(r"\{(\w+)\}", pattern)
    if (
        not names
        or "path" in names
        or len(set(names)) < len(names)
        or not all(n.isidentifier() for n in names)
    ):
        raise SettingsError(
            "a folder pattern must name columns in braces, each once and not `path`, such as "
            f"{{condition}}/{{donor}}_{{well}}, got {pattern!r}"
        )
    pieces = re.split(r"\{\w+\}", pattern.strip("/"))
    text = "".join(re.escape(a) + f"(?P<{n}>[^/]+?)" for a, n in zip(pieces, names)) + re.escape(pieces[-1])
    return re.compile(text), names


def _sheet(columns: Sequence[str], rows: Sequence[Mapping[str, str]]) -> str:
    text = io.StringIO()
    writer = csv.DictWriter(text, columns, restval="", lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue()
