import numpy as np
import pandas as pd
import pytest

from exovision import schema
from exovision.death.fates import find_deaths
from exovision.death.remains import join_pieces, rejoin_remains
from exovision.settings import DeathSettings

FRAME_S = 240.0


def nucleus(cell_id, first, areas, lights, *, x_um=50.0):
    """Return the rows of one outline from its first frame on."""
    n = len(areas)
    noise = np.exp(np.random.default_rng(cell_id).normal(0, 0.02, n))
    table = {
        "frame": first + np.arange(n),
        "time_s": FRAME_S * (first + np.arange(n)),
        "cell_id": cell_id,
        "y_um": 50.0,
        "x_um": x_um,
        "area_um2": np.asarray(areas) * noise,
        "perimeter_um": 20.0,
        "eccentricity": 0.5,
        "solidity": 0.95,
        "touches_border": False,
        "mean_nucleus": 100.0 + np.asarray(lights),
    }
    return schema.conform(pd.DataFrame(table), schema.CELLS)


def live(cell_id):
    return nucleus(cell_id, 0, np.full(100, 60.0), np.full(100, 100.0), x_um=100.0 * cell_id)


def family(pieces):
    """Return cells and tracks of a nucleus that gives way to two after 46 frames, beside four live ones."""
    before = nucleus(1, 0, np.full(46, 60.0), np.full(46, 100.0))
    around = [live(number) for number in (4, 5, 6, 7)]
    background = nucleus(8, 0, np.full(100, 60.0), np.full(100, 2.0), x_um=1000.0)
    cells = pd.concat([before, *pieces, *around, background], ignore_index=True)
    tracks = cells.groupby("cell_id", as_index=False).agg(
        first_frame=("frame", "min"), last_frame=("frame", "max")
    )
    daughter = tracks["cell_id"].isin([2, 3])
    tracks = tracks.assign(
        entry=np.where(daughter, "birth", "start"),
        exit=np.where(tracks["cell_id"] == 1, "divided", "movie_end"),
        parent_id=np.where(daughter, 1, np.nan),
    )
    return cells, schema.conform(tracks, schema.FATES)


def fragments():
    """Two condensed pieces that stay as they are."""
    return [nucleus(k, 46, np.full(54, 16.0), np.full(54, 200.0), x_um=48.0 + 4 * (k - 2)) for k in (2, 3)]


def daughters():
    """Two nuclei that grow and dim within half an hour."""
    settled = np.minimum(np.arange(54) / 8, 1.0)
    return [nucleus(k, 46, 12 + 28 * settled, 220 - 110 * settled, x_um=48.0 + 4 * (k - 2)) for k in (2, 3)]


def test_a_nucleus_in_pieces_is_one_dead_cell():
    cells, tracks = family(fragments())
    found = rejoin_remains(cells, tracks, nuclei_only=True, settings=DeathSettings())
    assert sorted(found.renames) == [(46, 2, 1), (46, 3, 1)]
    assert set(found.tracks["cell_id"]) == {1, 4, 5, 6, 7, 8}
    one = found.tracks.set_index("cell_id").loc[1]
    assert (one["exit"], one["last_frame"]) == ("movie_end", 99)
    together = join_pieces(cells.assign(cell_id=cells["cell_id"].replace({2: 1, 3: 1})))
    fates = find_deaths(together, found.tracks, nuclei_only=True, settings=DeathSettings()).fates
    death = fates.set_index("cell_id").loc[1]
    assert death["exit"] == "died" and death["onset_s"] / FRAME_S == pytest.approx(46, abs=3)
    assert (fates["exit"] == "died").sum() == 1


def test_daughters_stay_daughters():
    cells, tracks = family(daughters())
    found = rejoin_remains(cells, tracks, nuclei_only=True, settings=DeathSettings())
    assert found.renames == ()
    pd.testing.assert_frame_equal(found.tracks, tracks)
    fates = find_deaths(cells, found.tracks, nuclei_only=True, settings=DeathSettings()).fates
    assert (fates["exit"] != "died").all()


def test_without_anything_that_tells_death_nothing_is_rejoined():
    cells, tracks = family(fragments())
    found = rejoin_remains(
        cells.drop(columns="mean_nucleus"), tracks, nuclei_only=True, settings=DeathSettings()
    )
    assert found.renames == ()


def test_pieces_of_a_frame_become_one_row():
    cells = pd.concat([nucleus(1, 0, [30.0], [100.0]), nucleus(1, 0, [10.0], [20.0], x_um=54.0)])
    cells.loc[:, "area_um2"] = [30.0, 10.0]
    cells["touches_border"] = pd.array([False, True], dtype="boolean")
    one = join_pieces(cells.reset_index(drop=True)).iloc[0]
    assert (one["area_um2"], one["perimeter_um"], one["pieces"]) == (40.0, 40.0, 2)
    assert (one["x_um"], one["mean_nucleus"]) == (51.0, 180.0)
    assert bool(one["touches_border"])


def test_whole_cells_stay_as_they_are():
    cells = live(1)
    pd.testing.assert_frame_equal(join_pieces(cells).drop(columns="pieces"), cells)
