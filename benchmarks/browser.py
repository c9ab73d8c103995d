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
from napari_exovision.plan import Plan
from napari_exovision.table import EVENT_COLUMNS, Browsable, Filter, reviewed
from napari_exovision.table_model import TableModel
from napari_exovision.table_view import TableView
from napari_exovision.warm_up import WarmUp
from qtpy.QtWidgets import QApplication

from exovision import schema
from exovision.progress import silent
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
    print("preview of a frame of 512 x 512, two threads")
    for name, (cpu, wall) in previews().items():
        print(f"{name}: {cpu:.2f} CPU-seconds, {wall:.2f} s")


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


def previews() -> dict[str, tuple[float, float]]:
    """Return CPU and wall seconds of getting ready when a movie is opened, and of previews after that."""
    scene = load_scene("docking")
    short = scene.model_copy(update={"imaging": scene.imaging.model_copy(update={"frames": 10})})
    with tempfile.TemporaryDirectory() as folder:
        write(simulate(short, seed=SEED), Path(folder))
        path = Path(folder) / "movie.ome.tif"
        plan = Plan(Settings(), Path(folder), path=path, name="movie", device="cpu")
        begun = time.perf_counter(), time.process_time()
        diameter_um = WarmUp(plan).diameter_um(silent)
        ready = _since(*begun)
        times = []
        for frame in range(1, 8):
            begun = time.perf_counter(), time.process_time()
            plan.at_scale(diameter_um).preview(frame)
            times.append(_since(*begun))
    later = tuple(float(np.median([one[k] for one in times[1:]])) for k in (0, 1))
    return {"getting ready, while the user looks": ready, "first preview": times[0], "later ones": later}


def _since(wall_s: float, cpu_s: float) -> tuple[float, float]:
    return time.process_time() - cpu_s, time.perf_counter() - wall_s


if __name__ == "__main__":
    main()
