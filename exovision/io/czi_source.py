"""CZI files of Zeiss, read with the package `czifile` (extra `[vendor]`)."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import imagecodecs
import numpy as np
from numpy.typing import NDArray

from exovision.errors import InputError
from exovision.io.metadata import Metadata, positive
from exovision.io.stack import (
    LibraryPlanes,
    Part,
    Stack,
    check_extent,
    chosen,
    closed_on_error,
    library,
    numbered,
    opening,
)

_KIND = "CZI movie"
_SCENE = "S"
_PLANE = ("Y", "X")
_LZW, _ZSTD, _ZSTD_PACKED = 2, 5, 6
_ACQUIRED = re.compile(r"<AcquisitionTime>([^<]+)</AcquisitionTime>")
_UM_PER_M = 1e6


def czi_parts(path: Path) -> list[Part]:
    """Return the scenes of a CZI.

    Raises
    ------
    InputError
        If the package `czifile` is missing or the file cannot be read.
    """
    czifile = library("czifile", path, _KIND)
    with opening(path, _KIND), czifile.CziFile(str(path), multifile=False) as file:
        return numbered(path, len(_scenes(_entries(path, file))))


def open_czi(path: Path, *, position: str | None = None) -> Stack:
    """Open one scene of a CZI: its axes, pixel size, channels and the time of every plane.

    Raises
    ------
    InputError
        If the package `czifile` is missing, the file cannot be read, holds colour or unstitched tiles, or the
        position is missing or unknown.
    """
    czifile = library("czifile", path, _KIND)
    with opening(path, _KIND), closed_on_error(czifile.CziFile(str(path), multifile=False)) as file:
        return _open(path, file, position)


def _entries(path: Path, file: Any) -> list[Any]:
    """Return the directory's entries at full resolution; every one must lie within the file."""
    entries = [entry for entry in file.subblock_directory if entry.stored_shape == entry.shape]
    if not entries:
        raise InputError(f"{path}: an image was wanted, the {_KIND} holds none; export it again")
    end = path.stat().st_size
    for entry in entries:
        stored = 0 if entry.compression else int(np.prod(entry.shape)) * np.dtype(entry.dtype).base.itemsize
        if not 0 <= entry.file_position <= end - stored:
            raise InputError(
                f"{path}: a whole {_KIND} was wanted, it is truncated: pixels end at byte "
                f"{entry.file_position + stored}, the file at {end}; copy or export it again"
            )
    return entries


def _starts(entry: Any) -> dict[str, int]:
    """Return where an entry's plane lies on each axis but Y and X."""
    return {d.dimension: int(d.start) for d in entry.dimension_entries if d.dimension not in _PLANE}


def _scenes(entries: Sequence[Any]) -> list[int]:
    return sorted({_starts(entry).get(_SCENE, 0) for entry in entries})


def _open(path: Path, file: Any, position: str | None) -> Stack:
    every = _entries(path, file)
    scenes = _scenes(every)
    labels = [part.label or "p000" for part in numbered(path, len(scenes))]
    scene = scenes[chosen(path, labels, position)]
    entries = [entry for entry in every if _starts(entry).get(_SCENE, 0) == scene]
    shape, dtype = _same_image(path, entries)
    axes, first = _axes(path, entries)
    check_extent(path, axes, shape, dtype)
    placed = _placed(path, entries, axes, first)

    def read(k: int) -> NDArray[Any]:
        return _decoded(placed[k].data_segment(), shape, dtype)

    n = int(np.prod([size for _, size in axes], dtype=np.int64))
    absent = [k for k in range(n) if k not in placed]
    metadata = _metadata(file, axes, placed)
    planes = LibraryPlanes(path, _KIND, read, file.close, absent)
    return Stack(tuple(axes), True, shape, dtype, metadata, planes)


def _same_image(path: Path, entries: Sequence[Any]) -> tuple[tuple[int, int], np.dtype[Any]]:
    """Return the size and type that all planes share."""
    found = set()
    for entry in entries:
        sizes = {d.dimension: int(d.size) for d in entry.dimension_entries}
        if any(size != 1 for axis, size in sizes.items() if axis not in _PLANE):
            raise InputError(f"{path}: one plane a block was wanted, got {sizes}; export it as TIFF")
        found.add((sizes["Y"], sizes["X"], entry.dtype))
    if len(found) > 1:
        raise InputError(f"{path}: planes of one size were wanted, got {sorted(found)}; export it as TIFF")
    y, x, dtype = found.pop()
    if np.dtype(dtype).shape:
        raise InputError(
            f"{path}: grey-value channels were wanted, got colour ({np.dtype(dtype).itemsize} bytes a "
            "pixel); split it into channels and save these as TIFF"
        )
    return (y, x), np.dtype(dtype)


