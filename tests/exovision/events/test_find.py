import numpy as np
import pandas as pd
import pytest

from exovision import schema
from exovision.errors import InputError
from exovision.events.dockings import _on_one_cell
from exovision.events.find import every_time, find_events
from exovision.records import Ruling
from exovision.settings import EventSettings


def of(tables, exosome_id, kind="docking"):
    """The events of one kind of one exosome."""
    events = tables.events
    mine = (events["exosome_id"] == exosome_id) & (events["kind"] == kind)
    return events[mine].reset_index(drop=True)


def states(tables, exosome_id):
    """The states of one exosome, most frequent first."""
    mine = (tables.spots["exosome_id"] == exosome_id).fillna(False)
    return tables.spots.loc[mine, "state"].value_counts().index.to_list()


def near(value, expected, within=3):
    return abs(value - expected) <= within


@pytest.mark.parametrize("seed", range(4))
def test_an_exosome_docked_for_forty_seconds_is_one_docking(world, seed):
    w = world(seed, seen=1.0)
    exosome = w.dock(30, 21, cell=4)
    tables = w.find()
    docking = of(tables, exosome)
    assert len(docking) == 1
    row = docking.iloc[0]
    assert (row["start_frame"], row["end_frame"], row["cell_id"]) == (30, 50, 5)
    assert (row["start_s"], row["end_s"], row["duration_s"]) == (60.0, 100.0, 40.0)
    assert row["censored"] == "none" and row["identifiable"]
    assert row["probability"] > 0.9
    assert abs(row["membrane_distance_um"]) < 0.3
    first = tables.spots.query("exosome_id == @exosome and frame == 30").iloc[0]
    assert (row["y_um"], row["x_um"]) == (first["y_um"], first["x_um"])
    assert row["diffusion_um2_s_lo"] <= row["diffusion_um2_s"] <= row["diffusion_um2_s_hi"]
    assert row["diffusion_um2_s"] < 0.05


@pytest.mark.parametrize(("gap", "pieces"), [(2, 1), (3, 2), (8, 2)])
def test_a_gap_is_bridged_up_to_the_setting(world, gap, pieces):
    w = world(1, seen=1.0)
    exosome = w.dock(30, 60)
    w.forget(exosome, range(60, 60 + gap))
    dockings = of(w.find(EventSettings(docked_max_gap_frames=2)), exosome)
    assert len(dockings) == pieces
    assert dockings["start_frame"].iloc[0] == 30 and dockings["end_frame"].iloc[-1] == 89
    if pieces == 2:
        assert dockings["end_frame"].iloc[0] == 59 and dockings["start_frame"].iloc[1] == 60 + gap


@pytest.mark.parametrize(("frames", "called"), [(3, False), (5, True)])
def test_a_docking_lasts_at_least_ten_seconds(world, frames, called):
    w = world(2, seen=1.0)
    exosome = w.dock(40, frames)
    assert bool(len(of(w.find(), exosome))) is called


def test_a_docking_lasts_at_least_three_frames(world):
    w = world(2, seen=1.0, interval_s=20.0)
    two, three = w.dock(40, 2), w.dock(40, 3)
    tables = w.find()
    assert of(tables, two).empty and len(of(tables, three)) == 1


def test_a_docking_too_short_to_tell_rest_from_slow_diffusion_is_not_called(world):
    w = world(2, seen=1.0, interval_s=20.0)
    short, long = w.dock(40, 3), w.dock(60, 12)
    tables = w.find(EventSettings(docked_min_probability=0.8))
    assert of(tables, short).empty and states(tables, short)[0] == "tethered"
    assert of(tables, long)["probability"].item() > 0.9


@pytest.mark.parametrize("d", [0.15, 0.5])
@pytest.mark.parametrize("seed", range(3))
def test_an_exosome_fast_along_the_membrane_is_tethered(world, seed, d):
    w = world(seed, interval_s=1.0)
    exosome = w.dock(20, 80, d=d, kind="tethered")
    tables = w.find()
    assert of(tables, exosome).empty
    assert states(tables, exosome)[0] == "tethered"


def test_the_diffusion_of_a_docking_is_that_along_the_membrane(world):
    w = world(3, interval_s=1.0, seen=1.0)
    for cell in range(9):
        w.dock(5, 140, d=0.02, cell=cell)
    dockings = w.find().events.query("kind == 'docking'")
    assert len(dockings) == 9
    assert dockings["diffusion_um2_s"].median() == pytest.approx(0.02, rel=0.2)


@pytest.mark.parametrize("seed", range(3))
def test_an_exosome_stuck_to_the_glass_while_the_cell_moves_is_stuck(world, seed):
    w = world(seed, speed_um_min=1.0)
    exosome = w.stick_near(4, 0.0)
    tables = w.find()
    assert of(tables, exosome).empty
    assert states(tables, exosome) == ["stuck"]


