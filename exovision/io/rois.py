"""Cell outlines and dockings as ImageJ ROIs."""

from __future__ import annotations

import math
import zipfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from roifile import ROI_TYPE, ImagejRoi

from exovision.calibration import um_to_px
from exovision.files import replacing
from exovision.numerics.polygons import label_polygons
from exovision.records import LabelStack

MAX_FRAMES = 500
"""More frames than this and the outlines of the cells are thinned out in time."""
CORNER_PX = 0.5
"""ImageJ counts from the corner of the first pixel, exovision from its centre."""


def write_rois(
    path: Path,
    labels: LabelStack,
    events: pd.DataFrame,
    *,
    pixel_size_um: float,
    max_frames: int = MAX_FRAMES,
) -> int:
    """Write `rois.zip`: a polygon per cell and frame, a point where each docking began.

    Parameters
    ----------
    path : Path
    labels : LabelStack
        Read one frame at a time.
    events : DataFrame
        Columns as in `schema.EVENTS`; rows of kind docking with a place are written.
    pixel_size_um : float
    max_frames : int
        Outlines are written for at most this many frames, evenly spaced and the first included.

    Returns
    -------
    int
        The stride: outlines are written for frames 0, stride, 2·stride …; 1 means every frame. Dockings are
        written whatever the stride.

    Raises
    ------
    OutputError
        If the file cannot be written.

    Notes
    -----
    Coordinates are ImageJ's: x and y from the corner of the first pixel, so 0.5 px more than ours. The T
    position is 1-based. Names are `cell_<id>_f<frame>` and `docking_<event_id>_cell_<id>_f<frame>`, frames
    from 0 as in the tables.
    """
    stride = max(1, math.ceil(len(labels) / max_frames))
    with (
        replacing(path) as temporary,
        zipfile.ZipFile(temporary, "w", compression=zipfile.ZIP_DEFLATED) as archive,
    ):
        for roi in _cells(labels, stride):
            _add(archive, roi)
        for roi in _dockings(events, pixel_size_um):
            _add(archive, roi)
    return stride


def _add(archive: zipfile.ZipFile, roi: ImagejRoi) -> None:
    entry = zipfile.ZipInfo(
        f"{roi.name}.roi"
    )  # without a name's usual time stamp: equal results, equal bytes
    archive.writestr(entry, roi.tobytes(), compress_type=zipfile.ZIP_DEFLATED)


def _cells(labels: LabelStack, stride: int) -> Iterator[ImagejRoi]:
    for t in range(0, len(labels), stride):
        for cell_id, polygon in label_polygons(labels[t]).items():
            yield _roi(polygon, t, f"cell_{cell_id}_f{t}", ROI_TYPE.POLYGON)


def _dockings(events: pd.DataFrame, pixel_size_um: float) -> Iterator[ImagejRoi]:
    begun = events[(events["kind"] == "docking").fillna(False)]
    begun = begun.dropna(subset=["y_um", "x_um", "start_frame"])
    places = um_to_px(begun[["y_um", "x_um"]].to_numpy(dtype=np.float64), pixel_size_um)
    for place, event_id, cell_id, frame in zip(
        places, begun["event_id"], begun["cell_id"], begun["start_frame"]
    ):
        cell = "" if pd.isna(cell_id) else f"_cell_{cell_id}"
        yield _roi(place[None], int(frame), f"docking_{event_id}{cell}_f{frame}", ROI_TYPE.POINT)


def _roi(points_px: NDArray[np.float64], t: int, name: str, kind: ROI_TYPE) -> ImagejRoi:
    """Make a ROI of (y, x) points in our coordinates."""
    roi = ImagejRoi.frompoints((points_px[:, ::-1] + CORNER_PX).astype(np.float32), name=name, t=t)
    roi.roitype = kind
    return roi
