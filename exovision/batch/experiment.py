"""The experiment over all movies of an output folder, from their tables alone."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from exovision import schema
from exovision.batch.jobs import Job
from exovision.errors import InputError, OutputError
from exovision.experiment.analyse import Experiment, analyse_study
from exovision.experiment.design import Design, check_design
from exovision.experiment.study import ARM_FACTS, Study, make_study
from exovision.io.folders import make_folder
from exovision.io.provenance import versions
from exovision.io.samples import match_samples
from exovision.io.tables import read_table, write_csv, write_json
from exovision.report.experiment import write_experiment_report
from exovision.report.index import write_index
from exovision.settings import ExperimentSettings

TABLES: Mapping[str, Mapping[str, str]] = {
    "survival": schema.SURVIVAL,
    "cumulative_incidence": schema.CUMULATIVE_INCIDENCE,
    "latency": schema.LATENCY,
    "hazard": schema.HAZARD,
    "comparison": schema.COMPARISON,
    "wells": schema.WELLS,
}
NAMING = ("condition", *ARM_FACTS[:3])
"""Facts of which at least one must be given for a movie to belong to a condition."""


def names_conditions(movies: pd.DataFrame) -> bool:
    """Tell whether any movie has a condition, source, target type or treatment."""
    return any(name in movies and movies[name].notna().any() for name in NAMING)


def design_of(jobs: Sequence[Job], settings: ExperimentSettings) -> Design | None:
    """Return what the sheet allows for the movies found, None if it names no conditions."""
    movies = pd.DataFrame([{"movie": job.entry.name, **job.facts} for job in jobs])
    return check_design(movies, settings) if names_conditions(movies) else None


def read_study(out: Path, movies: pd.DataFrame) -> Study:
    """Read the tables of the movies of an output folder.

    Parameters
    ----------
    out : Path
    movies : DataFrame
        `movie` and the facts of the sample sheet.

    Raises
    ------
    InputError
        If a movie's table is missing or cannot be read, or no movie has a condition.
    """
    pooled: dict[str, list[pd.DataFrame]] = {"fates": [], "events": [], "cells": []}
    for name in movies["movie"]:
        folder = out / str(name)
        for table, file, columns in (
            ("fates", "fates.csv", schema.FATES),
            ("events", "events.csv", schema.EVENTS),
            ("cells", "cells.parquet", schema.CELLS),
        ):
            pooled[table].append(read_table(folder / file, columns).assign(movie=str(name)))
    whole = {
        table: pd.concat([part for part in parts if len(part)] or parts[:1], ignore_index=True)
        for table, parts in pooled.items()
    }
    return make_study(movies, **whole)


def write_experiment(out: Path, movies: pd.DataFrame, settings: ExperimentSettings) -> Path:
    """Analyse the movies of an output folder as an experiment and write `experiment/`.

    Parameters
    ----------
    out : Path
    movies : DataFrame
        A row per complete movie, as `movies.csv`.
    settings : ExperimentSettings

    Returns
    -------
    Path
        The experiment's report.

    Raises
    ------
    InputError
        If a movie's tables are missing, or no movie has a condition.
    OutputError
        If the folder cannot be written to.
    """
    found = analyse_study(read_study(out, movies), settings)
    folder = make_folder(out / "experiment")
    try:
        return save_experiment(found, folder, settings)
    except OSError as error:
        raise OutputError(f"{folder}: results could not be written: {error.strerror or error}") from error


def save_experiment(found: Experiment, folder: Path, settings: ExperimentSettings) -> Path:
    """Write tables, summary, figures and report of an experiment into a folder that exists."""
    for name, table in found.tables().items():
        write_csv(table, folder / f"{name}.csv", TABLES[name])
    design = {"testable": found.design.testable, "warnings": found.design.warnings}
    record: dict[str, Any] = {
        **found.summary,
        "design": design,
        "settings": settings.model_dump(mode="json"),
        "versions": versions(),
    }
    write_json(record, folder / "summary.json")
    return write_experiment_report(
        folder,
        tables=found.tables(),
        arms=found.design.arms,
        summary=found.summary,
        design=design,
        settings=settings,
        versions=versions(),
    )


def rebuild(
    out: Path,
    *,
    samples: Path | None,
    settings: ExperimentSettings,
    say: Callable[[str], None] = lambda text: None,
) -> Path:
    """Make the overview and the experiment of an output folder again, from its tables alone.

    Parameters
    ----------
    out : Path
        Holds `movies.csv` and a folder with tables per movie; images are not needed.
    samples : Path, optional
        A sample sheet whose facts replace those in `movies.csv`; its paths are matched with the movies' own
        paths and names, whether or not the images are still there.
    settings : ExperimentSettings
    say : callable
        Told what is left out.

    Returns
    -------
    Path
        The experiment's report, or the overview where no movie has a condition.

    Raises
    ------
    InputError
        If `out` holds no movies, a table is missing, or the sheet is wrong.
    """
    movies = _movies_of(out)
    if samples is not None:
        movies = _with_facts(movies, samples, out)
        write_csv(movies, out / "movies.csv", {"movie": schema.TEXT})
    failures = out / "failures.csv"
    columns = dict.fromkeys(("movie", "path", "error"), schema.TEXT)
    failed = read_table(failures, columns).to_dict("records") if failures.is_file() else []
    report = write_index(out, movies=movies, failures=failed)  # type: ignore[arg-type]
    if not names_conditions(movies):
        say("no movie has a condition: give a sample sheet with --samples to compare conditions")
        return report
    written = write_experiment(out, movies, settings)
    write_index(out, movies=movies, failures=failed)  # type: ignore[arg-type]
    return written


def _movies_of(out: Path) -> pd.DataFrame:
    """Return `movies.csv`, or a row for each folder with tables where there is none."""
    if not out.is_dir():
        raise InputError(f"{out}: the output folder of a run was wanted, nothing is there; correct the path")
    path = out / "movies.csv"
    if path.is_file():
        columns = {"movie": schema.TEXT, "donor": schema.TEXT, "well": schema.TEXT, "replicate": schema.TEXT}
        movies = read_table(path, columns)
    else:
        names = sorted(child.name for child in out.iterdir() if (child / "fates.csv").is_file())
        movies = pd.DataFrame({"movie": pd.array(names, dtype="string")})
    if movies.empty:
        raise InputError(
            f"{out}: an output folder with movies.csv or movies' tables was wanted, none is there"
        )
    return movies


def _with_facts(movies: pd.DataFrame, samples: Path, out: Path) -> pd.DataFrame:
    """Replace the facts of the movies by those of a sheet."""
    paths = movies["path"] if "path" in movies else pd.Series(pd.NA, index=movies.index)
    known = {
        str(name): str(out / str(name)) if pd.isna(path) else str(path)
        for name, path in zip(movies["movie"], paths)
    }
    facts = match_samples(samples, known)
    named = pd.DataFrame([facts.get(str(name), {}) for name in movies["movie"]], index=movies.index)
    named = named.drop(columns=["channels", "path"], errors="ignore")
    return movies.drop(columns=[*named.columns, *NAMING], errors="ignore").join(named)
