"""ND2 files of Nikon, read with the package `nd2` (extra `[vendor]`)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import isfinite
from pathlib import Path
from typing import Any

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

_KIND = "ND2 movie"
_POSITION = "P"


def nd2_parts(path: Path) -> list[Part]:
    """Return the positions of an ND2.

    Raises
    ------
    InputError
        If the package `nd2` is missing or the file cannot be read.
    """
    nd2 = library("nd2", path, _KIND)
    with opening(path, _KIND), nd2.ND2File(path) as file:
        return numbered(path, int(file.sizes.get(_POSITION, 1)))


def open_nd2(path: Path, *, position: str | None = None) -> Stack:
    """Open one position of an ND2: its axes, calibrated pixel size, channels and the time of every frame.

    Raises
    ------
    InputError
        If the package `nd2` is missing, the file cannot be read, holds colour, or the position is missing or
        unknown.
    """
    nd2 = library("nd2", path, _KIND)
    with opening(path, _KIND), closed_on_error(nd2.ND2File(path)) as file:
        return _open(path, file, position)


def _open(path: Path, file: Any, position: str | None) -> Stack:
    if file.is_legacy:
        raise InputError(f"{path}: an ND2 newer than of 2010 was wanted, got JPEG 2000; export it as TIFF")
    sizes = {str(axis): int(size) for axis, size in file.sizes.items()}
    if "S" in sizes:
        raise InputError(
            f"{path}: grey-value channels were wanted, got colour (RGB); split it into channels and save "
            "these as TIFF"
        )
    positions = numbered(path, sizes.get(_POSITION, 1))
    p = chosen(path, [part.label or "p000" for part in positions], position)
    axes = [(axis, size) for axis, size in sizes.items() if axis not in (_POSITION, "Y", "X")]
    shape, dtype = (sizes["Y"], sizes["X"]), np.dtype(file.dtype)
    check_extent(path, axes, shape, dtype)
    loops = [(axis, size) for axis, size in sizes.items() if axis not in ("C", "Y", "X")]
    frames = _frames(loops, axes, p)
    n_channels = sizes.get("C", 1)

    def read(k: int) -> NDArray[Any]:
        frame = np.asarray(file.read_frame(int(frames[k]))).reshape(n_channels, *shape)
        return np.array(frame[k % n_channels])

    recorded = int(file.attributes.sequenceCount)
    absent = np.flatnonzero(frames >= recorded).tolist()
    metadata = _metadata(file, axes, frames)
    return Stack(
        tuple(axes), True, shape, dtype, metadata, LibraryPlanes(path, _KIND, read, file.close, absent)
    )


def _frames(loops: Sequence[tuple[str, int]], axes: Sequence[tuple[str, int]], p: int) -> NDArray[np.int64]:
    """Return the number in the file of the frame, which holds all channels, of each plane, shape (N,)."""
    whole = np.arange(int(np.prod([size for _, size in loops], dtype=np.int64)))
    whole = whole.reshape([size for _, size in loops])
    names = [axis for axis, _ in loops]
    own = whole.take(p, axis=names.index(_POSITION)) if _POSITION in names else whole
    return np.repeat(own.ravel(), dict(axes).get("C", 1))


def _metadata(file: Any, axes: Sequence[tuple[str, int]], frames: NDArray[np.int64]) -> Metadata:
    channels = file.metadata.channels or ()
    volume = channels[0].volume if channels else None
    size = None
    if volume is not None and all(volume.axesCalibrated[:2]):
        x, y = (positive(value) for value in volume.axesCalibration[:2])
        size = None if x is None or y is None else (y, x)
    return Metadata(
        pixel_size_um=size,
        frame_interval_s=_interval_s(file),
        plane_times_s=_times(file, axes, frames),
        channel_names=tuple(str(channel.channel.name or "") for channel in channels),
    )


def _interval_s(file: Any) -> float | None:
    """Return the period of the only time loop, s."""
    periods = [loop.parameters.periodMs for loop in file.experiment if loop.type == "TimeLoop"]
    period = positive(periods[0]) if len(periods) == 1 else None
    return None if period is None else period / 1000


def _times(
    file: Any, axes: Sequence[tuple[str, int]], frames: NDArray[np.int64]
) -> Mapping[tuple[int, int], float]:
    """Return the earliest time of each frame and channel, s; nothing if the file gives no times."""
    told = {
        int(row["Index"]): float(row["Time [s]"])
        for row in file.events(orient="records")
        if isfinite(row.get("Index", np.nan)) and isfinite(row.get("Time [s]", np.nan))
    }
    sizes = [size for _, size in axes]
    names = [axis for axis, _ in axes]
    times: dict[tuple[int, int], float] = {}
    for k, frame in enumerate(frames):
        if int(frame) in told:
            at = dict(zip(names, np.unravel_index(k, sizes) if sizes else ()))
            place = int(at.get("T", 0)), int(at.get("C", 0))
            times[place] = min(told[int(frame)], times.get(place, np.inf))
    return times
