import tracemalloc

import numpy as np
import pandas as pd
import pytest

from exovision.correction.fixed_spots import fixed_drift

SE_PX = 0.05


def seen(paths, first=0, exosome=1, seed=0):
    """Spots of exosomes with these paths (N, T, 2), from frame `first` on."""
    n, frames = paths.shape[:2]
    at = paths + np.random.default_rng(seed).normal(0, SE_PX, paths.shape)
    return pd.DataFrame(
        {
            "exosome_id": np.repeat(np.arange(exosome, exosome + n), frames),
            "frame": np.tile(first + np.arange(frames), n),
            **dict(zip(("y_px", "x_px"), at.reshape(-1, 2).T)),
            "y_se_px": SE_PX,
            "x_se_px": SE_PX,
        }
    )


def stage(frames, seed=1):
    """A path of the stage (T, 2), 0 in the first frame."""
    walk = np.cumsum(np.random.default_rng(seed).normal(0, 0.1, (frames, 2)), axis=0)
    return walk - walk[0]


def stuck(path, n, seed=2):
    """Paths of `n` places that move with the stage."""
    return np.random.default_rng(seed).uniform(0, 300, (n, 1, 2)) + path


def test_spots_fixed_to_the_glass_show_the_path_of_the_stage():
    path = stage(200)
    wanderers = stuck(path, 4, seed=5) + np.cumsum(np.random.default_rng(3).normal(0, 1, (4, 200, 2)), axis=1)
    spots = pd.concat([seen(stuck(path, 6)), seen(wanderers, exosome=7, seed=4)])
    drift, fixed = fixed_drift(spots, 200)
    assert fixed == 6
    assert drift[0] == pytest.approx(0, abs=1e-4)
    error = drift - path
    assert np.sqrt((error**2).mean()) < 0.06


def test_spots_that_are_not_there_all_along_hand_the_path_on_to_each_other():
    path = stage(120)
    early, late = stuck(path, 8)[:, :70], stuck(path, 8, seed=9)[:, 50:]
    always = stuck(path, 4, seed=11)
    spots = pd.concat(
        [seen(early), seen(late, first=50, exosome=9, seed=1), seen(always, exosome=17, seed=2)]
    )
    drift, _ = fixed_drift(spots, 120)
    assert np.abs(drift - path).max() < 0.15


def test_frames_without_spots_lie_on_the_way_between():
    path = np.outer(np.arange(40), [0.1, -0.05])
    spots = seen(stuck(path, 10))
    drift, _ = fixed_drift(spots[~spots["frame"].between(15, 24)], 40)
    assert np.abs(drift - path).max() < 0.1


def test_fewer_than_three_spots_that_move_together_tell_nothing():
    path = stage(100)
    apart = stuck(path, 3) + np.cumsum(np.random.default_rng(3).normal(0, 1, (3, 100, 2)), axis=1)
    drift, fixed = fixed_drift(seen(apart), 100)
    assert drift is None and fixed < 3


def test_thousands_of_frames_need_little_memory():
    path = stage(6000)
    spots = seen(stuck(path, 30))
    tracemalloc.start()
    drift, fixed = fixed_drift(spots, 6000)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert fixed == 30 and np.abs(drift - path).max() < 0.15
    assert peak < 100e6
