import numpy as np
import pandas as pd
import pytest

from exovision import schema
from exovision.death.fates import count_hits, death_limits, find_deaths
from exovision.errors import InputError
from exovision.records import StateRuling
from exovision.settings import DeathSettings

FRAME_S = 240.0
APOPTOSIS = [("live", 40), ("early", 6), ("apoptotic", 44)]


def judge(tracks, *cells, nuclei_only=False, **settings):
    table = pd.concat(cells, ignore_index=True)
    table = schema.conform(table, schema.CELLS)
    return find_deaths(table, tracks(table), nuclei_only=nuclei_only, settings=DeathSettings(**settings))


def quiet(cell, n=6, **facts):
    """Return cells that live throughout, so that there is a crowd to compare with."""
    return [cell(100 + k, [("live", 90)], **facts) for k in range(n)]


def test_an_apoptotic_cell_dies_with_mode_and_an_onset_around_the_true_one(cell, tracks):
    found = judge(tracks, cell(1, APOPTOSIS), *quiet(cell))
    fate = found.fates.set_index("cell_id").loc[1]
    assert (fate["exit"], fate["death_mode"]) == ("died", "apoptotic")
    assert fate["death_probability"] > 0.98
    assert fate["onset_s_lo"] <= 40 * FRAME_S <= fate["onset_s_hi"]
    assert abs(fate["onset_s"] - 40 * FRAME_S) < 3 * FRAME_S
    assert (found.fates.set_index("cell_id").drop(1)["exit"] == "movie_end").all()


def test_states_go_one_way_and_begin_at_the_onset(cell, tracks):
    found = judge(tracks, cell(1, APOPTOSIS), *quiet(cell))
    states = found.cells[found.cells["cell_id"] == 1]["state"].tolist()
    onset = found.fates.set_index("cell_id").loc[1, "onset_s"]
    order = ["live", "early_apoptotic", "late_apoptotic", "secondary_necrotic"]
    ranks = [order.index(state) for state in states]
    assert ranks == sorted(ranks) and "late_apoptotic" in states
    assert states.index("early_apoptotic") == int(np.ceil(onset / FRAME_S))
    dying = found.cells[found.cells["cell_id"] == 1]["dying_probability"].to_numpy()
    assert (np.diff(dying) >= -1e-9).all() and dying[0] < 0.01 and dying[-1] > 0.99


def test_a_mitosis_that_looks_apoptotic_for_some_frames_is_no_death(cell, tracks):
    looks = [("live", 40), ("mitotic", 3), ("apoptotic", 2), ("mitotic", 4), ("live", 41)]
    found = judge(tracks, cell(1, looks), *quiet(cell))
    assert (found.fates["exit"] != "died").all()
    states = found.cells[found.cells["cell_id"] == 1]["state"]
    assert (states.iloc[40:49] == "mitotic").sum() >= 7 and (states.iloc[55:] == "live").all()


def test_annexin_long_before_pi_is_apoptosis_and_both_together_lysis(cell, tracks):
    panel = {"judged": False}
    found = judge(
        tracks,
        cell(1, [("live", 90)], stains={"annexin": 40, "pi": 70}, **panel),
        cell(2, [("live", 90)], stains={"annexin": 41, "pi": 40}, **panel),
        *quiet(cell, stains={"annexin": None, "pi": None}, **panel),
    )
    fates = found.fates.set_index("cell_id")
    assert fates.loc[[1, 2], "death_mode"].tolist() == ["apoptotic", "lytic"]
    assert (fates.drop([1, 2])["exit"] == "movie_end").all()
    assert fates.loc[1, "permeable_s_lo"] == 69 * FRAME_S and fates.loc[1, "permeable_s_hi"] == 70 * FRAME_S
    assert found.cells[found.cells["cell_id"] == 1]["state"].iloc[-1] == "secondary_necrotic"


