"""Tables filtered, sorted and counted by row numbers."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from napari_exovision.table import EVENT_COLUMNS, Browsable, Filter, reviewed

from exovision import schema


@pytest.fixture
def events() -> pd.DataFrame:
    """Five events of two kinds; one without a cell, one without a probability."""
    table = pd.DataFrame(
        {
            "event_id": [1, 2, 3, 4, 5],
            "kind": ["docking", "surfing", "docking", "docking", "surfing"],
            "exosome_id": [7, 7, 8, 9, 9],
            "cell_id": [1, None, 2, 1, 1],
            "probability": [0.9, 0.4, None, 0.7, 0.7],
            "start_s": [0.0, 4.0, 2.0, 8.0, 6.0],
            "identifiable": [True, None, False, True, True],
        }
    )
    return reviewed(schema.conform(table, schema.EVENTS), ["accepted", "", "", "corrected", ""])


@pytest.mark.parametrize(
    ("wanted", "shown"),
    [
        (Filter(), [1, 2, 3, 4, 5]),
        (Filter(kind="docking"), [1, 3, 4]),
        (Filter(review="unreviewed"), [2, 3, 5]),
        (Filter(review="corrected"), [4]),
        (Filter(cell_id=1), [1, 4, 5]),
        (Filter(exosome_id=7), [1, 2]),
        (Filter(least_probability=0.7), [1, 4, 5]),
        (Filter(kind="surfing", cell_id=1, least_probability=0.5), [5]),
        (Filter(kind="docking", exosome_id=99), []),
    ],
)
def test_a_filter_shows_the_events_that_pass(events: pd.DataFrame, wanted: Filter, shown: list[int]) -> None:
    content = Browsable(events, EVENT_COLUMNS)
    content.show(wanted.mask(content.table))
    assert [content.record(i)["event_id"] for i in range(len(content))] == shown


def test_sorting_keeps_equal_rows_in_order_and_missing_ones_last(events: pd.DataFrame) -> None:
    content = Browsable(events, EVENT_COLUMNS)
    column = content.names.index("probability")
    content.sort(column, descending=True)
    assert [content.text(i, 0) for i in range(5)] == ["1", "4", "5", "2", "3"]
    content.sort(column, descending=False)
    assert [content.text(i, 0) for i in range(5)] == ["2", "4", "5", "1", "3"]


def test_a_filter_keeps_the_order_of_sorting(events: pd.DataFrame) -> None:
    content = Browsable(events, EVENT_COLUMNS)
    content.sort(content.names.index("start_s"), descending=True)
    content.show(Filter(cell_id=1).mask(content.table))
    assert [content.text(i, 0) for i in range(3)] == ["4", "5", "1"]


def test_cells_show_what_is_missing_as_nothing(events: pd.DataFrame) -> None:
    content = Browsable(events, EVENT_COLUMNS)
    cell, told = content.names.index("cell_id"), content.names.index("identifiable")
    assert (content.text(1, cell), content.text(1, told), content.text(0, told)) == ("", "", "yes")


def test_the_next_unreviewed_event_is_after_the_chosen_one_or_from_the_start(events: pd.DataFrame) -> None:
    content = Browsable(events, EVENT_COLUMNS)
    open_ones = (content.table["review"] == "").to_numpy()
    assert [content.next_where(open_ones, after) for after in (-1, 1, 2, 4)] == [1, 2, 4, 1]
    assert content.next_where(np.zeros(5, dtype=bool), 0) is None


def test_the_counts_are_those_of_what_is_shown(events: pd.DataFrame) -> None:
    content = Browsable(events, EVENT_COLUMNS)
    assert content.counts("kind") == {"docking": 3, "surfing": 2}
    content.show(Filter(cell_id=1).mask(content.table))
    assert content.counts("kind") == {"docking": 2, "surfing": 1}
    assert content.find("event_id", 4) == 1 and content.find("event_id", 2) is None