@pytest.mark.parametrize("seed", range(3))
def test_an_exosome_beneath_the_cell_is_under_projection_and_never_docked(world, seed):
    w = world(seed)
    exosome = w.beneath(3)
    tables = w.find()
    assert of(tables, exosome).empty
    assert states(tables, exosome) == ["under_projection"]


def comes(w, depths_um, *, stays=40, start=20):
    """An exosome whose distance to the membrane follows `depths_um`, one a frame, and then is 0."""
    offsets = np.concatenate([depths_um, np.zeros(stays)])
    t = start + np.arange(len(offsets))
    angle = 1.0 + w.wander(len(t), 0.005) / w.radius_um
    return w.add(t, np.array([w.on_membrane(4, a, frame, o) for a, frame, o in zip(angle, t, offsets)]))


@pytest.mark.parametrize("seed", range(3))
def test_one_that_comes_back_from_deep_inside_is_recycled_and_no_docking(world, seed):
    w = world(seed, seen=1.0)
    exosome = comes(w, np.linspace(-3, 0, 30))
    tables = w.find()
    returns = of(tables, exosome, "recycling")
    assert len(returns) == 1 and near(returns["start_frame"][0], 49, within=4)
    assert returns["cell_id"][0] == 5 and returns["identifiable"][0]
    assert of(tables, exosome).empty
    assert tables.exosomes.set_index("exosome_id")["dockings"][exosome] == 0
    assert tables.cells["dockings_so_far"].max() == 0


@pytest.mark.parametrize(
    "depths_um",
    [
        np.linspace(3, 0, 30),
        np.linspace(-0.6, 0, 30),
        np.r_[np.full(20, -3.0), np.linspace(3, 0, 20)],
        np.r_[np.linspace(-0.7, -2.5, 15), np.linspace(-2.5, 0, 15)],
    ],
    ids=["from outside", "from just below", "from inside, but outside since", "first seen just below"],
)
def test_one_that_was_not_deep_inside_just_before_docks(world, depths_um):
    w = world(1, seen=1.0)
    exosome = comes(w, depths_um)
    tables = w.find()
    assert len(of(tables, exosome)) == 1 and of(tables, exosome, "recycling").empty


def test_what_a_person_calls_a_docking_is_no_return(world):
    w = world(1, seen=1.0)
    exosome = comes(w, np.linspace(-3, 0, 30))
    spots, exosomes, cells, fates, zones = w.tables()
    said = Ruling(exosome, "docking", 50, 80, holds=True)
    tables = find_events(
        spots, exosomes, cells, fates, times_s=w.times, drift_um=w.drift, pixel_size_um=0.108,
        settings=EventSettings(), zone_areas=zones, rulings=[said],
    )  # fmt: skip
    assert len(of(tables, exosome)) == 1 and of(tables, exosome, "recycling").empty


def test_a_wanderer_far_from_all_cells_is_free(world):
    w = world(5, seen=1.0, n_side=1)
    path = np.array([40.0, 40.0]) + np.cumsum(w.rng.normal(0, 0.3, (60, 2)), axis=0)
    exosome = w.add(np.arange(60), path)
    tables = w.find()
    assert states(tables, exosome) == ["free"] and tables.events.empty


def test_an_unlinked_spot_is_free_outside_the_band_and_unresolved_inside_it(world):
    w = world(5)
    w.dock(0, 20)
    spots, *others, zones = w.tables()
    spots = spots.iloc[:5].assign(exosome_id=pd.NA, membrane_distance_um=[0.0, 0.29, 0.31, 2.0, np.nan])
    tables = run(w, spots, *others, zones)
    assert tables.spots["state"].to_list() == ["unresolved", "unresolved", "free", "free", "free"]


def run(w, spots, exosomes, cells, fates, zones, **changed):
    arguments = {"times_s": w.times, "drift_um": w.drift, "pixel_size_um": 0.108}
    arguments |= {"settings": EventSettings(), "zone_areas": zones}
    return find_events(spots, exosomes, cells, fates, **(arguments | changed))


def test_the_movie_cuts_off_dockings_at_its_start_and_end(world):
    w = world(6, seen=1.0)
    left, right, both = w.dock(-10, 60), w.dock(100, 90), w.dock(-5, 400)
    tables = w.find()
    expected = {left: ("left", "loss_unresolved"), right: ("right", "movie_end"), both: ("both", "movie_end")}
    for exosome, (censored, outcome) in expected.items():
        assert of(tables, exosome)["censored"].to_list() == [censored]
        row = tables.exosomes.set_index("exosome_id").loc[exosome]
        assert (row["dwell_censored"], row["outcome"]) == (censored, outcome)
    assert of(tables, right, "loss_unresolved").empty


