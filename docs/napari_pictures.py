"""Makes the pictures of docs/napari.md from the bundled docking movie, in a real napari viewer.

Run it where there is a display, or under one of its own:

    xvfb-run -a -s "-screen 0 1600x1200x24 +extension GLX" python docs/napari_pictures.py
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import exovision_samples
import napari
import numpy as np
import pandas as pd
from napari.settings import get_settings
from napari.utils.notifications import NotificationSeverity
from napari_exovision.analyse_panel import AnalysePanel
from napari_exovision.browser_panel import BrowserPanel
from napari_exovision.correct_panel import CorrectPanel
from napari_exovision.editing import measure_spot
from napari_exovision.hub import hub_of
from napari_exovision.results_panel import ResultsPanel
from napari_exovision.session import Session
from napari_exovision.teach_panel import TeachPanel
from npe2 import PluginManager, PluginManifest
from numpy.typing import NDArray
from PIL import Image
from qtpy.QtWidgets import QApplication

from exovision.curation.tracks import delete_spots
from exovision.errors import InputError
from exovision.scoring.matching import match_points

HERE = Path(__file__).parent
SIZE = (1380, 860)
COLOURS = 200


def main() -> None:
    """Open the movie, analyse, browse, correct, teach; take a picture at each step."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--out", type=Path, default=HERE / "images")
    out = parser.parse_args().out
    out.mkdir(exist_ok=True)
    register()
    with tempfile.TemporaryDirectory() as results:
        Tour(out, Path(results)).go()


def register() -> None:
    """Make the plugin known where the installed distribution is older than this checkout."""
    manager = PluginManager.instance()
    manager.discover()
    if "exovision" not in manager:
        manifest = HERE.parent / "napari_plugin/napari_exovision/napari.yaml"
        manager.register(PluginManifest.from_file(manifest))


