"""Several movies at once: the same files as one after the other, and what a process that dies costs."""

from __future__ import annotations

import multiprocessing
import time
from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pytest

from exovision.batch.jobs import Job
from exovision.batch.run import run_batch
from exovision.errors import Cancelled
from exovision.progress import Progress, silent


def killing(times: int) -> Callable[[str], Progress]:
    """Kill all processes when movie b, begun so many times, first tells how far it is."""
    left = [times]

    def watch(name: str) -> Progress:
        armed = [name == "b"]

        def progress(stage: str, done: int, total: int) -> None:
            children = multiprocessing.active_children()
            if armed[0] and left[0] and children:
                armed[0], left[0] = False, left[0] - 1  # What the dead still had to say kills nobody else.
                for child in children:
                    child.kill()
                    child.join()

        return progress

    return watch


def test_several_processes_write_what_one_writes(jobs: list[Job], tmp_path: Path) -> None:
    one = run_batch(jobs, tmp_path / "one", device="cpu")
    two = run_batch(jobs, tmp_path / "two", device="cpu", workers=2)
    assert two.done == one.done == ["a", "b", "c"]
    assert two.failures == one.failures and two.failures[0]["movie"] == "d"
    for name in one.done:
        for file in ("exosomes.csv", "events.csv", "spots.parquet"):
            same = [(tmp_path / out / name / file).read_bytes() for out in ("one", "two")]
            assert same[0] == same[1]
    assert run_batch(jobs, tmp_path / "two", device="cpu", workers=2).skipped == ["a", "b", "c"]
    assert not multiprocessing.active_children()


def test_a_movie_whose_process_dies_is_tried_once_more(jobs: list[Job], tmp_path: Path) -> None:
    said: list[str] = []
    outcome = run_batch(jobs, tmp_path, device="cpu", workers=2, watch=killing(1), say=said.append)
    assert outcome.done == ["a", "b", "c"]
    assert any(line.startswith("b: its process ended (exit code -9)") for line in said)


def test_a_movie_that_ends_its_process_each_time_has_failed_and_the_others_are_done(
    jobs: list[Job], tmp_path: Path
) -> None:
    first = [job for job in jobs if job.entry.name in ("b", "d")]
    outcome = run_batch(first, tmp_path, device="cpu", workers=2, watch=killing(2))
    assert [row["movie"] for row in outcome.failures] == ["b", "d"]
    assert outcome.failures[0]["error"].startswith("its process ended 2 times (exit code -9)")
    assert run_batch(jobs, tmp_path, device="cpu", workers=3).done == ["a", "b", "c"]


def test_a_stop_ends_all_processes_and_lists_what_was_saved(jobs: list[Job], tmp_path: Path) -> None:
    def stop(stage: str, done: int, total: int) -> None:
        while not all((tmp_path / name / "run.json").is_file() for name in ("a", "b")):
            time.sleep(0.01)  # One of them is whole on disk, and nobody has been told yet.
        raise Cancelled("enough")

    with pytest.raises(Cancelled):
        run_batch(jobs, tmp_path, device="cpu", workers=2, watch=lambda name: stop if name == "c" else silent)
    assert not multiprocessing.active_children()
    done = list(pd.read_csv(tmp_path / "movies.csv")["movie"])
    # The third may have been saved as well before its process was stopped.
    assert done == sorted(record.parent.name for record in tmp_path.glob("*/run.json"))
    assert {"a", "b"} <= set(done)
    assert run_batch(jobs, tmp_path, device="cpu", workers=2).skipped == done
