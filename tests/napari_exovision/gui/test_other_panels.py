"""Results and teaching in a real viewer; closing in the middle; nothing alive afterwards."""

from __future__ import annotations

import gc
import threading
import weakref
from dataclasses import replace
from pathlib import Path
from typing import Any

import napari
import pytest
from napari_exovision.analyse_panel import AnalysePanel
from napari_exovision.browser_panel import BrowserPanel
from napari_exovision.correct_panel import CorrectPanel
from napari_exovision.hub import hub_of
from napari_exovision.results_panel import ResultsPanel
from napari_exovision.teach_panel import TeachPanel
from qtpy.QtCore import QEvent
from qtpy.QtWidgets import QApplication

from exovision.errors import InputError
from exovision.training.cells import from_corrections

PANELS = (AnalysePanel, BrowserPanel, CorrectPanel, ResultsPanel, TeachPanel)


def test_a_results_folder_opens_with_headline_and_charts(dock: Any, folder: Path, until: Any) -> None:
    panel = dock(ResultsPanel)
    panel.open_results(folder.parent)
    assert panel.movie.currentText() == "movie"
    assert "cells" in panel.text.text()
    until(lambda: panel.charts.count() > 0)
    panel._choose(0)
    assert panel.session().stored.folder == folder


def test_a_broken_folder_leaves_the_present_analysis(dock: Any, folder: Path, tmp_path: Path) -> None:
    panel = dock(ResultsPanel)
    panel.open_results(folder.parent)
    session = panel.session()
    (tmp_path / "broken").mkdir()
    (tmp_path / "broken/events.csv").write_text("x")
    for bad in (tmp_path / "broken", tmp_path / "nothing"):
        with pytest.raises(InputError):
            panel.open_results(bad)
    assert panel.session() is session


def test_teaching_trains_compares_and_keeps(
    dock: Any, viewer: Any, folder: Path, until: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    def short(start: Path) -> Any:
        return replace(from_corrections(start), simulated=1, frame_px=96, batch=2)

    monkeypatch.setattr("napari_exovision.taught_cells.from_corrections", short)
    analyse, panel = dock(AnalysePanel), dock(TeachPanel)
    panel.hub.open(folder)
    assert panel.steps.value() == from_corrections(Path("x")).steps
    for frame in (2, 9):
        viewer.dims.set_current_step(0, frame)
        panel.take()
    assert panel.pictures.count() == 2
    panel.steps.setValue(1)
    panel.train()
    until(lambda: panel.task is None)
    assert panel.figures.item(0, 0) is not None and panel.keep_button.isEnabled()
    panel.keep()
    kept = analyse.form.settings().cells.weights
    assert kept is not None and Path(kept).is_file() and not panel.keep_button.isEnabled()


def test_spots_are_taught_in_the_panel_and_used_by_the_next_preview(
    dock: Any, viewer: Any, folder: Path, until: Any
) -> None:
    analyse, panel = dock(AnalysePanel), dock(TeachPanel)
    panel.hub.open(folder)
    panel.subject.setCurrentText("spots")
    assert not panel.steps.isEnabled() and "all and nothing else" in panel.hint.text()
    for frame in (2, 9):
        viewer.dims.set_current_step(0, frame)
        panel.take()
    panel.train()
    until(lambda: panel.task is None)
    shown = [panel.figures.verticalHeaderItem(i).text() for i in range(panel.figures.rowCount())]
    assert shown == ["precision", "recall", "F1", "calibration error"]
    assert all(panel.figures.item(i, k) is not None for i in range(4) for k in range(2))
    panel.keep()
    kept = analyse.form.settings().exosomes.weights
    assert kept is not None and Path(kept).is_file()
    panel.subject.setCurrentText("cells")
    assert panel.pictures.count() == 0 and panel.figures.item(0, 0) is None


def test_death_without_corrected_states_says_what_to_do(
    dock: Any, folder: Path, said: list[str], until: Any
) -> None:
    panel = dock(TeachPanel)
    panel.hub.open(folder)
    panel.subject.setCurrentText("death")
    panel.add_button.click()
    assert "say what some are" in said[-1]
    panel.train_button.click()
    until(lambda: panel.task is None)
    assert "at least 2 cells are needed" in said[-1]


def test_closing_the_viewer_in_the_middle_of_a_run_ends_everything(
    qapp: Any, scene: Path, tmp_path: Path, until: Any
) -> None:
    viewer = napari.Viewer(show=False, show_welcome_screen=False)
    hub = hub_of(viewer)
    made = [panel(viewer) for panel in PANELS]
    for panel in made:
        viewer.window.add_dock_widget(panel, name=type(panel).__name__)
    viewer.open(str(scene / "movie.ome.tif"), plugin="exovision")
    analyse = made[0]
    until(lambda: analyse.movie.currentText() == "movie")
    analyse.out.setText(str(tmp_path))
    analyse.start_run()
    until(lambda: "finding" in analyse.status.text())
    viewer.close()
    # Only an event loop deletes windows; this stands in for napari's own.
    QApplication.sendPostedEvents(None, QEvent.Type.DeferredDelete.value)
    until(lambda: not hub.busy)
    until(lambda: not [one for one in threading.enumerate() if one.name.startswith("exovision")])
    assert not (tmp_path / "movie/run.json").exists()


def test_closed_panels_leave_no_connection_and_are_freed(dock: Any, viewer: Any, folder: Path) -> None:
    layers, dims = viewer.layers.events, viewer.dims.events
    before = [len(one.callbacks) for one in (layers.inserted, layers.removed, dims.current_step)]
    made = [dock(panel) for panel in PANELS]
    hub = made[0].hub
    hub.open(folder)
    session = hub.session
    seen = [weakref.ref(panel) for panel in made]
    for name in list(viewer.window.dock_widgets):
        viewer.window.remove_dock_widget(viewer.window.dock_widgets[name])
    made.clear()
    QApplication.processEvents()
    gc.collect()
    assert len(hub.opened) == len(hub.selected) == len(hub.weights) == 0
    hub.close()
    assert len(session.changed) == 0
    after = [len(one.callbacks) for one in (layers.inserted, layers.removed, dims.current_step)]
    assert after == before
    assert [one() for one in seen if one() is not None] == []
