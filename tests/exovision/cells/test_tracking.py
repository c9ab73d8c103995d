import numpy as np

from exovision.cells.tracking import CellTracker
from exovision.settings import CellSettings

ROWS, COLUMNS = np.indices((120, 160))


def frame_of(*cells):
    labels = np.zeros(ROWS.shape, dtype=np.int32)
    for label, y, x, radius in cells:
        labels[np.hypot(ROWS - y, COLUMNS - x) <= radius] = label
    return labels


def followed(frames, **settings):
    tracker = CellTracker(CellSettings(**settings), pixel_size_um=0.5)
    return tracker, [tracker.update(labels, t) for t, labels in enumerate(frames)]


def test_moving_cells_keep_their_ids_whatever_the_segmenter_calls_them():
    frames = [
        frame_of((1 + t % 2, 30 + t, 40 + 2 * t, 15), (2 - t % 2, 80, 110 - 2 * t, 15)) for t in range(12)
    ]
    _, out = followed(frames)
    for t, labels in enumerate(out):
        assert labels[30 + t, 40 + 2 * t] == out[0][30, 40]
        assert labels[80, 110 - 2 * t] == out[0][80, 110]
        assert np.array_equal(labels > 0, frames[t] > 0)


def test_a_cell_missing_for_a_while_comes_back_and_after_too_long_is_another():
    cell, empty = frame_of((1, 60, 60, 15)), frame_of()
    _, out = followed([cell, empty, empty, cell], max_gap_frames=2)
    assert out[3].max() == 1
    _, out = followed([cell, empty, empty, empty, cell], max_gap_frames=2)
    assert out[4].max() == 2


def test_a_small_cell_that_jumps_less_than_its_radius_is_still_the_same():
    _, out = followed([frame_of((1, 60, 60, 3)), frame_of((1, 60, 62, 3)), frame_of((1, 60, 62, 3))])
    assert [labels.max() for labels in out] == [1, 1, 1]
    _, out = followed([frame_of((1, 60, 60, 3)), frame_of((1, 60, 90, 3))])
    assert out[1].max() == 2


def test_tracks_tell_how_cells_came_and_went():
    frames = [
        frame_of(
            (1, 60, 60, 10),
            *([(2, 100, 120, 10)] if t >= 3 else []),
            *([(3, 20, 5 - 3 * t, 10)] if t < 4 else []),
            *([(4, 20, 90, 10)] if t < 4 else []),
        )
        for t in range(12)
    ]
    tracker, _ = followed(frames, max_gap_frames=1)
    tracks = tracker.tracks().set_index("cell_id")
    assert tracks["entry"].tolist() == ["start", "start", "start", "entered_field"]
    assert tracks["exit"].tolist() == ["movie_end", "left_field", "track_lost", "movie_end"]
    assert tracks.loc[4, "first_frame"] == 3 and tracks.loc[2, "last_frame"] == 3


def test_given_ids_are_kept_as_they_are():
    tracker = CellTracker(CellSettings(), pixel_size_um=0.5, keep_ids=True)
    labels = frame_of((7, 60, 60, 10), (3, 20, 20, 5))
    assert np.array_equal(tracker.update(labels, 0), labels)
    assert tracker.tracks()["cell_id"].tolist() == [3, 7]


def test_frames_without_cells_make_no_tracks():
    tracker, out = followed([frame_of()] * 3)
    assert not any(labels.any() for labels in out) and tracker.tracks().empty


def test_a_long_cell_that_slides_farther_than_its_radius_keeps_its_id_by_its_overlap():
    frames = [np.zeros(ROWS.shape, dtype=np.int32) for _ in range(2)]
    frames[0][50:60, 10:110] = 1
    frames[1][50:60, 50:150] = 1
    _, out = followed(frames)
    assert out[1].max() == 1
    _, out = followed(frames, min_overlap=0.9)
    assert out[1].max() == 2