@pytest.mark.parametrize("seed", range(3))
def test_a_bright_exosome_that_leaves_is_detached(world, seed):
    w = world(seed, seen=1.0)
    exosome = w.dock(20, 40, leave=15)
    tables = w.find()
    row = of(tables, exosome, "detachment").iloc[0]
    assert 60 <= row["start_frame"] <= 66 and row["start_frame"] == row["end_frame"]
    assert row["identifiable"] and row["p_detached"] > 0.8
    assert tables.exosomes.set_index("exosome_id").loc[exosome, "outcome"] == "detached"
    assert of(tables, exosome, "loss_unresolved").empty


def test_an_exosome_that_leaves_much_dimmer_is_not_called_detached(world):
    w = world(1, seen=1.0)
    exosome = w.dock(20, 40, leave=15)
    w.change(exosome, range(60, 150), counts=200.0)
    tables = w.find()
    assert of(tables, exosome, "detachment").empty and len(of(tables, exosome, "loss_unresolved")) == 1


def test_an_exosome_that_vanishes_is_an_unresolved_loss_that_cannot_be_identified(world):
    w = world(2, seen=1.0)
    exosome = w.dock(20, 40)
    tables = w.find()
    row = of(tables, exosome, "loss_unresolved").iloc[0]
    assert row["start_frame"] == row["end_frame"] == 59
    assert not row["identifiable"] and row["p_unresolved"] == 1.0
    assert of(tables, exosome, "detachment").empty


def test_a_docked_exosome_that_is_seen_to_the_end_is_no_loss(world):
    w = world(3, seen=1.0, interval_s=1.0)
    docked = w.dock(40, 60, cell=2)
    fast = w.dock(100, 50, d=0.3, kind="tethered", cell=2)
    for row in w.rows:
        row["exosome_id"] = docked if row["exosome_id"] == fast else row["exosome_id"]
    tables = w.find()
    assert near(of(tables, docked)["end_frame"].iloc[0], 99, within=6)
    assert of(tables, docked, "loss_unresolved").empty
    assert tables.exosomes["outcome"].to_list()[0] == "movie_end"


def test_an_exosome_that_blurs_before_it_ends_left_focus(world):
    w = world(2, seen=1.0)
    exosome = w.dock(20, 40)
    w.change(exosome, range(57, 60), sigma_px=2.4)
    tables = w.find()
    assert tables.exosomes.set_index("exosome_id").loc[exosome, "outcome"] == "left_focus"
    assert of(tables, exosome)["censored"].to_list() == ["right"]
    assert of(tables, exosome, "loss_unresolved").empty


def test_an_exosome_that_rides_on_a_fast_cell_is_docked(world):
    w = world(7, seen=1.0, speed_um_min=20.0, n_side=1)
    exosome = w.dock(20, 60)
    docking = of(w.find(), exosome)
    assert docking[["start_frame", "end_frame"]].to_numpy().tolist() == [[20, 79]]


@pytest.mark.parametrize("drift_um_min", [0.0, 3.0])
def test_drift_neither_makes_nor_breaks_a_docking(world, drift_um_min):
    w = world(7, seen=1.0, speed_um_min=1.0, drift_um_min=drift_um_min)
    docked, stuck = w.dock(20, 60), w.stick_near(4, 0.0)
    tables = w.find()
    assert of(tables, docked)[["start_frame", "end_frame"]].to_numpy().tolist() == [[20, 79]]
    assert states(tables, stuck) == ["stuck"]
    assert tables.exosomes.set_index("exosome_id").loc[stuck, "comoving"] is np.False_


def test_irregular_times_are_taken_as_they_are(world):
    w = world(8, seen=1.0, frames=120)
    w.times = np.cumsum(w.rng.choice([1.0, 2.0, 6.0], 120)) + 100
    exosome = w.dock(30, 40)
    row = of(w.find(), exosome).iloc[0]
    assert (row["start_frame"], row["end_frame"]) == (30, 69)
    assert row["duration_s"] == pytest.approx(w.times[69] - w.times[30])


def test_frames_that_were_not_acquired_break_no_docking(world):
    w = world(9, seen=1.0, missing=tuple(i for i in range(150) if i % 6))
    exosome = w.ids + 1
    w.dock(12, 120)
    w.rows = [row | {"exosome_id": exosome} for row in w.rows]
    tables = w.find()
    dockings = of(tables, exosome)
    assert dockings[["start_frame", "end_frame"]].to_numpy().tolist() == [[12, 126]]
    assert tables.summary["exposure"]["frames"] == 25
    assert tables.summary["exposure"]["interval_s"] == 12.0


