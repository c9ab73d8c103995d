import numpy as np
import pytest
from skimage.draw import ellipse

from exovision import schema
from exovision.cells.features import measure


def measured(labels, images):
    return measure(labels, images, pixel_size_um=0.5, frame=3, time_s=6.0)


def test_an_ellipse_has_its_own_size_shape_and_brightness():
    labels = np.zeros((200, 240), dtype=np.int32)
    labels[ellipse(90, 110, 30, 60)] = 5
    image = np.where(labels > 0, 700, 100).astype(np.float32)
    row = measured(labels, {"cell": image, "marker:FasL": 2 * image}).iloc[0]
    assert (row["frame"], row["time_s"], row["cell_id"], row["state"]) == (3, 6.0, 5, "unknown")
    assert (row["y_um"], row["x_um"]) == pytest.approx((45, 55))
    assert row["area_um2"] == pytest.approx(np.pi * 15 * 30, rel=0.01)
    assert row["eccentricity"] == pytest.approx(np.sqrt(1 - 0.25), abs=0.01)
    assert row["solidity"] > 0.97
    assert row["mean_cell"] == pytest.approx(700) and row["mean_marker_FasL"] == pytest.approx(1400)


def test_only_cells_at_the_border_touch_it():
    labels = np.zeros((40, 50), dtype=np.int32)
    for cell_id, box in enumerate(
        [np.s_[0:5, 10:15], np.s_[35:40, 20:25], np.s_[10:15, 0:5], np.s_[20:25, 45:50], np.s_[20:25, 20:25]]
    ):
        labels[box] = cell_id + 1
    assert measured(labels, {})["touches_border"].tolist() == [True, True, True, True, False]


def test_a_frame_without_cells_has_no_rows_but_all_columns():
    table = measured(np.zeros((20, 20), dtype=np.int32), {"cell": np.ones((20, 20), dtype=np.float32)})
    assert table.empty and set(schema.CELLS) <= set(table.columns)
