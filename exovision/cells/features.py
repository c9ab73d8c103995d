"""What each cell looks like in one frame: size, shape and brightness."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from exovision import schema
from exovision.calibration import px2_to_um2, px_to_um
from exovision.numerics.regions import find_regions, mean_by_region, measure_shapes

KEPT_SHARE = {"annexin": 0.5, "caspase": 0.8, "pi": 0.8}
"""Of a cell's pixels, the darkest, that count: the light of vesicles and debris on a cell is not the cell's.
Activity of caspase and PI may fill part of a cell, so more must count."""


def measure(
    labels: NDArray[np.int32],
    images: Mapping[str, NDArray[np.float32]],
    *,
    pixel_size_um: float,
    frame: int,
    time_s: float,
) -> pd.DataFrame:
    """Measure every cell of one frame.

    Parameters
    ----------
    labels : ndarray of shape (Y, X)
        A value is the `cell_id`.
    images : mapping of str to ndarray of shape (Y, X)
        Counts of each channel, by role.
    pixel_size_um : float
    frame : int
    time_s : float

    Returns
    -------
    DataFrame
        Columns of `exovision.schema.CELLS` and `mean_<role>` per channel, counts; as
        `skimage.measure.regionprops` defines them; and for stains of death `trimmed_<role>`, the mean of
        `KEPT_SHARE` of a cell's pixels, the darkest. `state` is unknown.
    """
    regions = find_regions(labels)
    shapes = measure_shapes(labels, regions)
    table = pd.DataFrame(
        {
            "frame": frame,
            "time_s": time_s,
            "cell_id": regions.ids,
            "y_um": px_to_um(regions.centre_px[:, 0], pixel_size_um),
            "x_um": px_to_um(regions.centre_px[:, 1], pixel_size_um),
            "area_um2": px2_to_um2(regions.area_px.astype(np.float64), pixel_size_um),
            "perimeter_um": px_to_um(shapes.perimeter_px, pixel_size_um),
            "eccentricity": shapes.eccentricity,
            "solidity": shapes.solidity,
            "touches_border": regions.touches_border(labels.shape),
            "state": "unknown",
            **{
                f"mean_{role.replace(':', '_')}": mean_by_region(labels, image, regions)
                for role, image in images.items()
            },
            **_trimmed(
                labels, {role: images[role] for role in KEPT_SHARE if role in images}, regions.ids.size
            ),
        }
    )
    return schema.conform(table, schema.CELLS)


def _trimmed(
    labels: NDArray[np.int32], images: Mapping[str, NDArray[np.float32]], n_cells: int
) -> dict[str, NDArray[np.float64]]:
    """Return the mean of the darkest pixels of each cell, by ascending id, per channel."""
    if not images:
        return {}
    inside = np.flatnonzero(labels)
    order = inside[np.argsort(labels.ravel()[inside], kind="stable")]
    starts = np.flatnonzero(np.diff(labels.ravel()[order], prepend=0))
    found = {}
    for role, image in images.items():
        pixels = np.split(image.ravel()[order], starts[1:]) if n_cells else []
        found[f"trimmed_{role}"] = np.array(
            [_darkest(one, KEPT_SHARE[role]) for one in pixels], dtype=np.float64
        )
    return found


def _darkest(pixels: NDArray[np.float32], share: float) -> float:
    kept = max(int(share * pixels.size), 1)
    return float(np.partition(pixels, kept - 1)[:kept].mean())
