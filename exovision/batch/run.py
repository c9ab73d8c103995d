"""Run a batch: every movie on its own, failures listed, finished movies kept and skipped the next time."""

from __future__ import annotations

import json
import os
import time
import traceback
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import pandas as pd

import exovision
from exovision.batch.experiment import names_conditions, write_experiment
from exovision.batch.jobs import Job
from exovision.errors import ExovisionError, OutputError
from exovision.files import write_text
from exovision.io.folders import make_folder
from exovision.io.provenance import fingerprint
from exovision.io.roles import channels_text
from exovision.io.tables import write_csv, write_json
from exovision.nets.shipped import weights_used
from exovision.pipeline import analyse
from exovision.progress import Progress, silent
from exovision.report.index import write_index
from exovision.result import FILES

FAILURE_COLUMNS = {"movie": "string", "path": "string", "error": "string"}
TRACE = "error.txt"
Watcher = Callable[[str], Progress]
"""Gives the progress callback for the movie of that name."""


@dataclass
class Outcome:
    """What became of a batch.

    Attributes
    ----------
    done, skipped : list of str
        Names of movies analysed now, and of movies that were complete already.
    failures : list of dict
        One row per failed movie: movie, path, error.
    report : Path, optional
        The report to open: the movie's own when there is one movie, else the overview.
    experiment : Path, optional
        The experiment's report, where the sample sheet names conditions.
    """

    done: list[str] = field(default_factory=list)
    skipped: list[str] = field(default_factory=list)
    failures: list[dict[str, str]] = field(default_factory=list)
    report: Path | None = None
    experiment: Path | None = None

    @property
    def exit_code(self) -> int:
        """0 if every movie is complete, 1 if some failed, 2 if all did."""
        if not self.failures:
            return 0
        return 1 if self.done or self.skipped else 2


def run_batch(
    jobs: Sequence[Job],
    out: Path,
    *,
    device: str = "auto",
    overwrite: bool = False,
    watch: Watcher = lambda name: silent,
    say: Callable[[str], None] = lambda text: None,
) -> Outcome:
    """Analyse every job into its own folder under `out`; one failure never stops the others.

    Parameters
    ----------
    jobs : sequence of Job
    out : Path
        The output folder; complete movies with equal input, settings and version are skipped.
    device : str
        Where networks run.
    overwrite : bool
        Analyse complete movies again.
    watch : callable
        Gives a progress callback per movie.
    say : callable
        Told one line about each movie.

    Raises
    ------
    OutputError
        If `out` cannot be written to.
    """
    make_folder(out)
    outcome = Outcome()
    started = time.perf_counter()
    try:
        for job in jobs:
            _run_one(job, out, outcome, device=device, overwrite=overwrite, watch=watch, say=say)
    finally:
        movies = _write_overview(jobs, out, outcome, seconds=time.perf_counter() - started)
    if names_conditions(movies):
        _write_experiment(jobs, out, movies, outcome, say)
    return outcome


def _write_experiment(
    jobs: Sequence[Job], out: Path, movies: pd.DataFrame, outcome: Outcome, say: Callable[[str], None]
) -> None:
    """Compare the conditions; whatever goes wrong there costs no movie."""
    try:
        outcome.experiment = write_experiment(out, movies, jobs[0].settings.experiment)
        write_index(out, movies=movies, failures=outcome.failures)
    except ExovisionError as error:
        say(f"experiment: failed: {error}")
    except Exception as error:
        say(f"experiment: failed: internal error{_keep_trace(out / 'experiment')}: {error!r}")


def _run_one(
    job: Job,
    out: Path,
    outcome: Outcome,
    *,
    device: str,
    overwrite: bool,
    watch: Watcher,
    say: Callable[[str], None],
) -> None:
    name, folder = job.entry.name, out / job.entry.name
    try:
        key = job_key(job)
        if not overwrite and completed_key(folder) == key:
            outcome.skipped.append(name)
            say(f"{name}: complete already, skipped (same input, settings and version)")
            return
        _analyse(job, folder, key, device=device, progress=watch(name), say=say)
        outcome.done.append(name)
    except ExovisionError as error:
        if error.exit_code == 130:
            raise
        _fail(job, outcome, say, str(error))
    except Exception as error:
        _fail(job, outcome, say, f"internal error{_keep_trace(folder)}: {error!r}")


