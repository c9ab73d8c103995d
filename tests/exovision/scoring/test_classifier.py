import numpy as np
import pytest

from exovision.scoring.classifier import average_precision, calibration_error, roc_auc

TRUTH = np.array([1, 0, 1, 0, 0], dtype=bool)


def test_a_perfect_order_scores_one_and_its_reverse_zero():
    score = np.array([0.9, 0.2, 0.8, 0.1, 0.3])
    assert roc_auc(score, TRUTH) == 1 and average_precision(score, TRUTH) == 1
    assert roc_auc(-score, TRUTH) == 0
    assert average_precision(-score, TRUTH) == pytest.approx((1 / 4 + 2 / 5) / 2)


def test_ties_count_half_whatever_their_order():
    score = np.full(5, 0.5)
    assert roc_auc(score, TRUTH) == roc_auc(score, TRUTH[::-1]) == 0.5
    assert average_precision(score, TRUTH) == average_precision(score, TRUTH[::-1]) == pytest.approx(0.4)


def test_one_false_alarm_above_the_second_hit_costs_what_it_should():
    score = np.array([0.9, 0.8, 0.7, 0.1, 0.3])
    assert roc_auc(score, TRUTH) == pytest.approx(5 / 6)
    assert average_precision(score, TRUTH) == pytest.approx((1 + 2 / 3) / 2)


def test_without_either_class_there_is_no_figure():
    none = np.zeros(5, dtype=bool)
    assert np.isnan(roc_auc(np.arange(5.0), none)) and np.isnan(average_precision(np.arange(5.0), none))
    assert np.isnan(calibration_error(np.zeros(0), np.zeros(0, dtype=bool)))


def test_overconfidence_is_the_calibration_error():
    truth = np.tile([True, False], 50)
    assert calibration_error(np.full(100, 0.5), truth) == pytest.approx(0)
    assert calibration_error(np.full(100, 0.9), truth) == pytest.approx(0.4)
    assert calibration_error(np.where(truth, 1.0, 0.0), truth) == 0