class Tour:
    """One session as a user would have it."""

    def __init__(self, out: Path, results: Path) -> None:
        self.out, self.results = out, results
        get_settings().application.gui_notification_level = NotificationSeverity.ERROR
        self.viewer = napari.Viewer(show=False, show_welcome_screen=False)
        self.window: Any = self.viewer.window._qt_window
        self.viewer.show()
        self.window.resize(*SIZE)
        self.dock: Any = None

    def go(self) -> None:
        """Go through all steps."""
        hub_of(self.viewer).sign("Ada")
        self.viewer.open_sample("exovision", "docking")
        analyse = self.put(AnalysePanel, "Analyse")
        analyse.out.setText(str(self.results))
        analyse.start_check()
        self.until(lambda: analyse.task is None)
        self.viewer.dims.set_current_step(0, 30)
        analyse.start_preview()
        self.until(lambda: analyse.task is None)
        self.viewer.reset_view()
        self.shoot("napari_preview")
        analyse.start_run()
        self.until(lambda: analyse.task is None)
        self.browse()
        self.correct()
        self.show_results()
        self.teach()
        self.viewer.close()

    def browse(self) -> None:
        """Look at an event and at a cell."""
        self.hide("preview")
        browser = self.put(BrowserPanel, "Events and cells")
        table = browser.events.content.table
        longest = table.loc[table["duration_s"].idxmax()]
        browser.choose(int(longest["event_id"]))
        self.settle(browser.strip)
        self.viewer.dims.set_current_step(0, int(longest["start_frame"]) + 12)
        browser.accept_event()
        self.settle(browser.strip)
        browser.choose(int(longest["event_id"]))
        self.settle(browser.strip)
        self.shoot("napari_events")
        browser.tabs.setCurrentIndex(1)
        page = browser.cells
        most = int(page.fates.content.table["dockings"].astype(float).idxmax())
        page.table.setCurrentIndex(page.fates.index(most, 0))
        self.settle(page.life)
        self.viewer.dims.set_current_step(0, 40)
        page.first.setValue(40)
        page.set_state("early_apoptotic")
        self.until(lambda: not page.hub.busy)
        self.settle(page.life)
        self.shoot("napari_cells")

    def correct(self) -> None:
        """Split a track, and see the tables recounted."""
        panel = self.put(CorrectPanel, "Correct")
        panel.who.setText("Ada")
        panel.hub.sign("Ada")
        session = panel.session()
        own = session.spots["exosome_id"].value_counts()
        panel.track.setValue(int(own.index[0]))
        self.viewer.dims.set_current_step(0, 30)
        panel.split()
        self.until(lambda: not panel.hub.busy)
        panel.paint()
        self.shoot("napari_correct")

    def show_results(self) -> None:
        """Show the numbers and charts."""
        self.put(ResultsPanel, "Results")
        self.viewer.reset_view()
        self.wait(3)
        self.shoot("napari_results")

    def teach(self) -> None:
        """Make the spots of some frames those of the sample's truth, add the frames, train, compare."""
        panel = self.put(TeachPanel, "Teach")
        panel.subject.setCurrentText("spots")
        for frame in range(5, 55, 5):
            put_right(panel.session(), frame)
            self.viewer.dims.set_current_step(0, frame)
            panel.take()
        panel.train()
        self.until(lambda: panel.task is None)
        self.shoot("napari_teach")

    # Helpers

    def put(self, panel: Callable[[Any], Any], name: str) -> Any:
        """Show one panel in the place of the one before."""
        if self.dock is not None:
            self.viewer.window.remove_dock_widget(self.dock)
        made = panel(self.viewer)
        self.dock = self.viewer.window.add_dock_widget(made, name=name, area="right")
        self.wait(0.3)
        return made

    def hide(self, what: str) -> None:
        """Take the preview away."""
        for layer in [one for one in self.viewer.layers if what in one.name]:
            self.viewer.layers.remove(layer)

    def settle(self, label: Any) -> None:
        """Wait for a picture to be drawn."""
        self.wait(0.5)
        self.until(lambda: not label.pixmap().isNull())
        self.wait(1.0)

    def until(self, ready: Callable[[], bool], limit_s: float = 300) -> None:
        """Let the viewer work until something is so."""
        begun = time.monotonic()
        while not ready():
            if time.monotonic() - begun > limit_s:
                raise TimeoutError("the step took too long")
            self.wait(0.05)

    def wait(self, seconds: float) -> None:
        """Let the viewer work for a while."""
        until = time.monotonic() + seconds
        while time.monotonic() < until:
            QApplication.processEvents()
            time.sleep(0.01)

    def shoot(self, name: str) -> None:
        """Save a picture of the window, small enough for the repository."""
        self.wait(1.0)
        path = self.out / f"{name}.png"
        self.window.grab().save(str(path))
        with Image.open(path) as picture:
            small = picture.convert("RGB").quantize(COLOURS)
        small.save(path, optimize=True)


def put_right(session: Session, frame: int) -> None:
    """Delete what is no spot, and add those that were missed, as a person would who knows the truth."""
    truth = pd.read_parquet(Path(exovision_samples.__file__).parent / "demo/truth/spots.parquet")
    found = session.spots[session.spots["frame"] == frame]
    known = truth[truth["frame"] == frame]
    pairs = match_points(places(known), places(found))
    wrong = np.delete(found.index.to_numpy(), pairs[1])
    if len(wrong):
        session.add(delete_spots(wrong.tolist()))
    missed = known[~known["ignore"].to_numpy(dtype=bool) & ~np.isin(np.arange(len(known)), pairs[0])]
    for y_px, x_px in places(missed)[:, 1:]:
        with suppress(InputError):
            session.add(measure_spot(session, frame, y_px, x_px))


def places(spots: pd.DataFrame) -> NDArray[np.float64]:
    """Return frame, y and x of spots, shape (N, 3)."""
    return spots[["frame", "y_px", "x_px"]].to_numpy(dtype=np.float64)


if __name__ == "__main__":
    main()
