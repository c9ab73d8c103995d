"""Malformed input, kills, full disks and vanishing files: what is survived, and what is lost.

    python benchmarks/faults.py                                # everything
    python benchmarks/faults.py --parts input                  # the corpus of benchmarks/hostile.py
    python benchmarks/faults.py --parts kill --kills 50
    python benchmarks/faults.py --parts disk

Every command is the real one, in a process of its own (forked after the imports, to spare their time) with a
limit on memory and time. All bad movies lie beside a good one, whose tables must be, byte for byte, those of
a run without them; then each is given alone. Linux only; full disks need root, and are left out without it.
"""

from __future__ import annotations

import argparse
import ctypes
import os
import random
import re
import resource
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

import pandas as pd
from hostile import (
    CANARY,
    GIVEN,
    LABELS,
    MOVIES,
    ODD_SHEETS,
    QUICK,
    SETTINGS,
    SHEETS,
    WEIGHTS,
    Verdict,
    write_good,
)

TABLES = ("spots.parquet", "exosomes.csv", "events.csv", "cells.parquet", "fates.csv")
MEMORY_GB, TIME_S, PATIENCE_S = 1.5, 30.0, 300.0
"""What a command may take: memory, CPU time, and time; the good movie takes .8 GB and 2 CPU-seconds."""
MOST_ADDRESSES = 12 << 30
MOVIES_A_BATCH = 2


@dataclass(frozen=True)
class Ran:
    """How a command ended; `seconds` are CPU-seconds."""

    code: int
    said: list[str]
    seconds: float
    peak_gb: float


@dataclass
class Row:
    """One entry of the table."""

    part: str
    name: str
    line: str = ""
    problems: list[str] = field(default_factory=list)
    seconds: float = 0.0
    peak_gb: float = 0.0

    def note(self, ran: Ran, limit_s: float = TIME_S) -> None:
        """Check what must hold for every command."""
        self.seconds, self.peak_gb = max(self.seconds, ran.seconds), max(self.peak_gb, ran.peak_gb)
        if ran.seconds > limit_s or ran.code < 0:
            self.problems.append(f"ended by {ran.code} after {ran.seconds:.0f} CPU-s")
        if ran.peak_gb > MEMORY_GB:
            self.problems.append(f"{ran.peak_gb:.2f} GB")
        if trace := [line for line in ran.said if "Traceback" in line or "internal error" in line]:
            self.problems.append(f"trace: {(trace[0] if 'internal' in trace[0] else ran.said[-1])[-160:]}")

    def expect(self, what: str, got: object, *wanted: object) -> None:
        """Note what is not as it must be."""
        if got not in wanted:
            self.problems.append(f"{what} {got}")


def drop_privileges() -> None:
    """Take from root the right to read and write what permissions forbid."""
    if os.geteuid() != 0:
        return
    header = (ctypes.c_uint32 * 2)(0x20080522, 0)
    sets = (ctypes.c_uint32 * 6)()
    libc = ctypes.CDLL(None)
    libc.capget(header, sets)
    sets[0] &= ~0b110  # CAP_DAC_OVERRIDE and CAP_DAC_READ_SEARCH, effective
    libc.capset(header, sets)


