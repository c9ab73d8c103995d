"""Time and memory of a whole analysis, and how both grow with the length of the movie.

    python benchmarks/whole.py --frames 100 1000

Each length runs in a process of its own on one thread: the `docking` scene's first frames, repeated to the
length asked for and served one plane at a time, as a file would be. Printed are seconds and CPU-seconds per
frame, the peak memory, and the peak above what the imports take.
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
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

THREADS = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS", "NUMBA_NUM_THREADS")


@dataclass(frozen=True)
class Repeated:
    """Serve the planes of a short movie over and over, to and fro, so that motion stays smooth."""

    source: Any
    frames: int

    def plane(self, t: int, c: int, z: int) -> Any:
        """Return one plane of shape (Y, X)."""
        step = t % (2 * self.frames - 2)
        return self.source.plane(min(step, 2 * self.frames - 2 - step), c, z)

    def close(self) -> None:
        """Release the file."""
        self.source.close()


def peak_gb() -> float:
    """Return this process's peak resident memory in GB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6


def measure(path: Path, frames: int) -> dict[str, float]:
    """Analyse the movie at `path` stretched to `frames` frames and return what it cost."""
    import exovision
    import exovision.nets.unet
    import exovision.pipeline
    from exovision.calibration import regular_times

    imports = peak_gb()
    movie = exovision.read(path)
    long = replace(
        movie,
        shape=(frames, *movie.shape[1:]),
        times_s=regular_times(frames, movie.shape[1], movie.interval_s("exosome")),
        source=Repeated(movie.source, movie.n_frames),
    )
    wall, cpu = time.perf_counter(), time.process_time()
    with tempfile.TemporaryDirectory() as out:
        exovision.analyse(long, device="cpu").save(Path(out) / "result")
    return {
        "frames": frames,
        "seconds_per_frame": (time.perf_counter() - wall) / frames,
        "cpu_seconds_per_frame": (time.process_time() - cpu) / frames,
        "imports_gb": imports,
        "peak_gb": peak_gb(),
        "above_imports_gb": peak_gb() - imports,
    }


def main() -> None:
    """Run every length in its own process and print one line each."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--frames", type=int, nargs="+", default=[100, 1000])
    parser.add_argument("--scene", default="docking")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--measure", nargs=2, metavar=("MOVIE", "FRAMES"), help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.measure:
        print(json.dumps(measure(Path(options.measure[0]), int(options.measure[1]))))
        return
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, "-m", "exovision", "simulate", options.scene, "--seed", str(options.seed)]
        subprocess.run([*command, "--out", folder], check=True)
        for frames in options.frames:
            run = subprocess.run(
                [sys.executable, __file__, "--measure", f"{folder}/movie.ome.tif", str(frames)],
                env={**os.environ, **dict.fromkeys(THREADS, "1")},
                capture_output=True,
                text=True,
                check=True,
            )
            print(run.stdout.strip().splitlines()[-1], flush=True)


if __name__ == "__main__":
    main()
