"""Disks, inputs, outputs and clocks that fail in the middle of a run; see `benchmarks/faults.py`."""

from __future__ import annotations

import os
import random
import resource
import shutil
import subprocess
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

from fault_commands import Ran, Row, command, failed_lines, reference, tables, use, workplace
from hostile import write_good


def expect_failure_then_whole(row: Row, ran: Ran, folder: Path, wanted: dict[str, bytes]) -> Row:
    """Check that a command failed in one line, and that the same command then does all."""
    row.note(ran)
    row.line = (failed_lines(ran) or ["", *ran.said][-1:])[0]
    row.expect("exit code", ran.code, 2)
    row.expect("lines", len(failed_lines(ran)), 1, 2)  # Also the lists' own.
    again = command(use(), folder)
    row.note(again)
    row.expect("then exit code", again.code, 0)
    row.expect("tables equal:", tables(folder / "out" / "good") == wanted, True)
    return row


def check_file_size_limit(limit: int, wanted: dict[str, bytes]) -> Row:
    """Let no file grow beyond a size, as a full disk or quota would."""
    with workplace() as folder:
        ran = command(use(), folder, lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit)))
        row = Row("disk", f"no file above {limit} bytes")
        return expect_failure_then_whole(row, ran, folder, wanted)


def check_full_disk(size_kb: int, wanted: dict[str, bytes]) -> Row:
    """Let the output lie on a small disk, which then is enlarged."""
    with workplace() as folder:
        disk = folder / "out"
        disk.mkdir()
        mount = ["mount", "-t", "tmpfs", "-o", f"size={size_kb}k", "tmpfs", str(disk)]
        subprocess.run(mount, check=True)
        try:
            ran = command(use(), folder)
            subprocess.run(["mount", "-o", "remount,size=64m", str(disk)], check=True)
            row = Row("disk", f"output on a disk of {size_kb} kB")
            return expect_failure_then_whole(row, ran, folder, wanted)
        finally:
            subprocess.run(["umount", "-l", str(disk)], check=True)


def check_read_only(wanted: dict[str, bytes]) -> Row:
    """Forbid to write into the output folder, then allow it."""
    with workplace() as folder:
        (folder / "out").mkdir(mode=0o555)
        ran = command(use(), folder)
        (folder / "out").chmod(0o755)
        return expect_failure_then_whole(Row("disk", "read-only output"), ran, folder, wanted)


def when(stage: str, act: Callable[[], None]) -> Callable[[], None]:
    """Return what makes a command act when its movie has come to a stage."""

    def prepare() -> None:
        import exovision.batch.run as batch
        from exovision.batch.single import run_one

        def watched(job: object, out: Path, *, progress: Callable[..., None], **more: object) -> object:
            done: list[bool] = []

            def tell(name: str, at: int, total: int) -> None:
                if name == stage and not done:
                    done.append(True)
                    act()
                progress(name, at, total)

            return run_one(job, out, progress=tell, **more)

        batch.run_one = watched

    return prepare


def check_vanishing(wanted: dict[str, bytes]) -> Iterator[Row]:
    """Take input or output away while a movie is analysed."""
    movie, out = Path("in/good.tif"), Path("out")
    acts: dict[str, tuple[str, Callable[[], None], tuple[int, ...]]] = {
        "input cut while it is read": ("finding cells", lambda: os.truncate(movie, 20_000), (2,)),
        "input removed while it is open": ("finding cells", movie.unlink, (0, 2)),
        "input cut before events are judged": (
            "following exosomes and events",
            lambda: os.truncate(movie, 20_000),
            (2,),
        ),
        "output removed meanwhile": ("following exosomes and events", lambda: shutil.rmtree(out), (0,)),
        "output became a file": (
            "following exosomes and events",
            lambda: (shutil.rmtree(out), out.write_text("in the way")),
            (2,),
        ),
    }
    for name, (stage, act, codes) in acts.items():
        with workplace() as folder:
            ran = command(use(), folder, when(stage, act))
            row = Row("vanishing", name, (failed_lines(ran) or ran.said[-1:])[0])
            row.note(ran)
            row.expect("exit code", ran.code, *codes)
            if (folder / "out").is_file():
                (folder / "out").unlink()
            write_good(folder / "in" / "good.tif")
            again = command(use(), folder)
            row.note(again)
            row.expect("then exit code", again.code, 0)
            row.expect("tables equal:", tables(folder / "out" / "good") == wanted, True)
            yield row


def jumped(now: Callable[[], float], rng: random.Random) -> float:
    """Return a time up to eleven days wrong."""
    return now() + rng.uniform(-1e6, 1e6)


def check_clock(wanted: dict[str, bytes]) -> Row:
    """Let all clocks jump by days, to and fro, and let the input come from the future."""

    def jump() -> None:
        rng = random.Random(0)
        for name in ("time", "perf_counter", "monotonic"):
            now = getattr(time, name)
            setattr(time, name, partial(jumped, now, rng))

    row = Row("clock", "all clocks jump, input from the year 2100", "analysed, then skipped")
    with workplace() as folder:
        os.utime(folder / "in" / "good.tif", (4102444800, 4102444800))
        for said in ("1 analysed", "1 complete already"):
            ran = command(use(), folder, jump)
            row.note(ran)
            row.expect("exit code", ran.code, 0)
            row.expect(f"said {said}:", any(said in line for line in ran.said), True)
            row.expect("tables equal:", tables(folder / "out" / "good") == wanted, True)
    return row


def check_disk() -> Iterator[Row]:
    """Yield a row for each way in which disk, input, output or clock can fail."""
    wanted = reference()
    for limit in (5_000, 20_000, 60_000):
        yield check_file_size_limit(limit, wanted)
    if os.geteuid() == 0:
        for size_kb in (8, 40, 100, 300):
            yield check_full_disk(size_kb, wanted)
    yield check_read_only(wanted)
    yield from check_vanishing(wanted)
    yield check_clock(wanted)
