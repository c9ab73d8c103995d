"""The browser in a real viewer: clicks, keys, filters, undo, pictures, and nothing left when it goes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from napari_exovision.browser_panel import BrowserPanel
from napari_exovision.layers import EVENTS
from napari_exovision.work import recount
from qtpy.QtCore import Qt
from qtpy.QtTest import QTest

from exovision.curation.annotations import read_annotations


@pytest.fixture
def panel(viewer: Any, dock: Any, folder: Path) -> BrowserPanel:
    """The browser over a session that is recounted on demand."""
    made = dock(BrowserPanel)
    made.hub.counts_itself = False
    made.hub.open(folder)
    yield made
    made.hub.counts_itself = True


def press(panel: BrowserPanel, key: Any, *modifiers: Any) -> None:
    """Press a key in the table."""
    QTest.keyClick(panel.table, key, *modifiers)


def test_the_table_holds_the_events(panel: BrowserPanel) -> None:
    session = panel.session()
    assert panel.events.rowCount() == len(session.events)
    assert str(len(session.events)) in panel.counts.text()
    assert panel.cells.fates.rowCount() == len(session.fates)


def test_choosing_an_event_goes_to_its_frame_and_draws_its_strip(panel: BrowserPanel, until: Any) -> None:
    event = panel.session().events.iloc[-1]
    panel.choose(int(event["event_id"]))
    until(lambda: not panel.strip.pixmap().isNull())
    display = panel.hub.display
    assert display.frame() == int(event["start_frame"])
    centre = panel.viewer.scene.camera.center
    assert centre[-2:] == pytest.approx((event["y_um"], event["x_um"]))


def test_choosing_a_mark_in_the_viewer_chooses_the_event(panel: BrowserPanel) -> None:
    layer = panel.hub.display.layer(EVENTS)
    wanted = int(layer.features["event_id"].iloc[-1])
    layer.selected_data = {len(layer.data) - 1}
    assert panel.chosen()["event_id"] == wanted


def test_keys_accept_go_on_and_undo(panel: BrowserPanel, folder: Path) -> None:
    panel.choose(1)
    press(panel, Qt.Key.Key_A)
    session = panel.session()
    assert session.reviews.tolist().count("accepted") >= 1
    assert panel.chosen()["event_id"] != 1
    assert len(read_annotations(folder / "annotations.jsonl", n_spots=len(session.stored.spots))) == 1
    press(panel, Qt.Key.Key_Z, Qt.KeyboardModifier.ControlModifier)
    assert session.annotations == []
    row = panel.table.currentIndex().row()
    press(panel, Qt.Key.Key_N)
    assert panel.table.currentIndex().row() != row or panel.events.rowCount() == 1


def test_number_keys_relabel_and_delete_denies(panel: BrowserPanel, said: list[str]) -> None:
    events = panel.session().events
    docking = int(events.loc[events["kind"] == "docking", "event_id"].iloc[0])
    panel.choose(docking)
    press(panel, Qt.Key.Key_2)
    made = panel.session().annotations
    assert [(a.values["kind"], a.values["holds"]) for a in made] == [("docking", False), ("surfing", True)]
    panel.undo()
    assert panel.session().annotations == []
    panel.choose(docking)
    press(panel, Qt.Key.Key_Delete)
    assert panel.session().stale and "recount" in panel.counts.text()
    press(panel, Qt.Key.Key_1)
    assert "accept" in said[-1]


def test_a_recount_shows_the_corrected_events(panel: BrowserPanel, until: Any) -> None:
    session = panel.session()
    docking = session.events[session.events["kind"] == "docking"].iloc[0]
    panel.choose(int(docking["event_id"]))
    panel.hub.counts_itself = True
    before = panel.events.content.counts("kind")["docking"]
    panel.delete_event()
    until(lambda: not panel.hub.busy)
    assert not session.stale and panel.events.content.counts("kind")["docking"] == before - 1


def test_filters_narrow_the_table_and_the_counts(panel: BrowserPanel) -> None:
    panel.kind.setCurrentText("docking")
    dockings = int((panel.session().events["kind"] == "docking").sum())
    assert panel.events.rowCount() == dockings
    panel.review.setCurrentText("accepted")
    assert panel.events.rowCount() == 0 and "none" in panel.counts.text()
    panel.review.setCurrentText("all")
    panel.cell.setText("99")
    assert panel.events.rowCount() == 0
    panel.cell.setText("")
    panel.least.setValue(1.0)
    assert panel.events.rowCount() <= dockings


def test_a_click_on_a_heading_sorts(panel: BrowserPanel) -> None:
    column = panel.events.content.names.index("start_s")
    panel.table.sortByColumn(column, Qt.SortOrder.DescendingOrder)
    starts = [float(panel.events.content.text(i, column)) for i in range(panel.events.rowCount())]
    assert starts == sorted(starts, reverse=True)


def test_a_cell_shows_its_lifeline_and_its_events(panel: BrowserPanel, until: Any) -> None:
    page = panel.cells
    page.table.setCurrentIndex(page.fates.index(0, 0))
    until(lambda: not page.life.pixmap().isNull())
    page.show_events()
    cell = int(page.fates.content.record(0)["cell_id"])
    assert panel.cell.text() == str(cell)
    assert panel.events.rowCount() == int((panel.session().events["cell_id"] == cell).sum())


def test_without_an_event_or_an_analysis_the_user_is_told(viewer: Any, dock: Any, said: list[str]) -> None:
    panel = dock(BrowserPanel)
    panel.next_unreviewed()
    assert "every event" in said[-1]
    from napari_exovision.say import complaining

    with complaining():
        panel.accept_event()
    assert "an analysis is needed" in said[-1]


def test_states_along_a_lifeline_are_corrected_by_keys_and_undone(
    panel: BrowserPanel, folder: Path, viewer: Any, until: Any
) -> None:
    page, session = panel.cells, panel.session()
    page.choose(int(session.fates["cell_id"].iloc[1]))
    cell_id, last = int(page.chosen()["cell_id"]), int(page.chosen()["last_frame"])
    viewer.dims.set_current_step(0, 8)
    page._take_frame(page.first)
    QTest.keyClick(page.table, Qt.Key.Key_3)
    said = read_annotations(folder / "annotations.jsonl", n_spots=len(session.stored.spots))[-1]
    assert (said.action, said.who) == ("state", session.who)
    span = {"first_frame": 8, "last_frame": last}
    assert said.values == {"cell_id": cell_id, "state": "early_apoptotic", **span}
    recount(panel.hub)
    until(lambda: not panel.hub.busy)
    fate = page.chosen()
    assert (fate["cell_id"], fate["exit"], fate["death_mode"]) == (cell_id, "died", "apoptotic")
    assert fate["review"] == "corrected"
    states = session.cells[session.cells["cell_id"] == cell_id].set_index("frame")["state"]
    assert set(states.loc[8:]) == {"early_apoptotic"} and "early_apoptotic" not in set(states.loc[:7])
    QTest.keyClick(page.table, Qt.Key.Key_Z, Qt.KeyboardModifier.ControlModifier)
    assert session.annotations == [] and page.chosen()["exit"] != "died"


def test_fates_are_accepted_filtered_and_gone_through(panel: BrowserPanel, said: list[str]) -> None:
    page, session = panel.cells, panel.session()
    page.table.setCurrentIndex(page.fates.index(0, 0))
    first = int(page.chosen()["cell_id"])
    QTest.keyClick(page.table, Qt.Key.Key_A)
    assert int(page.chosen()["cell_id"]) != first and not session.stale
    page.review.setCurrentText("accepted")
    assert page.fates.rowCount() == 1 and "reviewed 1" in page.counts.text()
    page.review.setCurrentText("all")
    page.exit.setCurrentText("died")
    assert page.fates.rowCount() == 0 and "none" in page.counts.text()
    QTest.keyClick(page.table, Qt.Key.Key_3)
    assert "a cell is needed" in said[-1]
