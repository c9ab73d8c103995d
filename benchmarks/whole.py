"""Time and memory of a whole analysis by stage, how both grow, and what an analyst's script takes beside it.

    python benchmarks/whole.py --scenes docking benchmarks/crowded.yaml --frames 60 240 --analyst
    python benchmarks/whole.py --scenes benchmarks/crowded.yaml --frames 60 --cells 10 40 80 --spots 0.5 1 2
    python benchmarks/whole.py --frames 300 3000 --sizes 256 512

Each combination runs in a process of its own on one thread: the scene's first frames, cut to the size and
repeated to and fro to the length asked for, served one plane at a time, as a file would be. `--cells` sets
the number of cells of the scene, `--spots` multiplies what is stuck to the glass. Printed, one JSON line
each, are seconds and CPU-seconds per frame, CPU-milliseconds per frame by stage and without the segmentation
network, spots and cells per frame, the peak memory, and the peak above what the imports take. With
`--analyst` the script in `analyst.py` runs after it on the same movie: what it took, by its parts, and how
many times as long that is, with and without the network. Load on the machine makes CPU-seconds longer, too.
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
import warnings
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from itertools import product
from math import prod
from pathlib import Path
from typing import Any

THREADS = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS", "NUMBA_NUM_THREADS")
NETWORK = "network of cells"


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
        from exovision.correction.drift import DriftEstimator
        from exovision.exosomes.detection import Detector
        from exovision.nets.device import BatchRunner
        from exovision.sweep import Sweep

        for owner, name, stage in (
            (BatchRunner, "run", NETWORK),
            (Sweep, "_segment", "cells without the network"),
            (Detector, "prepare", "camera and PSF"),
            (Detector, "detect", "finding exosomes"),
            (Sweep, "_take_cells", "following and measuring cells"),
            (Sweep, "_place", "placing on outlines"),
            (DriftEstimator, "update", "drift"),
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


def measure(path: Path, frames: int, size: int, analyst: bool) -> dict[str, Any]:
    """Analyse the movie at `path`, stretched to `frames` frames of `size`² px, and return what it cost."""
    import cellpose.dynamics  # noqa: F401

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
    cost = {
        "frames": frames,
        "size_px": size,
        "spots_per_frame": round(len(result.spots) / frames, 1),
        "cells_per_frame": round(len(result.cells) / frames, 1),
        "seconds_per_frame": round((time.perf_counter() - wall) / frames, 4),
        "cpu_seconds_per_frame": round(cpu / frames, 4),
        "without_network": round((cpu - stages.seconds[NETWORK]) / frames, 4),
        "cpu_ms_by_stage": _ms(stages.seconds, frames),
        "imports_gb": round(imports, 3),
        "peak_gb": round(peak_gb(), 3),
        "above_imports_gb": round(peak_gb() - imports, 3),
    }
    return {**cost, **_beside(long, result, cost)} if analyst else cost


def _ms(seconds: Counter[str], frames: int) -> dict[str, float]:
    return {name: round(1e3 * value / frames, 1) for name, value in seconds.most_common()}


def _beside(movie: Any, result: Any, cost: dict[str, Any]) -> dict[str, Any]:
    """Run the analyst's script on the same movie and compare."""
    import trackpy
    from analyst import Script

    trackpy.quiet()
    script = Script(result.summary["cell_diameter_um"] / movie.pixel_size_um)
    with tempfile.TemporaryDirectory() as out, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        script.run(movie, Path(out))
    total = sum(script.seconds.values()) / movie.n_frames
    rest = total - script.seconds[NETWORK] / movie.n_frames
    return {
        "analyst_cpu_seconds_per_frame": round(total, 4),
        "analyst_without_network": round(rest, 4),
        "analyst_ms_by_part": _ms(script.seconds, movie.n_frames),
        "analyst_takes_times_as_long": round(total / cost["cpu_seconds_per_frame"], 2),
        "analyst_takes_times_as_long_without_network": round(rest / cost["without_network"], 2),
    }


def main() -> None:
    """Run every combination in its own process and print one line each."""
    options = _options()
    if options.measure:
        path, frames, size = options.measure
        print(json.dumps(measure(Path(path), int(frames), int(size), options.analyst)))
        return
    for scene, cells, spots in product(options.scenes, options.cells or [None], options.spots):
        with tempfile.TemporaryDirectory() as folder:
            _simulate(scene, options.seed, Path(folder), size=max(options.sizes), cells=cells, spots=spots)
            for frames, size in product(options.frames, options.sizes):
                run = subprocess.run(
                    [sys.executable, __file__, "--measure", f"{folder}/movie.ome.tif", str(frames), str(size)]
                    + ["--analyst"] * options.analyst,
                    env={**os.environ, **dict.fromkeys(THREADS, "1")},
                    capture_output=True,
                    text=True,
                    check=True,
                )
                about = json.dumps({"scene": Path(scene).stem, "seed": options.seed})
                print(f"{about[:-1]}, {run.stdout.strip().splitlines()[-1][1:]}", flush=True)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--scenes", nargs="+", default=["docking"], help="names or YAML files")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--frames", type=int, nargs="+", default=[100, 1000])
    parser.add_argument("--sizes", type=int, nargs="+", default=[512], help="edge of the images, px")
    parser.add_argument("--cells", type=int, nargs="+", help="cells of the scene; by default its own number")
    parser.add_argument(
        "--spots", type=float, nargs="+", default=[1.0], help="factor on what is on the glass"
    )
    parser.add_argument("--analyst", action="store_true", help="run the analyst's script beside")
    parser.add_argument("--measure", nargs=3, metavar=("MOVIE", "FRAMES", "SIZE"), help=argparse.SUPPRESS)
    return parser.parse_args()


def _simulate(name: str, seed: int, folder: Path, *, size: int, cells: int | None, spots: float) -> None:
    """Write the movie of a scene with so many cells, and so many times as many spots on the glass.

    A scene that is smaller than `size` grows to it, with as many cells per area.
    """
    from exovision.simulation.movie import simulate, write
    from exovision.simulation.scene import load_scene

    scene = load_scene(name)
    shape = tuple(max(size, edge) for edge in scene.imaging.shape_px)
    growth = prod(shape) / prod(scene.imaging.shape_px)
    count = round(growth * scene.cells.count) if cells is None else cells
    glass = {part: spots * getattr(scene.exosomes, part) for part in ("stuck_per_um2", "dye_per_um2")}
    changed = {
        "imaging": scene.imaging.model_copy(update={"shape_px": shape}),
        "cells": scene.cells.model_copy(update={"count": count}),
        "exosomes": scene.exosomes.model_copy(update=glass),
    }
    write(simulate(scene.model_copy(update=changed), seed=seed), folder)


if __name__ == "__main__":
    main()
