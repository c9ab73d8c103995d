"""ImageJ ROIs read back: the right pixels, frames and names."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import roifile
from skimage.draw import polygon2mask

from exovision import schema
from exovision.errors import OutputError
from exovision.io.rois import write_rois
from exovision.records import ArrayLabels


def labels(n: int = 4) -> np.ndarray:
    stack = np.zeros((n, 40, 50), dtype=np.int32)
    yy, xx = np.mgrid[:40, :50]
    for t in range(n):
        stack[t, (yy - 15) ** 2 + (xx - 14 - t) ** 2 < 81] = 3
        stack[t, 25:36, 30:44] = 12
    return stack


def events(**changes: object) -> pd.DataFrame:
    row = {"event_id": 5, "kind": "docking", "cell_id": 3, "start_frame": 2, "y_um": 1.5, "x_um": 2.4}
    return schema.conform(pd.DataFrame([{**row, **changes}]), schema.EVENTS)


def written(path: Path, **options: object) -> dict[str, roifile.ImagejRoi]:
    stride = write_rois(path, ArrayLabels(labels()), events(), pixel_size_um=0.1, **options)  # type: ignore[arg-type]
    rois = roifile.roiread(path)
    return {"stride": stride, **{roi.name: roi for roi in rois}}


def test_every_polygon_encloses_the_pixels_of_its_cell(tmp_path: Path) -> None:
    rois = written(tmp_path / "rois.zip")
    stack = labels()
    assert {name for name in rois if name.startswith("cell")} == {
        f"cell_{cell}_f{t}" for cell in (3, 12) for t in range(4)
    }
    for cell in (3, 12):
        for t in range(4):
            roi = rois[f"cell_{cell}_f{t}"]
            assert roi.t_position == t + 1
            inside = polygon2mask((40, 50), roi.coordinates()[:, ::-1] - 0.5)
            overlap = (inside & (stack[t] == cell)).sum() / (inside | (stack[t] == cell)).sum()
            assert overlap > 0.95


def test_a_docking_is_a_point_where_and_when_it_began(tmp_path: Path) -> None:
    roi = written(tmp_path / "rois.zip")["docking_5_cell_3_f2"]
    np.testing.assert_allclose(roi.coordinates(), [[24.5, 15.5]])
    assert (roi.t_position, roi.roitype) == (3, roifile.ROI_TYPE.POINT)


def test_long_movies_are_thinned_but_dockings_kept(tmp_path: Path) -> None:
    rois = written(tmp_path / "rois.zip", max_frames=2)
    assert rois["stride"] == 2
    assert {name for name in rois if name.startswith("cell_3")} == {"cell_3_f0", "cell_3_f2"}
    assert "docking_5_cell_3_f2" in rois


@pytest.mark.parametrize(("changes", "expected"), [({"kind": "surfing"}, 0), ({"y_um": np.nan}, 0)])
def test_other_events_and_those_without_a_place_are_left_out(
    changes: dict[str, object], expected: int, tmp_path: Path
) -> None:
    write_rois(tmp_path / "r.zip", ArrayLabels(labels()), events(**changes), pixel_size_um=0.1)
    rois = roifile.roiread(tmp_path / "r.zip")
    assert sum(roi.name.startswith("docking") for roi in rois) == expected


def test_no_cells_and_no_dockings_are_an_empty_archive_and_equal_content_equal_bytes(tmp_path: Path) -> None:
    empty = schema.empty(schema.EVENTS)
    for name in ("a.zip", "b.zip"):
        write_rois(tmp_path / name, ArrayLabels(labels() * 0), empty, pixel_size_um=0.1)
    written(tmp_path / "c.zip")
    written(tmp_path / "d.zip")
    assert (tmp_path / "a.zip").read_bytes() == (tmp_path / "b.zip").read_bytes()
    assert (tmp_path / "c.zip").read_bytes() == (tmp_path / "d.zip").read_bytes()
    with pytest.raises(OutputError):
        write_rois(tmp_path / "no" / "r.zip", ArrayLabels(labels()), empty, pixel_size_um=0.1)
