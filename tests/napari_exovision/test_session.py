"""A session: corrections shown at once, saved at once, undone, replayed, recounted, written beside."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from napari_exovision.session import CORRECTED, Session

from exovision.curation.events import accept_event, delete_event
from exovision.curation.tracks import delete_spots, split_track
from exovision.errors import InputError
from exovision.io.results import open_result


def longest(session: Session) -> int:
    """Return the exosome with the most spots."""
    return int(session.spots["exosome_id"].value_counts().index[0])


def middle(session: Session, exosome_id: int) -> int:
    """Return a frame inside a track."""
    frames = session.spots.loc[session.spots["exosome_id"] == exosome_id, "frame"]
    return int(frames.iloc[len(frames) // 2])


def test_a_correction_is_shown_signed_and_saved_at_once(session: Session, folder: Path) -> None:
    heard: list[int] = []
    session.changed.connect(lambda: heard.append(1))
    one = longest(session)
    session.add(split_track(session.spots, one, middle(session, one)))
    assert session.spots["exosome_id"].max() == session.stored.spots["exosome_id"].max() + 1
    assert session.stale and heard == [1]
    line = json.loads((folder / "annotations.jsonl").read_text().splitlines()[1])
    assert (line["who"], line["action"]) == ("Ada", "link")


def test_a_session_opened_again_goes_on_where_it_was(session: Session, folder: Path) -> None:
    session.add(delete_spots([0, 1]))
    session.array[2, :4, :4] = 77
    session.take_painting()
    again = Session.open(folder)
    pd.testing.assert_frame_equal(again.spots, session.spots)
    np.testing.assert_array_equal(again.labels[2], session.labels[2])
    assert again.stale


def test_undo_takes_back_steps_one_by_one_and_on_disk(session: Session, folder: Path) -> None:
    before = session.spots.copy()
    session.add(delete_spots([0]))
    session.array[1, :3, :3] = 9
    session.take_painting()
    assert session.undo() and session.labels.frames == []
    assert session.undo() and not session.undo()
    pd.testing.assert_frame_equal(session.spots, before)
    assert not session.stale
    assert len((folder / "annotations.jsonl").read_text().splitlines()) == 1


def test_painting_and_taking_it_back_is_no_correction(session: Session) -> None:
    before = session.array[4].copy()
    session.array[4, :5, :5] = 3
    session.array[4] = before
    assert not session.take_painting() and session.annotations == []


def test_a_review_needs_no_recount(session: Session) -> None:
    session.add(accept_event(session.spots, session.events.iloc[0]))
    assert not session.stale
    assert session.reviews.iloc[0] == "accepted"


def test_a_recount_changes_every_table_and_is_written_beside(session: Session, folder: Path) -> None:
    docking = session.events[session.events["kind"] == "docking"].iloc[0]
    before = int(session.fates["dockings"].sum())
    session.add(delete_event(session.events, session.spots, docking))
    session.adopt(session.recount(device="cpu"))
    assert not session.stale
    assert int(session.fates["dockings"].sum()) == before - 1
    stored = open_result(session.save_corrected())
    assert stored.folder == folder / CORRECTED
    pd.testing.assert_frame_equal(stored.events, session.events)
    assert stored.record["corrections"]["by_hand"]["rulings"] == 1
    assert len(open_result(folder).events) == len(session.stored.events)


def test_rows_keep_their_names_through_a_recount(session: Session) -> None:
    one = longest(session)
    gone = int(session.spots.index[session.spots["frame"] == 3][0])
    session.add(delete_spots([gone]), split_track(session.spots, one, middle(session, one)))
    kept = session.spots.index
    session.adopt(session.recount(device="cpu"))
    pd.testing.assert_index_equal(session.spots.index, kept)
    counted = session.spots.loc[kept, ["y_px", "x_px"]]
    pd.testing.assert_frame_equal(counted, session.stored.spots.loc[kept, ["y_px", "x_px"]])


def test_a_correction_during_a_recount_leaves_the_tables_stale(session: Session) -> None:
    session.add(delete_spots([0]))
    found = session.recount(device="cpu")
    session.undo()
    session.add(delete_spots([1]))
    session.adopt(found)
    assert session.stale


def test_without_corrections_or_movie_there_is_nothing_to_save_or_recount(folder: Path) -> None:
    record = json.loads((folder / "run.json").read_text())
    record["reading"]["path"] = "gone.tif"
    (folder / "run.json").write_text(json.dumps(record))
    session = Session.open(folder)
    with pytest.raises(InputError, match="recount first"):
        session.save_corrected()
    session.add(delete_spots([0]))
    with pytest.raises(InputError, match=r"gone\.tif"):
        session.recount()


def test_a_folder_that_cannot_be_written_to_takes_no_correction(
    session: Session, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from exovision.errors import OutputError

    def full(*_: object, **__: object) -> None:
        raise OutputError("disk full")

    monkeypatch.setattr("napari_exovision.session.write_annotations", full)
    with pytest.raises(OutputError):
        session.add(delete_spots([0]))
    assert session.annotations == [] and 0 in session.spots.index