def test_every_frame_gets_a_time_between_its_acquired_neighbours():
    nan = np.nan
    assert every_time(np.array([nan, 10.0, nan, 14.0, 16.0, nan])).tolist() == [7, 10, 12, 14, 16, 19]
    assert every_time(np.array([nan, nan])).tolist() == [0.0, 1.0]
    assert (np.diff(every_time(np.array([nan, 5.0, nan]))) > 0).all()


def test_one_frame_gives_no_events(world):
    w = world(1, frames=1, seen=1.0)
    w.dock(0, 5)
    w.stick_near(3, 0.0)
    tables = w.find()
    assert tables.events.empty and len(tables.spots) == 2
    assert tables.summary["movie"]["arrivals_per_cell_hour"] is None
    assert not tables.summary["identifiability"]["docking"]["identifiable"]


def test_without_cells_everything_is_free(world):
    w = world(1, seen=1.0)
    w.dock(10, 30)
    spots, exosomes, *_, zones = w.tables()
    spots = spots.assign(cell_id=pd.NA, membrane_distance_um=np.nan, contour_um=np.nan)
    spots["cell_id"] = spots["cell_id"].astype("Int64")
    tables = run(w, spots, exosomes, schema.empty(schema.CELLS), schema.empty(schema.FATES), zones.iloc[:0])
    assert set(tables.spots["state"]) == {"free"} and tables.events.empty
    assert tables.exosomes["dockings"].to_list() == [0]
    assert any("no cells" in warning for warning in tables.summary["warnings"])


def test_without_spots_the_tables_are_empty_and_complete(world):
    tables = world(1).find()
    for name in ("spots", "exosomes", "events"):
        table = getattr(tables, name)
        assert table.empty and list(table.columns) == list(getattr(schema, name.upper()))
    assert tables.cells["docked_now"].eq(0).all() and tables.fates["dockings"].eq(0).all()
    assert tables.summary["movie"]["dockings"] == 0 and tables.summary["chance"]["p"] is None


def test_a_reversed_movie_has_the_same_dockings(world):
    w = world(10, seen=1.0)
    exosomes = [w.dock(start, 40, leave=0) for start in (10, 40, 80)]
    forward, backward = w.find(), w.find(reverse=True)
    for exosome in exosomes:
        there, back = of(forward, exosome).iloc[0], of(backward, exosome).iloc[0]
        assert there["start_frame"] == 149 - back["end_frame"]
        assert there["end_frame"] == 149 - back["start_frame"]


def test_the_order_of_the_spots_does_not_matter(world):
    w = world(11)
    for start in (0, 30, 60):
        w.dock(start, 40, leave=10)
    tables = w.tables()
    shuffled = tables[0].sample(frac=1.0, random_state=3)
    pd.testing.assert_frame_equal(run(w, *tables).events, run(w, shuffled, *tables[1:]).events)


def test_drift_of_another_length_is_refused(world):
    w = world(1)
    with pytest.raises(InputError, match="one per frame"):
        run(w, *w.tables(), drift_um=w.drift[:-1])


def test_thresholds_are_settings(world):
    w = world(3, seen=1.0)
    exosome = w.dock(20, 20)
    assert len(of(w.find(), exosome)) == 1
    for setting in ({"docked_min_s": 41.0}, {"docked_min_frames": 21}, {"docked_max_diffusion_um2_s": 1e-4}):
        assert of(w.find(EventSettings(**setting)), exosome).empty, setting


def test_most_dockings_of_a_crowded_world_are_found_and_few_are_made_up(world):
    w, fast = world(12, seen=1.0), []
    for start in (-20, 0, 20, 40, 60, 80, 110):
        for cell in range(0, 9, 2):
            w.dock(start, 40, leave=10 * (cell % 4), cell=cell)
    for cell in range(9):
        w.beneath(cell)
        w.stick_near(cell, 2.0)
        fast.append(w.dock(50, 30, d=0.3, kind="tethered", cell=cell))
    dockings = w.find().events.query("kind == 'docking'")
    hits = 0
    for true in w.truth:
        mine = dockings[dockings["exosome_id"] == true["exosome_id"]]
        good = (mine["start_frame"] - true["start_frame"]).abs() <= 4
        good &= (mine["end_frame"] - true["end_frame"]).abs() <= 4
        hits += bool(good.any()) and mine["cell_id"].iloc[0] == true["cell_id"]
    assert hits / len(w.truth) >= 0.9 and hits / len(dockings) >= 0.9
    assert dockings["exosome_id"].isin(fast).sum() <= 1


def test_a_docking_ends_where_the_exosome_goes_on_to_another_cell():
    nearest = np.repeat([4, 7], [12, 20])
    assert list(_on_one_cell(nearest)) == [(0, 12), (12, 32)]
    nearest[[5, 20]] = 7, 4
    assert list(_on_one_cell(nearest)) == [(0, 12), (12, 32)]
    assert list(_on_one_cell(nearest[:3])) == [(0, 3)]
