"""Label images as OME-Zarr: a `labels` group as NGFF lays it out, alone or inside an image's folder."""

from __future__ import annotations

import json
from collections.abc import Iterator
from math import isfinite
from pathlib import Path
from typing import Any

import numpy as np

from exovision.errors import InputError, OutputError
from exovision.files import replacing_folder, write_text
from exovision.io.label_files import LabelWriter
from exovision.io.zarr_source import attributes

VERSIONS = ("0.4", "0.5")
_AXES = ("t", "c", "z", "y", "x")
_TYPES = ("time", "channel", "space", "space", "space")
_CHUNK_PX = 1024
_SMALL_PX = 256
"""The pyramid ends with the level whose longer edge is no longer than this."""


def write_zarr_labels(
    folder: Path, labels: LabelWriter, *, name: str = "cells", version: str = "0.4", chunk_px: int = _CHUNK_PX
) -> Path:
    """Write label images into `folder/labels/name`, axes TCZYX with one channel and plane, as a pyramid.

    Parameters
    ----------
    folder : Path
        An OME-Zarr image to which the labels belong, or a folder to be made.
    labels : LabelWriter
        A value is the `cell_id`.
    name : str
        Of the label image; one of that name is replaced.
    version : str
        NGFF "0.4" (Zarr format 2) or "0.5" (Zarr format 3); inside an image it must be the image's own.
    chunk_px : int
        Edge of a chunk, px.

    Returns
    -------
    Path
        The label image.

    Raises
    ------
    InputError
        If there are no frames, the version is unknown, or the image is of another one.
    OutputError
        If the folder cannot be written to.
    """
    if version not in VERSIONS:
        raise InputError(f"the version of NGFF must be one of {', '.join(VERSIONS)}, got {version!r}")
    mark = "zarr.json" if version == "0.5" else ".zgroup"
    other = ".zgroup" if version == "0.5" else "zarr.json"
    if (folder / other).is_file():
        raise InputError(f"{folder}: labels of NGFF {version} were wanted, the image has another version")
    target = folder / "labels" / name
    try:
        for group in (folder, folder / "labels"):
            group.mkdir(parents=True, exist_ok=True)
            if not (group / mark).is_file():
                _write_group(group, version, {})
        with replacing_folder(target) as temporary:
            _write_image(temporary, labels, name=name, version=version, chunk_px=chunk_px)
        listed = attributes(folder / "labels").get("labels", [])
        _write_group(folder / "labels", version, {"labels": [*(n for n in listed if n != name), name]})
    except OSError as error:
        raise OutputError(f"{folder}: labels must be writable, got: {error.strerror or error}") from error
    return target


def _write_group(folder: Path, version: str, described: dict[str, Any]) -> None:
    """Write the description of a Zarr group."""
    if version == "0.5":
        inner = {"version": version, **described} if described else {}
        whole = {"zarr_format": 3, "node_type": "group", "attributes": {"ome": inner} if inner else {}}
        write_text(json.dumps(whole, indent=2), folder / "zarr.json")
        return
    write_text(json.dumps({"zarr_format": 2}), folder / ".zgroup")
    write_text(json.dumps(described, indent=2), folder / ".zattrs")


def _write_image(folder: Path, labels: LabelWriter, *, name: str, version: str, chunk_px: int) -> None:
    steps = list(_steps(labels.shape))
    levels = [_level(folder / str(i), labels, step, version, chunk_px) for i, step in enumerate(steps)]
    for t, frame in enumerate(labels):
        for level, step in zip(levels, steps):
            level[t, 0, 0] = frame[::step, ::step]
    interval_s = labels.frame_interval_s
    units = {"y": "micrometer", "x": "micrometer", **({"t": "second"} if isfinite(interval_s) else {})}
    axes = [
        {"name": axis, "type": kind, **({"unit": units[axis]} if axis in units else {})}
        for axis, kind in zip(_AXES, _TYPES)
    ]
    first = [interval_s if isfinite(interval_s) else 1.0, 1.0, 1.0]
    datasets = [
        {
            "path": str(i),
            "coordinateTransformations": [
                {"type": "scale", "scale": [*first, *(2 * [labels.pixel_size_um * step])]}
            ],
        }
        for i, step in enumerate(steps)
    ]
    own = {"version": version} if version == "0.4" else {}
    described = {
        "multiscales": [{"name": name, "axes": axes, "datasets": datasets, **own}],
        "image-label": {"source": {"image": "../../"}, **own},
    }
    _write_group(folder, version, described)


def _steps(shape: tuple[int, int]) -> Iterator[int]:
    """Yield the strides of the levels: 1, 2, 4 …; taking every other pixel keeps ids and the origin."""
    step = 1
    yield step
    while max(shape) > _SMALL_PX * step:
        step *= 2
        yield step


def _level(folder: Path, labels: LabelWriter, step: int, version: str, chunk_px: int) -> Any:
    import zarr
    from numcodecs import Blosc
    from zarr.codecs import BloscCodec

    size = tuple(-(-edge // step) for edge in labels.shape)
    old = version == "0.4"
    return zarr.create_array(
        folder,
        shape=(len(labels), 1, 1, *size),
        chunks=(1, 1, 1, *(min(edge, chunk_px) for edge in size)),
        dtype=np.dtype(labels.stored_dtype),
        compressors=Blosc(cname="zstd", clevel=5) if old else BloscCodec(cname="zstd", clevel=5),
        fill_value=0,
        zarr_format=2 if old else 3,
        chunk_key_encoding={"name": "v2" if old else "default", "separator": "/"},
        dimension_names=None if old else _AXES,
        config={"write_empty_chunks": True},
    )
