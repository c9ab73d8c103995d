from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from exovision.events.comotion import judge
from exovision.events.motion import (
    cell_motion,
    jitter_and_scale,
    main_cell,
    make_tracks,
    outline_jitter_um,
    smooth,
)
from exovision.numerics.membrane_frame import SLIP
from exovision.settings import EventSettings

TIMES = np.arange(200) * 2.0


def test_smoothing_follows_slow_motion_and_takes_off_jitter():
    rng = np.random.default_rng(0)
    path = np.column_stack([0.01 * TIMES, np.sin(TIMES / 60)])
    noisy = path + rng.normal(0, 0.1, path.shape)
    found = smooth(noisy, TIMES, noise_um=0.1, scale_s=10.0)
    assert np.std(found[10:-10] - path[10:-10]) < 0.04


def test_a_single_wrong_value_hardly_bends_the_path():
    path = np.zeros((50, 2))
    path[25] = 5.0
    assert np.abs(smooth(path, TIMES[:50], noise_um=0.1, scale_s=6.0)).max() < 0.2


def test_missing_values_are_filled_in_and_none_stay_missing():
    path = np.column_stack([TIMES, TIMES]) / 100
    path[10:15] = np.nan
    found = smooth(path, TIMES, noise_um=0.0, scale_s=0.0)
    assert found == pytest.approx(np.column_stack([TIMES, TIMES]) / 100, abs=1e-6)
    assert np.isnan(smooth(np.full((5, 2), np.nan), TIMES[:5], noise_um=0.1, scale_s=1.0)).all()


def test_jitter_is_told_from_motion():
    rng = np.random.default_rng(1)
    tracks = []
    for _ in range(20):
        path = 0.01 * TIMES[:, None] * [1.0, 0.5] + rng.normal(0, 0.1, (200, 2))
        tracks.append((path, TIMES))
    jitter, scale = jitter_and_scale(tracks)
    assert jitter == pytest.approx(0.1, rel=0.1)
    assert 2.0 <= scale <= 20.0


def test_motion_without_jitter_is_not_smoothed():
    straight = [(0.1 * TIMES[:, None] * [1.0, 0.0], TIMES)]
    assert jitter_and_scale(straight)[1] == 0.0
    assert jitter_and_scale([]) == (0.0, 0.0)


def _carried(speed_um_s, *, jitter_um=0.0, seed=0):
    """An exosome at rest on the lower side of a cell whose centroid rests while that side moves down."""
    rng = np.random.default_rng(seed)
    y = 10 + speed_um_s * TIMES
    spots = pd.DataFrame(
        {
            "frame": range(200),
            "exosome_id": 1,
            "cell_id": 4,
            "counts": 500.0,
            "sigma_px": 1.2,
            "y_um": y,
            "x_um": 5.0,
            "y_se_px": 0.1,
            "x_se_px": 0.1,
            "membrane_distance_um": rng.normal(0, jitter_um, 200),
            "normal_y": 1.0,
            "normal_x": 0.0,
            "cell_y_um": 5.0,
            "cell_x_um": 5.0,
        }
    )
    cells = pd.DataFrame({"frame": range(200), "cell_id": 4, "y_um": 5.0, "x_um": 5.0})
    still = np.zeros((200, 2))
    return make_tracks(spots, cells, times_s=TIMES, drift_um=still, pixel_size_um=0.1)[0]


def test_a_membrane_that_moves_while_the_centroid_rests_is_followed():
    track = _carried(0.2)
    assert np.ptp(track.stage_um[:, 0]) == pytest.approx(0.2 * 398)
    assert np.ptp(track.cell_um, axis=0) == pytest.approx([0, 0], abs=1e-6)
    assert track.slid_um2 == pytest.approx((SLIP * 0.4) ** 2)


def test_the_jitter_of_an_outline_is_not_taken_for_motion():
    track = _carried(0.0, jitter_um=0.1)
    assert np.std(track.cell_um, axis=0).max() < 0.03
    assert np.sqrt(track.slid_um2).max() < 0.02


def test_cell_motion_leaves_out_the_drift_of_the_stage():
    drift = np.column_stack([TIMES / 50, -TIMES / 80])
    cells = pd.DataFrame(
        {"frame": range(200), "cell_id": 4, "y_um": 5 + drift[:, 0], "x_um": 7 + drift[:, 1]}
    )
    path = cell_motion(cells.sample(frac=1, random_state=0), times_s=TIMES, drift_um=drift)[4]
    assert path == pytest.approx(np.broadcast_to([5.0, 7.0], (200, 2)))


@pytest.mark.parametrize(
    ("nearest", "distance", "expected"),
    [
        ([3, 3, 5], [0.0, 0.1, 0.0], 3),
        ([3, 3, 3, 5], [9.0, 9.0, 9.0, 0.2], 5),
        ([2, 2, 7], [9.0, 9.0, 9.0], 2),
        ([0, 0], [np.nan, np.nan], 0),
    ],
)
def test_the_cell_of_a_track_is_the_one_it_was_near_most(nearest, distance, expected):
    assert main_cell(np.array(nearest), np.array(distance)) == expected


def test_the_jitter_of_outlines_is_measured_from_the_tracks(world):
    w = world(3, seen=1.0, jitter_um=0.15, outline_um=0.2)
    for cell in range(9):
        w.dock(0, 150, cell=cell)
    evidence = w.find(EventSettings()).summary["identifiability"]["docking"]
    assert evidence["outline_jitter_um"] == pytest.approx(0.15, rel=0.2)
    assert outline_jitter_um([]) == 0.0


def test_comotion_is_told_by_the_membrane_where_the_centroid_rests():
    carried = _carried(0.02)
    verdict = judge(carried, slice(None), EventSettings())
    assert verdict.comoving is True
    assert verdict.extent_um == pytest.approx(0.02 * 398, rel=0.01)
    centroid_alone = judge(replace(carried, membrane_um=np.zeros((200, 2))), slice(None), EventSettings())
    assert centroid_alone.comoving is None
