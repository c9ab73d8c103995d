import numpy as np
import pytest
import tifffile

import exovision
from exovision import schema
from exovision.io.tables import read_table
from exovision.simulation.movie import simulate, write
from exovision.simulation.scene import Cells, Deaths, Divisions, Exosomes, Imaging, Scene

PANEL = {"nucleus_photons": 200.0, "annexin_photons": 200.0, "caspase_photons": 200.0, "pi_photons": 200.0}
PLAIN = {
    "shape_px": (160, 160),
    "frame_interval_s": 300.0,
    "pixel_size_um": 0.4,
    "psf_sigma_um": 0.25,
    "exosome_channel": False,
    "drift_um_min": 0.0,
    "shading": 0.0,
}
QUIET = {
    **dict.fromkeys(("free_per_um2", "stuck_per_um2", "dye_per_um2", "beneath_per_cell"), 0.0),
    **dict.fromkeys(("dockings_per_cell_hour", "tethered_per_cell_hour"), 0.0),
}


def living(*, deaths=None, divisions=None, frames=40, imaging=None, cells=None):
    return Scene(
        name="living",
        imaging=Imaging(**{**PLAIN, "frames": frames, **(imaging or {})}),
        cells=Cells(count=4, radius_um=6.0, margin_radii=-1.2, **(PANEL if cells is None else cells)),
        exosomes=Exosomes(**QUIET),
        deaths=deaths,
        divisions=divisions,
    )


@pytest.fixture(scope="module")
def dying(tmp_path_factory):
    folder = tmp_path_factory.mktemp("dying")
    deaths = Deaths(per_cell_hour=1.0, lytic_share=0.0, debris=0, annexin_vesicles_per_cell=0, remains_h=1e6)
    write(simulate(living(deaths=deaths), seed=801), folder)
    return folder


def seen(folder):
    """Return movie, labels (T, Y, X), cells and fates of a simulated folder."""
    labels = tifffile.imread(folder / "truth" / "cell_labels.ome.tif")
    return (
        exovision.read(folder / "movie.ome.tif"),
        labels,
        read_table(folder / "truth" / "cells.parquet", schema.CELLS),
        read_table(folder / "truth" / "fates.csv", schema.TRUTH_FATES),
    )


def test_a_panel_has_a_channel_per_stain_and_no_exosomes(dying):
    assert list(exovision.read(dying / "movie.ome.tif").roles) == [
        "cell",
        "nucleus",
        "annexin",
        "caspase",
        "pi",
    ]


def test_dying_cells_shrink_light_up_with_annexin_and_then_let_pi_in(dying):
    movie, labels, cells, fates = seen(dying)
    died = fates[fates["exit"] == "died"]
    assert len(died) == 4 and set(died["death_mode"]) == {"apoptotic"}
    for fate in died.itertuples():
        track = cells[cells["cell_id"] == fate.cell_id].set_index("frame")
        before = int(fate.onset_s_lo / 300)
        late = track.index[track["state"] == "late_apoptotic"]
        if before < 2 or not len(late):
            continue
        assert track.loc[late, "area_um2"].median() < 0.75 * track.loc[:before, "area_um2"].median()
        there = {t: labels[t] == fate.cell_id for t in (before, late[-1])}
        annexin = [movie.image(t, "annexin")[mask].mean() for t, mask in there.items()]
        pi = [movie.image(t, "pi")[mask].mean() for t, mask in there.items()]
        assert annexin[1] > annexin[0] + 30 and abs(pi[1] - pi[0]) < 10
        leaky = track.index[track["state"] == "secondary_necrotic"]
        if len(leaky) > 3:
            assert movie.image(leaky[-1], "pi")[labels[leaky[-1]] == fate.cell_id].mean() > pi[0] + 30


def test_states_follow_the_absorbing_order_and_fates_hold_the_onset(dying):
    *_, cells, fates = seen(dying)
    order = ["live", "early_apoptotic", "late_apoptotic", "secondary_necrotic", "debris"]
    for fate in fates.itertuples():
        track = cells[cells["cell_id"] == fate.cell_id]
        ranks = track["state"].map(order.index).to_numpy()
        assert (np.diff(ranks) >= 0).all()
        first = track["time_s"][track["state"] != "live"].min()
        assert fate.onset_s_lo < fate.onset_s <= fate.onset_s_hi == first


def test_daughters_are_born_where_their_parent_was(tmp_path):
    write(simulate(living(divisions=Divisions(cycle_h=3.0)), seed=802), tmp_path)
    _, labels, cells, fates = seen(tmp_path)
    born = fates[fates["entry"] == "birth"]
    assert len(born) >= 4
    for parent, daughters in born.groupby("parent_id"):
        own = fates[fates["cell_id"] == parent].iloc[0]
        assert own["exit"] == "divided" and len(daughters) == 2
        last, first = int(own["last_frame"]), int(daughters["first_frame"].iloc[0])
        assert first == last + 1
        covered = np.isin(labels[first], daughters["cell_id"].astype(int))[labels[last] == parent]
        assert covered.mean() > 0.6
        states = cells[(cells["cell_id"] == parent) & (cells["frame"] == last)]["state"]
        assert states.tolist() == ["mitotic"]


def test_nuclei_alone_make_a_movie_whose_cells_are_nuclei(tmp_path):
    scene = living(frames=2, imaging={"cell_channel": False}, cells={"nucleus_photons": 100.0})
    write(simulate(scene, seed=803), tmp_path)
    movie, labels, *_ = seen(tmp_path)
    assert list(movie.roles) == ["nucleus"]
    image = movie.image(0, "nucleus")
    assert image[labels[0] > 0].mean() > image[labels[0] == 0].mean() + 50
    areas = np.bincount(labels[0].ravel())[1:] * 0.4**2
    assert (areas[areas > 0] < 100).all()
