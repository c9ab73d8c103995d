"""Commands run in forked processes with limits, and what must hold for each; see `benchmarks/faults.py`."""

from __future__ import annotations

import ctypes
import os
import resource
import signal
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from hostile import GIVEN, QUICK, write_good

from exovision.io.results import TABLES

MEMORY_GB, TIME_S, PATIENCE_S = 1.5, 30.0, 300.0
"""What a command may take: memory, CPU time, and time; the good movie takes .8 GB and 2 CPU-seconds."""
MOST_ADDRESSES = 12 << 30


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
    return {name: (folder / name).read_bytes() for name, _ in TABLES.values() if (folder / name).is_file()}


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
