import numpy as np
import pandas as pd
import pytest

from exovision.exosomes import linking
from exovision.exosomes.linking import link
from exovision.scoring.linking import score_linking
from exovision.scoring.spots import match_spots
from exovision.settings import ExosomeSettings
from exovision.simulation.walks import WalkConditions
from exovision.simulation.walks import walks as simulated_walks

TIMES = np.arange(30.0)


def table(rows):
    spots = pd.DataFrame(rows, columns=["frame", "y_px", "x_px", "track"]).sort_values(["frame", "y_px"])
    return spots.reset_index(drop=True).assign(
        y_se_px=0.1, x_se_px=0.1, counts=500.0, snr=2.2, probability=0.99
    )


def walks(n=40, frames=30, seed=0, missing=0.0):
    rng = np.random.default_rng(seed)
    paths = rng.uniform(0, 300, (n, 1, 2)) + np.cumsum(rng.normal(0, 0.5, (n, frames, 2)), axis=1)
    kept = rng.random((n, frames)) >= missing
    return table([(f, *paths[i, f], i) for i in range(n) for f in range(frames) if kept[i, f]])


def linked(spots, **settings):
    return link(
        spots,
        times_s=TIMES,
        drift_px=settings.pop("drift_px", None),
        pixel_size_um=0.1,
        settings=ExosomeSettings(**settings),
    )


@pytest.mark.parametrize("missing", [0.0, 0.15])
def test_walks_are_followed_also_over_gaps(missing):
    spots = walks(missing=missing)
    spots["id"] = linked(spots)
    main = spots.groupby("track")["id"].agg(lambda ids: ids.mode()[0])
    assert main.is_unique
    assert (spots["id"] == spots["track"].map(main)).mean() > 0.98


def test_a_gap_longer_than_allowed_ends_a_track():
    spots = table([(f, 10.0, 10.0, 0) for f in (0, 1, 2, 6, 7, 8)])
    assert linked(spots, max_gap_frames=2).tolist() == [1, 1, 1, 2, 2, 2]
    assert linked(spots, max_gap_frames=3).tolist() == [1] * 6


def test_a_bright_exosome_is_not_taken_up_again_after_frames_in_which_it_would_have_been_seen():
    spots = table([(f, 10.0, 10.0, 0) for f in (0, 1, 2, 6, 7, 8)])
    assert linked(spots.assign(snr=2.2)).tolist() == [1] * 6
    assert linked(spots.assign(snr=6.0)).tolist() == [1, 1, 1, 2, 2, 2]


def test_a_spot_of_another_brightness_is_another_exosome_unless_both_are_too_faint_to_tell():
    spots = table([(f, 10.0, 10.0, 0) for f in range(6)])
    spots["counts"] = np.where(spots["frame"] < 3, 500.0, 1500.0)
    assert linked(spots.assign(snr=1.0)).tolist() == [1] * 6
    assert linked(spots.assign(snr=6.0)).tolist() == [1, 1, 1, 2, 2, 2]


def test_an_exosome_is_followed_on_a_membrane_that_moves_farther_than_the_largest_step():
    frames = np.arange(8)
    spots = table([(f, 10.0 + 15 * f, 40.0, 0) for f in frames])
    beside = {"cell_id": 3, "membrane_distance_um": 0.05, "normal_y": 1.0, "normal_x": 0.0}
    resting = spots.assign(**beside, cell_y_um=5.0, cell_x_um=4.0)
    assert linked(spots).isna().all()
    assert linked(resting).tolist() == [1] * 8
    other_cell = resting.assign(cell_id=np.where(spots["frame"] < 4, 3, 4))
    assert linked(other_cell).tolist() == [1] * 4 + [2] * 4


def test_ids_start_at_one_by_first_frame_and_place_and_short_tracks_stay_unlinked():
    spots = table(
        [(f, y, 5.0, 0) for f, y in [(0, 90.0), (1, 90.0), (2, 90.0), (0, 20.0), (1, 20.0), (2, 20.0)]]
    )
    lone = pd.concat([spots, table([(2, 150.0, 150.0, 1)])]).sort_values("frame", kind="stable")
    ids = linked(lone.reset_index(drop=True))
    assert ids.isna().sum() == 1
    by_place = lone.reset_index(drop=True).assign(id=ids).groupby("y_px")["id"].first()
    assert by_place[20.0] == 1 and by_place[90.0] == 2


