import json

import numpy as np
import pytest

from exovision.scoring.scores import Metric, Scores, average, f1_score, median, proportion, rate


def test_a_rate_has_the_exact_poisson_interval_and_its_count():
    metric = rate(10, 4.0)
    assert metric.value == 2.5 and metric.n == 10
    assert (metric.lo * 4, metric.hi * 4) == pytest.approx((4.795389, 18.390356), abs=1e-5)


def test_a_rate_of_nothing_has_an_upper_limit():
    assert rate(0, 2.0).lo == 0.0
    assert rate(0, 2.0).hi * 2 == pytest.approx(-np.log(0.025))


@pytest.mark.parametrize("exposure", [0.0, float("nan")])
def test_a_rate_without_exposure_is_absent_with_a_reason(exposure):
    assert "exposure" in rate(3, exposure)


def test_a_proportion_has_the_wilson_interval():
    metric = proportion(8, 10, of="things")
    assert (metric.value, metric.lo, metric.hi) == pytest.approx((0.8, 0.490162, 0.943318), abs=1e-5)
    assert proportion(0, 0, of="things") == "there are no things"


def test_f1_weighs_misses_and_false_calls_alike():
    assert f1_score(3, 1, 2, of="calls").value == pytest.approx(6 / 9)


def test_mean_and_median_ignore_what_is_not_finite():
    values = [1.0, 2.0, 6.0, np.nan]
    assert average(values, of="x").value == 3.0 and average(values, of="x").n == 3
    assert median(values, of="x").value == 2.0
    assert average([np.nan], of="x") == median([], of="x") == "there are no x"


def test_scores_part_figures_from_reasons_and_go_into_json():
    scores = Scores.of({"a": Metric(0.5, n=2), "b": "no truth"}, notes=("one",))
    plain = json.loads(json.dumps(scores.to_dict(), allow_nan=False))
    assert plain["a"] == {"value": 0.5, "lo": None, "hi": None, "n": 2}
    assert plain["absent"] == {"b": "no truth"} and plain["notes"] == ["one"]
    assert scores.to_table()["metric"].to_list() == ["a"]
