import numpy as np
import pytest

from exovision.scoring.spots import match_spots
from exovision.simulation.walks import UNRESOLVED_PX, WalkConditions, walks

FEW = WalkConditions(shape_px=(256, 256), exosomes=200, frames=40)


def test_the_number_in_each_frame_stays_and_none_leaves_the_picture():
    truth = walks(FEW, seed=1).truth
    counts = truth.groupby("frame").size()
    assert len(counts) == 40 and abs(counts.mean() - 200) < 25
    assert (
        truth[["y_px", "x_px"]].to_numpy().min() >= -0.5 and truth[["y_px", "x_px"]].to_numpy().max() <= 255.5
    )


def test_free_exosomes_spread_directed_ones_run_and_confined_ones_stay():
    truth = walks(WalkConditions(exosomes=400, life_frames=1000, frames=30), seed=2).truth
    path = truth.sort_values("frame").groupby(["mode", "exosome_id"])[["y_px", "x_px"]]
    away = np.hypot(*(path.last() - path.first()).to_numpy().T)
    table = path.last().assign(away=away).groupby("mode")["away"].median()
    assert table["confined"] < 1.5 < 4 < table["free"] < table["directed"]


@pytest.mark.parametrize("snr, least, most", [(1.0, 0.0, 0.2), (6.0, 0.93, 1.1)])
def test_faint_exosomes_are_missed_and_bright_ones_seen(snr, least, most):
    seen = walks(WalkConditions(exosomes=50, frames=30, snr=snr, snr_spread=0.0, false=0.0), seed=3)
    assert least <= len(seen.spots) / len(seen.truth) <= most


def test_exosomes_that_meet_are_one_detection():
    seen = walks(WalkConditions(shape_px=(128, 128), exosomes=300, frames=3, snr=6.0, false=0.0), seed=4)
    assert len(seen.spots) < 0.9 * len(seen.truth)
    first = seen.spots[seen.spots["frame"] == 0][["y_px", "x_px"]].to_numpy()
    apart = np.hypot(*(first[:, None] - first).transpose(2, 0, 1)) + 99 * np.eye(len(first))
    assert np.quantile(apart.min(axis=1), 0.02) > 0.5 * UNRESOLVED_PX


def test_errors_are_as_stated_and_seeds_repeat():
    lone = WalkConditions(exosomes=20, frames=200, snr=4.0, snr_spread=0.0, false=0.0, shares=(0.0, 1.0, 0.0))
    one, other = walks(lone, seed=5), walks(lone, seed=5)
    assert one.spots.equals(other.spots)
    match = match_spots(one.truth, one.spots)
    hits = match.pairs
    true, found = match.truth["y_px"].to_numpy(), match.result["y_px"].to_numpy()
    errors = true[hits["truth_row"]] - found[hits["result_row"]]
    stated = match.result["y_se_px"].to_numpy()[hits["result_row"]]
    assert len(hits) > 3000 and np.median(np.abs(errors / stated)) == pytest.approx(0.6745, rel=0.05)
