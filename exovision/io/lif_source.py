"""LIF files of Leica, read with the package `liffile` (extra `[vendor]`)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from exovision.errors import InputError
from exovision.io.metadata import S_PER_UNIT, UM_PER_UNIT, Metadata, scaled
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

_KIND = "LIF movie"
_DESCRIPTION = "./Data/Image/ImageDescription"
_DIM_IDS = {"X": "1", "Y": "2", "T": "4"}


def lif_parts(path: Path) -> list[Part]:
    """Return the images of a LIF, each of which is a position or an acquisition of its own.

    Raises
    ------
    InputError
        If the package `liffile` is missing or the file cannot be read.
    """
    liffile = library("liffile", path, _KIND)
    with opening(path, _KIND), liffile.LifFile(path) as file:
        return numbered(path, len(_images(path, file)))


def open_lif(path: Path, *, position: str | None = None) -> Stack:
    """Open one image of a LIF: its axes, pixel size, channels and the time of every frame.

    Raises
    ------
    InputError
        If the package `liffile` is missing, the file cannot be read, is truncated, holds colour, or the
        position is missing or unknown.
    """
    liffile = library("liffile", path, _KIND)
    with opening(path, _KIND), closed_on_error(liffile.LifFile(path)) as file:
        return _open(path, file, position)


def _images(path: Path, file: Any) -> list[Any]:
    images = [image for image in file.images if not image.is_flim]
    if not images:
        raise InputError(f"{path}: an image was wanted, the {_KIND} holds none; export it again")
    return images


def _open(path: Path, file: Any, position: str | None) -> Stack:
    images = _images(path, file)
    labels = [part.label or "p000" for part in numbered(path, len(images))]
    image = images[chosen(path, labels, position)]
    sizes = {str(axis): int(size) for axis, size in image.sizes.items()}
    if "S" in sizes:
        raise InputError(
            f"{path}: grey-value channels were wanted, got colour ({sizes['S']} samples a pixel); split it "
            "into channels and save these as TIFF"
        )
    if tuple(sizes)[-2:] != ("Y", "X"):
        raise InputError(f"{path}: images of axes YX were wanted, got {''.join(sizes)}; export it as TIFF")
    axes = list(sizes.items())[:-2]
    shape, dtype = (sizes["Y"], sizes["X"]), np.dtype(image.dtype)
    check_extent(path, axes, shape, dtype)
    block, end = image.memory_block, path.stat().st_size
    if block.offset + block.size > end or block.size < image.nbytes:
        raise InputError(
            f"{path}: a whole {_KIND} was wanted, it is truncated: pixels end at byte "
            f"{block.offset + max(block.size, image.nbytes)}, the file at {end}; copy or export it again"
        )
    names, lengths = [axis for axis, _ in axes], [size for _, size in axes]

    def read(k: int) -> NDArray[Any]:
        at = np.unravel_index(k, lengths) if lengths else ()
        plane: NDArray[Any] = image.frame(**dict(zip(names, map(int, at))))
        return plane.reshape(shape).astype(dtype.newbyteorder("="), copy=False)

    metadata = _metadata(image, axes)
    planes = LibraryPlanes(path, _KIND, read, file.close)
    return Stack(tuple(axes), True, shape, dtype, metadata, planes, (f"image {image.path!r} of the LIF",))


def _metadata(image: Any, axes: Sequence[tuple[str, int]]) -> Metadata:
    y, x, t = (
        _step(image, axis, units) for axis, units in zip("YXT", (UM_PER_UNIT, UM_PER_UNIT, S_PER_UNIT))
    )
    channels = image.xml_element.findall(f"{_DESCRIPTION}/Channels/ChannelDescription")
    return Metadata(
        pixel_size_um=None if y is None or x is None else (y, x),
        frame_interval_s=t,
        plane_times_s=_times(image, axes),
        channel_names=tuple(_name(channel) for channel in channels),
    )


def _step(image: Any, axis: str, units: Mapping[str, float]) -> float | None:
    """Return the distance from one element of an axis to the next, µm or s."""
    for dimension in image.xml_element.findall(f"{_DESCRIPTION}/Dimensions/DimensionDescription"):
        n = int(dimension.get("NumberOfElements", 1))
        if dimension.get("DimID") == _DIM_IDS[axis] and n > 1:
            return scaled(abs(float(dimension.get("Length", 0))) / (n - 1), dimension.get("Unit"), units)
    return None


def _name(channel: Any) -> str:
    """Return the dye of a channel, else the name of its colour."""
    properties = {one.findtext("Key"): one.findtext("Value") for one in channel.findall("ChannelProperty")}
    return str(properties.get("DyeName") or channel.get("LUTName") or "")


def _times(image: Any, axes: Sequence[tuple[str, int]]) -> dict[tuple[int, int], float]:
    """Return the time of each frame and channel, s, where the file has one a plane or frame."""
    if image.timestamps is None:
        return {}
    stamps = (image.timestamps - image.timestamps.min()).astype(np.float64) / 1000
    sizes = dict(axes)
    for own in (
        axes,
        [(axis, n) for axis, n in axes if axis != "C"],
        [(axis, n) for axis, n in axes if axis == "T"],
    ):
        lengths = [n for _, n in own]
        if stamps.size == int(np.prod(lengths, dtype=np.int64)):
            return _earliest(stamps, [axis for axis, _ in own], lengths, sizes.get("C", 1))
    return {}


def _earliest(
    stamps: NDArray[np.float64], names: Sequence[str], lengths: Sequence[int], n_channels: int
) -> dict[tuple[int, int], float]:
    times: dict[tuple[int, int], float] = {}
    for k, stamp in enumerate(stamps.tolist()):
        at = dict(zip(names, np.unravel_index(k, lengths) if lengths else ()))
        for c in [int(at["C"])] if "C" in at else range(n_channels):
            place = int(at.get("T", 0)), c
            times[place] = min(stamp, times.get(place, np.inf))
    return times
