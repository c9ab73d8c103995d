"""The Analyse panel in a real viewer: open, preview, run, stop, a second movie, trouble in the middle."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tifffile
from napari_exovision.analyse_panel import LAYERS, UNUSED, AnalysePanel
from napari_exovision.display import about
from napari_exovision.layers import SPOTS
from qtpy.QtCore import Qt
from qtpy.QtTest import QTest

from exovision.errors import InputError
from exovision.pipeline import preview
from exovision.settings import Settings


@pytest.fixture
def panel(viewer: Any, dock: Any, scene: Path, tmp_path: Path, until: Any) -> AnalysePanel:
    """The panel with the movie open and a results folder."""
    made = dock(AnalysePanel)
    viewer.open(str(scene / "movie.ome.tif"), plugin="exovision")
    until(lambda: made.movie.currentText() == "movie")
    made.out.setText(str(tmp_path / "out"))
    made.device.setCurrentText("cpu")
    return made


def click(button: Any) -> None:
    """Click a button as a user would."""
    QTest.mouseClick(button, Qt.MouseButton.LeftButton)


def whats(viewer: Any) -> list[str]:
    """Return what our layers are."""
    return [about(layer)["what"] for layer in viewer.layers if about(layer)]


def test_roles_and_sizes_of_the_file_are_shown(panel: AnalysePanel) -> None:
    assert panel.roles() == {"exosome": 0, "cell": 1}
    assert "0.108" in panel.pixel_size.placeholderText() and "2 " in panel.interval.placeholderText()
    plan = panel.plan()
    assert plan.options.channels is None and plan.options.pixel_size_um is None


def test_what_the_user_says_wins_and_survives_other_layers(panel: AnalysePanel, viewer: Any) -> None:
    panel.pixel_size.setText("0.2")
    panel._roles["1 cell"].setCurrentText("nucleus")
    viewer.add_points([[0, 1, 1]])
    QTest.qWait(120)
    plan = panel.plan()
    assert plan.options.pixel_size_um == 0.2
    assert plan.options.channels == {"exosome": 0, "nucleus": 1}


def test_the_preview_shows_cells_and_spots_of_the_frame(panel: AnalysePanel, viewer: Any, until: Any) -> None:
    viewer.dims.set_current_step(0, 6)
    for _ in range(2):
        click(panel.preview_button)
        until(lambda: panel.task is None)
    assert whats(viewer).count("preview") == 2
    assert panel.status.text().startswith("frame 6: ")


def test_the_scale_is_found_before_the_first_preview_and_is_used_by_it(
    panel: AnalysePanel, until: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    until(lambda: panel._ready is not None)
    diameter_um = panel._ready.diameter_um(lambda *_: None)
    asked: list[float | None] = []

    def watch(movie: Any, settings: Any, frame: int, **rest: Any) -> Any:
        asked.append(settings.cells.diameter_um)
        return preview(movie, settings, frame, **rest)

    monkeypatch.setattr("napari_exovision.plan.preview", watch)
    click(panel.preview_button)
    until(lambda: panel.task is None)
    assert asked == [diameter_um] and diameter_um is not None
    assert panel.form.settings().cells.diameter_um is None


def test_a_run_writes_results_and_shows_them(
    panel: AnalysePanel, viewer: Any, until: Any, analysed: Path, tmp_path: Path
) -> None:
    click(panel.run_button)
    assert panel.stop_button.isEnabled() and not panel.run_button.isEnabled()
    stages: set[str] = set()
    until(lambda: stages.add(panel.status.text().split(":")[0]) or panel.task is None)
    assert {"finding cells", "finding exosomes", "writing results"} & stages
    for name in ("spots.parquet", "events.csv", "fates.csv"):
        assert (tmp_path / "out/movie" / name).read_bytes() == (analysed / name).read_bytes(), name
    assert whats(viewer) == ["image", "image", "cells", "outlines", "tracks", "spots", "events"]
    click(panel.run_button)
    until(lambda: panel.task is None)
    assert whats(viewer) == ["image", "image", "cells", "outlines", "tracks", "spots", "events"]


def test_stop_ends_the_work_and_leaves_nothing_half(
    panel: AnalysePanel, viewer: Any, until: Any, tmp_path: Path, said: list[str]
) -> None:
    click(panel.run_button)
    until(lambda: "finding" in panel.status.text())
    begun = time.monotonic()
    click(panel.stop_button)
    until(lambda: panel.task is None)
    assert time.monotonic() - begun < 20
    assert panel.status.text() == "stopped" and panel.run_button.isEnabled()
    assert not (tmp_path / "out/movie/run.json").exists()
    assert whats(viewer) == ["image", "image"]
    assert "stopped" in " ".join(said)


def test_a_layer_deleted_during_a_run_does_not_disturb_it(
    panel: AnalysePanel, viewer: Any, until: Any
) -> None:
    click(panel.run_button)
    until(lambda: "finding" in panel.status.text())
    viewer.layers.clear()
    until(lambda: panel.task is None)
    assert SPOTS in whats(viewer)


def test_an_error_in_the_middle_is_one_message_and_the_next_run_works(
    panel: AnalysePanel, until: Any, said: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: Any, **__: Any) -> Any:
        raise InputError("frame 3: pixels must be finite; cut out these frames")

    with monkeypatch.context() as patched:
        patched.setattr("napari_exovision.plan.analyse", broken)
        click(panel.run_button)
        until(lambda: panel.task is None)
    assert said == ["frame 3: pixels must be finite; cut out these frames"]
    click(panel.run_button)
    until(lambda: panel.task is None)
    assert (tmp_path / "out/movie/run.json").is_file()


def test_a_model_that_does_not_load_says_so(panel: AnalysePanel, until: Any, said: list[str]) -> None:
    panel.form.editors["cells"]["weights"].set_value("/nowhere/cells.safetensors")
    click(panel.run_button)
    until(lambda: panel.task is None)
    assert len(said) == 1 and "weights" in said[0]


def test_without_a_movie_the_user_is_told_to_open_one(
    viewer: Any, dock: Any, until: Any, said: list[str]
) -> None:
    panel = dock(AnalysePanel)
    click(panel.run_button)
    until(lambda: bool(said))
    assert len(said) == 1 and "open one" in said[0]


def test_plain_layers_need_a_scale_and_then_run(
    viewer: Any, dock: Any, until: Any, said: list[str], scene: Path, tmp_path: Path
) -> None:
    pixels = tifffile.imread(scene / "movie.ome.tif")
    panel = dock(AnalysePanel)
    viewer.add_image(pixels[:, 0], name="vesicles")
    viewer.add_image(pixels[:, 1], name="bodies")
    until(lambda: panel.movie.currentText() == LAYERS)
    panel._roles["vesicles"].setCurrentText("exosome")
    panel._roles["bodies"].setCurrentText("cell")
    panel.out.setText(str(tmp_path))
    assert "needed" in panel.pixel_size.placeholderText()
    click(panel.run_button)
    until(lambda: panel.task is None)
    assert "pixel size in the Analyse panel" in said[-1] and "--" not in said[-1]
    panel.pixel_size.setText("0,108")
    panel.interval.setText("2")
    click(panel.run_button)
    until(lambda: panel.task is None)
    assert (tmp_path / "vesicles/run.json").is_file()


def test_a_file_without_scale_asks_for_it(
    viewer: Any, dock: Any, until: Any, said: list[str], tmp_path: Path
) -> None:
    path = tmp_path / "bare.tif"
    tifffile.imwrite(path, np.zeros((3, 2, 16, 16), np.uint16), imagej=True, metadata={"axes": "TCYX"})
    panel = dock(AnalysePanel)
    viewer.open(str(path), plugin="exovision")
    until(lambda: panel.movie.currentText() == "bare")
    assert all("needed" in line.placeholderText() for line in (panel.pixel_size, panel.interval))
    assert [box.currentText() for box in panel._roles.values()] == [UNUSED, UNUSED]
    click(panel.run_button)
    until(lambda: panel.task is None)
    assert len(said) == 1 and "--" not in said[0]


def test_settings_go_through_the_command_lines_file(panel: AnalysePanel, tmp_path: Path) -> None:
    settings = Settings.from_mapping({"events": {"docked_min_s": 4.5}, "cells": {"diameter_um": 11.0}})
    panel.form.set_settings(settings)
    panel.save_settings(tmp_path / "s.yaml")
    assert Settings.from_yaml(tmp_path / "s.yaml") == settings
    panel.form.set_settings(Settings())
    panel.load_settings(tmp_path / "s.yaml")
    assert panel.plan().settings == settings


def test_what_the_movie_can_tell_is_shown(panel: AnalysePanel, until: Any) -> None:
    panel.start_check()
    until(lambda: panel.task is None)
    assert "docking" in panel.facts.text() and "memory" in panel.facts.text()


def test_a_second_movie_takes_the_place_of_the_first(
    panel: AnalysePanel, viewer: Any, until: Any, tiny: Path, tmp_path: Path
) -> None:
    click(panel.run_button)
    until(lambda: panel.task is None)
    second = tmp_path / "second.ome.tif"
    second.write_bytes((tiny / "movie.ome.tif").read_bytes())
    viewer.open(str(second), plugin="exovision")
    until(lambda: "second" in [panel.movie.itemText(i) for i in range(panel.movie.count())])
    panel.movie.setCurrentText("second")
    panel.out.setText(str(tmp_path / "out"))
    click(panel.run_button)
    until(lambda: panel.task is None)
    assert (tmp_path / "out/second/run.json").is_file()
    assert whats(viewer).count(SPOTS) == 1
    assert panel.hub.session.stored.name == "second"
