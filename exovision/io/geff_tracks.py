"""Exosome tracks as GEFF, the graph exchange format of trackers, with the package `geff` (extra `[geff]`)."""

from __future__ import annotations

from math import isfinite
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from exovision.errors import OutputError
from exovision.files import replacing_folder
from exovision.records import Movie
from exovision.schema import SPOTS

_AXES = {"t": "frame", "y": "y_px", "x": "x_px"}


def write_geff(path: Path, spots: pd.DataFrame, movie: Movie) -> None:
    """Write all spots as nodes and the links of exosomes as edges, unlinked spots included.

    Parameters
    ----------
    path : Path
        The folder, by custom ending in `.geff`; an earlier one is replaced.
    spots : DataFrame
        Columns as in `schema.SPOTS`, and the markers.
    movie : Movie
        Gives pixel size and interval, the scales of the axes.

    Raises
    ------
    OutputError
        If the package `geff` is missing or the folder cannot be written to.

    Notes
    -----
    A node's id is its row in `spots`. The axes are `t` in frames and `y`, `x` in pixels, with their scales in
    s and µm; every column of `spots` is a property of the nodes, `exosome_id` names the track.
    """
    try:
        from geff.core_io import write_arrays
        from geff_spec import Axis, GeffMetadata
    except ImportError as error:
        raise OutputError(f"{path}: {MISSING}") from error
    interval_s = movie.interval_s("exosome") if "exosome" in movie.roles else np.nan
    size = {"scale": movie.pixel_size_um, "scaled_unit": "micrometer"}
    clock = {"scale": interval_s, "scaled_unit": "second"} if isfinite(interval_s) else {}
    metadata = GeffMetadata(
        directed=True,
        axes=[
            Axis(name="t", type="time", unit="frame", **clock),
            Axis(name="y", type="space", unit="pixel", **size),
            Axis(name="x", type="space", unit="pixel", **size),
        ],
        node_props_metadata={},
        edge_props_metadata={},
        track_node_props={"tracklet": "exosome_id"},
    )
    with replacing_folder(path) as temporary:
        write_arrays(
            temporary,
            node_ids=np.arange(len(spots), dtype=np.uint64),
            node_props=_properties(spots),
            edge_ids=_links(spots),
            edge_props={},
            metadata=metadata,
            overwrite=True,  # the temporary folder is there, and empty
        )


MISSING = "GEFF needs the package geff, which is not installed; run: pip install 'exovision[geff]'"


def _properties(spots: pd.DataFrame) -> dict[str, Any]:
    """Return the values of every property, and where they are missing."""
    columns = {name: spots[column] for name, column in _AXES.items()}
    columns |= {str(name): spots[name] for name in spots if name in SPOTS or str(name).startswith("marker_")}
    return {name: _property(column) for name, column in columns.items()}


def _property(column: pd.Series[Any]) -> dict[str, Any]:
    missing = column.isna().to_numpy(dtype=bool)
    if pd.api.types.is_integer_dtype(column.dtype):
        values: Any = column.fillna(0).to_numpy(dtype=np.int64)
    elif pd.api.types.is_float_dtype(column.dtype):
        values = column.fillna(0.0).to_numpy(dtype=np.float64)
    else:
        values = column.fillna("").to_numpy(dtype=np.str_)
    return {"values": values, "missing": missing if missing.any() else None}


def _links(spots: pd.DataFrame) -> np.ndarray[Any, np.dtype[np.uint64]]:
    """Return the pairs of rows that follow each other in a track, shape (N, 2)."""
    rows = np.arange(len(spots))
    linked = spots.assign(row=rows)[spots["exosome_id"].notna()].sort_values(["exosome_id", "frame"])
    row, track = linked["row"].to_numpy(dtype=np.uint64), linked["exosome_id"].to_numpy(dtype=np.int64)
    follows = track[1:] == track[:-1]
    return np.column_stack([row[:-1][follows], row[1:][follows]])
