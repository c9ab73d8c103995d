"""Movies analysed on a Dask cluster, one task each; all workers see the same files."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from importlib import import_module
from pathlib import Path
from typing import Any

from exovision.batch.jobs import Job
from exovision.batch.single import Finished, failed, run_one
from exovision.errors import SettingsError
from exovision.progress import Watcher, silent

CONNECT_S = "20s"
GPU = "GPU"
"""The worker resource of which a task on a GPU takes one."""


@dataclass
class _Told:
    """What became of one movie and what was said meanwhile."""

    lines: list[str] = field(default_factory=list)
    finished: Finished | None = None


def run_on_cluster(
    jobs: Sequence[Job],
    out: Path,
    *,
    address: str,
    device: str,
    overwrite: bool,
    watch: Watcher,
    say: Callable[[str], None],
) -> Iterator[Finished]:
    """Analyse movies as tasks of a Dask scheduler and yield them as they finish.

    Parameters
    ----------
    jobs : sequence of Job
    out : Path
        Must be the same folder on all workers, as must the movies.
    address : str
        Of the scheduler, such as "tcp://host:8786".
    device, overwrite
        As for `single.run_one`; with a CUDA device a task takes one "GPU" of a worker's resources.
    watch : callable
        Its progress is told once per movie, when it is finished.
    say : callable
        Told what a movie said, when it is finished.

    Yields
    ------
    Finished
        One per job. A movie whose workers are lost again and again has failed; Dask's own setting
        `distributed.scheduler.allowed-failures` says how often it is tried.

    Raises
    ------
    SettingsError
        If `distributed` is not installed or the scheduler cannot be reached.
    """
    dask = _dask()
    client = _connect(dask, address)
    resources = {GPU: 1} if device.startswith("cuda") else None
    placed = [_absolute(job) for job in jobs]
    try:
        tasks = {
            client.submit(
                _work, job, out.resolve(), device, overwrite, pure=False, resources=resources
            ): job.entry.name
            for job in placed
        }
        try:
            for task in dask.as_completed(tasks, loop=client.loop):
                name = tasks[task]
                watch(name)("finished", 1, 1)
                if task.status != "finished":
                    yield failed(name, f"its task was lost: {task.exception()}", say)
                    continue
                told: _Told = task.result()
                for line in told.lines:
                    say(line)
                assert told.finished is not None
                yield told.finished
        finally:
            client.cancel(list(tasks))
    finally:
        client.close()


def _dask() -> Any:
    try:
        return import_module("distributed")
    except ImportError as error:
        wanted = 'pip install "exovision[cluster]"'
        raise SettingsError(f"--scheduler needs Dask: install it with {wanted}") from error


def _connect(dask: Any, address: str) -> Any:
    try:
        return dask.Client(address, timeout=CONNECT_S, set_as_default=False)
    except (OSError, ValueError) as error:
        raise SettingsError(
            f"--scheduler must be the address of a running Dask scheduler, got {address!r}: {error}"
        ) from error


def _absolute(job: Job) -> Job:
    """Return a job whose paths mean the same in another working directory."""
    options = job.options
    if options.labels is not None:
        options = replace(options, labels=str(Path(options.labels).absolute()))
    entry = replace(job.entry, path=job.entry.path.absolute(), root=job.entry.root.absolute())
    return replace(job, entry=entry, options=options)


def _work(job: Job, out: Path, device: str, overwrite: bool) -> Any:
    """Analyse one movie on a worker."""
    told = _Told()
    told.finished = run_one(
        job, out, device=device, overwrite=overwrite, progress=silent, say=told.lines.append
    )
    return told
