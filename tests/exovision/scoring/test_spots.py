import numpy as np
import pandas as pd
import pytest

from exovision.scoring.spots import match_spots, score_spots


def figures(truth, result, decoys=None):
    return score_spots(match_spots(truth, result, decoys), decoys)


def grid(n, **columns):
    """Spots 20 px apart, one frame."""
    side = np.arange(n)
    return pd.DataFrame({"frame": 0, "y_px": 20.0 * (side // 50), "x_px": 20.0 * (side % 50), **columns})


def test_spots_shifted_beyond_the_gate_score_zero():
    truth = grid(40)
    assert figures(truth, truth.assign(x_px=truth["x_px"] + 2.9))["spots.f1"].value == 1.0
    far = figures(truth, truth.assign(x_px=truth["x_px"] + 3.1))
    assert far["spots.f1"].value == far["spots.recall"].value == far["spots.precision"].value == 0.0


def test_misses_lower_recall_and_false_alarms_precision():
    truth = grid(40)
    result = pd.concat([truth.iloc[:30], truth.iloc[:10].assign(y_px=500.0)])
    found = figures(truth, result)
    assert (found["spots.recall"].value, found["spots.precision"].value) == (0.75, 0.75)


def test_two_detections_of_one_spot_are_one_hit_and_one_false_alarm():
    found = figures(grid(1), pd.concat([grid(1), grid(1).assign(x_px=0.5)]))
    assert (found["spots.recall"].value, found["spots.precision"].value) == (1.0, 0.5)


@pytest.mark.parametrize("detected", [True, False])
def test_an_ignored_spot_is_neither_hit_nor_miss(detected):
    truth = grid(10, ignore=[True] * 4 + [False] * 6)
    found = figures(truth, truth if detected else truth.iloc[4:])
    for name in ("precision", "recall", "f1"):
        assert (found[f"spots.{name}"].value, found[f"spots.{name}"].n) == (1.0, 6)


def test_all_detections_on_an_ignored_spot_are_forgiven():
    truth = grid(2, ignore=[True, False])
    found = figures(truth, pd.concat([truth, truth.iloc[:1].assign(y_px=2.0)]))
    assert found["spots.precision"].value == 1.0


def test_a_spot_that_counts_is_served_before_an_ignored_one_beside_it():
    truth = pd.DataFrame({"frame": 0, "y_px": 0.0, "x_px": [0.0, 2.0], "ignore": [False, True]})
    found = figures(truth, pd.DataFrame({"frame": [0], "y_px": [0.0], "x_px": [1.9]}))
    assert found["spots.recall"].value == 1.0


def test_recall_and_error_are_given_per_bin_of_true_snr():
    truth = grid(40, snr=np.repeat([2.0, 3.0, 6.0, 9.0], 10), isolated=True, crlb_px=0.1)
    found = figures(truth, pd.concat([truth.iloc[:5], truth.iloc[10:]]))
    names = ("[snr 1.5-3]", "[snr 3-5]", "[snr 5-8]", "[snr >8]")
    assert [found[f"spots.recall{name}"].value for name in names] == [0.5, 1.0, 1.0, 1.0]
    assert [found[f"spots.rmse_px{name}"].n for name in names] == [10, 20, 20, 20]


def test_the_error_is_per_coordinate_and_over_the_bound_for_isolated_spots_alone():
    truth = grid(10, isolated=[True] * 8 + [False] * 2, crlb_px=0.25)
    shift = np.where(truth["isolated"], 0.3, 2.0)
    found = figures(truth, truth.assign(y_px=truth["y_px"] + shift, x_px=truth["x_px"] - shift / 3))
    rmse = np.sqrt((0.3**2 + 0.1**2) / 2)
    assert found["spots.rmse_px"].value == pytest.approx(rmse)
    assert found["spots.rmse_px"].n == 16
    assert found["spots.rmse_over_crlb"].value == pytest.approx(rmse / 0.25)


def test_errors_drawn_at_the_bound_give_a_ratio_and_scaled_errors_of_one():
    rng = np.random.default_rng(4)
    truth = grid(2000, isolated=True, crlb_px=rng.choice([0.1, 0.3], 2000))
    shifted = truth[["y_px", "x_px"]] + rng.normal(0, truth[["crlb_px", "crlb_px"]].to_numpy())
    result = truth.assign(**shifted, y_se_px=truth["crlb_px"], x_se_px=truth["crlb_px"])
    found = figures(truth, result)
    for name in ("spots.rmse_over_crlb", "spots.z_rms"):
        assert found[name].lo < 1 < found[name].hi and found[name].hi - found[name].lo < 0.1


def test_the_calibration_error_is_the_mean_surplus_of_probability():
    truth = grid(10)
    wrong = truth.assign(y_px=truth["y_px"] + 500)
    result = pd.concat([truth, wrong]).assign(probability=[0.9] * 10 + [0.3] * 10)
    assert figures(truth, result)["spots.probability_ece"].value == pytest.approx((0.1 + 0.3) / 2)


def test_false_alarms_on_decoys_are_counted_by_kind_and_stay_false():
    truth, decoys = grid(5), grid(4).assign(y_px=300.0, kind=["dye", "dye", "lysosome", "dye"])
    result = pd.concat([truth, decoys.iloc[:1], decoys.iloc[2:3]])[["frame", "y_px", "x_px"]]
    found = figures(truth, result, decoys)
    assert found["spots.precision"].value == pytest.approx(5 / 7)
    assert found["spots.decoys_hit"].value == 0.5
    assert found["spots.decoys_hit.dye"].value == pytest.approx(1 / 3)
    assert found["spots.decoys_hit.lysosome"].value == 1.0


def test_a_decoy_where_truth_lists_a_spot_leaves_the_decision_to_the_spot():
    truth = grid(2, ignore=[False, True])
    found = figures(truth, truth, grid(2, kind="stuck"))
    assert found["spots.decoys_hit"].value == 0.0 and found["spots.precision"].value == 1.0


def test_without_truth_recall_is_absent_not_zero():
    found = figures(grid(0), grid(3))
    assert "no spots" in found["spots.recall"] and found["spots.precision"].value == 0.0