def start(arguments: Sequence[str], folder: Path, prepare: Callable[[], None] = lambda: None) -> int:
    """Start a command in a forked process that works in `folder`; returns its id."""
    child = os.fork()
    if child:
        return child
    code = 70
    try:
        os.setpgid(0, 0)
        os.chdir(folder)
        told = os.open("said.txt", os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
        os.dup2(told, 1), os.dup2(told, 2)
        resource.setrlimit(resource.RLIMIT_AS, (MOST_ADDRESSES, MOST_ADDRESSES))
        drop_privileges()
        prepare()
        from exovision.cli import run

        code = run(list(arguments))
    except BaseException:
        import traceback

        traceback.print_exc()
        code = 1
    finally:
        sys.stdout.flush(), sys.stderr.flush()
        os._exit(code)


def finish(child: int, folder: Path, limit_s: float = PATIENCE_S) -> Ran:
    """Wait for a command and return how it ended; after so long it is killed."""
    begun = time.monotonic()
    while True:
        ended, status, usage = os.wait4(child, os.WNOHANG)
        if ended:
            break
        if time.monotonic() - begun > limit_s:
            os.killpg(child, signal.SIGKILL)
            _, status, usage = os.wait4(child, 0)
            break
        time.sleep(0.01)
    said = (folder / "said.txt").read_text(errors="replace").splitlines()
    seconds, peak_gb = usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1e6
    return Ran(os.waitstatus_to_exitcode(status), said, seconds, peak_gb)


def command(arguments: Sequence[str], folder: Path, prepare: Callable[[], None] = lambda: None) -> Ran:
    """Run a command to its end."""
    return finish(start(arguments, folder, prepare), folder)


def tables(folder: Path) -> dict[str, bytes]:
    """Return the tables of a movie's folder."""
    return {name: (folder / name).read_bytes() for name in TABLES if (folder / name).is_file()}


@contextmanager
def workplace(keep: Path | None = None) -> Iterator[Path]:
    """Yield a folder with `in/good.tif` and `quick.yaml`, which afterwards is removed."""
    with tempfile.TemporaryDirectory(dir=keep, ignore_cleanup_errors=True) as name:
        folder = Path(name)
        (folder / "in").mkdir()
        write_good(folder / "in" / "good.tif")
        (folder / "quick.yaml").write_text(QUICK)
        yield folder


def use(*more: str, inputs: str = "in", settings: str = "quick.yaml") -> list[str]:
    """Return the arguments of a run."""
    return ["run", inputs, "--out", "out", *GIVEN, "--device", "cpu", "--settings", settings, *more]


def reference() -> dict[str, bytes]:
    """Return the tables of the good movie alone."""
    with workplace() as folder:
        ran = command(use(), folder)
        assert ran.code == 0, ran.said
        return tables(folder / "out" / "good")


def failed_lines(ran: Ran) -> list[str]:
    """Return the lines that say what was wrong."""
    return [line for line in ran.said if ": failed: " in line or line.startswith("error: ")]


def check_movies_together(names: Sequence[str], wanted: dict[str, bytes]) -> tuple[Row, set[str]]:
    """Run the good movie with all bad ones beside it; return also which entries failed, in one line each."""
    row = Row("movie", "all of them beside the good one")
    with workplace() as folder:
        made: dict[str, str] = {}
        for k, name in enumerate(names):
            before = set((folder / "in").iterdir())
            MOVIES[name][0](folder / "in" / f"bad{k:03d}.tif")
            for path in set((folder / "in").iterdir()) - before:
                made[os.fsencode(Path("in") / path.name).decode("utf-8", "replace")] = name
        ran = finish(start(use(), folder), folder, limit_s=4 * PATIENCE_S)
        row.note(ran, limit_s=4 * TIME_S)
        failures = pd.read_csv(folder / "out" / "failures.csv")
        failed = {made.get(path, path) for path in failures["path"]}
        row.expect("exit code", ran.code, 1 if failed else 0)
        row.expect("lines", len(failed_lines(ran)), len(failures))
        row.expect("good movie changed:", tables(folder / "out" / "good") != wanted, False)
        row.expect("code was run:", (folder / CANARY).exists(), False)
    row.line = f"{len(failed)} of {len(names)} refused, the others analysed"
    return row, failed


def check_movie(name: str, verdict: Verdict, failed: bool) -> Row:
    """Give a bad movie alone; what became of it beside the good one must agree."""
    row = Row("movie", name)
    with workplace() as folder:
        (folder / "in" / "good.tif").unlink()
        MOVIES[name][0](folder / "in" / "bad.tif")
        ran = command(use(), folder)
        row.note(ran)
        lines = failed_lines(ran)
        row.expect("exit code", ran.code, 0 if verdict == "analysed" else 2)
        row.expect("lines", len(lines), 0 if verdict == "analysed" else 1)
        row.line = lines[0] if lines else verdict
        row.expect("code was run:", (folder / CANARY).exists(), False)
    row.expect("beside the good movie refused:", failed, verdict == "refused")
    return row


def check_usage(part: str, name: str, content: bytes) -> Row:
    """Run the good movie with a wrong settings file or sample sheet: one line, nothing written."""
    row = Row(part, name)
    with workplace() as folder:
        (folder / "bad").write_bytes(content)
        options = use(settings="bad") if part == "settings" else use("--samples", "bad")
        ran = command(options, folder)
        row.note(ran)
        row.expect("exit code", ran.code, 2)
        row.expect("lines", len(ran.said), 1)
        row.line = ran.said[0] if ran.said else ""
        row.expect("output written:", (folder / "out").exists(), False)
        if (folder / CANARY).exists():
            row.problems.append("code was run")
    return row


def check_odd_sheet(name: str, wanted: dict[str, bytes]) -> Row:
    """Run the good movie with an odd sheet that is no wrong one."""
    row = Row("sheet", name, "analysed")
    with workplace() as folder:
        (folder / "sheet.csv").write_bytes(ODD_SHEETS[name])
        ran = command(use("--samples", "sheet.csv"), folder)
        row.note(ran)
        row.expect("exit code", ran.code, 0)
        row.expect("good movie changed:", tables(folder / "out" / "good") == wanted, True)
        pages = "".join(path.read_text() for path in (folder / "out").rglob("*.html"))
        row.expect("script in a page:", "<script>alert" in pages, False)
    return row


def check_labels(name: str) -> Row:
    """Give wrong labels to one of two movies, and to the only one."""
    row = Row("labels", name)
    for alone in (False, True):
        with workplace() as folder:
            (folder / "labels").mkdir()
            LABELS[name](folder / "labels" / "bad.tif")
            write_good(folder / "in" / "bad.tif")
            if alone:
                (folder / "in" / "good.tif").unlink()
            else:
                from hostile import label_discs

                label_discs(folder / "labels" / "good.tif")
            ran = command(use("--labels", "labels/{name}.tif"), folder)
            row.note(ran)
            row.expect("exit code", ran.code, 2 if alone else 1)
            row.expect("lines", len(failed_lines(ran)), 1)
            row.line = (failed_lines(ran) or [""])[0]
    return row


def check_weights(name: str) -> Row:
    """Give wrong weights: every movie fails in one line, and no code is run."""
    row = Row("weights", name)
    with workplace() as folder:
        WEIGHTS[name](folder / "bad.safetensors")
        (folder / "bad.yaml").write_text(QUICK.replace("cells: {", "cells: {weights: bad.safetensors, "))
        ran = command(use(settings="bad.yaml"), folder)
        row.note(ran)
        row.expect("exit code", ran.code, 2)
        row.expect("lines", len(failed_lines(ran)), 1)
        row.line = (failed_lines(ran) or [""])[0]
        if (folder / CANARY).exists():
            row.problems.append("code was run")
    return row


def check_input(only: str) -> Iterator[Row]:
    """Yield a row for each entry of the corpus whose name or part matches."""
    wanted = reference()
    todo: list[tuple[str, str, Callable[[], Row]]] = []
    movies = [name for name in MOVIES if re.search(only, f"movie: {name}")]
    row, failed = check_movies_together(movies, wanted)
    yield row
    todo += [("movie", n, lambda n=n: check_movie(n, MOVIES[n][1], n in failed)) for n in movies]
    todo += [("settings", n, lambda n=n, b=b: check_usage("settings", n, b)) for n, b in SETTINGS.items()]
    todo += [("sheet", n, lambda n=n, b=b: check_usage("sheet", n, b)) for n, b in SHEETS.items()]
    todo += [("sheet", n, lambda n=n: check_odd_sheet(n, wanted)) for n in ODD_SHEETS]
    todo += [("labels", n, lambda n=n: check_labels(n)) for n in LABELS]
    todo += [("weights", n, lambda n=n: check_weights(n)) for n in WEIGHTS]
    yield from (check() for part, name, check in todo if re.search(only, f"{part}: {name}"))


def batch_of(folder: Path, count: int = MOVIES_A_BATCH) -> None:
    """Write movies m0, m1 …, each with its own noise."""
    (folder / "in" / "good.tif").unlink()
    for k in range(count):
        write_good(folder / "in" / f"m{k}.tif", seed=k)


def all_tables(out: Path) -> dict[str, dict[str, bytes]]:
    """Return the tables of every movie in an output folder."""
    return {folder.name: found for folder in sorted(out.iterdir()) if (found := tables(folder))}


KILLS = ("one process", "two workers, all killed", "two workers, the leader killed")


def kill_once(mode: str, folder: Path, wanted: object, whole_s: float, rng: random.Random) -> Row:
    """Kill a batch with SIGKILL at a random moment, begin it again, and compare the tables."""
    out = folder / "out"
    shutil.rmtree(out, ignore_errors=True)
    arguments = use("--workers", "1" if mode == KILLS[0] else "2")
    child = start(arguments, folder)
    after_s = rng.uniform(0, whole_s)
    time.sleep(after_s)
    complete = [path.parent.name for path in out.glob("*/run.json")]
    row = Row("kill", mode, f"after {after_s:.2f} of {whole_s:.2f} s, {len(complete)} complete")
    (os.kill if mode == KILLS[2] else os.killpg)(child, signal.SIGKILL)
    os.waitpid(child, 0)
    again = command(arguments, folder)
    row.note(again)
    row.expect("exit code", again.code, 0)
    row.expect("tables equal:", all_tables(out) == wanted, True)
    row.expect("listed:", len(pd.read_csv(out / "movies.csv")), MOVIES_A_BATCH)
    for name in complete:
        if not any(line.startswith(f"{name}: complete already") for line in again.said):
            row.problems.append(f"{name} was complete and is analysed again")
    if left := list(out.rglob("*.part")):
        row.problems.append(f"left behind: {left[0].name}")
    return row


def check_kills(count: int, seed: int) -> Iterator[Row]:
    """Yield a row for each kill."""
    rng = random.Random(seed)
    with workplace() as folder:
        batch_of(folder)
        whole_s = {}
        for mode, workers in zip(KILLS, "122"):
            shutil.rmtree(folder / "out", ignore_errors=True)
            begun = time.monotonic()
            ran = command(use("--workers", workers), folder)
            assert ran.code == 0, ran.said
            whole_s[mode] = time.monotonic() - begun
        wanted = all_tables(folder / "out")
        for k in range(count):
            mode = KILLS[max(0, k % 10 - 7)]  # Mostly one process: workers take seconds to start.
            yield kill_once(mode, folder, wanted, whole_s[mode], rng)


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


def table(rows: Iterable[Row]) -> str:
    """Return the table by part: tried, survived, lost."""
    found = pd.DataFrame([{"part": row.part, "survived": not row.problems} for row in rows])
    counts = found.groupby("part", sort=False)["survived"].agg(tried="size", survived="sum")
    counts["lost"] = counts["tried"] - counts["survived"]
    counts.loc["all"] = counts.sum()
    return counts.to_string()


def main() -> None:
    """Run the parts asked for, print a line per entry and the table, and write both."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument(
        "--parts", nargs="+", choices=("input", "kill", "disk"), default=["input", "kill", "disk"]
    )
    parser.add_argument("--only", default="", help="regular expression for entries of the corpus")
    parser.add_argument("--kills", type=int, default=50)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--out", type=Path, help="write every row to this CSV file")
    options = parser.parse_args()
    import exovision.batch.run
    import exovision.nets.unet  # noqa: F401

    makers: dict[str, Callable[[], Iterator[Row]]] = {
        "input": lambda: check_input(options.only),
        "kill": lambda: check_kills(options.kills, options.seed),
        "disk": check_disk,
    }
    rows = []
    for part in options.parts:
        for row in makers[part]():
            rows.append(row)
            state = "LOST" if row.problems else "ok"
            cost = f"{row.seconds:.1f} CPU-s, {row.peak_gb:.2f} GB"
            print(
                state,
                f"{row.part}: {row.name}",
                cost,
                "; ".join(row.problems),
                row.line,
                sep=" | ",
                flush=True,
            )
    print(table(rows))
    if options.out is not None:
        pd.DataFrame([vars(row) | {"problems": "; ".join(row.problems)} for row in rows]).to_csv(
            options.out, index=False
        )


if __name__ == "__main__":
    main()
