"""Measures the event browser on 100,000 events and the preview on a frame of 512 x 512.

xvfb-run -a -s "-screen 0 1600x1200x24 +extension GLX" python benchmarks/browser.py
"""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from napari_exovision.table import EVENT_COLUMNS, Browsable, Filter, reviewed
from napari_exovision.table_model import TableModel
from napari_exovision.table_view import TableView
from qtpy.QtWidgets import QApplication

import exovision
from exovision import schema
from exovision.pipeline import preview
from exovision.settings import Settings
from exovision.simulation.movie import simulate, write
from exovision.simulation.scene import load_scene

EVENTS, STEPS, SEED = 100_000, 400, 0


def main() -> None:
    """Print every figure."""
    torch.set_num_threads(2)
    application = QApplication([])
    events = many_events()
    model = TableModel(Browsable(events, EVENT_COLUMNS))
    view = TableView(model)
    view.resize(900, 700)
    view.show()
    application.processEvents()
    times = scroll(view, application)
    print(
        f"{EVENTS} events, {STEPS} steps of scrolling: longest {max(times):.1f} ms, median "
        f"{np.median(times):.1f} ms"
    )
    for name, change in changes(model).items():
        print(f"{name}: {timed(change, application):.0f} ms")
    first, later = previews_s()
    print(f"preview of a frame of 512 x 512, two threads: first {first:.2f} s, later {later:.2f} s")


def many_events() -> pd.DataFrame:
    """Return a table of random events with the contract's columns."""
    rng = np.random.default_rng(SEED)
    start = np.sort(rng.integers(0, 3000, EVENTS))
    table = pd.DataFrame(
        {
            "event_id": np.arange(1, EVENTS + 1),
            "kind": rng.choice(["docking", "detachment", "loss_unresolved", "surfing"], EVENTS),
            "exosome_id": rng.integers(1, 60_000, EVENTS),
            "cell_id": rng.integers(1, 400, EVENTS),
            "start_frame": start,
            "start_s": 2.0 * start,
            "duration_s": rng.exponential(60, EVENTS),
            "probability": rng.random(EVENTS),
            "censored": "none",
            "membrane_distance_um": rng.normal(0, 0.2, EVENTS),
            "identifiable": True,
        }
    )
    return reviewed(schema.conform(table, schema.EVENTS), rng.choice(["", "accepted"], EVENTS).tolist())


def scroll(view: TableView, application: Any) -> list[float]:
    """Return how long each step of scrolling takes, from a line to a leap, drawing included, ms."""
    bar = view.verticalScrollBar()
    places = np.random.default_rng(SEED).integers(0, bar.maximum(), STEPS)
    places[::2] = np.minimum(places[::2].cumsum() % bar.maximum(), bar.maximum())
    return [timed(lambda place=int(place): bar.setValue(place), application) for place in places]


def timed(change: Callable[[], Any], application: Any) -> float:
    """Return how long a change and the drawing after it take, ms."""
    begun = time.perf_counter()
    change()
    application.processEvents()
    return 1e3 * (time.perf_counter() - begun)


def changes(model: TableModel) -> dict[str, Callable[[], Any]]:
    """Return what else a user does with the table."""
    content = model.content
    narrow = Filter(kind="docking", least_probability=0.5)
    return {
        "sorting by probability": lambda: model.sort(content.names.index("probability")),
        "filtering by kind and probability": lambda: model.rearrange(
            lambda: content.show(narrow.mask(content.table))
        ),
        "opening the table": lambda: Browsable(content.table, EVENT_COLUMNS),
    }


def previews_s() -> tuple[float, float]:
    """Return the median times of a first preview of a movie, once compiled, and of later ones, s."""
    scene = load_scene("docking")
    short = scene.model_copy(update={"imaging": scene.imaging.model_copy(update={"frames": 10})})
    times = []
    with tempfile.TemporaryDirectory() as folder:
        write(simulate(short, seed=SEED), Path(folder))
        movie = exovision.read(Path(folder) / "movie.ome.tif")
        settings = Settings()
        for frame in range(7):
            begun = time.perf_counter()
            found = preview(movie, settings, frame, device="cpu")
            times.append(time.perf_counter() - begun)
            if frame == 3:
                # From the second preview on, the panel knows the cells' diameter.
                settings = Settings.from_mapping({"cells": {"diameter_um": found.cell_diameter_um}})
        movie.source.close()
    return float(np.median(times[1:4])), float(np.median(times[4:]))


if __name__ == "__main__":
    main()
