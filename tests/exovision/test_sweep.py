"""Chunks are read while the one before is analysed, and what frames add up to stays in their order."""

from __future__ import annotations

import threading

import pandas as pd
import pytest

from exovision.sweep import LOOSE_TABLES, GrowingTable, read_ahead


def test_items_come_in_order_with_what_was_read_for_each() -> None:
    assert list(read_ahead(range(5), lambda k: k * k)) == [(k, k * k) for k in range(5)]
    assert list(read_ahead([], len)) == []


def test_the_next_item_is_read_while_the_first_is_used_and_no_further_one() -> None:
    begun: list[int] = []
    next_begun = threading.Event()

    def read(k: int) -> int:
        begun.append(k)
        if k == 1:
            next_begun.set()
        return k

    items = read_ahead(range(10), read)
    assert next(items) == (0, 0)
    assert next_begun.wait(5.0)
    assert begun == [0, 1]
    items.close()
    assert begun == [0, 1]


def test_reading_happens_on_one_thread_of_its_own_that_ends_with_the_work() -> None:
    readers = {thread for _, thread in read_ahead(range(4), lambda k: threading.current_thread())}
    assert len(readers) == 1 and threading.current_thread() not in readers
    assert not any(thread.is_alive() for thread in readers)


def test_what_reading_raises_comes_where_its_item_would() -> None:
    def read(k: int) -> int:
        if k == 2:
            raise OSError("the disk is gone")
        return k

    seen = []
    with pytest.raises(OSError, match="gone"):
        for k, _ in read_ahead(range(5), read):
            seen.append(k)
    assert seen == [0, 1]


@pytest.mark.parametrize("frames", [2, LOOSE_TABLES, 2 * LOOSE_TABLES + 3])
def test_a_table_that_grows_is_the_one_of_all_frames_at_once(frames: int) -> None:
    tables = [pd.DataFrame({"frame": [t] * (t % 3), "value": [t / 7] * (t % 3)}) for t in range(frames)]
    growing = GrowingTable()
    for table in tables:
        growing.append(table)
    whole = pd.concat([table for table in tables if len(table)] or [pd.DataFrame()], ignore_index=True)
    pd.testing.assert_frame_equal(growing.take(tuple(whole.columns)), whole, check_index_type=False)
    assert growing.take(("frame",)).columns.tolist() == ["frame"]
