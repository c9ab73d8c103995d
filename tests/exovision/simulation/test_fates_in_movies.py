"""Whole movies in which exosomes fuse, are taken up, merge and come off, with their truth."""

import numpy as np
import pytest

import exovision
from exovision.simulation.movie import simulate, write

CELL = {"radius_um": 2.2, "margin_radii": -1.3}
DOCKED = {
    "photons_median": 800.0,
    "photons_gsd": 1.1,
    "bleach_tau_frames": 1e6,
    "dockings_per_cell_hour": 1500.0,
    "dwell_short_share": 0.0,
    "dwell_long_gsd": 1.1,
}
LABELS = {"lipid_diffusion_um2_s": (0.3, 0.3), "quench": (0.0, 0.0), "release_tau_s": (0.02, 0.02)}


def _fates(fate):
    return {"detached": 0.0, "bleached": 0.0, "left_focus": 0.0, fate: 1.0}


def _movie(dark, fate, *, frames, interval_s, dwell_s, labels=None, **exosomes):
    return dark(
        imaging={"frames": frames, "frame_interval_s": interval_s, "background_photons": 4.0},
        cells=CELL,
        exosomes={
            **DOCKED,
            "dwell_long_s": dwell_s,
            "fates": _fates(fate),
            "labels": LABELS | (labels or {}),
            **exosomes,
        },
    )


def test_fusion_can_be_told_in_a_burst_and_not_in_a_slow_movie(dark, play):
    burst = _movie(dark, "fused", frames=60, interval_s=0.1, dwell_s=3.0)
    slow = _movie(
        dark,
        "fused",
        frames=40,
        interval_s=20.0,
        dwell_s=100.0,
        dockings_per_cell_hour=100.0,
        photons_median=100.0,
    )
    for scene, told in ((burst, True), (slow, False)):
        events = play(simulate(scene, seed=2)).tables["events"]
        fusions = events[events["kind"] == "fusion"]
        assert len(fusions) > 3
        assert (fusions["identifiable"] == told).mean() > 0.8


def test_the_glow_of_a_fusion_is_no_spot_that_counts(dark, play):
    tables = play(simulate(_movie(dark, "fused", frames=60, interval_s=0.1, dwell_s=3.0), seed=2)).tables
    fusions = tables["events"][tables["events"]["kind"] == "fusion"]
    spots = tables["spots"].merge(fusions[["exosome_id", "start_s"]], on="exosome_id")
    after = spots[spots["time_s"] > spots["start_s"]]
    assert len(after) > 10 and after["ignore"].all()
    assert not spots.loc[spots["time_s"] <= spots["start_s"], "ignore"].all()


def test_light_at_the_place_of_a_fusion_goes_out_as_it_spreads(dark, play):
    made = play(simulate(_movie(dark, "fused", frames=60, interval_s=0.1, dwell_s=3.0), seed=2))
    events, spots = made.tables["events"], made.tables["spots"]
    ratios = []
    for _, row in events[(events["kind"] == "fusion") & (events["start_frame"] < 50)].iterrows():
        track = spots[spots["exosome_id"] == row["exosome_id"]].set_index("frame")
        y, x = np.rint(track.loc[row["start_frame"], ["y_px", "x_px"]].to_numpy(dtype=float)).astype(int)
        peaks = [
            made.exosomes[f, y - 1 : y + 2, x - 1 : x + 2].mean() - 110
            for f in (row["start_frame"], row["start_frame"] + 6)
        ]
        ratios.append(peaks[1] / peaks[0])
    assert len(ratios) > 3 and np.median(ratios) < 0.4


def test_the_counts_of_cells_and_fates_hold_fusions_and_uptakes(dark, play):
    for fate, name in (("fused", "fusions"), ("taken_up", "uptakes")):
        tables = play(simulate(_movie(dark, fate, frames=60, interval_s=0.1, dwell_s=3.0), seed=2)).tables
        kind = {"fusions": "fusion", "uptakes": "uptake"}[name]
        count = int((tables["events"]["kind"] == kind).sum())
        assert count > 3
        assert int(tables["fates"][name].sum()) == count
        assert int(tables["cells"][f"{name}_so_far"].max()) == count
        outcome = {"fusions": "fused", "uptakes": "taken_up"}[name]
        assert int((tables["exosomes"]["outcome"] == outcome).sum()) == count


def test_a_two_colour_movie_is_written_and_read_with_its_content_channel(dark, tmp_path):
    scene = _movie(dark, "fused", frames=4, interval_s=0.1, dwell_s=3.0, labels={"chemistry": "dual"})
    write(simulate(scene, seed=1), tmp_path)
    movie = exovision.read(tmp_path / "movie.ome.tif")
    assert movie.channel_names == ("exosome", "content", "cell")
    assert movie.roles["content"] == 1


@pytest.mark.parametrize("chemistry", ["lumen", "phluorin", "protein_tag"])
def test_one_label_makes_one_channel_of_vesicles(dark, chemistry):
    scene = _movie(dark, "fused", frames=2, interval_s=0.1, dwell_s=3.0, labels={"chemistry": chemistry})
    assert simulate(scene, seed=1).vesicle_roles == ("exosome",)
