"""Run a batch: every movie on its own, failures listed, finished movies kept and skipped the next time."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import pandas as pd

import exovision
from exovision.batch.cluster import run_on_cluster
from exovision.batch.experiment import names_conditions, write_experiment
from exovision.batch.jobs import Job, Shard
from exovision.batch.single import Finished, keep_trace, run_one
from exovision.batch.workers import run_jobs
from exovision.errors import ExovisionError
from exovision.io.folders import make_folder
from exovision.io.roles import channels_text
from exovision.io.tables import write_csv, write_json
from exovision.progress import Watcher, silent
from exovision.report.index import write_index

FAILURE_COLUMNS = {"movie": "string", "path": "string", "error": "string"}


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

    def gather(self, jobs: Sequence[Job], finished: Mapping[str, Finished]) -> None:
        """Take over what became of the jobs, in their order."""
        for job in jobs:
            one = finished.get(job.entry.name)
            if one is None:
                continue
            if one.state == "failed":
                path = os.fsencode(job.entry.path).decode("utf-8", "replace")
                row = {"movie": one.name, "path": path, "error": one.error}
                self.failures.append(row)
            else:
                (self.done if one.state == "done" else self.skipped).append(one.name)

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
    workers: int = 1,
    shard: Shard | None = None,
    scheduler: str | None = None,
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
    workers : int
        Movies at once, each in a process of its own; 1: here.
    shard : Shard, optional
        Only this part of the jobs; its lists go to `out/shards/`, and `merge.merge` joins them.
    scheduler : str, optional
        Address of a Dask scheduler whose workers analyse the movies instead.
    watch : callable
        Gives a progress callback per movie.
    say : callable
        Told one line about each movie.

    Raises
    ------
    OutputError
        If `out` cannot be written to.
    SettingsError
        If the scheduler cannot be reached.
    """
    make_folder(out)
    jobs = list(jobs) if shard is None else shard.part(jobs)
    outcome = Outcome()
    started = time.perf_counter()
    finished: dict[str, Finished] = {}
    finish = _finish(workers, scheduler)
    try:
        for one in finish(jobs, out, device=device, overwrite=overwrite, watch=watch, say=say):
            finished[one.name] = one
    finally:
        outcome.gather(jobs, finished)
        lists = out if shard is None else make_folder(out / shard.folder)
        movies = _write_lists(jobs, out, lists, outcome, seconds=time.perf_counter() - started)
    if shard is None and names_conditions(movies):
        _write_experiment(jobs, out, movies, outcome, say)
    return outcome


def _finish(workers: int, scheduler: str | None) -> Callable[..., Iterator[Finished]]:
    """Return what analyses the jobs: this process, several, or a cluster."""
    if scheduler is not None:
        return partial(run_on_cluster, address=scheduler)
    if workers > 1:
        return partial(run_jobs, workers=workers)
    return _one_by_one


def _one_by_one(
    jobs: Sequence[Job],
    out: Path,
    *,
    device: str,
    overwrite: bool,
    watch: Watcher,
    say: Callable[[str], None],
) -> Iterator[Finished]:
    for job in jobs:
        progress = watch(job.entry.name)
        yield run_one(job, out, device=device, overwrite=overwrite, progress=progress, say=say)


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
        say(f"experiment: failed: internal error{keep_trace(out / 'experiment')}: {error!r}")


def _write_lists(
    jobs: Sequence[Job], out: Path, lists: Path, outcome: Outcome, *, seconds: float
) -> pd.DataFrame:
    """Write what lies above the movies and return a row per complete movie; a part makes no overview."""
    complete = [job for job in jobs if job.entry.name in {*outcome.done, *outcome.skipped}]
    rows = [_movie_row(job, out / job.entry.name) for job in complete]
    movies = pd.DataFrame(rows) if rows else pd.DataFrame({"movie": pd.Series(dtype="string")})
    write_csv(movies, lists / "movies.csv", {"movie": "string"})
    write_csv(pd.DataFrame(outcome.failures), lists / "failures.csv", FAILURE_COLUMNS)
    if lists == out:
        index = write_index(out, movies=movies, failures=outcome.failures)
        alone = len(jobs) == len(complete) == 1
        outcome.report = out / complete[0].entry.name / "report.html" if alone else index
    write_json(
        {
            "version": exovision.__version__,
            "movies": len(jobs),
            "done": outcome.done,
            "skipped": outcome.skipped,
            "failed": [row["movie"] for row in outcome.failures],
            "seconds": round(seconds, 1),
        },
        lists / "run.json",
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
