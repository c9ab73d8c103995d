"""Work in the background: progress, values, errors, and a stop that is felt."""

from __future__ import annotations

import threading
from typing import Any

import pytest
from napari_exovision.hub import hub_of
from napari_exovision.say import in_panel_words
from napari_exovision.work import Task, follow

from exovision.errors import Cancelled, InputError
from exovision.progress import Progress


def test_the_generator_yields_progress_and_returns_the_value() -> None:
    def work(progress: Progress) -> int:
        progress("counting", 1, 2)
        progress("counting", 2, 2)
        return 42

    steps, work_steps = follow(work, threading.Event()), []
    while True:
        try:
            work_steps.append(next(steps))
        except StopIteration as end:
            outcome = end.value
            break
    assert [step.done for step in work_steps if step is not None][:1] in ([1], [])
    assert outcome.value == 42 and outcome.error is None


def test_closing_the_generator_stops_the_work() -> None:
    seen: list[BaseException] = []

    def work(progress: Progress) -> None:
        try:
            while True:
                progress("for ever", 0, 1)
                threading.Event().wait(0.01)
        except Cancelled as error:
            seen.append(error)
            raise

    steps = follow(work, threading.Event())
    next(steps)
    steps.close()
    (thread,) = [one for one in threading.enumerate() if one.name == "exovision"]
    thread.join(10)
    assert len(seen) == 1 and not thread.is_alive()


@pytest.mark.parametrize("error", [InputError("give a movie"), ValueError("a defect")])
def test_an_error_becomes_one_message(viewer: Any, until: Any, said: list[str], error: Exception) -> None:
    def work(progress: Progress) -> None:
        raise error

    ended: list[int] = []
    Task(hub_of(viewer), "trying", work, lambda _: None, ended=lambda: ended.append(1))
    until(lambda: bool(ended))
    assert len(said) == 1
    assert said[0] == "give a movie" or said[0].startswith("internal error")


def test_a_stopped_task_hands_no_value_over(viewer: Any, until: Any, said: list[str]) -> None:
    begun, got, ended = threading.Event(), [], []

    def work(progress: Progress) -> int:
        while True:
            progress("waiting", 0, 1)
            begun.set()
            threading.Event().wait(0.01)

    task = Task(hub_of(viewer), "waiting", work, got.append, ended=lambda: ended.append(1))
    until(begun.is_set)
    task.cancel()
    until(lambda: bool(ended))
    assert got == [] and "stopped" in said[0]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("the file gives none; pass it with --pixel-size-um", "fill in the pixel size in the Analyse panel"),
        ("pass --channels, such as exosome=0", "fill in the channels' roles in the Analyse panel, such as"),
        ("choose another with --out", "the results folder in the Analyse panel"),
        ("7 frames (--axes TYX)", "axes TYX"),
    ],
)
def test_messages_name_the_fields_of_the_panels(text: str, words: str) -> None:
    assert words in in_panel_words(text) and "--" not in in_panel_words(text)
