import numpy as np
import pytest

from exovision.death.onset import combine, find_change, first_lasting

TIMES = 240.0 * np.arange(45)


def rising(start_s, *, rise_s=900.0, height=20.0, seed=0):
    noise = np.random.default_rng(seed).normal(0, 1, len(TIMES))
    return height * (1 - np.exp(-np.maximum(TIMES - start_s, 0) / rise_s)) + noise


def middle(change):
    starts, weight = change
    return starts[np.searchsorted(np.cumsum(weight), 0.5)]


def test_the_change_point_is_found_without_bias_and_its_interval_covers():
    late, covered = [], 0
    for seed in range(60):
        start = 4800.0 + 40 * seed
        times, weight = find_change(rising(start, seed=seed), TIMES)
        late.append(middle((times, weight)) - start)
        mass = np.cumsum(weight)
        lo, hi = (times[min(np.searchsorted(mass, q), len(mass) - 1)] for q in (0.025, 0.975))
        covered += lo - 240 <= start <= hi + 240
    assert abs(np.mean(late)) < 60 and np.abs(late).max() < 480
    assert covered >= 55


def test_noise_has_no_change_point():
    found = [find_change(np.random.default_rng(s).normal(0, 1, 45), TIMES) for s in range(100)]
    assert sum(change is not None for change in found) <= 5


def test_too_few_values_have_none():
    signal = np.full(45, np.nan)
    signal[:4] = [0, 0, 9, 9]
    assert find_change(signal, TIMES) is None


def test_signals_with_their_delays_agree_on_the_onset():
    onset = 5000.0
    changes = {
        "annexin": find_change(rising(onset + 600, seed=1), TIMES),
        "caspase": find_change(rising(onset + 150, seed=2), TIMES),
    }
    found = combine(changes, TIMES, call_s=5760.0)
    assert found.lo_s <= onset <= found.hi_s and abs(found.time_s - onset) < 300
    assert {found.lo_s, found.hi_s} <= set(TIMES)


def test_a_stray_change_long_before_does_not_move_the_onset():
    changes = {
        "area": find_change(rising(1500.0, seed=1), TIMES),
        "annexin": find_change(rising(6000.0, seed=2), TIMES),
        "caspase": find_change(rising(5700.0, seed=3), TIMES),
    }
    assert combine(changes, TIMES, call_s=6480.0).time_s == pytest.approx(5600, abs=400)


def test_without_signs_the_onset_lies_before_the_call():
    found = combine({}, TIMES, call_s=6000.0)
    assert found.lo_s < found.time_s < 6000.0 <= found.hi_s


def test_a_stain_that_stays_is_dated_between_two_frames_and_a_blink_is_not():
    stained = TIMES >= 4800
    assert first_lasting(stained, TIMES) == (4680.0, 4560.0, 4800.0)
    blink = np.isin(TIMES, [2400.0, 2640.0])
    assert np.isnan(first_lasting(blink, TIMES).time_s)
    assert first_lasting(stained | blink, TIMES).hi_s == 4800.0
    assert np.isnan(first_lasting(np.zeros(0, dtype=bool), np.zeros(0)).time_s)
