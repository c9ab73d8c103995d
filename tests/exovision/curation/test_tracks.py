"""Corrections of tracks: split, merge, link, add, delete; what cannot be is refused with a way out."""

from __future__ import annotations

import pandas as pd
import pytest

from exovision import schema
from exovision.curation.tracks import (
    add_spot,
    corrected_spots,
    delete_spots,
    link_spots,
    merge_tracks,
    split_track,
)
from exovision.errors import InputError


@pytest.fixture
def spots() -> pd.DataFrame:
    """Exosome 1 in frames 0–4, exosome 2 in frames 5–7, an unlinked spot in frame 2."""
    rows = [(t, 1) for t in range(5)] + [(t, 2) for t in range(5, 8)] + [(2, None)]
    table = pd.DataFrame(rows, columns=["frame", "exosome_id"]).assign(y_px=1.0, x_px=2.0, probability=0.9)
    table = table.sort_values("frame", kind="stable").reset_index(drop=True)
    return schema.conform(table, schema.SPOTS)


def ids(table: pd.DataFrame) -> dict[int, list[int]]:
    """Return the frames of each exosome."""
    linked = table[table["exosome_id"].notna()]
    return {int(one): rows["frame"].tolist() for one, rows in linked.groupby("exosome_id")}


def test_a_split_gives_the_later_part_a_new_number(spots: pd.DataFrame) -> None:
    after = corrected_spots(spots, [split_track(spots, 1, 3)])
    assert ids(after) == {1: [0, 1, 2], 2: [5, 6, 7], 3: [3, 4]}


def test_a_merge_keeps_the_first_number(spots: pd.DataFrame) -> None:
    after = corrected_spots(spots, [merge_tracks(spots, 2, 1)])
    assert ids(after) == {2: [0, 1, 2, 3, 4, 5, 6, 7]}


def test_spots_are_unlinked_linked_and_made_a_track_of_their_own(spots: pd.DataFrame) -> None:
    loose = int(spots.index[spots["exosome_id"].isna()][0])
    own = [int(row) for row in spots.index[spots["exosome_id"] == 1]]
    away = link_spots(spots, [own[2]], None)
    freed = corrected_spots(spots, [away])
    assert ids(freed)[1] == [0, 1, 3, 4]
    taken = corrected_spots(spots, [away, link_spots(freed, [loose], 1)])
    assert ids(taken)[1] == [0, 1, 2, 3, 4]
    assert ids(corrected_spots(spots, [link_spots(spots, own[:2], 0)]))[3] == [0, 1]


def test_an_added_spot_has_the_next_row_and_stays_in_the_order_of_frames(spots: pd.DataFrame) -> None:
    new = schema.conform(pd.DataFrame([{"frame": 3, "y_px": 8.0, "x_px": 9.0}]), schema.SPOTS)
    added = add_spot(new, 2)
    after = corrected_spots(spots, [added, delete_spots([0])])
    assert after.loc[len(spots), "y_px"] == 8.0
    assert after["frame"].is_monotonic_increasing
    assert 0 not in after.index and ids(after)[2] == [3, 5, 6, 7]


def test_the_analysed_table_is_never_changed(spots: pd.DataFrame) -> None:
    before = spots.copy()
    corrected_spots(spots, [split_track(spots, 1, 3), delete_spots([1])])
    pd.testing.assert_frame_equal(spots, before)


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        (lambda s: split_track(s, 1, 0), "frames 1 to 4"),
        (lambda s: split_track(s, 9, 2), "none of this id"),
        (lambda s: merge_tracks(s, 1, 1), "two exosomes"),
        (lambda s: merge_tracks(s, 1, 9), "none of this id"),
        (lambda s: link_spots(s, [], 1), "select some"),
        (lambda s: link_spots(s, [int(s.index[s["exosome_id"].isna()][0])], 1), "one spot a frame"),
        (lambda s: delete_spots([]), "select some"),
    ],
)
def test_what_cannot_be_is_refused_with_a_way_out(spots: pd.DataFrame, wrong, words: str) -> None:
    with pytest.raises(InputError, match=words):
        wrong(spots)
