"""Measures the peak memory of an analysis by the command line, of a viewer, and of both in the plugin.

xvfb-run -a -s "-screen 0 1600x1200x24 +extension GLX" python benchmarks/memory.py [--frames 300]
"""

from __future__ import annotations

import argparse
import os
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from exovision.settings import Settings
from exovision.simulation.movie import simulate, write
from exovision.simulation.scene import load_scene

SEED, BAR, MIB = 0, 1.2, 1024.0
ROUNDS_S = 3.0
"""How long the viewer alone is let draw."""


def main() -> None:
    """Print the three peaks and their ratio."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--frames", type=int, default=300)
    parser.add_argument("--part", choices=("view", "analyse"))
    parser.add_argument("--folder", type=Path)
    arguments = parser.parse_args()
    if arguments.part:
        look(arguments.folder, analyses=arguments.part == "analyse")
        return
    with tempfile.TemporaryDirectory() as name:
        compare(arguments.folder or Path(name), arguments.frames)


def compare(folder: Path, frames: int) -> None:
    """Measure all three in processes of their own."""
    movie = folder / "movie.ome.tif"
    if not movie.exists():
        scene = load_scene("docking")
        longer = scene.imaging.model_copy(update={"frames": frames})
        write(simulate(scene.model_copy(update={"imaging": longer}), seed=SEED), folder)
    size = movie.stat().st_size / 2**20
    print(f"movie of {frames} frames of 512 x 512 px, two channels, seed {SEED}: {size:.0f} MiB on disk")
    out = str(folder / "by_command")
    run = ["-m", "exovision", "run", str(movie), "--out", out, "--device", "cpu", "--overwrite"]
    command = told("command line", run)
    here = [__file__, "--folder", str(folder), "--part"]
    viewer = told("viewer with the movie", [*here, "view"])
    plugin = told("analysis and browsing in the plugin", [*here, "analyse"])
    print(f"{plugin / (command + viewer):.2f} of command line and viewer together (bar {BAR})")


def told(what: str, command: list[str]) -> float:
    """Measure a Python process and print its peak, MiB."""
    peak = peak_mib([sys.executable, *command])
    print(f"{what}: {peak:.0f} MiB", flush=True)
    return peak


def peak_mib(command: list[str]) -> float:
    """Return the largest resident memory of a process, MiB."""
    process = subprocess.Popen(command, env=os.environ, stdout=subprocess.DEVNULL)
    _, status, usage = os.wait4(process.pid, 0)
    if status:
        raise RuntimeError(f"{' '.join(command)} failed")
    return float(usage.ru_maxrss) / MIB


def look(folder: Path, *, analyses: bool) -> None:
    """Open the movie in a viewer, perhaps analyse it in the panel, and go through the frames."""
    import napari
    from napari_exovision.layers import image_layers
    from napari_exovision.opening import open_movies
    from qtpy.QtWidgets import QApplication

    viewer = napari.Viewer(show=True)
    for opened in open_movies(folder / "movie.ome.tif"):
        for data, attributes, _ in image_layers(opened):
            viewer.add_image(data, **attributes)
    panel: Any = None
    if analyses:
        from napari_exovision.analyse_panel import AnalysePanel

        panel = AnalysePanel(viewer)
        viewer.window.add_dock_widget(panel, name="Analyse")
    begun = time.monotonic()

    def wait(seconds: float) -> None:
        until = time.monotonic() + seconds
        while time.monotonic() < until or (panel is not None and panel.task is not None):
            QApplication.processEvents()
            time.sleep(0.01)

    wait(ROUNDS_S)
    if panel is not None:
        panel.form.set_settings(Settings())
        panel.device.setCurrentText("cpu")
        panel.out.setText(str(folder / "by_plugin"))
        panel.start_run()
        wait(ROUNDS_S)
        if panel.hub.session is None:
            raise RuntimeError("the analysis in the plugin left no result")
    frames = int(viewer.dims.nsteps[0])
    for frame in range(0, frames, max(frames // 30, 1)):
        viewer.dims.set_current_step(0, frame)
        wait(0.05)
    viewer.close()
    own = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / MIB
    print(f"peak {own:.0f} MiB after {time.monotonic() - begun:.0f} s", file=sys.stderr)


if __name__ == "__main__":
    main()
