"""Corrections of events: tied to spots, so that they outlive a recount, a split and a merge."""

from __future__ import annotations

import pandas as pd
import pytest

from exovision import schema
from exovision.curation.events import (
    accept_event,
    add_event,
    delete_event,
    relabel_event,
    review_states,
    rulings,
)
from exovision.curation.tracks import corrected_spots, split_track
from exovision.errors import InputError
from exovision.records import Ruling


@pytest.fixture
def spots() -> pd.DataFrame:
    """Exosome 4 in frames 0–19."""
    table = pd.DataFrame({"frame": range(20), "exosome_id": 4, "y_px": 1.0, "x_px": 2.0})
    return schema.conform(table, schema.SPOTS)


@pytest.fixture
def events() -> pd.DataFrame:
    """A docking in frames 3–10 that ends in a loss at frame 10, and surfing in frames 14–18."""
    rows = [("docking", 3, 10), ("loss_unresolved", 10, 10), ("surfing", 14, 18)]
    table = pd.DataFrame(rows, columns=["kind", "start_frame", "end_frame"]).assign(exosome_id=4)
    return schema.conform(table.assign(event_id=range(1, 4)), schema.EVENTS)


def test_a_deleted_docking_is_denied_where_it_was(spots: pd.DataFrame, events: pd.DataFrame) -> None:
    made = [delete_event(events, spots, events.iloc[0])]
    assert rulings(spots, made) == (Ruling(4, "docking", 3, 10, holds=False),)


def test_docking_and_surfing_change_places(spots: pd.DataFrame, events: pd.DataFrame) -> None:
    made = relabel_event(events, spots, events.iloc[2], "docking")
    assert rulings(spots, made) == (
        Ruling(4, "surfing", 14, 18, holds=False),
        Ruling(4, "docking", 14, 18, holds=True),
    )


@pytest.mark.parametrize(("kind", "outcome"), [("detachment", "detached"), ("fusion", "fused")])
def test_an_ending_is_relabelled_through_its_docking(
    spots: pd.DataFrame, events: pd.DataFrame, kind: str, outcome: str
) -> None:
    made = relabel_event(events, spots, events.iloc[1], kind)
    assert rulings(spots, made) == (Ruling(4, "docking", 3, 10, holds=True, ending=outcome),)
    after = events.assign(kind=["docking", kind, "surfing"])
    assert review_states(after, spots, made).tolist() == ["", "corrected", ""]


def test_a_ruling_follows_its_spots_into_a_split_track(spots: pd.DataFrame) -> None:
    made = add_event(spots, 4, "docking", 12, 16)
    after = corrected_spots(spots, [split_track(spots, 4, 11)])
    assert rulings(after, [made]) == (Ruling(5, "docking", 12, 16, holds=True),)


def test_a_ruling_whose_spots_were_parted_no_longer_holds(spots: pd.DataFrame) -> None:
    made = add_event(spots, 4, "docking", 8, 16)
    assert rulings(corrected_spots(spots, [split_track(spots, 4, 11)]), [made]) == ()


def test_an_accepted_event_counts_as_reviewed(spots: pd.DataFrame, events: pd.DataFrame) -> None:
    made = [accept_event(spots, events.iloc[0])]
    assert review_states(events, spots, made).tolist() == ["accepted", "", ""]


@pytest.mark.parametrize(
    ("row", "kind", "words"),
    [(0, "docking", "accept"), (0, "detachment", "surfing"), (1, "surfing", "detachment")],
)
def test_a_kind_that_an_event_cannot_become_is_refused(
    spots: pd.DataFrame, events: pd.DataFrame, row: int, kind: str, words: str
) -> None:
    with pytest.raises(InputError, match=words):
        relabel_event(events, spots, events.iloc[row], kind)


def test_an_ending_cannot_be_deleted_alone(spots: pd.DataFrame, events: pd.DataFrame) -> None:
    with pytest.raises(InputError, match="delete the docking"):
        delete_event(events, spots, events.iloc[1])


@pytest.mark.parametrize(("kind", "frames"), [("fusion", (1, 5)), ("docking", (40, 50))])
def test_an_event_without_kind_or_spots_is_refused(
    spots: pd.DataFrame, kind: str, frames: tuple[int, int]
) -> None:
    with pytest.raises(InputError):
        add_event(spots, 4, kind, *frames)
