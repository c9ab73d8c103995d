"""An analysis in a viewer model: layers with scale and features, kept up to date, gone when closed."""

from __future__ import annotations

import numpy as np
import pytest
from napari.components import ViewerModel
from napari_exovision.display import Display, about
from napari_exovision.layers import CELLS, EVENTS, OUTLINES, SPOTS, TRACKS
from napari_exovision.session import Session

from exovision.curation.tracks import delete_spots
from exovision.report.style import STATES


@pytest.fixture
def display(session: Session) -> Display:
    """The session shown in a viewer model."""
    made = Display(ViewerModel(), session)
    made.show()
    return made


def test_every_layer_has_scale_units_and_axis_names(display: Display) -> None:
    assert len(display.viewer.layers) == 7
    for layer in display.viewer.layers:
        known = layer.ndim
        assert layer.scale.tolist() == [2.0, 0.108, 0.108][-known:], layer.name
        assert [str(unit) for unit in layer.units] == ["second", "micrometer", "micrometer"][-known:]
        assert layer.axis_labels == ("t", "y", "x")[-known:]


def test_features_hold_the_tables(display: Display, session: Session) -> None:
    spots, cells, events = (display.layer(what) for what in (SPOTS, CELLS, EVENTS))
    assert len(spots.data) == len(session.spots)
    np.testing.assert_array_equal(spots.features["row"], session.spots.index)
    np.testing.assert_allclose(spots.features["snr"], session.spots["snr"].astype(float))
    assert set(cells.features["index"]) == set(session.fates["cell_id"])
    assert set(events.features["event_id"]) == set(session.events["event_id"])


def test_the_colour_of_a_spot_is_that_of_its_state(display: Display, session: Session) -> None:
    from matplotlib.colors import to_rgba

    layer = display.layer(SPOTS)
    for row in (0, len(layer.data) - 1):
        colour = STATES[session.spots["state"].iloc[row]][0]
        np.testing.assert_allclose(layer.border_color[row], to_rgba(colour), atol=1e-3)


def test_the_outlines_are_those_of_the_frame_shown(display: Display, session: Session) -> None:
    for frame in (3, 13):
        display.viewer.dims.set_current_step(0, frame)
        vectors = display.layer(OUTLINES).data
        inside = np.argwhere(session.labels[frame] > 0)
        assert abs(vectors[:, 0, 0].max() - inside[:, 0].max()) < 2
        assert len(vectors) == len(display.layer(OUTLINES)._view_data)


def test_corrections_reach_the_layers(display: Display, session: Session) -> None:
    count = len(display.layer(SPOTS).data)
    session.add(delete_spots([0, 1, 2]))
    assert len(display.layer(SPOTS).data) == count - 3
    assert 0 not in set(display.layer(SPOTS).features["row"])
    session.undo()
    assert len(display.layer(SPOTS).data) == count


def test_tracks_that_are_gone_take_their_layer_with_them(display: Display, session: Session) -> None:
    session.add(delete_spots(session.spots.index[session.spots["exosome_id"].notna()].tolist()))
    assert display.layer(TRACKS) is None


def test_a_layer_that_the_user_removed_is_not_missed(display: Display, session: Session) -> None:
    for what in (SPOTS, OUTLINES, EVENTS, CELLS, TRACKS):
        display.viewer.layers.remove(display.layer(what))
    session.add(delete_spots([0]))
    display.viewer.dims.set_current_step(0, 5)


def test_the_cells_are_painted_into_annotations(display: Display, session: Session) -> None:
    layer = display.layer(CELLS)
    layer.paint((6, 20, 20), 42)
    assert session.labels[6][20, 20] == 42
    assert session.take_painting()
    layer.undo()
    assert session.labels[6][20, 20] != 42


def test_going_to_an_event_shows_its_frame_and_place(display: Display) -> None:
    display.go_to(9, 3.0, 4.0)
    assert display.frame() == 9
    assert display.viewer.scene.camera.center[-2:] == (3.0, 4.0)


def test_closing_leaves_the_movie_and_no_connection(display: Display, session: Session) -> None:
    display.close()
    assert {about(layer)["what"] for layer in display.viewer.layers} == {"image"}
    assert len(session.changed) == 0
    display.viewer.dims.set_current_step(0, 5)


def test_a_display_that_was_disconnected_follows_again(display: Display, session: Session) -> None:
    display.disconnect()
    display.viewer.dims.set_current_step(0, 12)
    for _ in range(2):
        display.follow()
    display.viewer.dims.set_current_step(0, 4)
    top = np.argwhere(session.labels[4] > 0)[:, 0].min()
    assert abs(display.layer(OUTLINES).data[:, 0, 0].min() - top) < 2


def test_showing_a_second_time_adds_no_layer_twice(display: Display, session: Session) -> None:
    Display(display.viewer, session).show()
    assert len(display.viewer.layers) == 7
