import numpy as np
import pandas as pd
import pytest

from exovision.death.stains import measure_stains, without_pulses
from exovision.settings import DeathSettings

N_CELLS, FRAMES = 10, 50


def crowd(*, dying=(), offset=0.0, seed=0, scale=1.0):
    """Return a table of cells whose annexin rises by 30 counts at frame 20 in those that are dying."""
    rng = np.random.default_rng(seed)
    cell, frame = np.repeat(np.arange(1, N_CELLS + 1), FRAMES), np.tile(np.arange(FRAMES), N_CELLS)
    value = 100 + rng.normal(0, 0.5, cell.size) + offset * cell
    value += 30 * (np.isin(cell, dying) & (frame >= 20))
    return pd.DataFrame({"cell_id": cell, "frame": frame, "mean_annexin": scale * value})


@pytest.mark.parametrize("dying", [[1], [1, 2, 3], list(range(1, 9))])
def test_stained_cells_are_told_from_live_ones_however_many_die(dying):
    table = crowd(dying=dying)
    stain = measure_stains(table, DeathSettings())["annexin"]
    true = np.isin(table["cell_id"], dying) & (table["frame"] >= 20)
    assert ((stain.excess > stain.threshold) == true).all()
    assert (stain.log_odds()[true] > 2).all() and (stain.log_odds()[~true] < -1).all()


def test_cells_that_are_brighter_throughout_are_not_stained():
    stain = measure_stains(crowd(offset=0.4), DeathSettings())["annexin"]
    assert (stain.excess < stain.threshold).all()


def test_the_unit_of_brightness_does_not_matter():
    one, ten = (measure_stains(crowd(dying=[1], scale=s), DeathSettings())["annexin"] for s in (1.0, 10.0))
    np.testing.assert_allclose(one.log_odds(), ten.log_odds(), atol=1e-6)


def test_the_trimmed_brightness_goes_first_and_frames_that_were_not_acquired_tell_nothing():
    table = crowd(dying=[1])
    table["trimmed_annexin"] = 100.0 + np.random.default_rng(1).normal(0, 0.5, len(table))
    table.loc[table["frame"] % 2 == 1, "trimmed_annexin"] = np.nan
    stain = measure_stains(table, DeathSettings())["annexin"]
    assert (stain.log_odds()[table["frame"] % 2 == 1] == 0).all()
    assert np.nanmax(stain.excess) < stain.threshold
    assert measure_stains(table[["cell_id", "frame"]], DeathSettings()) == {}


@pytest.mark.parametrize(
    ("interval_s", "frames", "kept"), [(240.0, 1, False), (240.0, 3, True), (20.0, 4, False)]
)
def test_only_stain_that_lasts_longer_than_a_pulse_is_kept(interval_s, frames, kept):
    table = crowd()
    rows = np.flatnonzero((table["cell_id"] == 1) & table["frame"].between(20, 19 + frames))
    table.loc[rows, "mean_annexin"] += 30.0
    stain = measure_stains(table, DeathSettings())["annexin"]
    tracks = [np.flatnonzero(table["cell_id"] == cell) for cell in range(1, N_CELLS + 1)]
    lasting = without_pulses(stain, tracks, interval_s * table["frame"].to_numpy(dtype=float), 80.0)
    assert bool((lasting.excess[rows] > lasting.threshold).any()) is kept
