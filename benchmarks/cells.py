"""Held-out figures and cost of the cell network.

    python benchmarks/cells.py --data FOLDER --simulated 60 --seeds 501 502 503 504 505 506

`--data` holds `nuclei/` (pictures `X.tif` with labels `X_labels.tif`) and `tumour_movie/` (one movie with
labels); what is not there is left out, and said. Printed, one JSON line each: AP and boundary error on
held-out pictures and on simulated frames; the same on scenes of `exovision simulate`, by look and by kind of
cell, for each seed at 60x and at 20x; the same on every tenth frame of the movie, against labels that its
microscope's software made (a silver reference); and CPU-seconds per frame of 512 x 512 px on one thread.
"""

from __future__ import annotations

import argparse
import itertools
import json
import os
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

THREADS = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS", "NUMBA_NUM_THREADS")
ASSUMED = {"pixel_size_um": 0.5, "frame_interval_s": 300.0}
"""Of the tumour movie, whose files do not say; the interval is not used here."""

PHOTONS = {"membrane": 60, "cytoplasm": 80, "phase": 400, "dic": 400, "brightfield": 400}
"""Light per pixel by look, as in the scenes `docking`, `cytoplasm` and `death_phase`."""
CELLS = {"tumour": {60: 11, 20: 55}, "lymphocyte": {60: 26, 20: 150}}
"""How many cells are in a field of 512 x 512 px, by preset and magnification."""
OPTICS = {60: {"pixel_size_um": 0.108}, 20: {"pixel_size_um": 0.325, "psf_sigma_um": 0.25}}


def scene_figures(seeds: Sequence[int], look: str, preset: str, *, weights: Path | None) -> dict[str, Any]:
    """Segment single frames of simulated scenes with default settings and score them."""
    from exovision.cells.embedded_segmenter import EmbeddedSegmenter
    from exovision.settings import CellSettings
    from exovision.simulation.movie import simulate

    settings = CellSettings(weights=weights and str(weights))
    found, truth = [], []
    for zoom, seed in itertools.product(OPTICS, seeds):
        scene = _scene(look, preset, zoom)
        backdrop = next(iter(simulate(scene, seed=seed).backdrops()))
        segmenter = EmbeddedSegmenter(settings, pixel_size_um=scene.imaging.pixel_size_um, device="cpu")
        found.append(segmenter.segment(backdrop.images["cell"][None].astype("float32"), range(1))[0])
        truth.append(backdrop.labels)
    return {
        "set": f"{look}, {preset} cells",
        "frames": len(found),
        **_figures(found, truth, ("ap50", "ap75", "ap90", "boundary_median_px")),
        "seeds": list(seeds),
    }


def _scene(look: str, preset: str, zoom: int) -> Any:
    """Return the scene of one frame, default in all but looks, cells and magnification."""
    from exovision.simulation.scene import Scene

    count = CELLS[preset][zoom]
    return Scene.model_validate(
        {
            "name": f"{look} {preset} {zoom}x",
            "imaging": {"frames": 1, "exosome_channel": False, **OPTICS[zoom]},
            "cells": {"preset": preset, "look": look, "photons": PHOTONS[look], "count": count},
        }
    )


def _figures(found: Sequence[Any], truth: Sequence[Any], names: Sequence[str]) -> dict[str, Any]:
    from exovision.scoring.cells import cells_score

    score = cells_score(found, truth)
    return {name: getattr(score.get(f"cells.{name}"), "value", None) for name in names}


def tumour_movie(folder: Path, *, every: int, weights: Path | None) -> dict[str, Any]:
    """Segment every n-th frame of the movie with default settings and score it against the silver labels."""
    import tifffile

    from exovision.cells.embedded_segmenter import EmbeddedSegmenter
    from exovision.settings import CellSettings

    labels_path = next(folder.glob("*_labels.tif"))
    images = tifffile.imread(labels_path.with_name(labels_path.name.replace("_labels", "")))[::every]
    truth = tifffile.imread(labels_path)[::every].astype("int32")
    segmenter = EmbeddedSegmenter(
        CellSettings(weights=weights and str(weights)), pixel_size_um=ASSUMED["pixel_size_um"], device="cpu"
    )
    found = segmenter.segment(images.astype("float32"), range(len(images)))
    return {
        "set": "tumour movie, silver labels",
        "frames": len(images),
        "diameter_px": segmenter.diameter_px,
        **_figures(list(found), list(truth), ("ap50", "ap75", "boundary_mean_px", "boundary_median_px")),
        "assumed": ASSUMED,
    }


def cost(*, frames: int, weights: Path | None) -> dict[str, Any]:
    """Measure CPU-seconds per simulated frame of 512 x 512 px: the first also finds the scale."""
    import numpy as np

    from exovision.cells.embedded_segmenter import EmbeddedSegmenter
    from exovision.settings import CellSettings
    from exovision.simulation.training_frames import training_frame

    images = [training_frame(np.random.default_rng([7, 7, k]), (512, 512))[0] for k in range(frames)]
    settings = CellSettings(weights=weights and str(weights))
    EmbeddedSegmenter(settings, pixel_size_um=0.3, device="cpu").segment(images[0][None], range(1))
    first, later = [], []
    for image in images:
        segmenter = EmbeddedSegmenter(settings, pixel_size_um=0.3, device="cpu")
        for times in (first, later):
            start = time.process_time()
            segmenter.segment(image[None].astype("float32"), range(1))
            times.append(time.process_time() - start)
    return {
        "set": "cost, 512 x 512 px, one thread",
        "frames": frames,
        "cpu_s_first_frame": float(np.median(first)),
        "cpu_s_per_frame": float(np.median(later)),
        "bar_cpu_s": 1.0,
    }


def main() -> None:
    """Print one JSON line per set."""
    os.environ.update(dict.fromkeys(THREADS, "1"))
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--data", type=Path, required=True, help="folder of the real pictures")
    parser.add_argument("--weights", type=Path, help="another network than the shipped one")
    parser.add_argument("--simulated", type=int, default=60, help="simulated frames")
    parser.add_argument("--every", type=int, default=10, help="every n-th frame of the movie")
    parser.add_argument("--cost-frames", type=int, default=7)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--seeds", type=int, nargs="*", default=[], help="of the scenes by look")
    options = parser.parse_args()

    import torch

    from exovision.training.evaluation import evaluate_cells

    torch.set_num_threads(1)
    nuclei, movie = options.data / "nuclei", options.data / "tumour_movie"
    pictures = nuclei if nuclei.is_dir() else None
    figures = evaluate_cells(
        options.weights, data=pictures, simulated=options.simulated, seed=options.seed, device="cpu"
    )
    for name, values in figures.items():
        print(json.dumps({"set": name, **values}), flush=True)
    for folder in (nuclei, movie):
        if not folder.is_dir():
            print(json.dumps({"left out": str(folder), "why": "there is no such folder"}), flush=True)
    for look in PHOTONS if options.seeds else ():
        for preset in CELLS:
            line = scene_figures(options.seeds, look, preset, weights=options.weights)
            print(json.dumps(line), flush=True)
    if movie.is_dir():
        print(json.dumps(tumour_movie(movie, every=options.every, weights=options.weights)), flush=True)
    print(json.dumps(cost(frames=options.cost_frames, weights=options.weights)), flush=True)


if __name__ == "__main__":
    main()
