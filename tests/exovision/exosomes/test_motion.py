import numpy as np
import pandas as pd

from exovision.exosomes.motion import summarise

DRIFT = np.stack([0.3 * np.arange(60), -0.2 * np.arange(60)], axis=1)


def tracks(d_um2_s, n, seed=0):
    rng = np.random.default_rng(seed)
    steps = rng.normal(0, np.sqrt(2 * d_um2_s), (n, 60, 2)) / 0.1
    seen = np.cumsum(steps, axis=1) + rng.normal(0, 0.2, steps.shape) + DRIFT
    rows = [(i + 1, f, *seen[i, f], 100.0 + i, 0.2, 0.2) for i in range(n) for f in range(60)]
    return pd.DataFrame(rows, columns=["exosome_id", "frame", "y_px", "x_px", "counts", "y_se_px", "x_se_px"])


def test_diffusion_is_that_simulated_and_lies_in_its_interval():
    found = summarise(tracks(0.02, 60), times_s=np.arange(60.0), drift_px=DRIFT, pixel_size_um=0.1)
    estimate = found["diffusion_um2_s"].to_numpy(dtype=float)
    low, high = (found[f"diffusion_um2_s_{end}"].to_numpy(dtype=float) for end in ("lo", "hi"))
    assert abs(estimate.mean() / 0.02 - 1) < 0.15
    assert ((low <= 0.02) & (high >= 0.02)).mean() >= 0.85
    assert ((low <= estimate) & (estimate <= high)).all()


def test_rows_tell_when_and_how_bright():
    spots = tracks(0.01, 2)
    found = summarise(spots, times_s=np.arange(60.0), drift_px=DRIFT, pixel_size_um=0.1)
    assert found["exosome_id"].tolist() == [1, 2]
    assert found["first_frame"].tolist() == [0, 0] and found["last_frame"].tolist() == [59, 59]
    assert found["n_spots"].tolist() == [60, 60] and found["mean_counts"].tolist() == [100, 101]


def test_no_tracks_give_an_empty_table_with_all_columns():
    found = summarise(tracks(0.01, 1).iloc[:0], times_s=np.arange(60.0), drift_px=DRIFT, pixel_size_um=0.1)
    assert found.empty and "diffusion_um2_s_lo" in found