def test_a_short_pulse_of_pi_is_no_death(cell, tracks):
    pulsed = cell(1, [("live", 90)], stains={"annexin": None, "pi": None}, judged=False)
    pulsed.loc[50, "mean_pi"] += 40.0
    found = judge(tracks, pulsed, *quiet(cell, stains={"annexin": None, "pi": None}, judged=False))
    assert (found.fates["exit"] != "died").all()
    assert found.fates["permeable_s"].isna().all()


def test_without_a_channel_that_tells_death_nothing_is_called_and_the_summary_says_so(cell, tracks):
    found = judge(tracks, cell(1, APOPTOSIS, judged=False), *quiet(cell, judged=False))
    assert set(found.cells["state"]) == {"unknown"}
    assert found.fates["death_probability"].isna().all() and (found.fates["exit"] == "movie_end").all()
    assert "death cannot be told" in found.summary["warnings"][0]


def test_a_network_that_is_unsure_of_most_cells_decides_nothing(cell, tracks):
    rng = np.random.default_rng(5)
    crowd = quiet(cell)
    for rows in crowd:
        rows[["p_live", "p_apoptotic"]] = 0.4 + 0.1 * np.outer(rng.uniform(-1, 1, len(rows)), [1, -1])
        rows[["p_mitotic", "p_lytic", "p_debris"]] = 0.2 / 3
    found = judge(tracks, *crowd)
    assert (found.fates["exit"] == "movie_end").all() and set(found.cells["state"]) == {"unknown"}
    assert any("network is unsure" in line for line in found.summary["warnings"])


def test_with_annexin_alone_the_mode_stays_unresolved(cell, tracks):
    found = judge(
        tracks,
        cell(1, [("live", 90)], stains={"annexin": 40}, judged=False),
        *quiet(cell, stains={"annexin": None}, judged=False),
    )
    assert found.fates.set_index("cell_id").loc[1, "death_mode"] == "unresolved"
    assert any("how cells died cannot be told" in line for line in found.summary["warnings"])


def test_a_cell_dead_when_first_seen_has_its_onset_at_its_entry(cell, tracks):
    found = judge(tracks, cell(1, [("apoptotic", 90)]), *quiet(cell))
    fate = found.fates.set_index("cell_id").loc[1]
    assert fate["exit"] == "died"
    assert fate["onset_s_lo"] == fate["onset_s"] == fate["onset_s_hi"] == 0.0


def test_debris_does_not_die(cell, tracks):
    found = judge(tracks, cell(1, [("debris", 90)]), *quiet(cell))
    assert (found.fates["exit"] != "died").all()
    assert set(found.cells[found.cells["cell_id"] == 1]["state"]) == {"debris"}


def test_stained_scraps_are_debris_and_small_live_cells_are_cells(cell, tracks):
    stains = {"annexin": 0, "pi": 0}
    scrap = cell(1, [("live", 90)], stains=stains, judged=False).assign(area_um2=15.0)
    small = cell(2, [("live", 90)], stains=dict.fromkeys(stains), judged=False).assign(area_um2=50.0)
    found = judge(tracks, scrap, small, *quiet(cell, stains=dict.fromkeys(stains), judged=False))
    assert (found.fates["exit"] != "died").all()
    states = found.cells.set_index("cell_id")["state"]
    assert set(states[1]) == {"debris"} and set(states[2]) == {"live"}


def test_remains_that_appear_later_are_no_second_death(cell, tracks):
    remains = cell(1, [("apoptotic", 40)])
    remains = remains.assign(frame=remains["frame"] + 50, time_s=remains["time_s"] + 50 * FRAME_S)
    found = judge(tracks, remains, *quiet(cell))
    assert (found.fates["exit"] != "died").all()
    assert set(found.cells[found.cells["cell_id"] == 1]["state"]) == {"debris"}


def test_a_track_of_one_frame_is_never_called(cell, tracks):
    found = judge(tracks, cell(1, [("apoptotic", 1)]), *quiet(cell))
    fate = found.fates.set_index("cell_id").loc[1]
    assert fate["exit"] == "movie_end" and pd.isna(fate["onset_s"]) and fate["death_probability"] > 0


