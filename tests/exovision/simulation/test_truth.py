import numpy as np
import pytest
from scipy.spatial.distance import cdist

from exovision import schema
from exovision.numerics.psf import localisation_bound_px
from exovision.simulation.movie import simulate
from exovision.simulation.scene import Scene, load_scene

CONTRACT = {
    "spots": schema.TRUTH_SPOTS,
    "exosomes": schema.EXOSOMES,
    "events": schema.TRUTH_EVENTS,
    "cells": schema.CELLS,
    "fates": schema.FATES,
    "decoys": schema.DECOYS,
}


@pytest.fixture(scope="module")
def played(play):
    """The tiny scene with free and tethered vesicles, dim ones and such that leave focus."""
    scene = load_scene("tiny")
    facts = scene.model_dump()
    facts["exosomes"] |= {"free_per_um2": 0.05, "tethered_per_cell_hour": 200, "fates": {"left_focus": 5.0}}
    facts["exosomes"] |= {
        "photons_min": 10,
        "photons_median": 150,
        "photons_gsd": 3.0,
        "fates": {"left_focus": 5.0},
    }
    return play(simulate(Scene.model_validate(facts), seed=5))


@pytest.fixture(scope="module")
def spots(played):
    return played.tables["spots"]


def test_the_tables_have_exactly_the_contracts_columns_and_types(played):
    assert set(played.tables) == set(CONTRACT)
    for name, columns in CONTRACT.items():
        table = played.tables[name]
        assert len(table)
        assert {column: str(dtype) for column, dtype in table.dtypes.items()} == dict(columns), name


def test_times_and_lengths_follow_from_frames_and_pixels(spots):
    np.testing.assert_allclose(spots["time_s"], spots["frame"].astype(float) * 2.0)
    np.testing.assert_allclose(spots[["y_um", "x_um"]], spots[["y_px", "x_px"]] * 0.108)


def test_the_signed_distance_agrees_with_the_labels(played, spots):
    clear = spots[(spots["membrane_distance_um"].abs() > 0.108) & (spots["state"] != "docked")]
    assert (clear["membrane_distance_um"] < 0).any() and (clear["membrane_distance_um"] > 0).any()
    for row in clear.itertuples():
        y, x = (min(max(round(place), 0), 95) for place in (row.y_px, row.x_px))
        label = played.backdrops[row.frame].labels[y, x]
        assert (label > 0) == (row.membrane_distance_um < 0)
        if label:
            assert label == row.cell_id


def test_docked_spots_lie_on_the_outline_of_their_cell(played, spots):
    docked = spots[spots["state"] == "docked"]
    assert len(docked) > 20
    assert docked["membrane_distance_um"].between(0, 0.1).all()
    for row in docked.itertuples():
        outline = played.backdrops[row.frame].outlines[row.cell_id - 1]
        nearest_um = np.hypot(*(outline - [row.y_px, row.x_px]).T).min() * 0.108
        assert nearest_um < 0.15


def test_spots_are_ignored_if_they_are_too_dim_or_blurred_or_no_vesicle(spots):
    sharp = 0.13 / 0.108
    vesicles = spots[spots["exosome_id"].notna()]
    expected = (vesicles["snr"] < 1.5) | (vesicles["sigma_px"] > 1.5 * sharp)
    assert (vesicles["ignore"] == expected).all()
    assert (vesicles["snr"] < 1.5).any() and (vesicles["sigma_px"] > 1.5 * sharp).any() and not expected.all()
    assert spots[spots["exosome_id"].isna()]["ignore"].all()


def test_isolated_spots_have_no_neighbour_within_nine_pixels(spots):
    for _, frame in spots.groupby("frame"):
        solid = (frame["state"] != "free").to_numpy()
        places = frame[["y_px", "x_px"]].to_numpy()
        apart = cdist(places, places[solid])
        neighbours = (apart <= 9).sum(axis=1) - solid
        assert (frame["isolated"] == (neighbours == 0)).all()
    assert spots["isolated"].any() and not spots["isolated"].all()


def test_linkable_spots_are_near_those_of_the_frames_before_and_after(spots):
    for _, track in spots.dropna(subset=["exosome_id"]).groupby("exosome_id"):
        step = np.hypot(*np.diff(track[["y_px", "x_px"]].to_numpy(), axis=0).T)
        far = np.concatenate([[False], step > 6]) | np.concatenate([step > 6, [False]])
        assert (track["linkable"] == ~far).all()
    assert not spots[spots["exosome_id"].isna()]["linkable"].any()


def test_the_bound_is_that_of_an_isolated_spot(spots):
    for row in spots.iloc[::7].itertuples():
        bound = localisation_bound_px(
            row.photons,
            sigma_px=row.sigma_px,
            background=row.background * 0.46,
            read_noise=1.6,
            phase=row.y_px - round(row.y_px),
        )
        assert row.crlb_px == pytest.approx(bound)


