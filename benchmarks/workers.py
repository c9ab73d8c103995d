"""Small movies analysed by one process and by several: wall time and CPU time of the whole commands.

    python benchmarks/workers.py --movies 100 --workers 2

The same simulated movie, a copy per name, so that only the number of processes differs; each command is the
real one, from its start to its end, on one thread a process. Both leave the same tables, or it fails. Needs
an idle machine.
"""

from __future__ import annotations

import argparse
import os
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from exovision.io.results import TABLES
from exovision.simulation.movie import simulate, write
from exovision.simulation.scene import load_scene


def main() -> None:
    """Make the movies, run both, print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--movies", type=int, default=100)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--scene", default="tiny")
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        work = Path(scratch)
        write(simulate(load_scene(options.scene), seed=options.seed), work / "one")
        (work / "movies").mkdir()
        for k in range(options.movies):
            shutil.copy(work / "one" / "movie.ome.tif", work / "movies" / f"m{k:03d}.ome.tif")
        found = {count: _run(work, count) for count in (1, options.workers)}
        _check_same(work, options)
    for count, (wall_s, cpu_s) in found.items():
        print(f"{count} process(es): {wall_s:.1f} s, {cpu_s:.1f} CPU-s for {options.movies} movies")
    print(f"{options.workers} workers are {found[1][0] / found[options.workers][0]:.2f} times as fast as one")


def _run(work: Path, workers: int) -> tuple[float, float]:
    """Return wall and CPU time, s, of one command."""
    threads = dict.fromkeys(("OMP_NUM_THREADS", "MKL_NUM_THREADS", "NUMBA_NUM_THREADS"), "1")
    command = ["run", "movies", "--out", f"out{workers}", "--workers", str(workers), "--device", "cpu"]
    before, started = _cpu_s(), time.perf_counter()
    subprocess.run(
        [sys.executable, "-m", "exovision", *command],
        cwd=work, env={**os.environ, **threads}, check=True, stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )  # fmt: skip
    return time.perf_counter() - started, _cpu_s() - before


def _cpu_s() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def _check_same(work: Path, options: argparse.Namespace) -> None:
    for k in range(options.movies):
        for table, _ in TABLES.values():
            one, other = (work / f"out{count}" / f"m{k:03d}" / table for count in (1, options.workers))
            if one.read_bytes() != other.read_bytes():
                raise SystemExit(f"{table} of movie {k} differs between 1 and {options.workers} processes")


if __name__ == "__main__":
    main()