def test_uneven_intervals_give_limits_that_are_frame_times(cell, tracks):
    rng = np.random.default_rng(3)
    times = np.cumsum(rng.choice([60.0, 240.0, 900.0], 90))
    found = judge(
        tracks,
        cell(1, APOPTOSIS, times_s=times),
        *[cell(100 + k, [("live", 90)], times_s=times) for k in range(5)],
    )
    fate = found.fates.set_index("cell_id").loc[1]
    assert {fate["onset_s_lo"], fate["onset_s_hi"]} <= set(times)
    assert fate["onset_s_lo"] <= times[40] <= fate["onset_s_hi"]


def test_swapped_annexin_and_pi_are_warned_of(cell, tracks):
    dying = [cell(k, [("live", 90)], stains={"pi": 40, "annexin": 70}, judged=False) for k in range(1, 5)]
    found = judge(tracks, *dying, *quiet(cell, stains={"annexin": None, "pi": None}, judged=False))
    assert any("may be swapped" in line for line in found.summary["warnings"])


def test_a_saturated_pi_channel_is_warned_of_and_still_times_permeability(cell, tracks):
    dying = [cell(k, APOPTOSIS, stains={"annexin": 40, "pi": 60}) for k in range(1, 5)]
    for rows in dying:
        rows.loc[rows["mean_pi"] > 120, "mean_pi"] = 4095.0
    found = judge(tracks, *dying, *quiet(cell, stains={"annexin": None, "pi": None}))
    assert any("pi channel is saturated" in line for line in found.summary["warnings"])
    assert (found.fates.set_index("cell_id").loc[[1, 2, 3, 4], "permeable_s_hi"] == 60 * FRAME_S).all()


def test_hits_after_the_onset_do_not_count():
    fates = schema.conform(
        pd.DataFrame(
            {"cell_id": [1, 2], "onset_s_lo": [100.0, np.nan], "dockings": [3, 3], "fusions": [1, 0]}
        ),
        schema.FATES,
    )
    events = schema.conform(
        pd.DataFrame(
            {
                "kind": ["docking", "docking", "docking", "fusion", "docking"],
                "cell_id": [1, 1, 1, 1, 2],
                "start_s": [10.0, 99.0, 100.0, 150.0, 500.0],
            }
        ),
        schema.EVENTS,
    )
    counted = count_hits(fates, events).set_index("cell_id")
    assert counted["dockings"].tolist() == [2, 3] and counted["fusions"].tolist() == [0, 0]
    assert counted["uptakes"].isna().all()


def test_a_movie_without_cells_gives_empty_tables():
    cells, fates = schema.empty(schema.CELLS), schema.empty(schema.FATES)
    found = find_deaths(cells, fates, nuclei_only=False, settings=DeathSettings())
    assert found.cells.empty and found.fates.empty and found.summary["deaths"] == 0


@pytest.mark.parametrize("name", ["cells", "fates"])
def test_the_contracts_columns_and_types_are_kept(cell, tracks, name):
    table = getattr(judge(tracks, cell(1, APOPTOSIS)), name)
    columns = schema.CELLS if name == "cells" else schema.FATES
    assert {column: str(table[column].dtype) for column in columns} == dict(columns)


def ruled(cell_id, *spans):
    return [StateRuling(cell_id, first, last, state) for first, last, state in spans]


def test_a_state_decided_by_a_person_holds_and_the_death_follows_it(cell, tracks):
    table = pd.concat([cell(1, [("live", 90)]), *quiet(cell)], ignore_index=True)
    spans = ruled(1, (50, 59, "early_apoptotic"), (60, 89, "late_apoptotic"))
    found = find_deaths(
        table,
        tracks(table),
        nuclei_only=False,
        settings=DeathSettings(),
        rulings=spans,
    )
    fate = found.fates.set_index("cell_id").loc[1]
    assert (fate["exit"], fate["death_mode"], fate["death_probability"]) == ("died", "apoptotic", 1.0)
    onset = fate[["onset_s_lo", "onset_s", "onset_s_hi"]] / FRAME_S
    assert onset.tolist() == [49, 50, 50]
    states = found.cells[found.cells["cell_id"] == 1]["state"].tolist()
    assert states == ["live"] * 50 + ["early_apoptotic"] * 10 + ["late_apoptotic"] * 30


