"""Deaths in simulated movies, per set of channels: `python benchmarks/death_scenes.py --out results`.

Each movie is simulated, its cells are found once, and every set of channels is then judged on those outlines
(nuclei alone are a scene of their own). Movies in which no cell dies give the false deaths.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import exovision
from exovision import schema
from exovision.io.tables import write_csv, write_json, write_parquet
from exovision.pipeline import reanalyse
from exovision.records import Given, LabelStack, Movie
from exovision.result import Result
from exovision.scoring.score import score
from exovision.settings import Settings
from exovision.simulation.movie import simulate, write
from exovision.simulation.scene import load_scene

PANELS = {
    "full": ("cell", "nucleus", "annexin", "caspase", "pi"),
    "annexin": ("cell", "annexin"),
    "annexin pi": ("cell", "annexin", "pi"),
    "cell": ("cell",),
}
"""Besides the outlines of the cell channel, what each set has."""
ALONE = {"nuclei alone": ("nucleus",)}
SCENES = {"death_full": PANELS, "no_death": PANELS, "death_nuclei": ALONE, "no_death_nuclei": ALONE}
SHOWN = (
    *("death.f1", "death.precision", "death.recall", "death.onset_error_frames_median"),
    *("death.onset_error_frames_mean", "death.onset_covered", "death.permeable_error_frames_median"),
    *("death.mode_right", "death.mitoses_called", "death.false_per_1000_cell_h"),
    *("death.calibration_error", "division.f1", "exposure.cell_h"),
)


def main() -> None:
    """Simulate, analyse and score; write `death_scenes.json` and print a table."""
    asked = _arguments()
    for seed in range(asked.seed, asked.seed + asked.movies):
        for scene in asked.scenes:
            folder = asked.out / "truth" / scene / str(seed)
            if not (folder / "truth" / "scene.yaml").is_file():
                write(simulate(load_scene(scene), seed=seed), folder)
            movie = exovision.read(folder / "movie.ome.tif")
            for panel, result in _judge(movie, SCENES[scene], asked.settings):
                _store(result, asked.out / "results" / scene / panel / str(seed))
    found = {
        f"{scene}: {panel}": score(
            asked.out / "results" / scene / panel, asked.out / "truth" / scene
        ).to_dict()
        for scene in asked.scenes
        for panel in SCENES[scene]
    }
    (asked.out / "death_scenes.json").write_text(json.dumps(found, indent=1), encoding="utf-8")
    for name, values in found.items():
        print(name)
        for metric in SHOWN:
            if metric in values:
                print(f"  {metric:36s}", _text(values[metric]))


def _judge(
    movie: Movie, panels: dict[str, tuple[str, ...]], settings: Settings
) -> Iterator[tuple[str, Result]]:
    """Yield the result of each set of channels; the cells are those of the first."""
    labels: LabelStack | None = None
    for panel, roles in panels.items():
        channels = {role: movie.roles[role] for role in roles}
        part = exovision.read(movie.path, channels=channels)
        result = reanalyse(part, settings, Given(labels=labels))
        cells = settings.cells.model_copy(update={"segmenter": "labels"})
        settings = settings.model_copy(update={"cells": cells})
        labels = result.labels if labels is None else labels
        yield panel, result


def _store(result: Result, folder: Path) -> None:
    """Write what scores need: a whole result takes longer to draw than to find."""
    folder.mkdir(parents=True, exist_ok=True)
    write_parquet(result.cells, folder / "cells.parquet", schema.CELLS)
    write_csv(result.fates, folder / "fates.csv", schema.FATES)
    result.labels.save(folder / "cell_labels.ome.tif")
    write_json({"movie": result.movie.name}, folder / "run.json")


def _text(metric: dict[str, Any]) -> str:
    value, lo, hi = (metric[name] for name in ("value", "lo", "hi"))
    limits = f" ({lo:.3g} to {hi:.3g})" if lo is not None and hi is not None else ""
    return f"{value:.3g}{limits}  n = {metric['n']}"


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--seed", type=int, default=601, help="of the first movie")
    parser.add_argument("--movies", type=int, default=6, help="per scene")
    parser.add_argument("--scenes", nargs="+", default=list(SCENES), choices=list(SCENES))
    parser.add_argument("--settings", type=Settings.from_yaml, default=Settings(), help="YAML file")
    return parser.parse_args()


if __name__ == "__main__":
    main()
