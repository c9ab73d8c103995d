"""Outputs of parts of a batch, or of several batches, brought together in one folder."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import pandas as pd

import exovision
from exovision.batch.experiment import rebuild
from exovision.batch.jobs import SHARDS
from exovision.batch.single import completed_key
from exovision.errors import InputError, OutputError
from exovision.io.folders import make_folder
from exovision.io.tables import write_csv, write_json
from exovision.settings import ExperimentSettings

FAILURES = {"movie": "string", "path": "string", "error": "string"}


def merge(
    sources: Sequence[Path],
    out: Path,
    *,
    settings: ExperimentSettings,
    say: Callable[[str], None] = lambda text: None,
) -> Path:
    """Bring the movies of several output folders together, with one overview and one experiment.

    Parameters
    ----------
    sources : sequence of Path
        Output folders of runs, whole or in parts; `out` may be one of them.
    out : Path
        Complete movies are copied into it, unless they are there.
    settings : ExperimentSettings
    say : callable
        Told what is left out.

    Returns
    -------
    Path
        The report of the experiment, or the overview where no movie has a condition.

    Raises
    ------
    InputError
        If a source holds no movies, or two of them hold different movies of one name.
    OutputError
        If `out` cannot be written to.
    """
    listed = [(source, *_lists(source)) for source in sources]
    make_folder(out)
    rows: dict[str, pd.DataFrame] = {}
    homes: dict[str, Path] = {}
    for source, movies, _ in listed:
        for name, row in _by_name(movies):
            key = completed_key(source / name)
            if key is None:
                say(f"{name}: not complete in {source}, left out")
            elif name not in homes:
                homes[name], rows[name] = source / name, row
            elif completed_key(homes[name]) != key:
                raise InputError(
                    f"{name}: {homes[name].parent} and {source} hold different movies of this name; "
                    "merge them into separate folders"
                )
    for name, home in homes.items():
        _take(home, out / name)
    failed = pd.concat([failures for _, _, failures in listed], ignore_index=True)
    failed = failed[~failed["movie"].isin(list(homes))].drop_duplicates("movie", keep="last")
    table = pd.concat(rows.values(), ignore_index=True) if rows else pd.DataFrame({"movie": []})
    write_csv(table.sort_values("movie", kind="stable"), out / "movies.csv", {"movie": "string"})
    write_csv(failed, out / "failures.csv", FAILURES)
    record = {"version": exovision.__version__, "movies": len(homes) + len(failed), "done": sorted(homes)}
    write_json({**record, "failed": failed["movie"].tolist()}, out / "run.json")
    return rebuild(out, samples=None, settings=settings, say=say)


def _lists(source: Path) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Return the rows of `movies.csv` and `failures.csv` of a folder and of its parts, all as text."""
    folders = [folder for folder in (source, *sorted(source.glob(f"{SHARDS}/*"))) if _listed(folder)]
    if not folders:
        raise InputError(f"{source}: the output folder of a run was wanted, no movies.csv is there")
    movies, failures = (
        pd.concat([_read(folder / file) for folder in folders], ignore_index=True)
        for file in ("movies.csv", "failures.csv")
    )
    return movies.drop_duplicates("movie", keep="last"), failures


def _listed(folder: Path) -> bool:
    return (folder / "movies.csv").is_file()


def _read(path: Path) -> pd.DataFrame:
    try:
        return pd.read_csv(path, dtype=str, keep_default_na=False, na_values=[""])
    except (OSError, ValueError) as error:
        raise InputError(f"{path}: the list of a run must be readable: {error}") from error


def _by_name(movies: pd.DataFrame) -> Iterator[tuple[str, pd.DataFrame]]:
    for i, name in enumerate(movies["movie"]):
        yield str(name), movies.iloc[[i]]


def _take(home: Path, place: Path) -> None:
    """Copy a movie's folder to its place, whole or not at all, unless it is the same movie there."""
    if home.resolve() == place.resolve() or completed_key(place) == completed_key(home):
        return
    part = place.with_name(f".{place.name}.part")
    try:
        shutil.rmtree(part, ignore_errors=True)
        shutil.copytree(home, part)
        shutil.rmtree(place, ignore_errors=True)
        part.rename(place)
    except OSError as error:
        raise OutputError(f"{place}: the movie could not be copied: {error.strerror or error}") from error