def test_a_death_denied_by_a_person_is_none(cell, tracks):
    table = pd.concat([cell(1, APOPTOSIS), *quiet(cell)], ignore_index=True)
    settings = DeathSettings()
    found = find_deaths(
        table, tracks(table), nuclei_only=False, settings=settings, rulings=ruled(1, (89, 89, "live"))
    )
    fate = found.fates.set_index("cell_id").loc[1]
    assert fate["exit"] == "movie_end" and np.isnan(fate["onset_s"])
    assert set(found.cells[found.cells["cell_id"] == 1]["state"]) <= {"live", "mitotic"}
    later = find_deaths(
        table, tracks(table), nuclei_only=False, settings=settings, rulings=ruled(1, (0, 55, "live"))
    )
    fate = later.fates.set_index("cell_id").loc[1]
    assert fate["exit"] == "died" and fate["onset_s"] == 56 * FRAME_S


def test_a_person_can_tell_a_death_that_no_channel_shows(cell, tracks):
    table = pd.concat([cell(1, [("live", 90)], judged=False), *quiet(cell, judged=False)], ignore_index=True)
    found = find_deaths(
        table, tracks(table), nuclei_only=False, settings=DeathSettings(), rulings=ruled(1, (70, 70, "lytic"))
    )
    fates = found.fates.set_index("cell_id")
    assert (fates.loc[1, "exit"], fates.loc[1, "death_mode"]) == ("died", "lytic")
    assert (fates.drop(1)["exit"] == "movie_end").all()
    assert set(found.cells[found.cells["cell_id"] != 1]["state"]) == {"unknown"}


def test_states_against_the_order_of_life_are_refused(cell, tracks):
    table = pd.concat([cell(1, APOPTOSIS), *quiet(cell)], ignore_index=True)
    spans = ruled(1, (20, 30, "late_apoptotic"), (50, 60, "live"))
    with pytest.raises(InputError, match="cell 1 must follow each other as in life"):
        find_deaths(table, tracks(table), nuclei_only=False, settings=DeathSettings(), rulings=spans)


@pytest.mark.parametrize(
    ("roles", "morphology", "said"),
    [
        (("cell", "exosome"), "none", "death cannot be told"),
        (("cell", "annexin", "pi"), "none", "told by annexin, pi"),
        (("cell", "annexin"), "none", "told by annexin; how cells died cannot be told"),
        (("nucleus",), "none", "told by nucleus"),
        (("cell", "nucleus"), "none", "death cannot be told"),
        (("cell", "nucleus"), "embedded", "told by morphology"),
    ],
)
def test_before_a_run_channels_tell_by_what_deaths_will_be_told(roles, morphology, said):
    assert death_limits(roles, DeathSettings(morphology=morphology)).startswith(said)


def test_nuclei_that_condense_are_apoptotic_and_those_that_fade_lytic(cell, tracks):
    frames = np.arange(90)
    dead = frames >= 45
    changes = {1: (0.5, 2.0), 2: (1.0, 0.45), 3: (1.0, 1.0), 4: (1.0, 1.0)}
    cells = [
        cell(number, [("live", 90)], judged=False).assign(
            solidity=0.95,
            area_um2=lambda t, area=area: t["area_um2"] * np.where(dead, area, 1.0),
            mean_nucleus=100.0 + 100.0 * np.where(dead, light, 1.0),
        )
        for number, (area, light) in changes.items()
    ]
    background = cell(9, [("live", 90)], judged=False).assign(solidity=0.95, mean_nucleus=102.0)
    table = pd.concat([*cells, background], ignore_index=True)
    found = find_deaths(table, tracks(table), nuclei_only=True, settings=DeathSettings())
    assert death_limits(("nucleus",), DeathSettings()) == "told by nucleus"
    modes = found.fates.set_index("cell_id")["death_mode"]
    assert modes[[1, 2]].tolist() == ["apoptotic", "lytic"] and modes[[3, 4]].isna().all()
