"""OME-Zarr images of every version and layout, written with the zarr library."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import zarr

NAMES = ("PKH67", "CellMask")
UNITS = {"t": "second", "z": "micrometer", "y": "micrometer", "x": "micrometer"}
TYPES = {"t": "time", "c": "channel"}


def describe(folder: Path, described: dict[str, Any], version: str) -> None:
    """Write the attributes of a group."""
    folder.mkdir(parents=True, exist_ok=True)
    if version == "0.5":
        whole = {
            "zarr_format": 3,
            "node_type": "group",
            "attributes": {"ome": {"version": "0.5", **described}},
        }
        (folder / "zarr.json").write_text(json.dumps(whole))
        return
    (folder / ".zgroup").write_text('{"zarr_format": 2}')
    (folder / ".zattrs").write_text(json.dumps(described))


def write_image(
    folder: Path,
    pixels: np.ndarray,
    *,
    version: str = "0.4",
    axes: str = "tczyx",
    interval_s: float | None = 2.0,
    size_um: float | None = 0.108,
    units: dict[str, str] = UNITS,
    names: tuple[str, ...] = NAMES,
    chunks: tuple[int, ...] | None = None,
    shards: tuple[int, ...] | None = None,
    empty: tuple[tuple[int, ...], ...] = (),
) -> Path:
    """Write pixels of the given axes, and half of them as a second level; planes in `empty` stay away."""
    known = {"y": size_um, "x": size_um, "t": interval_s}
    listed = [
        {"name": a, "type": TYPES.get(a, "space"), **({"unit": units[a]} if a in units else {})} for a in axes
    ]
    datasets = []
    for level in range(2):
        step = 2**level
        data = pixels[..., ::step, ::step]
        array = zarr.create_array(
            folder / str(level),
            shape=data.shape,
            dtype=data.dtype,
            chunks=(*(1,) * (data.ndim - 2), *data.shape[-2:]) if chunks is None else chunks,
            shards=shards if level == 0 else None,
            zarr_format=3 if version == "0.5" else 2,
            chunk_key_encoding={"name": "default" if version == "0.5" else "v2", "separator": "/"},
        )
        for place in np.ndindex(data.shape[:-2]):
            if place not in empty:
                array[place] = data[place]
        scale = [(known.get(a) or 1.0) * (step if a in "yx" else 1) for a in axes]
        datasets.append(
            {"path": str(level), "coordinateTransformations": [{"type": "scale", "scale": scale}]}
        )
    own = {} if version == "0.5" else {"version": version}
    described: dict[str, Any] = {"multiscales": [{"axes": listed, "datasets": datasets, **own}]}
    if names:
        described["omero"] = {"channels": [{"label": name, "color": "FFFFFF"} for name in names]}
    describe(folder, described, version)
    return folder


def write_plate(folder: Path, wells: dict[str, list[np.ndarray]], *, version: str = "0.4") -> Path:
    """Write a plate: well such as `B/03` to the pixels (T, C, Z, Y, X) of its fields."""
    rows, columns = (sorted({well.split("/")[i] for well in wells}) for i in range(2))
    plate = {
        "name": folder.name,
        "rows": [{"name": row} for row in rows],
        "columns": [{"name": column} for column in columns],
        "wells": [
            {"path": well, "rowIndex": rows.index(well[0]), "columnIndex": columns.index(well.split("/")[1])}
            for well in wells
        ],
    }
    describe(folder, {"plate": plate}, version)
    for well, fields in wells.items():
        describe(folder / well, {"well": {"images": [{"path": str(i)} for i in range(len(fields))]}}, version)
        for i, pixels in enumerate(fields):
            write_image(folder / well / str(i), pixels, version=version)
    return folder