def test_brightness_is_told_in_photo_electrons_and_counts_and_as_a_ratio_to_noise(spots):
    np.testing.assert_allclose(spots["counts"], spots["photons"] / 0.46)
    peak = spots["photons"] / (2 * np.pi * spots["sigma_px"] ** 2)
    np.testing.assert_allclose(spots["snr"], peak / np.sqrt(peak + spots["background"] * 0.46 + 1.6**2))


def test_decoys_are_dye_lysosomes_and_what_is_stuck_to_the_glass(played, spots):
    decoys = played.tables["decoys"]
    assert set(decoys["kind"]) == {"stuck", "dye", "lysosome"}
    stuck = spots[spots["state"] == "stuck"]
    glass = decoys[decoys["kind"] != "lysosome"]
    key = ["frame", "y_px", "x_px"]
    assert sorted(map(tuple, stuck[key].to_numpy())) == sorted(map(tuple, glass[key].to_numpy()))


def test_lysosomes_have_no_exosome_id(played, spots):
    lysosomes = played.tables["decoys"].query("kind == 'lysosome'")
    merged = spots.merge(lysosomes, on=["frame", "y_px", "x_px"])
    assert len(merged) == len(lysosomes) and merged["exosome_id"].isna().all()


def test_exosome_ids_are_positive_whole_and_unique(played, spots):
    ids = sorted(spots["exosome_id"].dropna().unique())
    assert ids == list(range(1, len(ids) + 1))
    assert played.tables["exosomes"]["exosome_id"].tolist() == ids
    assert not spots.dropna(subset=["exosome_id"]).duplicated(["frame", "exosome_id"]).any()


def test_dockings_agree_with_the_spots(played, spots):
    events = played.tables["events"]
    dockings = events[events["kind"] == "docking"]
    assert len(dockings) > 5
    for row in dockings.itertuples():
        docked = spots[(spots["exosome_id"] == row.exosome_id) & (spots["state"] == "docked")]
        docked = docked[docked["time_s"] <= row.end_s]
        assert (docked["frame"].min(), docked["frame"].max()) == (row.start_frame, row.end_frame)
        assert set(docked["cell_id"]) == {row.cell_id}
    ends = events[events["kind"] != "docking"]
    assert set(ends["exosome_id"]) == set(dockings[dockings["censored"].isin(["none", "left"])]["exosome_id"])


def test_exosomes_tell_their_docking(played):
    exosomes, events = played.tables["exosomes"], played.tables["events"]
    dockings = events[events["kind"] == "docking"].set_index("exosome_id")
    docked = exosomes[exosomes["dockings"] > 0].set_index("exosome_id")
    assert set(docked.index) == set(dockings.index)
    assert (docked["dwell_s"] == dockings["duration_s"].reindex(docked.index)).all()
    assert (docked["outcome"] == dockings["cause"].reindex(docked.index)).all()
    assert exosomes[exosomes["dockings"] == 0]["outcome"].isna().all()
    assert (docked["diffusion_um2_s"] == 0.01).all() and docked["comoving"].all()


def test_cells_count_the_exosomes_that_are_docked(played, spots):
    cells = played.tables["cells"]
    events = played.tables["events"].query("kind == 'docking'")
    for row in cells.itertuples():
        here = events[events["cell_id"] == row.cell_id]
        now = here["start_frame"].le(row.frame) & here["end_frame"].ge(row.frame)
        assert row.docked_now == now.sum()
        assert row.dockings_so_far == here["start_frame"].le(row.frame).sum()
    fates = played.tables["fates"].set_index("cell_id")
    assert (fates["dockings"] == cells.groupby("cell_id")["dockings_so_far"].max()).all()


def test_cells_are_measured_on_their_outlines(played):
    cells = played.tables["cells"]
    assert (cells["touches_border"] == False).all()  # noqa: E712
    for row in cells.itertuples():
        inside = np.argwhere(played.backdrops[row.frame].labels == row.cell_id)
        assert row.area_um2 == pytest.approx(len(inside) * 0.108**2, rel=0.02)
        np.testing.assert_allclose([row.y_um, row.x_um], inside.mean(axis=0) * 0.108, atol=0.02)
        assert row.perimeter_um >= 2 * np.sqrt(np.pi * row.area_um2)


def test_a_movie_without_cells_and_vesicles_has_empty_tables(dark, play):
    played = play(simulate(dark(cells={"count": 0}, imaging={"frames": 2}), seed=1))
    for name, columns in CONTRACT.items():
        assert played.tables[name].empty
        assert {column: str(dtype) for column, dtype in played.tables[name].dtypes.items()} == dict(columns)
