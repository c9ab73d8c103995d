"""Numbers and findings in words."""

from __future__ import annotations

import pytest

from exovision.report.frames import clock_text
from exovision.report.overlay import nice_length
from exovision.report.wording import chance_in_words, dwell_in_words, interval, number

CHANCE = {
    "ring_um": [1.0, 3.0],
    "in_band": 9,
    "in_ring": 4,
    "cells_tested": 5,
    "enrichment": 7.25,
    "enrichment_lo": 2.7,
    "enrichment_hi": 19.5,
    "p": 0.0002,
}
DWELL = {"dockings": 9, "ended": 6, "start_not_seen": 2, "median_s": 76.0, "median_s_lo": 40.0}


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (None, "–"),
        (float("nan"), "–"),
        (0, "0"),
        (0.0, "0"),
        (12345, "12345"),
        (3.14159, "3.14"),
        (0.0957, "0.0957"),
        (999.6, "1000"),
        (123456.7, "123457"),
        (-2.5, "-2.50"),
        (1.7e-4, "1.7 × 10⁻⁴"),
        (3.2e7, "3.2 × 10⁷"),
        (True, "yes"),
        (False, "no"),
        ("text", "text"),
    ],
)
def test_numbers_have_three_significant_digits_and_unknown_is_a_dash(value, text):
    assert number(value) == text


def test_an_interval_says_where_it_has_no_end():
    both = {"x": 5.0, "x_lo": 2.0, "x_hi": 9.0}
    assert interval(both, "x", "s") == "5 s (95 % interval: 2 to 9)"
    assert interval(both | {"x_hi": None}, "x") == "5 (95 % interval: from 2, no upper limit)"
    assert interval(both | {"x": None}, "x") == "–"


def test_the_chance_test_is_told_by_its_p_value():
    assert chance_in_words(CHANCE).startswith("More than chance: 9 exosomes")
    assert chance_in_words(CHANCE | {"p": 0.3}).startswith("No more than chance")
    assert "the ring is empty" in chance_in_words(CHANCE | {"enrichment": None, "in_ring": 0})
    assert chance_in_words(CHANCE | {"p": None}).startswith("Not possible")


def test_dwell_times_tell_how_many_ends_were_not_seen():
    told = dwell_in_words(DWELL | {"median_s_hi": None})
    assert told.startswith("9 dockings seen to begin, 6 of them seen to end")
    assert told.endswith("Median 76 s (95 % interval: from 40, no upper limit).")
    assert "median is not reached" in dwell_in_words(DWELL | {"median_s": None, "median_s_hi": None})
    assert dwell_in_words({"dockings": 0}).startswith("No docking was seen to begin")


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0, "0 s"), (2.5, "2.5 s"), (599, "599 s"), (3725.4, "1:02:05"), (float("nan"), "time unknown")],
)
def test_time_stamps_are_seconds_then_hours(seconds, text):
    assert clock_text(seconds) == text


@pytest.mark.parametrize(("longest", "bar"), [(11.9, 10), (10, 10), (9.9, 5), (0.43, 0.2), (250, 200)])
def test_scale_bars_have_round_lengths(longest, bar):
    assert nice_length(longest) == pytest.approx(bar)
