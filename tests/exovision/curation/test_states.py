"""What a person says of the states of cells: in order, the later word wins, nothing against life."""

from __future__ import annotations

from itertools import product

import numpy as np
import pandas as pd
import pytest

from exovision.curation.annotations import read_annotations, write_annotations
from exovision.curation.states import STATES, accept_life, fate_reviews, rule_state, state_rulings
from exovision.death.markov import rates_per_h
from exovision.death.rulings import bound
from exovision.errors import InputError
from exovision.records import StateRuling
from exovision.settings import DeathSettings

FATES = pd.DataFrame({"cell_id": [4, 9], "first_frame": [0, 5], "last_frame": [30, 20]})


def test_the_later_word_wins_where_two_speak_of_the_same_frames(tmp_path):
    said = [rule_state(FATES, [], 4, "live", 0, 30)]
    said.append(rule_state(FATES, said, 4, "early_apoptotic", 20, 30))
    write_annotations(said, tmp_path / "a.jsonl", n_spots=0)
    again = read_annotations(tmp_path / "a.jsonl", n_spots=0)
    expected = (StateRuling(4, 0, 19, "live"), StateRuling(4, 20, 30, "early_apoptotic"))
    assert state_rulings(again) == state_rulings(said) == expected


def test_reviews_tell_accepted_from_corrected_cells():
    said = [rule_state(FATES, [], 9, "mitotic", 6, 8), accept_life(4)]
    assert fate_reviews(FATES, said).tolist() == ["accepted", "corrected"]
    assert [one.changes_tables for one in said] == [True, False]


@pytest.mark.parametrize(
    ("cell_id", "state", "frames", "wanted"),
    [
        (5, "live", (0, 3), "none of this id"),
        (4, "asleep", (0, 3), "must be one of live"),
        (9, "live", (21, 25), "frames 5 to 20"),
        (9, "live", (8, 7), "frames 5 to 20"),
    ],
)
def test_what_cannot_be_said_is_refused_with_what_to_do(cell_id, state, frames, wanted):
    with pytest.raises(InputError, match=wanted):
        rule_state(FATES, [], cell_id, state, *frames)


@pytest.mark.parametrize(("before", "after"), [*product(STATES, STATES)])
def test_what_may_follow_what_agrees_with_the_chain_that_follows_cells(before, after):
    rates = rates_per_h(DeathSettings())
    ruled = np.array([before, after], dtype=object)
    said = [rule_state(FATES, [], 4, before, 0, 9)]
    try:
        bound(np.zeros((2, len(rates))), ruled, rates, cell_id=4)
    except InputError:
        with pytest.raises(InputError, match="cannot be"):
            rule_state(FATES, said, 4, after, 12, 15)
    else:
        rule_state(FATES, said, 4, after, 12, 15)
