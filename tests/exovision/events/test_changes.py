import numpy as np

from exovision.events.changes import changes


def test_steps_and_flashes_are_found_and_noise_is_not():
    rng = np.random.default_rng(1)
    steady = 500 + rng.normal(0, 40, 100)
    assert changes(steady) == []
    step, flash = steady.copy(), steady.copy()
    step[60:] *= 0.4
    flash[30] *= 3
    assert len(changes(step)) == 1 and abs(changes(step)[0] - 60) <= 2
    assert changes(flash) == [30]


def test_missing_values_are_bridged_and_short_series_say_nothing():
    values = np.full(40, 100.0) + np.random.default_rng(2).normal(0, 5, 40)
    values[25:] *= 3
    values[10:14] = np.nan
    assert abs(changes(values)[0] - 25) <= 2
    assert changes(values[:8]) == []
