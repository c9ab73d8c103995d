"""Movies in: whatever a microscope wrote becomes one record whose planes are read when they are asked for."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from exovision.calibration import median_interval_s, regular_times
from exovision.errors import InputError, MissingFactError, SettingsError
from exovision.io.axes import Order, resolve
from exovision.io.folder_source import open_folder
from exovision.io.formats import is_zarr, open_stack, stem
from exovision.io.metadata import Metadata, positive
from exovision.io.roles import assign, parse_channels
from exovision.io.stack import PlaneReader, Stack
from exovision.records import Movie, Projection, check_pixel_size

_UNFIT = re.compile(r"[\x00-\x1f\x7f\ud800-\udfff]")
"""Control characters, and what Python makes of bytes that are not UTF-8: tables cannot hold them."""
_SQUARE = 0.01
_SAME = 1e-3


@dataclass(frozen=True)
class OrderedSource:
    """The planes of a movie by frame, channel and depth.

    Attributes
    ----------
    planes : PlaneReader
        The planes in the order of storage.
    order : Order
        Which of them is which.
    """

    planes: PlaneReader
    order: Order

    def plane(self, t: int, c: int, z: int) -> NDArray[Any]:
        """Return one plane of shape (Y, X) in the file's own type.

        Raises
        ------
        InputError
            If it was not acquired or cannot be decoded.
        """
        return self.planes.read(self.order.index(t, c, z))

    def close(self) -> None:
        """Release the files."""
        self.planes.close()


@dataclass(frozen=True)
class _Wanted:
    """What the user or the sample sheet says, which wins over the file."""

    channels: Mapping[str, int] | None
    pixel_size_um: float | None
    frame_interval_s: float | None


def read(
    path: str | Path,
    *,
    channels: Mapping[str, int] | None = None,
    pixel_size_um: float | None = None,
    frame_interval_s: float | None = None,
    projection: Projection = "max",
    axes: str | None = None,
    pattern: str | None = None,
    position: str | None = None,
    name: str | None = None,
    facts: Mapping[str, Any] | None = None,
) -> Movie:
    """Open a movie: a TIFF of any kind, an OME-Zarr image, an ND2, CZI or LIF, or a folder of images.

    Parameters
    ----------
    path : str or Path
        A file, an OME-Zarr folder, or a folder of single images together with `pattern`.
    channels : mapping of str to int, optional
        Role to channel; guessed from the names in the file if not given.
    pixel_size_um : float, optional
        Edge of a pixel, µm; wins over the file.
    frame_interval_s : float, optional
        Seconds between frames; wins over the file.
    projection : str or int
        How Z becomes one plane: "max", "mean" or a plane's index.
    axes : str, optional
        What the pages mean, such as `TYX`, `TCYX` or, with lengths, `TC2YX`; wins over the file.
    pattern : str, optional
        Regular expression with the named groups t, c, z, p, well, for folders.
    position : str, optional
        Which of several movies of one file or folder, such as `p003` or `B02_p003`.
    name : str, optional
        The movie's name; the file's stem and position if not given.
    facts : mapping, optional
        The movie's row of the sample sheet; its `channels`, `pixel_size_um` and `frame_interval_s` win over
        the file, and the arguments over them.

    Returns
    -------
    Movie
        With notes on everything that was guessed or overridden.

    Raises
    ------
    InputError
        If the file is unreadable, damaged, ambiguous, or says too little about pixel size or time.
    SettingsError
        If a role, channel, projection, pattern or axes are wrong.
    """
    place = Path(path)
    if _UNFIT.search(str(place)):
        raise InputError(f"{str(place)!a}: a path in UTF-8 on one line was wanted; rename the file or folder")
    wanted = _merge(facts or {}, _Wanted(channels, pixel_size_um, frame_interval_s))
    folder = place.is_dir() and not is_zarr(place)
    stack = (
        open_folder(place, pattern=pattern, position=position)
        if folder
        else open_stack(place, position=position)
    )
    label = name or "_".join(filter(None, (stem(place.resolve()), position)))
    try:
        meant = "".join(axis for axis, _ in stack.axes) + "YX" if folder else axes
        movie = _assemble(place, label, stack, wanted, projection, meant, facts or {})
        said = {"axes": axes, "pattern": pattern, "position": position, "projection": projection}
        return replace(movie, reading={"path": str(place.resolve()), **asdict(wanted), **said, "name": label})
    except BaseException:
        stack.planes.close()
        raise


def _merge(facts: Mapping[str, Any], given: _Wanted) -> _Wanted:
    channels, size, interval = given.channels, given.pixel_size_um, given.frame_interval_s
    told = facts.get("channels")
    if channels is None and told is not None:
        channels = parse_channels(told) if isinstance(told, str) else told
    if size is None:
        size = facts.get("pixel_size_um")
    if interval is None:
        interval = facts.get("frame_interval_s")
    return _Wanted(channels, size, interval)


def _assemble(
    path: Path,
    name: str,
    stack: Stack,
    wanted: _Wanted,
    projection: Projection,
    axes: str | None,
    facts: Mapping[str, Any],
) -> Movie:
    order = resolve(
        str(path),
        stack.axes,
        declared=stack.declared,
        wanted=axes,
        interval_given=wanted.frame_interval_s is not None,
    )
    acquired = _acquired(path, stack.planes, order)
    n_frames, n_channels = acquired.shape
    kept = _kept(stack, order)
    named = stack.metadata.channel_names if "C" in kept else ()
    names = (*named, *("",) * n_channels)[:n_channels]
    size, size_notes = _pixel_size(path, stack.metadata, wanted.pixel_size_um)
    times, time_notes = _times(path, stack.metadata, acquired, wanted.frame_interval_s, kept >= set("TC"))
    roles, role_notes = assign(str(path), names, wanted.channels)
    depth = order.size("Z")
    trimmed = order.size("T") - n_frames
    cut = f"the file announces {order.size('T')} frames and holds {n_frames}" if trimmed else ""
    about = filter(None, (order.note, cut, _pixel_note(stack.dtype)))
    return Movie(
        name=name,
        shape=(n_frames, n_channels, depth, *stack.image_shape),
        pixel_size_um=size,
        times_s=times,
        channel_names=tuple(text or f"channel {i}" for i, text in enumerate(names)),
        roles=roles,
        source=OrderedSource(stack.planes, order),
        projection=_check_projection(path, projection, depth),
        path=str(path),
        notes=(*stack.notes, *about, *size_notes, *time_notes, *role_notes),
        facts=dict(facts),
    )


def _kept(stack: Stack, order: Order) -> set[str]:
    """Return the axes that mean what the file says they mean."""
    said = [axis for axis, size in stack.axes if size > 1]
    meant = [axis for axis, size in zip(order.axes, order.sizes) if size > 1]
    places = {
        axis: (axis in said and said.index(axis), axis in meant and meant.index(axis)) for axis in "TCZ"
    }
    return {axis for axis, (before, after) in places.items() if before is after or before == after}


def _acquired(path: Path, planes: PlaneReader, order: Order) -> NDArray[np.bool_]:
    """Return which frame and channel has all its planes, shape (T, C), without empty frames at the end."""
    t, c, z = (order.size(axis) for axis in "TCZ")
    acquired = np.array(
        [
            [not any(planes.missing(order.index(i, j, k)) for k in range(z)) for j in range(c)]
            for i in range(t)
        ]
    )
    filled = np.flatnonzero(acquired.any(axis=1))
    if not filled.size:
        raise InputError(f"{path}: images were wanted, every one is missing; copy or export the movie again")
    return acquired[: filled[-1] + 1]


def _pixel_note(dtype: np.dtype[Any]) -> str:
    if dtype.kind == "f":
        return "pixels are real numbers: they are taken as camera counts, which they may no longer be"
    if dtype.itemsize == 1:
        return "pixels have 8 bits: rounding hides faint exosomes, and brightness may have been rescaled"
    return ""


def _check_projection(path: Path, projection: Projection, depth: int) -> Projection:
    if projection in ("max", "mean") or (isinstance(projection, int) and 0 <= projection < depth):
        return projection
    raise SettingsError(
        f"{path}: the projection must be max, mean or a plane from 0 to {depth - 1}, got {projection!r}"
    )


def _pixel_size(path: Path, metadata: Metadata, given: float | None) -> tuple[float, tuple[str, ...]]:
    found = metadata.pixel_size_um
    if given is not None:
        size = check_pixel_size(given)
        differs = found is not None and max(abs(found[0] - size), abs(found[1] - size)) > _SAME * size
        in_file = "" if found is None else " x ".join(f"{value:.6g}" for value in dict.fromkeys(found))
        note = f"pixel size {size:.6g} µm given, {in_file} µm in the file: {size:.6g} used"
        return size, (note,) if differs else ()
    if found is None:
        raise MissingFactError(
            "pixel_size_um",
            f"{path}: a pixel size was wanted, the file gives none; pass it with --pixel-size-um",
        )
    if abs(found[0] - found[1]) > _SQUARE * max(found):
        raise InputError(
            f"{path}: square pixels were wanted, got {found[0]:.6g} x {found[1]:.6g} µm (y, x); "
            "resample the movie, or pass --pixel-size-um if the file is wrong"
        )
    return found[1], ()


def _times(
    path: Path, metadata: Metadata, acquired: NDArray[np.bool_], given: float | None, trusted: bool
) -> tuple[NDArray[np.float64], tuple[str, ...]]:
    """Return the times of shape (T, C), s, NaN where not acquired, and notes."""
    n_frames, n_channels = acquired.shape
    stamps, problem = _stamps(metadata, acquired) if trusted else (None, "")
    interval = metadata.frame_interval_s
    notes: tuple[str, ...] = ()
    if given is not None:
        if positive(given) is None:
            raise InputError(
                f"{path}: a frame interval above 0 s was wanted, got {given}; correct --frame-interval-s"
            )
        notes = _interval_notes(given, interval, stamps)
        interval = given
    elif stamps is not None:
        return stamps, ()
    elif interval is None and n_frames > 1:
        raise MissingFactError(
            "frame_interval_s",
            f"{path}: a frame interval was wanted, the file gives none for its {n_frames} frames{problem}; "
            "pass it with --frame-interval-s",
        )
    elif problem:
        notes = (f"the times of single planes are not used{problem}",)
    return np.where(acquired, regular_times(n_frames, n_channels, interval or 0.0), np.nan), notes


def _interval_notes(
    given: float, interval: float | None, stamps: NDArray[np.float64] | None
) -> tuple[str, ...]:
    notes = []
    if stamps is not None:
        measured = median_interval_s(stamps[:, 0])
        interval = measured if np.isfinite(measured) else interval
        notes.append("the times of single planes in the file are not used")
    if interval is not None and abs(interval - given) > _SAME * given:
        notes.append(f"frame interval {given:.6g} s given, {interval:.6g} s in the file: {given:.6g} used")
    return tuple(notes)


def _stamps(metadata: Metadata, acquired: NDArray[np.bool_]) -> tuple[NDArray[np.float64] | None, str]:
    """Return the file's own plane times, shape (T, C), s, or why they cannot be used."""
    if not metadata.plane_times_s:
        return None, ""
    n_frames, n_channels = acquired.shape
    times = np.full((n_frames, n_channels), np.nan)
    for (t, c), value in metadata.plane_times_s.items():
        if t < n_frames and c < n_channels and acquired[t, c]:
            times[t, c] = value
    if np.isnan(times[acquired]).any():
        return None, " (some planes have none)"
    rising = all((np.diff(column[np.isfinite(column)]) > 0).all() for column in times.T)
    return (times, "") if rising else (None, " (they do not rise)")
