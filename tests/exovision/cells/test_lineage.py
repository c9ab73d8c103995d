import numpy as np
import pandas as pd

from exovision import schema
from exovision.cells.lineage import find_divisions
from exovision.settings import CellSettings

FRAMES, SPLIT = 40, 20


def rows(cell_id, frames, y_um, x_um, area_um2):
    frames = np.asarray(frames)
    return pd.DataFrame(
        {
            "frame": frames,
            "time_s": 240.0 * frames,
            "cell_id": cell_id,
            "y_um": y_um,
            "x_um": x_um,
            "area_um2": area_um2,
        }
    )


def tracked(*parts):
    cells = schema.conform(pd.concat(parts, ignore_index=True), schema.CELLS)
    tracks = cells.groupby("cell_id", as_index=False).agg(
        first_frame=("frame", "min"), last_frame=("frame", "max")
    )
    tracks["entry"] = np.where(tracks["first_frame"] == 0, "start", "entered_field")
    tracks["exit"] = "movie_end"
    return cells, schema.conform(tracks, schema.FATES)


def test_a_cell_that_goes_on_as_one_daughter_ends_and_both_daughters_are_new():
    cells, tracks = tracked(
        rows(1, range(SPLIT), 50, 50, 200.0),
        rows(1, range(SPLIT, FRAMES), 46, 50, 110.0),
        rows(2, range(SPLIT, FRAMES), 54, 50, 100.0),
        rows(3, range(FRAMES), 90, 50, 200.0),
    )
    lineage = find_divisions(cells, tracks, CellSettings())
    told = lineage.tracks.set_index("cell_id")
    assert lineage.renames == ((SPLIT, 1, 4),)
    assert told.loc[1, "exit"] == "divided" and told.loc[1, "last_frame"] == SPLIT - 1
    assert told.loc[[2, 4], "entry"].tolist() == ["birth", "birth"]
    assert told.loc[[2, 4], "parent_id"].tolist() == [1, 1]
    assert told.loc[[2, 4], "first_frame"].tolist() == [SPLIT, SPLIT]
    renamed = lineage.rename(cells)
    assert set(renamed[renamed["frame"] >= SPLIT]["cell_id"]) == {2, 3, 4}
    assert set(renamed[renamed["frame"] < SPLIT]["cell_id"]) == {1, 3}


def test_a_cell_that_ends_where_two_begin_is_their_parent_also_with_given_ids():
    cells, tracks = tracked(
        rows(1, range(SPLIT), 50, 50, 200.0),
        rows(2, range(SPLIT, FRAMES), 54, 50, 100.0),
        rows(3, range(SPLIT + 1, FRAMES), 46, 50, 110.0),
    )
    for keep_ids in (False, True):
        lineage = find_divisions(cells, tracks, CellSettings(), keep_ids=keep_ids)
        told = lineage.tracks.set_index("cell_id")
        assert not lineage.renames and told.loc[1, "exit"] == "divided"
        assert told.loc[[2, 3], "parent_id"].tolist() == [1, 1]


def test_given_ids_are_never_changed():
    cells, tracks = tracked(
        rows(1, range(SPLIT), 50, 50, 200.0),
        rows(1, range(SPLIT, FRAMES), 46, 50, 110.0),
        rows(2, range(SPLIT, FRAMES), 54, 50, 100.0),
    )
    assert not find_divisions(cells, tracks, CellSettings(), keep_ids=True).renames


def test_a_neighbour_that_comes_in_is_no_daughter():
    cells, tracks = tracked(
        rows(1, range(FRAMES), 50, 50, 200.0), rows(2, range(SPLIT, FRAMES), 62, 50, 190.0)
    )
    lineage = find_divisions(cells, tracks, CellSettings())
    assert lineage.tracks["parent_id"].isna().all() and not lineage.renames


def test_an_outline_cut_in_two_for_some_frames_is_no_division():
    cells, tracks = tracked(
        rows(1, range(SPLIT), 50, 50, 200.0),
        rows(1, range(SPLIT, SPLIT + 3), 46, 50, 100.0),
        rows(2, range(SPLIT, SPLIT + 3), 54, 50, 100.0),
        rows(1, range(SPLIT + 3, FRAMES), 50, 50, 200.0),
    )
    assert find_divisions(cells, tracks, CellSettings()).tracks["parent_id"].isna().all()


def test_daughters_divide_again():
    cells, tracks = tracked(
        rows(1, range(15), 50, 50, 400.0),
        rows(1, range(15, 30), 44, 50, 220.0),
        rows(1, range(30, 45), 41, 50, 110.0),
        rows(2, range(15, 45), 56, 50, 210.0),
        rows(3, range(30, 45), 47, 50, 110.0),
    )
    lineage = find_divisions(cells, tracks, CellSettings())
    told = lineage.tracks.set_index("cell_id")
    assert lineage.renames == ((15, 1, 4), (30, 4, 5))
    assert told["parent_id"].dropna().to_dict() == {2: 1, 4: 1, 3: 4, 5: 4}
    renamed = lineage.rename(cells)
    assert renamed.groupby("cell_id")["frame"].min().to_dict() == {1: 0, 2: 15, 3: 30, 4: 15, 5: 30}
