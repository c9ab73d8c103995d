"""The writers: labels and images with their scale and times, points and tracks with their features."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import tifffile

from exovision.errors import InputError, OutputError
from exovision.files import replacing

UM_PER_UNIT = {"micrometer": 1.0, "nanometer": 1e-3, "millimeter": 1e3, "meter": 1e6}
S_PER_UNIT = {"second": 1.0, "millisecond": 1e-3, "minute": 60.0, "hour": 3600.0}


def write_image(path: str, data: Any, attributes: dict[str, Any]) -> list[str]:
    """Write an image or labels layer as OME-TIFF with its pixel size and frame interval.

    Parameters
    ----------
    path : str
        Ends in `.ome.tif`, `.tif` or nothing, which becomes `.ome.tif`.
    data : array of shape (T, Y, X) or (Y, X)
    attributes : dict
        Of the layer: `scale`, `units`, `name`.

    Returns
    -------
    list of str
        The file.

    Raises
    ------
    InputError
        If the layer has another number of axes.
    OutputError
        If the file cannot be written.
    """
    place = Path(path)
    if not place.name.lower().endswith((".tif", ".tiff")):
        place = place.with_name(f"{place.name}.ome.tif")
    shape = tuple(int(n) for n in data.shape)
    if len(shape) not in (2, 3):
        raise InputError(f"a layer of axes TYX or YX can be written as OME-TIFF, got shape {shape}")
    frames = (np.asarray(data[t]) for t in range(shape[0])) if len(shape) == 3 else iter([np.asarray(data)])
    dtype = _compact(np.dtype(data.dtype))
    with replacing(place) as temporary, tifffile.TiffWriter(temporary, ome=True, bigtiff=True) as writer:
        writer.write(
            (frame.astype(dtype) for frame in frames),
            shape=shape,
            dtype=dtype,
            photometric="minisblack",
            compression="zlib",
            metadata={"axes": "TYX"[-len(shape) :], "Name": attributes.get("name"), **_sizes(attributes)},
        )
    return [str(place)]


def _compact(dtype: np.dtype[Any]) -> np.dtype[Any]:
    """Return a type that OME-TIFF knows: 64-bit integers become 32 bit."""
    return np.dtype(np.int32) if dtype.kind == "i" and dtype.itemsize == 8 else dtype


def _sizes(attributes: dict[str, Any]) -> dict[str, Any]:
    """Return the scale in µm and s, as far as the units are physical."""
    scale = list(attributes.get("scale", ()))
    units = [str(unit) for unit in attributes.get("units", ())]
    sizes: dict[str, Any] = {}
    for axis, value, unit in zip("XY", scale[::-1], units[::-1]):
        if unit in UM_PER_UNIT:
            sizes |= {
                f"PhysicalSize{axis}": float(value) * UM_PER_UNIT[unit],
                f"PhysicalSize{axis}Unit": "µm",
            }
    if len(scale) > 2 and units[-3:] and units[-3] in S_PER_UNIT:
        sizes |= {"TimeIncrement": float(scale[-3]) * S_PER_UNIT[units[-3]], "TimeIncrementUnit": "s"}
    return sizes


def write_table(path: str, data: Any, attributes: dict[str, Any]) -> list[str]:
    """Write a points or tracks layer as CSV: its coordinates in px and frames, then its features.

    Parameters
    ----------
    path : str
        Ends in `.csv` or nothing, which becomes `.csv`.
    data : array of shape (N, 3) or (N, 4)
        Frame, y, x; before them the track's id.
    attributes : dict
        Of the layer: `features`.

    Returns
    -------
    list of str
        The file.

    Raises
    ------
    OutputError
        If the file cannot be written.
    """
    place = Path(path).with_suffix(".csv")
    values = np.asarray(data)
    names = ["exosome_id", "frame", "y_px", "x_px"][-values.shape[1] :]
    table = pd.DataFrame(values, columns=names)
    features = pd.DataFrame(attributes.get("features", {})).reset_index(drop=True)
    table = table.join(features.drop(columns=[name for name in names if name in features]))
    try:
        with replacing(place) as temporary:
            table.to_csv(temporary, index=False, lineterminator="\n")
    except ValueError as error:
        raise OutputError(f"{place}: the layer could not be written as a table: {error}") from error
    return [str(place)]
