"""One movie of a batch: skipped if it is complete, analysed, saved whole; a failure becomes a row."""

from __future__ import annotations

import json
import os
import traceback
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Literal

import exovision
from exovision.batch.jobs import Job
from exovision.errors import ExovisionError, OutputError
from exovision.files import write_text
from exovision.io.folders import make_folder
from exovision.io.provenance import fingerprint
from exovision.nets.shipped import weights_used
from exovision.pipeline import analyse
from exovision.progress import Progress
from exovision.result import FILES

TRACE = "error.txt"


@dataclass(frozen=True)
class Finished:
    """What became of one movie.

    Attributes
    ----------
    name : str
    state : str
        "done", "skipped" because it was complete already, or "failed".
    error : str
        Why it failed, in one line.
    """

    name: str
    state: Literal["done", "skipped", "failed"]
    error: str = ""


def run_one(
    job: Job, out: Path, *, device: str, overwrite: bool, progress: Progress, say: Callable[[str], None]
) -> Finished:
    """Analyse one movie into its folder under `out`, unless it is complete there.

    Parameters
    ----------
    job : Job
    out : Path
    device : str
        Where networks run.
    overwrite : bool
        Analyse it again even if complete.
    progress : Progress
        May raise `Cancelled`, which ends the batch.
    say : callable
        Told one line at a time.

    Returns
    -------
    Finished
        Whatever goes wrong with the movie; only an interruption is raised.
    """
    name, folder = job.entry.name, out / job.entry.name
    try:
        key = job_key(job)
        if not overwrite and completed_key(folder) == key:
            say(f"{name}: complete already, skipped (same input, settings and version)")
            return Finished(name, "skipped")
        _analyse(job, folder, key, device=device, progress=progress, say=say)
        return Finished(name, "done")
    except ExovisionError as error:
        if error.exit_code == 130:
            raise
        return failed(name, str(error), say)
    except Exception as error:
        return failed(name, f"internal error{keep_trace(folder)}: {error!r}", say)


def failed(name: str, text: str, say: Callable[[str], None]) -> Finished:
    """Say why a movie failed, and return it."""
    line = " ".join(text.split())
    say(f"{name}: failed: {line}")
    return Finished(name, "failed", line)


def _analyse(
    job: Job, folder: Path, key: str, *, device: str, progress: Progress, say: Callable[[str], None]
) -> None:
    for left_behind in (folder / TRACE, *folder.glob(".*.part")):  # The latter by a process that was killed.
        left_behind.unlink(missing_ok=True)
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


def keep_trace(folder: Path) -> str:
    """Write the trace of the current exception and say where; nothing if that is impossible."""
    try:
        write_text(traceback.format_exc(), make_folder(folder) / TRACE)
    except OutputError:
        return ""
    return f", details in {folder / TRACE}"


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
            "weights": weights_used(job.settings, labels=bool(job.options.labels)),
        },
    )


def is_complete(job: Job, out: Path) -> bool:
    """Return whether a movie's folder under `out` is complete and of this input, settings and version."""
    key = completed_key(out / job.entry.name)
    return key is not None and key == job_key(job)


def completed_key(folder: Path) -> str | None:
    """Return the key of a complete movie folder, None if it is absent or incomplete."""
    if not all((folder / name).is_file() for name in FILES):
        return None
    try:
        key = json.loads((folder / "run.json").read_text(encoding="utf-8"))["key"]
    except (OSError, ValueError, KeyError, TypeError):
        return None
    return str(key)