def _analyse(
    job: Job, folder: Path, key: str, *, device: str, progress: Progress, say: Callable[[str], None]
) -> None:
    (folder / TRACE).unlink(missing_ok=True)
    movie, labels = job.open()
    try:
        for note in movie.notes:
            say(f"{movie.name}: {note}")
        result = analyse(movie, job.settings, labels=labels, device=device, progress=progress)
        result.save(folder, key=key)
        for warning in result.summary["warnings"]:
            say(f"{movie.name}: {warning}")
    finally:
        movie.source.close()


def _keep_trace(folder: Path) -> str:
    """Write the trace of the current exception and say where; nothing if that is impossible."""
    try:
        write_text(traceback.format_exc(), make_folder(folder) / TRACE)
    except OutputError:
        return ""
    return f", details in {folder / TRACE}"


def _fail(job: Job, outcome: Outcome, say: Callable[[str], None], text: str) -> None:
    line = " ".join(text.split())
    outcome.failures.append({"movie": job.entry.name, "path": str(job.entry.path), "error": line})
    say(f"{job.entry.name}: failed: {line}")


def job_key(job: Job) -> str:
    """Return a hash of everything that decides a movie's results: input, options, settings, version."""
    given = {name: value for name, value in asdict(job.options).items() if name not in ("labels", "samples")}
    sources = job.sources()
    return fingerprint(
        sources,
        extra={
            "version": exovision.__version__,
            "position": str(job.entry.position),
            "sources": [os.path.relpath(source, job.entry.path) for source in sources],
            "options": given,
            "settings": job.settings.model_dump(mode="json", exclude={"experiment"}),
            "facts": {name: str(value) for name, value in job.facts.items()},
            "weights": {} if job.options.labels else weights_used(job.settings.cells),
        },
    )


def completed_key(folder: Path) -> str | None:
    """Return the key of a complete movie folder, None if it is absent or incomplete."""
    if not all((folder / name).is_file() for name in FILES):
        return None
    try:
        key = json.loads((folder / "run.json").read_text(encoding="utf-8"))["key"]
    except (OSError, ValueError, KeyError, TypeError):
        return None
    return str(key)


def _write_overview(jobs: Sequence[Job], out: Path, outcome: Outcome, *, seconds: float) -> pd.DataFrame:
    """Write what lies above the movies and return a row per complete movie."""
    complete = [job for job in jobs if job.entry.name in {*outcome.done, *outcome.skipped}]
    rows = [_movie_row(job, out / job.entry.name) for job in complete]
    movies = pd.DataFrame(rows) if rows else pd.DataFrame({"movie": pd.Series(dtype="string")})
    write_csv(movies, out / "movies.csv", {"movie": "string"})
    write_csv(pd.DataFrame(outcome.failures), out / "failures.csv", FAILURE_COLUMNS)
    index = write_index(out, movies=movies, failures=outcome.failures)
    outcome.report = (
        out / complete[0].entry.name / "report.html" if len(jobs) == len(complete) == 1 else index
    )
    write_json(
        {
            "version": exovision.__version__,
            "movies": len(jobs),
            "done": outcome.done,
            "skipped": outcome.skipped,
            "failed": [row["movie"] for row in outcome.failures],
            "seconds": round(seconds, 1),
        },
        out / "run.json",
    )
    return movies


def _movie_row(job: Job, folder: Path) -> dict[str, Any]:
    """Return the headline of a complete movie and its row of the sample sheet, which must not hide it."""
    summary = json.loads((folder / "summary.json").read_text(encoding="utf-8"))
    row = {"movie": job.entry.name, "path": str(job.entry.path), **summary["movie"]}
    facts = dict(job.facts)
    if "channels" in facts:
        facts["channels"] = channels_text(facts["channels"])
    return {**row, **{f"sample_{name}" if name in row else name: value for name, value in facts.items()}}
