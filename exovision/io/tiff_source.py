"""TIFF files of every kind, opened without reading pixels, checked at once, and read plane by plane."""

from __future__ import annotations

import logging
import re
import threading
import weakref
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from math import prod
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from tifffile import TiffFile, TiffPageSeries

from exovision.errors import InputError
from exovision.io.metadata import Metadata, imagej_metadata, ome_images, ome_master, resolution_size_um
from exovision.io.stack import Part, Stack, check_extent, chosen, numbered

_MAGIC = (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")
_FATAL = re.compile(
    r"page offset|offset to page|corrupted|circular|is missing|TiffTag (?:270|273|279|324|325|5083[89]) "
)
_AWAY = re.compile(r"[/\\]")
MOST_PLANES = 10_000_000
"""Planes that a file may announce: a list of their places is made before any is read."""
_DAMAGED = "a whole TIFF was wanted, it is truncated or damaged ({}); copy or export it again"


@contextmanager
def guarded(path: Path) -> Iterator[list[str]]:
    """Turn whatever goes wrong with a TIFF into one `InputError`, and collect tifffile's log.

    Raises
    ------
    InputError
        If the file is absent, unreadable, empty, no TIFF, or damaged.
    """
    said: list[str] = []
    thread = threading.get_ident()

    def collect(record: logging.LogRecord) -> bool:
        if record.thread != thread:
            return True
        said.append(record.getMessage())
        return False

    logger = logging.getLogger("tifffile")
    logger.addFilter(collect)
    try:
        yield said
    except InputError:
        raise
    except Exception as error:
        raise InputError(f"{path}: {_reason(path, error)}") from error
    finally:
        logger.removeFilter(collect)


def _reason(path: Path, error: Exception) -> str:
    if isinstance(error, FileNotFoundError):
        return "a movie was wanted, there is no such file; correct the path"
    if isinstance(error, PermissionError):
        return "a readable file was wanted, permission was denied; change its permissions"
    try:
        with path.open("rb") as file:
            head = file.read(4)
    except OSError as problem:
        return f"a readable file was wanted, got {problem.strerror or problem}; check the path and the disk"
    if not head:
        return "a TIFF movie was wanted, the file is empty (0 bytes); copy or export it again"
    if head not in _MAGIC:
        return (
            f"a TIFF movie was wanted, the file is no TIFF (it begins with {head!r}); export it as OME-TIFF"
        )
    return _DAMAGED.format(" ".join(str(error).split())[:100] or type(error).__name__)


class TiffPlanes:
    """The planes of one series of a TIFF, which stays open until `close` or until nobody needs it."""

    def __init__(self, path: Path, tif: TiffFile, series: TiffPageSeries) -> None:
        self._path, self._tif, self._series = path, tif, series
        self._lock = threading.Lock()
        self._closer = weakref.finalize(self, tif.close)
        axes, self._shape = _leading(path, series)
        self._n = prod(size for _, size in axes)
        self._one_block = len(series.pages) == 1 and self._n > 1
        self._offset = series.dataoffset if self._one_block else None
        if len(series.pages) != self._n and self._offset is None:
            raise InputError(
                f"{path}: one page per plane was wanted, got {len(series.pages)} pages for {self._n} planes; "
                "export the movie as OME-TIFF"
            )

    def close(self) -> None:
        """Release the file; a second call does nothing."""
        self._closer()

    def missing(self, k: int) -> bool:
        """Tell whether plane `k` was announced but never recorded."""
        return not self._one_block and self._series.pages[k] is None

    def read(self, k: int) -> NDArray[Any]:
        """Return plane `k`, shape (Y, X).

        Raises
        ------
        InputError
            If the plane is missing or cannot be decoded.
        """
        with self._lock, guarded(self._path):
            if self._offset is not None:
                return self._read_block(k, self._offset)
            page = self._series.pages[k]
            if page is None:
                raise InputError(
                    f"{self._path}: plane {k} was wanted, it was never recorded; skip this frame"
                )
            plane: NDArray[Any] = page.asarray(maxworkers=1).reshape(self._shape)
            return plane

    def _read_block(self, k: int, offset: int) -> NDArray[Any]:
        file = self._tif.filehandle
        dtype = np.dtype(self._series.dtype).newbyteorder(self._tif.byteorder)
        count = prod(self._shape)
        file.seek(offset + k * count * dtype.itemsize)
        block: NDArray[Any] = file.read_array(dtype, count)
        return block.astype(dtype.newbyteorder("="), copy=False).reshape(self._shape)

    def check_complete(self) -> None:
        """Check that the pixels of every plane lie within the file.

        Raises
        ------
        InputError
            If the file ends before its pixels do.
        """
        if self._offset is not None:
            end = self._offset + self._n * prod(self._shape) * np.dtype(self._series.dtype).itemsize
            self._check_end(end, self._tif.filehandle.size, self._n - 1)
            return
        for k, page in enumerate(self._series.pages):
            if page is None:
                continue
            stored = [(o, n) for o, n in zip(page.dataoffsets, page.databytecounts) if n]
            if not stored or not all(o for o, _ in stored):
                raise InputError(f"{self._path}: {_DAMAGED.format(f'plane {k} has no pixels')}")
            self._check_end(max(o + n for o, n in stored), page.parent.filehandle.size, k)

    def _check_end(self, end: int, size: int, k: int) -> None:
        if end > size:
            problem = f"plane {k} ends at byte {end}, the file at {size}"
            raise InputError(f"{self._path}: {_DAMAGED.format(problem)}")


def open_tiff(path: Path, *, position: str | None = None) -> Stack:
    """Open one movie of a TIFF file: OME-TIFF, ImageJ, BigTIFF or plain.

    Parameters
    ----------
    path : Path
        The file.
    position : str, optional
        Which series, such as `p003`; needed when there are several.

    Raises
    ------
    InputError
        If the file cannot be read, is truncated, holds colour or no pixels, or the position is missing or
        unknown.
    """
    with guarded(path) as said:
        tif = _tiff(path)
        try:
            return _open(path, tif, position, said)
        except BaseException:
            tif.close()
            raise


def _tiff(path: Path) -> TiffFile:
    """Open a file, but nothing that may never end or never begin."""
    if path.exists() and not (path.is_file() or path.is_dir()):
        raise InputError(f"{path}: a file was wanted, got a pipe or device; give the path of a movie")
    return TiffFile(path)


def _open(path: Path, tif: TiffFile, position: str | None, said: list[str]) -> Stack:
    _check_claims(path, tif.ome_metadata or "")
    all_series = tif.series
    fatal = [line for line in said if _FATAL.search(line) and "OME series" not in line]
    if fatal or not all_series:
        cut = fatal[0].split(">", 1)[-1].strip() if fatal else "it holds no images"
        raise InputError(f"{path}: {_DAMAGED.format(cut[:100])}")
    index = chosen(path, [f"p{i:03d}" for i in range(len(all_series))], position)
    series = all_series[index]
    axes, shape = _leading(path, series)
    planes = TiffPlanes(path, tif, series)
    planes.check_complete()
    metadata, declared = _describe(tif, series, index, len(all_series))
    return Stack(axes, declared, shape, np.dtype(series.dtype), metadata, planes)


def _check_claims(path: Path, xml: str) -> None:
    """Check that an OME-TIFF announces no more planes than can be listed, and no files of other folders."""
    for pixels in re.findall(r"<(?:\w+:)?Pixels\b[^>]*", xml):
        planes = prod(int(size) for size in re.findall(r"\bSize[TCZ]=\"(\d+)\"", pixels))
        if planes > MOST_PLANES:
            raise InputError(
                f"{path}: at most {MOST_PLANES:,} planes were wanted, the file announces {planes:.3g}; "
                "export it again"
            )
    named = (name for image in ome_images(xml) for name in image.files)
    if away := next(filter(_AWAY.search, named), None):
        raise InputError(
            f"{path}: an OME-TIFF whose other files lie beside it was wanted, got {away!r}; "
            "copy its files into one folder and export it again"
        )


def _leading(path: Path, series: TiffPageSeries) -> tuple[tuple[tuple[str, int], ...], tuple[int, int]]:
    """Return the axes before Y and X, and (Y, X)."""
    axes, shape = series.get_axes(squeeze=False), series.get_shape(squeeze=False)
    if 0 in shape:
        raise InputError(
            f"{path}: an image was wanted, got shape {tuple(shape)} without pixels; export it again"
        )
    samples = dict(zip(axes, shape)).get("S", 1)
    if samples > 1:
        raise InputError(
            f"{path}: grey-value channels were wanted, got colour ({samples} samples a pixel, RGB); "
            "split it into channels and save these as TIFF"
        )
    pairs = [(axis, int(size)) for axis, size in zip(axes, shape) if axis != "S"]
    if [axis for axis, _ in pairs[-2:]] != ["Y", "X"]:
        raise InputError(f"{path}: images of axes YX were wanted, got {axes}; export the movie as OME-TIFF")
    image_shape = pairs[-2][1], pairs[-1][1]
    check_extent(path, pairs[:-2], image_shape, np.dtype(series.dtype))
    return tuple(pairs[:-2]), image_shape


def _describe(tif: TiffFile, series: TiffPageSeries, index: int, n: int) -> tuple[Metadata, bool]:
    """Return what the file says about a series, and whether it names its axes."""
    page = series.keyframe
    resolution = _resolution(page)
    if series.kind == "ome":
        images = ome_images(tif.ome_metadata)
        named = [image for image in images if image.name == (series.name or "")]
        image = images[index] if len(images) == n else (named or images)[0]
        metadata, declared = image.metadata, True
    elif series.kind == "imagej":
        description = tif.imagej_metadata or {}
        metadata, declared = imagej_metadata(description, resolution), bool(description.get("hyperstack"))
    else:
        metadata, declared = Metadata(), series.kind in ("shaped", "lsm", "mmstack", "ndtiff", "fluoview")
    if metadata.pixel_size_um is None and series.kind != "imagej":
        unit = page.tags.valueof("ResolutionUnit", default=1)
        metadata = replace(metadata, pixel_size_um=resolution_size_um(resolution, int(unit)))
    return metadata, declared


def _resolution(page: Any) -> tuple[float, float] | None:
    """Return the resolution tags as pixels per unit in (y, x)."""
    values = []
    for name in ("YResolution", "XResolution"):
        numerator, denominator = page.tags.valueof(name, default=(0, 1))
        if not (numerator and denominator):
            return None
        values.append(numerator / denominator)
    return values[0], values[1]


def tiff_parts(path: Path) -> list[Part]:
    """Return the movies of a TIFF that are this file's own.

    A set of OME-TIFF files that refer to each other lists every position once, in the file that holds its
    first plane.

    Raises
    ------
    InputError
        If the file cannot be read.
    """
    with guarded(path), _tiff(path) as tif:
        xml = tif.ome_metadata
        master = ome_master(xml)
        if master is not None:
            listed = master.lower().endswith(("tif", "tiff")) and _beside(path, master)
            return [] if listed else [Part(path)]
        owned = [_owned(path, image.files) for image in ome_images(xml)]
        n = len(tif.series) if len(owned) > 1 else 1
        if n == 1:
            return [Part(path)] if not owned or any(owned) else []
        return [part for i, part in enumerate(numbered(path, n)) if len(owned) != n or owned[i]]


def _owned(path: Path, files: tuple[str, ...]) -> bool:
    return not files or not _beside(path, files[0])


def _beside(path: Path, name: str) -> bool:
    return not _AWAY.search(name) and name != path.name and (path.parent / name).is_file()
