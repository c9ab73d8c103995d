import tracemalloc

import numpy as np
import pandas as pd
import pytest

from exovision.correction.bleaching import estimate_bleaching

TIMES = np.arange(40) * 2.0


def spots(tau_s, tracks=30, noise=0.1, seed=0):
    rng = np.random.default_rng(seed)
    rows = [
        (i + 1, f, 300.0 * (i + 1) * np.exp(-TIMES[f] / tau_s + noise * rng.standard_normal()))
        for i in range(tracks)
        for f in range(40)
    ]
    return pd.DataFrame(rows, columns=["exosome_id", "frame", "counts"]).astype({"exosome_id": "Int64"})


@pytest.mark.parametrize("tau_s", [30.0, 150.0])
def test_the_time_constant_is_recovered_within_its_interval(tau_s):
    found = estimate_bleaching(spots(tau_s), TIMES)
    assert found.used
    assert found.tau_s == pytest.approx(tau_s, rel=0.05)
    assert found.tau_lo_s <= tau_s <= found.tau_hi_s
    assert found.factor == pytest.approx(np.exp(-TIMES / tau_s), rel=0.1)


def test_tracks_of_thousands_of_frames_need_little_memory():
    times = np.arange(6000) * 2.0
    rng = np.random.default_rng(1)
    logs = -times / 4000.0 + 0.3 * rng.standard_normal((6, 6000))
    long = pd.DataFrame(
        {"exosome_id": np.repeat(np.arange(1, 7), 6000), "frame": np.tile(np.arange(6000), 6)}
    ).assign(counts=np.exp(7 + logs.ravel()))
    tracemalloc.start()
    found = estimate_bleaching(long, times)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert found.used and found.tau_s == pytest.approx(4000, rel=0.02)
    assert peak < 50e6


def test_off_means_no_change():
    found = estimate_bleaching(spots(30), TIMES, enabled=False)
    assert not found.used and (found.factor == 1).all() and np.isnan(found.tau_s)


def test_steady_brightness_is_not_corrected():
    found = estimate_bleaching(spots(1e9), TIMES)
    assert not found.used and (found.factor == 1).all()


def test_too_few_tracks_measure_nothing():
    found = estimate_bleaching(spots(30, tracks=4), TIMES)
    assert not found.used and "4 long tracks" in found.note


def test_frames_that_were_not_acquired_do_not_matter():
    times = np.where(np.arange(40) % 3 == 1, np.nan, TIMES)
    seen = spots(60)
    found = estimate_bleaching(seen[np.isfinite(times[seen["frame"]])], times)
    assert found.tau_s == pytest.approx(60, rel=0.05)
    assert np.isfinite(found.factor).all()
