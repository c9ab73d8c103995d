"""What each cell looks like in one frame: size, shape and brightness."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from skimage.measure import regionprops_table

from exovision import schema
from exovision.calibration import px2_to_um2, px_to_um

TRIMMED_ROLES = ("annexin", "caspase", "pi")
"""Stains of which the light of vesicles and debris on a cell must not count as the cell's."""
KEPT_SHARE = 0.9
PROPERTIES = ("label", "bbox", "centroid", "area", "perimeter", "eccentricity", "solidity")


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
        `skimage.measure.regionprops` defines them; and for stains of death `trimmed_<role>`, the mean of the
        darkest 90 % of a cell's pixels. `state` is unknown.
    """
    props = regionprops_table(labels, properties=PROPERTIES)
    ids = np.asarray(props["label"], dtype=np.int64)
    bottom, right = labels.shape
    table = pd.DataFrame(
        {
            "frame": frame,
            "time_s": time_s,
            "cell_id": ids,
            "y_um": px_to_um(props["centroid-0"], pixel_size_um),
            "x_um": px_to_um(props["centroid-1"], pixel_size_um),
            "area_um2": px2_to_um2(props["area"], pixel_size_um),
            "perimeter_um": px_to_um(props["perimeter"], pixel_size_um),
            "eccentricity": props["eccentricity"],
            "solidity": props["solidity"],
            "touches_border": (props["bbox-0"] == 0)
            | (props["bbox-1"] == 0)
            | (props["bbox-2"] == bottom)
            | (props["bbox-3"] == right),
            "state": "unknown",
            **{
                f"mean_{role.replace(':', '_')}": _means(labels, image, ids) for role, image in images.items()
            },
            **_trimmed(labels, {role: images[role] for role in TRIMMED_ROLES if role in images}, ids.size),
        }
    )
    return schema.conform(table, schema.CELLS)


def _means(
    labels: NDArray[np.int32], image: NDArray[np.float32], ids: NDArray[np.int64]
) -> NDArray[np.float64]:
    sums = np.bincount(labels.ravel(), weights=image.ravel())
    means: NDArray[np.float64] = sums[ids] / np.bincount(labels.ravel())[ids]
    return means


def _trimmed(
    labels: NDArray[np.int32], images: Mapping[str, NDArray[np.float32]], n_cells: int
) -> dict[str, NDArray[np.float64]]:
    """Return the mean of the darkest pixels of each cell, by ascending id, per channel."""
    inside = np.flatnonzero(labels)
    order = inside[np.argsort(labels.ravel()[inside], kind="stable")]
    starts = np.flatnonzero(np.diff(labels.ravel()[order], prepend=0))
    found = {}
    for role, image in images.items():
        pixels = np.split(image.ravel()[order], starts[1:]) if n_cells else []
        found[f"trimmed_{role}"] = np.array([_darkest(one) for one in pixels], dtype=np.float64)
    return found


def _darkest(pixels: NDArray[np.float32]) -> float:
    kept = max(int(KEPT_SHARE * pixels.size), 1)
    return float(np.partition(pixels, kept - 1)[:kept].mean())
