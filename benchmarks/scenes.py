"""Scores of the whole analysis on simulated movies, or on a real movie with simulated exosomes on it.

    python benchmarks/scenes.py docking --seeds 101 102 103
    python benchmarks/scenes.py docking --seeds 101 102 103 --given-labels
    python benchmarks/scenes.py spike --seeds 101 102 --onto MOVIE.tif --onto-labels LABELS.tif --upsample 4
        --slow 20 --crop 180 436 180 436 --frames 6 --pixel-size-um 0.5 --frame-interval-s 1

Each seed is simulated, analysed with default settings and saved; all are then scored together, as
`exovision score` does. The table goes to standard output, and as JSON to `--out`.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from pathlib import Path

import tifffile

import exovision
from exovision.io.labels_source import open_labels
from exovision.io.tables import write_json
from exovision.records import ArrayLabels, Movie
from exovision.scoring.score import score
from exovision.simulation.movie import Simulation, simulate, write
from exovision.simulation.scene import load_scene
from exovision.simulation.spike import spike


def main() -> None:
    """Read the options, make, analyse and score."""
    options = _options()
    with tempfile.TemporaryDirectory() as scratch:
        work = Path(options.work or scratch)
        for seed in options.seeds:
            name = f"{options.scene}_{seed}"
            write(_simulation(options, seed), work / "truth" / name)
            movie = exovision.read(work / "truth" / name / "movie.ome.tif")
            given = str(work / "truth" / name / "truth" / "cell_labels.ome.tif")
            labels = open_labels(given, movie) if options.given_labels else None
            started = time.process_time()
            result = exovision.analyse(movie, labels=labels, device="cpu")
            print(
                f"{name}: {(time.process_time() - started) / movie.n_frames:.2f} CPU-s per frame", flush=True
            )
            result.save(work / "result" / name)
        scores = score(work / "result", work / "truth")
    print(scores.to_table().to_string(index=False))
    if options.out:
        write_json(scores.to_dict(), options.out)


def _simulation(options: argparse.Namespace, seed: int) -> Simulation:
    scene = load_scene(options.scene)
    if options.onto is None:
        return simulate(scene, seed=seed)
    top, bottom, left, right = options.crop
    window = (slice(None, options.frames), slice(top, bottom), slice(left, right))
    pixels, labels = (tifffile.imread(path)[window] for path in (options.onto, options.onto_labels))
    movie = Movie.from_array(
        pixels[:, None],
        pixel_size_um=options.pixel_size_um,
        frame_interval_s=options.frame_interval_s,
        channels={"cell": 0},
    )
    return spike(movie, ArrayLabels(labels), scene, seed=seed, upsample=options.upsample, slow=options.slow)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("scene")
    parser.add_argument("--seeds", type=int, nargs="+", required=True)
    parser.add_argument("--given-labels", action="store_true", help="the true labels instead of segmentation")
    parser.add_argument("--out", type=Path)
    parser.add_argument("--work", type=Path, help="keep movies and results here")
    parser.add_argument("--onto", type=Path)
    parser.add_argument("--onto-labels", type=Path)
    parser.add_argument("--upsample", type=int, default=1)
    parser.add_argument("--slow", type=int, default=1)
    parser.add_argument("--crop", type=int, nargs=4, default=(None, None, None, None))
    parser.add_argument("--frames", type=int)
    parser.add_argument("--pixel-size-um", type=float)
    parser.add_argument("--frame-interval-s", type=float)
    return parser.parse_args()


if __name__ == "__main__":
    main()