def _axes(path: Path, entries: Sequence[Any]) -> tuple[list[tuple[str, int]], dict[str, int]]:
    """Return T, C, Z and every other axis that is longer than 1, and where each begins."""
    starts = [_starts(entry) for entry in entries]
    names = [*"TCZ", *sorted({axis for one in starts for axis in one} - set("TCZ") - {_SCENE})]
    first = {axis: min(one.get(axis, 0) for one in starts) for axis in names}
    last = {axis: max(one.get(axis, 0) for one in starts) for axis in names}
    if last.get("M", 0) > first.get("M", 0):
        tiles = last["M"] - first["M"] + 1
        raise InputError(f"{path}: one image a plane was wanted, got {tiles} tiles; stitch and export it")
    sizes = [(axis, last[axis] - first[axis] + 1) for axis in names]
    return [(axis, size) for axis, size in sizes if size > 1], first


def _placed(
    path: Path, entries: Sequence[Any], axes: Sequence[tuple[str, int]], first: Mapping[str, int]
) -> dict[int, Any]:
    """Return the entry of each plane by its number."""
    placed: dict[int, Any] = {}
    for entry in entries:
        starts, k = _starts(entry), 0
        for axis, size in axes:
            k = k * size + starts.get(axis, first[axis]) - first[axis]
        if k in placed:
            raise InputError(f"{path}: one image for each plane was wanted, plane {k} has two; export again")
        placed[k] = entry
    return placed


def _decoded(block: Any, shape: tuple[int, int], dtype: np.dtype[Any]) -> NDArray[Any]:
    """Return the pixels of a block; czifile knows no Zstandard, which newer ZEN writes, and fails at LZW."""
    compression = block.directory_entry.compression
    if compression not in (_LZW, _ZSTD, _ZSTD_PACKED):
        pixels: NDArray[Any] = block.data()
        return pixels.reshape(shape)
    raw = block.data(raw=True)
    header = raw[0] if compression == _ZSTD_PACKED else 0
    size = shape[0] * shape[1] * dtype.itemsize
    decode = imagecodecs.lzw_decode if compression == _LZW else imagecodecs.zstd_decode
    content = np.frombuffer(decode(raw[header:], out=size), dtype=np.uint8)
    if header >= 3 and raw[2] & 1:
        content = np.ascontiguousarray(content.reshape(dtype.itemsize, -1).T).ravel()
    return content.view(dtype).reshape(shape).copy()


def _metadata(file: Any, axes: Sequence[tuple[str, int]], placed: Mapping[int, Any]) -> Metadata:
    root = ElementTree.fromstring(file.metadata() or "<ImageDocument/>")
    scale = {
        distance.get("Id"): positive(distance.findtext("Value"))
        for distance in root.findall("./Metadata/Scaling/Items/Distance")
    }
    y, x = (scale.get(axis) for axis in _PLANE)
    dimensions = root.find("./Metadata/Information/Image/Dimensions")
    channels = [] if dimensions is None else dimensions.findall("./Channels/Channel")
    step = None if dimensions is None else dimensions.findtext("./T/Positions/Interval/Increment")
    return Metadata(
        pixel_size_um=None if y is None or x is None else (y * _UM_PER_M, x * _UM_PER_M),
        frame_interval_s=positive(step),
        plane_times_s=_plane_times(axes, placed) or _stamped(file, axes),
        channel_names=tuple(channel.get("Name") or channel.get("Fluor") or "" for channel in channels),
    )


def _plane_times(axes: Sequence[tuple[str, int]], placed: Mapping[int, Any]) -> dict[tuple[int, int], float]:
    """Return when the first plane of each frame and channel was acquired, s after the first of all."""
    sizes, names = [size for _, size in axes], [axis for axis, _ in axes]
    found: dict[tuple[int, int], datetime] = {}
    for k, entry in placed.items():
        match = _ACQUIRED.search(entry.data_segment().metadata(raw=True))
        if match is None:
            return {}
        at = dict(zip(names, np.unravel_index(k, sizes) if sizes else ()))
        place = int(at.get("T", 0)), int(at.get("C", 0))
        moment = datetime.fromisoformat(re.sub(r"(\.\d{6})\d+", r"\1", match[1]))
        found[place] = min(moment, found.get(place, moment))
    start = min(found.values())
    return {place: (moment - start).total_seconds() for place, moment in found.items()}


def _stamped(file: Any, axes: Sequence[tuple[str, int]]) -> dict[tuple[int, int], float]:
    """Return the file's list of time stamps, one a frame, s after the first, for every channel."""
    sizes = dict(axes)
    for attachment in file.attachments():
        stamps: Any = attachment.data() if attachment.attachment_entry.content_file_type == "CZTIMS" else ()
        if len(stamps) == sizes.get("T", 1):
            return {
                (t, c): float(stamp - stamps[0])
                for t, stamp in enumerate(stamps)
                for c in range(sizes.get("C", 1))
            }
    return {}
