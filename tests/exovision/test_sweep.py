"""Chunks are read while the one before is analysed: same order, one ahead, failures where they belong."""

from __future__ import annotations

import threading

import pytest

from exovision.sweep import read_ahead


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
