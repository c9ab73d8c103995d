"""Finding the movies in files and folders, and naming them so that no two names collide."""

from __future__ import annotations

import hashlib
import os
import re
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from exovision.errors import InputError
from exovision.io.folder_source import list_images, walk
from exovision.io.formats import SUFFIXES, is_zarr, parts_of, stem
from exovision.io.stack import Part

RESERVED = frozenset({"experiment", "shards", "run.json", "movies.csv", "failures.csv", "report.html"})
"""What an output folder holds beside the folders of its movies."""
LONGEST = 180
"""Bytes of a movie's name; file systems allow 255 for a folder."""
SKIPPED_FOLDERS = frozenset({"truth"})
LABEL_MARKS = ("_labels", "cell_labels")


@dataclass(frozen=True)
class MovieEntry:
    """One movie to analyse.

    Attributes
    ----------
    name : str
        Path relative to the input without suffix, parts joined by `__`, and the position.
    path : Path
        The file, the OME-Zarr image, or the folder of single images.
    position : str, optional
        Which position of the file or folder.
    root : Path
        The input under which it was found.
    well : str
        The well of a plate; empty if none is known.
    """

    name: str
    path: Path
    position: str | None
    root: Path
    well: str = ""


def find_movies(inputs: Sequence[Path], *, pattern: str | None = None) -> list[MovieEntry]:
    """List the movies in files and folders, by input and name.

    Parameters
    ----------
    inputs : sequence of Path
        Files, or folders that are searched through; outputs of exovision, folders called `truth` and label
        images (`…_labels.tif`) inside them are left out.
        A plate in OME-Zarr is one movie for each field of each well.
    pattern : str, optional
        Regular expression for folders of single images: a folder with matching files is one movie for each
        well and position; with a slash in the pattern the input itself is that folder.

    Returns
    -------
    list of MovieEntry
        A file that cannot be read is an entry too; it fails when it is opened.

    Raises
    ------
    InputError
        If an input does not exist, or there is no movie in all of them.
    """
    found: list[MovieEntry] = []
    for given in inputs:
        if not given.exists():
            raise InputError(f"{given}: a file or folder was wanted, nothing is there; correct the path")
        found += list(
            _in_folder(given, pattern)
            if given.is_dir() and not is_zarr(given)
            else _movies_of(given, given.parent)
        )
    if not found:
        raise InputError(
            f"no movies found in {', '.join(map(str, inputs))}: wanted names that end in "
            f"{', '.join(SUFFIXES)}, or folders of single images with --pattern"
        )
    return _told_apart(found)


def _in_folder(folder: Path, pattern: str | None) -> Iterator[MovieEntry]:
    files = [path for path in walk(folder, skip=SKIPPED_FOLDERS) if not _is_labels(path)]
    if pattern is None:
        for path in files:
            yield from _movies_of(path, folder)
        return
    for parent in [folder] if "/" in pattern else dict.fromkeys(path.parent for path in files):
        for position, well in sorted({(i.position, i.well) for i in list_images(parent, pattern)}):
            yield _entry(parent, folder, Part(parent, position or None, position, well))


def _movies_of(path: Path, root: Path) -> Iterator[MovieEntry]:
    try:
        parts = parts_of(path)
    except InputError:
        parts = [Part(path)]
    for part in parts:
        yield _entry(path, root, part)


def _is_labels(path: Path) -> bool:
    return stem(path).endswith(LABEL_MARKS)


def _entry(path: Path, root: Path, part: Part) -> MovieEntry:
    relative = path.relative_to(root)
    names = [*relative.parent.parts, stem(path)] if path != root else [path.resolve().name]
    name = "_".join(filter(None, ("__".join(names), part.label)))
    return MovieEntry(_folder_name(name), part.path, part.position, root, part.well)


def _folder_name(name: str) -> str:
    """Return the name as folder, line and table can bear it; nearly all names stay as they are."""
    text = re.sub(r"[\x00-\x1f\x7f]", "_", os.fsencode(name).decode("utf-8", "replace"))
    if len(text.encode()) > LONGEST:
        digest = hashlib.blake2b(os.fsencode(name), digest_size=4).hexdigest()
        text = f"{text.encode()[:LONGEST].decode('utf-8', 'ignore')}__{digest}"
    return f"{text}__movie" if text in RESERVED else text


def _told_apart(entries: list[MovieEntry]) -> list[MovieEntry]:
    """Put the name of the input's folder before names that several inputs share, then a number."""
    unique = list(dict.fromkeys(entries))
    shared = Counter(entry.name for entry in unique)
    named = [
        replace(entry, name=f"{entry.root.resolve().name}__{entry.name}") if shared[entry.name] > 1 else entry
        for entry in unique
    ]
    seen: Counter[str] = Counter()
    result = []
    for entry in named:
        seen[entry.name] += 1
        again = seen[entry.name]
        result.append(entry if again == 1 else replace(entry, name=f"{entry.name}__{again}"))
    return result