def test_a_step_beyond_the_largest_is_not_linked():
    spots = table([(0, 10.0, 10.0, 0), (1, 10.0, 18.0, 0), (2, 10.0, 26.0, 0)])
    assert linked(spots, max_step_um=0.6).isna().all()
    assert linked(spots, max_step_um=0.9).notna().all()


def test_drift_is_taken_off_before_linking():
    drift = np.stack([7.0 * np.arange(30), np.zeros(30)], axis=1)
    spots = table([(f, 10 + 7.0 * f, 10.0, 0) for f in range(5)])
    assert linked(spots, max_step_um=0.6).isna().all()
    assert linked(spots, max_step_um=0.6, drift_px=drift).tolist() == [1] * 5


def test_frames_that_were_not_acquired_are_no_gap():
    times = TIMES.copy()
    times[1:8] = np.nan
    spots = table([(f, 10.0, 10.0, 0) for f in (0, 8, 9)])
    ids = link(
        spots, times_s=times, drift_px=None, pixel_size_um=0.1, settings=ExosomeSettings(max_gap_frames=0)
    )
    assert ids.tolist() == [1, 1, 1]


def test_no_spots_give_no_tracks():
    assert linked(walks().iloc[:0]).empty


def meeting(rng, bright, faint):
    """Two exosomes drift towards each other, are one spot for three frames, and part again."""
    y = np.concatenate([np.linspace(10, 2, 9), np.zeros(3), np.linspace(2, 10, 9)])
    rows = []
    for frame, away in enumerate(y):
        places = [(0.0, bright + faint)] if away < 1 else [(away, bright), (-away, faint)]
        for side, counts in places:
            rows.append((frame, 50 + side + rng.normal(0, 0.1), 50.0 + rng.normal(0, 0.1), counts))
    spots = pd.DataFrame(rows, columns=["frame", "y_px", "x_px", "counts"])
    return spots.assign(y_se_px=0.1, x_se_px=0.1, snr=6.0, probability=0.99, sigma_px=1.5)


def test_two_that_meet_in_one_spot_part_with_their_own_ids():
    for seed in range(5):
        spots = meeting(np.random.default_rng(seed), 1500.0, 500.0)
        ids = linked(spots, max_gap_frames=1)
        assert ids[spots["counts"] == 1500.0].nunique() == 1
        assert ids[spots["counts"] == 500.0].nunique() == 1
        assert set(ids) == {1, 2}


def test_two_that_cross_while_they_run_keep_their_directions():
    frames = np.arange(21)
    rows = [(f, 30 + d * 2.0 * (f - 10) + 0.9, 30 + 2.0 * (f - 10), d) for f in frames for d in (-1, 1)]
    spots = table(rows)
    ids = linked(spots)
    assert ids.notna().all() and ids.nunique() == 2
    apart = spots["frame"] != 10
    assert (ids[apart].groupby(spots["track"]).nunique() == 1).all()


def test_places_alone_are_enough_to_link():
    spots = walks()[["frame", "y_px", "x_px", "track"]]
    found = pd.DataFrame({"id": linked(spots), "track": spots["track"]})
    assert (found.groupby("track")["id"].nunique() == 1).mean() > 0.95


def test_the_links_do_not_depend_on_how_many_spots_are_held_at_once(monkeypatch):
    spots = simulated_walks(WalkConditions(frames=25, exosomes=100), seed=1).spots
    whole = linked(spots)
    monkeypatch.setattr(linking, "BLOCK_SPOTS", 150)
    assert linked(spots).equals(whole)


def test_dense_mixed_motion_is_followed():
    seen = simulated_walks(
        WalkConditions(shape_px=(256, 256), exosomes=250, frames=30, step_px=0.9, speed_px=1.5, snr=5.0),
        seed=7,
    )
    spots = seen.spots.assign(exosome_id=linked(seen.spots, max_step_um=0.6))
    scores = score_linking(match_spots(seen.truth, spots))
    assert scores["linking.beta"].value > 0.8 and scores["linking.purity"].value > 0.95
