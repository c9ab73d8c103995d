"""Work in the background, stepped through by napari's worker, with progress and a stop that works."""

from __future__ import annotations

from collections.abc import Callable, Generator
from dataclasses import dataclass
from queue import Empty, SimpleQueue
from threading import Event, Thread
from typing import Any, Generic, TypeVar

from napari.qt.threading import create_worker
from napari.utils import progress as activity_bar

from exovision.errors import Cancelled
from exovision.progress import Progress
from napari_exovision.graphics import keep_triton_out
from napari_exovision.hub import Hub
from napari_exovision.say import complain

Value = TypeVar("Value")
HEARTBEAT_S = 0.1


@dataclass(frozen=True)
class Step:
    """How far a stage has come."""

    stage: str
    done: int
    total: int


@dataclass(frozen=True)
class Outcome(Generic[Value]):
    """What became of the work: a value or an error."""

    value: Value | None = None
    error: BaseException | None = None


def follow(work: Callable[[Progress], Value], stop: Event) -> Generator[Step | None, None, Outcome[Value]]:
    """Do the work in a thread and yield its progress.

    Parameters
    ----------
    work : callable
        Gets a progress callback, which raises `Cancelled` once `stop` is set.
    stop : Event
        Set by whoever wants the work to end, and when the generator is closed.

    Yields
    ------
    Step or None
        None now and then when there is nothing new, so that a worker can look whether to go on.
    """
    steps: SimpleQueue[Step] = SimpleQueue()

    def progress(stage: str, done: int, total: int) -> None:
        if stop.is_set():
            raise Cancelled("stopped")
        steps.put(Step(stage, done, total))

    ended: SimpleQueue[Outcome[Value]] = SimpleQueue()

    def run() -> None:
        try:
            ended.put(Outcome(value=work(progress)))
        except BaseException as error:
            ended.put(Outcome(error=error))

    thread = Thread(target=run, name="exovision", daemon=True)
    thread.start()
    try:
        while thread.is_alive():
            try:
                yield steps.get(timeout=HEARTBEAT_S)
            except Empty:
                yield None
    except GeneratorExit:
        stop.set()
        raise
    return ended.get()


class Task(Generic[Value]):
    """Work in the background with a bar in napari's activity dock.

    Parameters
    ----------
    hub : Hub
        Stops the task when the viewer closes.
    title : str
    work : callable
        Gets a progress callback; runs in another thread.
    done : callable
        Gets the value, in the main thread.
    step : callable, optional
        Gets stage, done and total, in the main thread.
    ended : callable, optional
        Called last, whatever happened.
    quiet : bool
        Do not tell that the work was stopped.
    """

    def __init__(
        self,
        hub: Hub,
        title: str,
        work: Callable[[Progress], Value],
        done: Callable[[Value], None],
        *,
        step: Callable[[str, int, int], None] | None = None,
        ended: Callable[[], None] | None = None,
        quiet: bool = False,
    ) -> None:
        self._hub, self._title, self._quiet = hub, title, quiet
        self._done, self._step, self._ended = done, step, ended
        self._stop = Event()
        keep_triton_out()
        self._bar: Any = activity_bar(total=0, desc=title)
        self._worker: Any = create_worker(follow, work, self._stop)
        self._worker.yielded.connect(self._on_step)
        self._worker.returned.connect(self._on_outcome)
        self._worker.aborted.connect(self._stop.set)
        self._worker.finished.connect(self._on_end)
        hub.started(self)
        self._worker.start()

    def cancel(self) -> None:
        """Ask the work to stop; `ended` is called once it has."""
        self._stop.set()

    @property
    def stopping(self) -> bool:
        """Whether the work was asked to stop."""
        return self._stop.is_set()

    def _on_step(self, step: Step | None) -> None:
        if step is None or self._stop.is_set():
            return
        if self._bar.total != step.total:
            self._bar.reset(total=step.total)
        self._bar.set_description(f"{self._title}: {step.stage}")
        self._bar.n = step.done
        self._bar.refresh()
        if self._step is not None:
            self._step(step.stage, step.done, step.total)

    def _on_outcome(self, outcome: Outcome[Value]) -> None:
        if outcome.error is not None:
            if not (self._quiet and isinstance(outcome.error, Cancelled)):
                complain(outcome.error)
        elif not self._stop.is_set():
            try:
                self._done(outcome.value)  # type: ignore[arg-type]
            except Exception as error:
                complain(error)

    def _on_end(self) -> None:
        self._bar.close()
        self._hub.ended(self)
        if self._ended is not None:
            self._ended()


def correct(hub: Hub, *annotations: Any) -> None:
    """Take corrections and recount the tables in the background, unless the user recounts on demand.

    Raises
    ------
    OutputError
        If the corrections cannot be written.
    """
    if hub.session is None:
        return
    hub.session.add(*annotations)
    after_correction(hub)


def after_correction(hub: Hub) -> None:
    """Recount if the tables do not hold all corrections and the user wants it at once."""
    session = hub.session
    if session is not None and hub.counts_itself and session.stale and session.stored.movie is not None:
        recount(hub)


def recount(hub: Hub) -> None:
    """Recount all tables in the background; a recount that runs already is started again when it is over."""
    session = hub.session
    if session is None or hub.recounting is not None:
        return

    def ended() -> None:
        hub.recounting = None
        if not failed:
            after_correction(hub)

    failed: list[bool] = [True]

    def done(found: Any) -> None:
        failed.clear()
        if hub.session is session:
            session.adopt(found)

    hub.recounting = Task(
        hub, "recounting", lambda progress: session.recount(progress=progress), done, ended=ended, quiet=True
    )
