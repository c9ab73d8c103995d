"""The Correct panel in a real viewer: spots, tracks, events, cells; signed, undone, recounted, saved."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from napari_exovision.correct_panel import CorrectPanel
from napari_exovision.layers import CELLS, SPOTS
from napari_exovision.session import CORRECTED

from exovision.errors import InputError


@pytest.fixture
def panel(viewer: Any, dock: Any, folder: Path) -> CorrectPanel:
    """The panel over a session that is recounted on demand."""
    made = dock(CorrectPanel)
    made.at_once.setChecked(False)
    made.hub.open(folder)
    yield made
    made.at_once.setChecked(True)


def select(panel: CorrectPanel, rows: list[int]) -> None:
    """Select spots in their layer."""
    layer = panel.hub.display.layer(SPOTS)
    layer.selected_data = set(np.flatnonzero(np.isin(layer.features["row"], rows)).tolist())


def longest(panel: CorrectPanel) -> Any:
    """Return the spots of the exosome with the most."""
    spots = panel.session().spots
    return spots[spots["exosome_id"] == spots["exosome_id"].value_counts().index[0]]


def test_a_track_is_split_and_merged_again(panel: CorrectPanel) -> None:
    own = longest(panel)
    before = panel.session().spots["exosome_id"].copy()
    select(panel, [int(own.index[3])])
    panel.take_track()
    assert panel.track.value() == int(own["exosome_id"].iloc[0])
    panel.viewer.dims.set_current_step(0, int(own["frame"].iloc[4]))
    panel.split()
    new = int(panel.session().spots["exosome_id"].max())
    panel.other.setValue(new)
    panel.merge()
    assert panel.session().spots["exosome_id"].equals(before)
    assert panel.log.count() == 2


def test_spots_are_unlinked_linked_and_made_a_new_exosome(panel: CorrectPanel) -> None:
    own = longest(panel)
    rows = [int(row) for row in own.index[:3]]
    select(panel, rows)
    panel.unlink_selected()
    assert panel.session().spots.loc[rows, "exosome_id"].isna().all()
    select(panel, rows)
    panel.start_track()
    assert panel.session().spots.loc[rows, "exosome_id"].nunique() == 1
    select(panel, rows)
    panel.track.setValue(int(own["exosome_id"].iloc[0]))
    panel.link_selected()
    assert (panel.session().spots.loc[rows, "exosome_id"] == own["exosome_id"].iloc[0]).all()


def test_spots_are_deleted_and_added_by_clicking(panel: CorrectPanel) -> None:
    session = panel.session()
    bright = session.spots.loc[session.spots["snr"].idxmax()]
    select(panel, [int(bright.name)])
    panel.delete_selected()
    assert bright.name not in session.spots.index
    panel.toggle_pointing()
    panel.viewer.dims.set_current_step(0, int(bright["frame"]))
    (callback,) = [one for one in panel.viewer.mouse_drag_callbacks if one == panel._pointed]

    class Click:
        position = (0.0, float(bright["y_um"]), float(bright["x_um"]))

    callback(panel.viewer, Click())
    assert session.spots.iloc[-1:].index.isin(session.spots.index).all()
    assert session.spots.loc[len(session.stored.spots), "y_px"] == pytest.approx(bright["y_px"], abs=0.05)
    panel.toggle_pointing()
    assert panel._pointed is None and len(session.annotations) == 2


def test_painting_becomes_a_signed_correction(panel: CorrectPanel, until: Any) -> None:
    panel.who.setText("Grace")
    panel.who.editingFinished.emit()
    panel.paint_new()
    layer = panel.hub.display.layer(CELLS)
    assert layer.mode == "paint" and layer.selected_label > panel.session().fates["cell_id"].max()
    layer.paint((4, 10, 10), layer.selected_label)
    until(lambda: bool(panel.session().annotations))
    (made,) = panel.session().annotations
    assert (made.action, made.who, made.values["frame"]) == ("paint", "Grace", 4)
    panel.undo()
    assert panel.session().labels.frames == []


def test_cells_are_merged_in_one_frame_and_removed_in_all(panel: CorrectPanel) -> None:
    first, second = (int(cell) for cell in panel.session().fates["cell_id"].iloc[:2])
    panel.cell.setValue(first)
    panel.cell_other.setValue(second)
    panel.whole_movie.setChecked(False)
    panel.viewer.dims.set_current_step(0, 5)
    panel.merge_cells()
    assert panel.session().labels.frames == [5]
    panel.whole_movie.setChecked(True)
    panel.cell.setValue(second)
    panel.remove_cell()
    assert all(second not in panel.session().labels[t] for t in range(16))


def test_an_added_event_is_in_the_tables_after_the_recount_and_is_saved(
    panel: CorrectPanel, until: Any, folder: Path
) -> None:
    own, session = longest(panel), panel.session()
    panel.track.setValue(int(own["exosome_id"].iloc[0]))
    panel.start.setValue(int(own["frame"].iloc[2]))
    panel.end.setValue(int(own["frame"].iloc[6]))
    panel.kind.setCurrentText("surfing")
    panel.add_event()
    panel._recount()
    until(lambda: not panel.hub.busy)
    assert "surfing" in set(session.events["kind"]) and not session.stale
    panel.save()
    assert (folder / CORRECTED / "report.html").is_file()
    assert "hold them all" in panel.status.text()


def test_corrections_made_before_are_recounted_on_opening(
    viewer: Any, dock: Any, folder: Path, until: Any
) -> None:
    from napari_exovision.session import Session

    from exovision.curation.tracks import delete_spots

    Session.open(folder).add(delete_spots([0]))
    panel = dock(CorrectPanel)
    panel.hub.open(folder)
    until(lambda: not panel.hub.busy)
    assert not panel.session().stale


def test_what_cannot_be_done_says_what_to_do(panel: CorrectPanel) -> None:
    with pytest.raises(InputError, match="select"):
        panel.delete_selected()
    panel.hub.display.viewer.layers.remove(panel.hub.display.layer(SPOTS))
    with pytest.raises(InputError, match="open the results again"):
        panel.delete_selected()
    with pytest.raises(InputError, match="none that the tables lack"):
        panel._recount()
