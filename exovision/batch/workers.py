"""Movies analysed by several processes at once: what they say, finish and fail at comes back to one."""

from __future__ import annotations

import os
import signal
from collections import Counter, deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from multiprocessing import get_context
from multiprocessing.connection import Connection, wait
from pathlib import Path
from typing import Any

from exovision.batch.jobs import Job
from exovision.batch.single import Finished, failed, is_complete, run_one
from exovision.errors import Cancelled
from exovision.nets.device import limit_threads, spread_over_devices
from exovision.progress import Progress, Watcher

TRIES = 2
"""How often a movie is begun whose process dies, for lack of memory or because somebody ends it."""
PARTING_S = 5.0


def run_jobs(
    jobs: Sequence[Job],
    out: Path,
    *,
    workers: int,
    device: str,
    overwrite: bool,
    watch: Watcher,
    say: Callable[[str], None],
) -> Iterator[Finished]:
    """Analyse movies in several processes and yield them as they finish.

    Parameters
    ----------
    jobs : sequence of Job
    out : Path
        Each movie gets its own folder in it.
    workers : int
        Processes at most; CPU cores, and GPUs where there are several, are shared out among them.
    device, overwrite
        As for `single.run_one`.
    watch : callable
        Gives the progress callback for a movie's name; what it raises ends the batch.
    say : callable
        Told one line at a time.

    Yields
    ------
    Finished
        One per job. A movie whose process dies is tried once more, then it has failed. After a stop: what was
        saved whole before its process ended.
    """
    count = min(workers, len(jobs))
    devices = spread_over_devices(device, count)
    threads = max(1, (os.cpu_count() or 1) // max(count, 1))
    waiting, begun = deque(jobs), Counter[str]()
    crew: list[_Worker] = []

    def replace(worker: _Worker) -> _Worker:
        crew[crew.index(worker)] = fresh = _Worker(out, worker.device, overwrite, threads)
        return fresh

    try:
        crew += [_Worker(out, name, overwrite, threads) for name in devices]
        while waiting or any(worker.job is not None for worker in crew):
            for worker in [worker for worker in crew if worker.job is None][: len(waiting)]:
                begun[waiting[0].entry.name] += 1
                (worker if worker.alive else replace(worker)).begin(waiting.popleft(), watch)
            busy = [worker for worker in crew if worker.job is not None]
            heard = wait([worker.connection for worker in busy])
            for worker in [worker for worker in busy if worker.connection in heard]:
                try:
                    finished = worker.listen(say)
                except (EOFError, ConnectionError):
                    replace(worker)
                    finished = _lost(worker.dead(), begun, waiting, worker.exit_code, say)
                if finished is not None:
                    yield finished
    except (Cancelled, KeyboardInterrupt):
        under_way = [worker.job for worker in crew if worker.job is not None]
        for worker in crew:
            worker.end()
        yield from (Finished(job.entry.name, "done") for job in under_way if is_complete(job, out))
        raise
    finally:
        for worker in crew:
            worker.end()


def _lost(
    job: Job, begun: Counter[str], waiting: deque[Job], code: int | None, say: Callable[[str], None]
) -> Finished | None:
    """Put a movie whose process died back in the queue, or give it up."""
    name = job.entry.name
    if begun[name] < TRIES:
        say(f"{name}: its process ended (exit code {code}); it is tried once more")
        waiting.appendleft(job)
        return None
    return failed(
        name,
        f"its process ended {TRIES} times (exit code {code}); if memory ran out, use fewer --workers",
        say,
    )


class _Worker:
    """A process that analyses one movie after the other, and the line to it."""

    def __init__(self, out: Path, device: str, overwrite: bool, threads: int) -> None:
        context = get_context("spawn")
        self.connection, theirs = context.Pipe()
        self.device = device
        self.job: Job | None = None
        self._progress: Progress | None = None
        self._process = context.Process(
            target=_work, args=(theirs, out, device, overwrite, threads), daemon=True
        )
        self._process.start()
        theirs.close()

    @property
    def alive(self) -> bool:
        return self._process.is_alive()

    @property
    def exit_code(self) -> int | None:
        return self._process.exitcode

    def begin(self, job: Job, watch: Watcher) -> None:
        self.job, self._progress = job, watch(job.entry.name)
        with suppress(ConnectionError):  # If it is dead, the next attempt to listen tells.
            self.connection.send(job)

    def listen(self, say: Callable[[str], None]) -> Finished | None:
        """Pass one message on; returns the movie if it is finished."""
        kind, *what = self.connection.recv()
        if kind == "progress" and self._progress is not None:
            self._progress(*what)
        elif kind == "say":
            say(*what)
        elif kind == "finished":
            self.job = None
            finished: Finished = what[0]
            return finished
        return None

    def dead(self) -> Job:
        """Bury the process and return the movie that it was at."""
        self._process.join(PARTING_S)
        self.connection.close()
        assert self.job is not None
        return self.job

    def end(self) -> None:
        """End the process: at once if it is at a movie, else when it hears that nobody is there."""
        self.connection.close()
        if self.job is not None:
            self._process.terminate()
        self._process.join(PARTING_S)
        if self._process.is_alive():
            self._process.kill()
            self._process.join()


def _work(line: Connection, out: Path, device: str, overwrite: bool, threads: int) -> None:
    """Analyse the movies that come down the line until it is closed."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches all; the one who leads decides.
    limit_threads(threads)

    def tell(*message: Any) -> None:
        try:
            line.send(message)
        except ConnectionError as error:
            raise Cancelled("nobody waits for this movie any more") from error

    def progress(stage: str, done: int, total: int) -> None:
        tell("progress", stage, done, total)

    try:
        while True:
            job: Job = line.recv()
            finished = run_one(
                job,
                out,
                device=device,
                overwrite=overwrite,
                progress=progress,
                say=lambda text: tell("say", text),
            )
            tell("finished", finished)
    except (EOFError, ConnectionError, Cancelled):
        return
