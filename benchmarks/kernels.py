"""Shapes of cells and distances to their edges beside scikit-image and scipy: times, and whether they agree.

    python benchmarks/kernels.py --repeats 9

On true labels of a simulated frame of 512 x 512 px, by scene: the shapes that the table of cells has, beside
`regionprops_table`; and each pixel's distance to the nearest other label, and which that is, beside scipy's
distance transform, which knows no labels and so runs once for each cell's box and once for the background.
Medians of CPU time, one thread, after one call that compiles.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
from scipy.ndimage import distance_transform_edt, find_objects
from skimage.measure import regionprops_table

from exovision.numerics.distance import label_distance
from exovision.numerics.regions import find_regions, measure_shapes
from exovision.simulation.movie import simulate
from exovision.simulation.scene import load_scene

SHAPES = ("label", "bbox", "centroid", "area", "perimeter", "eccentricity", "solidity")


def peer_distance(labels: Any) -> tuple[Any, Any]:
    """Return each pixel's distance to the nearest pixel of another label, and that label, by scipy."""
    distance, (y, x) = distance_transform_edt(labels == 0, return_indices=True)
    other = labels[y, x]
    for cell, box in enumerate(find_objects(labels), start=1):
        if box is not None:
            # One pixel more on each side, but for the border of the image, which is no edge.
            wider = tuple(slice(max(part.start - 1, 0), part.stop + 1) for part in box)
            inside = labels[wider] == cell
            there, (y, x) = distance_transform_edt(inside, return_indices=True)
            distance[wider][inside], other[wider][inside] = there[inside], labels[wider][y, x][inside]
    return distance, other


def compare(labels: Any, repeats: int) -> Iterator[dict[str, Any]]:
    """Yield what each takes, ms, and the largest difference."""

    def shapes() -> Any:
        regions = find_regions(labels)
        return regions, measure_shapes(labels, regions)

    peer = regionprops_table(labels, properties=SHAPES)
    _, found = shapes()
    pairs = ((found.perimeter_px, "perimeter"), (found.eccentricity, "eccentricity"))
    pairs += ((found.solidity, "solidity"),)
    yield {
        "what": "shapes",
        **_times(shapes, lambda: regionprops_table(labels, properties=SHAPES), repeats),
        "largest_difference": max(float(np.abs(ours - peer[name]).max()) for ours, name in pairs),
    }
    difference = np.abs(label_distance(labels)[0] - peer_distance(labels)[0])
    yield {
        "what": "distance to the edge",
        **_times(lambda: label_distance(labels), lambda: peer_distance(labels), repeats),
        "largest_difference": float(difference.max()),
    }


def _times(ours: Callable[[], Any], peer: Callable[[], Any], repeats: int) -> dict[str, float]:
    def median_ms(function: Callable[[], Any]) -> float:
        taken = []
        for _ in range(repeats):
            begun = time.process_time()
            function()
            taken.append(1e3 * (time.process_time() - begun))
        return float(np.median(taken))

    ms, peer_ms = median_ms(ours), median_ms(peer)
    return {"ms": round(ms, 2), "peer_ms": round(peer_ms, 2), "times_as_fast": round(peer_ms / ms, 1)}


def main() -> None:
    """Print one JSON line per scene and kernel."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--scenes", nargs="+", default=["docking", "benchmarks/crowded.yaml"])
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--repeats", type=int, default=9)
    options = parser.parse_args()
    for name in options.scenes:
        scene = load_scene(name)
        labels = next(iter(simulate(scene, seed=options.seed).backdrops())).labels
        for row in compare(np.ascontiguousarray(labels, dtype=np.int32), options.repeats):
            print(json.dumps({"scene": scene.name, "cells": len(np.unique(labels)) - 1, **row}), flush=True)


if __name__ == "__main__":
    main()
