"""Time and memory of a whole analysis by stage, and how both grow with length and size of the movie.

    python benchmarks/whole.py --frames 100 1000
    python benchmarks/whole.py --frames 40 --sizes 256 512

Each length and size runs in a process of its own on one thread: the `docking` scene's first frames, cut to
the size and repeated to the length asked for, served one plane at a time, as a file would be. Printed are
seconds and CPU-seconds per frame, CPU-milliseconds per frame by stage, spots and cells per frame, the peak
memory, and the peak above what the imports take.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from itertools import product
from pathlib import Path
from typing import Any

THREADS = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS", "NUMBA_NUM_THREADS")


@dataclass(frozen=True)
class Repeated:
    """Serve the planes of a short movie over and over, to and fro, so that motion stays smooth."""

    source: Any
    frames: int
    size: int

    def plane(self, t: int, c: int, z: int) -> Any:
        """Return one plane of shape (Y, X)."""
        step = t % (2 * self.frames - 2)
        plane = self.source.plane(min(step, 2 * self.frames - 2 - step), c, z)
        return plane[: self.size, : self.size]

    def close(self) -> None:
        """Release the file."""
        self.source.close()


@dataclass
class Stages:
    """CPU-seconds by stage, each without those of the stages inside it."""

    seconds: Counter[str] = field(default_factory=Counter)
    _inside: list[float] = field(default_factory=lambda: [0.0])

    def watch(self, owner: Any, name: str, stage: str) -> None:
        """Time every call of a function."""
        function: Callable[..., Any] = getattr(owner, name)

        def timed(*arguments: Any, **options: Any) -> Any:
            begun = time.thread_time()
            self._inside.append(0.0)
            try:
                return function(*arguments, **options)
            finally:
                spent = time.thread_time() - begun
                self.seconds[stage] += spent - self._inside.pop()
                self._inside[-1] += spent

        setattr(owner, name, timed)

    def watch_all(self) -> None:
        """Time the stages of an analysis; reading has a thread of its own and is timed apart."""
        from exovision import pipeline, result
        from exovision.exosomes.detection import Detector
        from exovision.nets.device import BatchRunner
        from exovision.sweep import Sweep

        for owner, name, stage in (
            (BatchRunner, "run", "network of cells"),
            (Sweep, "_segment", "cells without the network"),
            (Detector, "prepare", "camera and PSF"),
            (Detector, "detect", "finding exosomes"),
            (Sweep, "_take_cells", "following and measuring cells"),
            (Sweep, "_place", "placing on outlines"),
            (pipeline, "_linked", "linking"),
            (pipeline, "_follow", "bleaching and motion"),
            (pipeline, "find_events", "events"),
            (pipeline, "find_deaths", "deaths"),
            (result.Result, "_write_tables", "tables"),
            (result.Result, "_write_geometry", "labels, ROIs, tracks"),
            (result, "write_report", "report"),
        ):
            self.watch(owner, name, stage)


def peak_gb() -> float:
    """Return this process's peak resident memory in GB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6


def measure(path: Path, frames: int, size: int) -> dict[str, Any]:
    """Analyse the movie at `path`, stretched to `frames` frames of `size`² px, and return what it cost."""
    import exovision
    import exovision.nets.unet
    import exovision.pipeline
    from exovision.calibration import regular_times

    imports = peak_gb()
    movie = exovision.read(path)
    long = replace(
        movie,
        shape=(frames, *movie.shape[1:3], size, size),
        times_s=regular_times(frames, movie.shape[1], movie.interval_s("exosome")),
        source=Repeated(movie.source, movie.n_frames, size),
    )
    stages = Stages()
    stages.watch_all()
    wall, cpu = time.perf_counter(), time.process_time()
    with tempfile.TemporaryDirectory() as out:
        result = exovision.analyse(long, device="cpu")
        result.save(Path(out) / "result")
    cpu = time.process_time() - cpu
    stages.seconds["all else"] = cpu - sum(stages.seconds.values())
    return {
        "frames": frames,
        "size_px": size,
        "spots_per_frame": round(len(result.spots) / frames, 1),
        "cells_per_frame": round(len(result.cells) / frames, 1),
        "seconds_per_frame": (time.perf_counter() - wall) / frames,
        "cpu_seconds_per_frame": cpu / frames,
        "cpu_ms_by_stage": {name: round(1e3 * value / frames, 1) for name, value in stages.seconds.items()},
        "imports_gb": imports,
        "peak_gb": peak_gb(),
        "above_imports_gb": peak_gb() - imports,
    }


def main() -> None:
    """Run every length and size in its own process and print one line each."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--frames", type=int, nargs="+", default=[100, 1000])
    parser.add_argument("--sizes", type=int, nargs="+", default=[512], help="edge of the images, px")
    parser.add_argument("--scene", default="docking")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--measure", nargs=3, metavar=("MOVIE", "FRAMES", "SIZE"), help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.measure:
        print(json.dumps(measure(Path(options.measure[0]), int(options.measure[1]), int(options.measure[2]))))
        return
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, "-m", "exovision", "simulate", options.scene, "--seed", str(options.seed)]
        subprocess.run([*command, "--out", folder], check=True)
        for frames, size in product(options.frames, options.sizes):
            movie = f"{folder}/movie.ome.tif"
            run = subprocess.run(
                [sys.executable, __file__, "--measure", movie, str(frames), str(size)],
                env={**os.environ, **dict.fromkeys(THREADS, "1")},
                capture_output=True,
                text=True,
                check=True,
            )
            print(run.stdout.strip().splitlines()[-1], flush=True)


if __name__ == "__main__":
    main()
