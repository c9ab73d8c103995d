"""OME-Zarr (NGFF up to 0.5): images, series and plates, described at once and read plane by plane."""

from __future__ import annotations

import json
import threading
from collections import OrderedDict
from collections.abc import Mapping, Sequence
from dataclasses import replace
from itertools import product
from math import prod
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np
from numpy.typing import NDArray

from exovision.errors import InputError
from exovision.io.metadata import S_PER_UNIT, UM_PER_UNIT, Metadata, ome_images, positive, scaled
from exovision.io.stack import Part, Stack, check_extent, chosen, numbered, opening, readable

_KIND = "OME-Zarr image"
_CACHE_BYTES = 128 << 20
_BEFORE_AXES = ("t", "c", "z", "y", "x")
_BY_TYPE = {"time": "T", "channel": "C"}


class ZarrPlanes:
    """The planes of one Zarr array; chunks that hold several planes are kept for the next ones."""

    def __init__(self, path: Path, array: Any, folder: Path) -> None:
        self._path, self._array, self._folder = path, array, folder
        self._lead = array.shape[:-2]
        self._lock = threading.Lock()
        self._blocks: OrderedDict[tuple[int, ...], NDArray[Any]] = OrderedDict()

    def close(self) -> None:
        """Forget the chunks that were kept; no file stays open."""
        self._blocks.clear()

    def _place(self, k: int) -> tuple[int, ...]:
        return tuple(int(i) for i in np.unravel_index(k, self._lead)) if self._lead else ()

    def missing(self, k: int) -> bool:
        """Tell whether no chunk of plane `k` was ever written."""
        stored = self._array.shards or self._array.chunks
        lead = tuple(i // size for i, size in zip(self._place(k), stored))
        counts = [-(-n // size) for n, size in zip(self._array.shape[-2:], stored[-2:])]
        encode = self._array.metadata.encode_chunk_key
        return not any((self._folder / encode((*lead, *yx))).exists() for yx in product(*map(range, counts)))

    def read(self, k: int) -> NDArray[Any]:
        """Return plane `k`, shape (Y, X).

        Raises
        ------
        InputError
            If a chunk cannot be decoded.
        """
        place, sizes = self._place(k), self._array.chunks[: len(self._lead)]
        with self._lock, readable(self._path, _KIND):
            block = self._block(tuple(i // n for i, n in zip(place, sizes)), sizes)
            plane: NDArray[Any] = block[tuple(i % n for i, n in zip(place, sizes))]
            return plane.astype(plane.dtype.newbyteorder("="), copy=prod(sizes) > 1)

    def _block(self, key: tuple[int, ...], sizes: Sequence[int]) -> NDArray[Any]:
        """Return the planes whose chunks are decoded together, from the kept ones if they are there."""
        if key in self._blocks:
            self._blocks.move_to_end(key)
            return self._blocks[key]
        block: NDArray[Any] = self._array[tuple(slice(i * n, (i + 1) * n) for i, n in zip(key, sizes))]
        if prod(sizes) > 1:
            self._blocks[key] = block
            while len(self._blocks) > 1 and sum(kept.nbytes for kept in self._blocks.values()) > _CACHE_BYTES:
                self._blocks.popitem(last=False)
        return block


def open_zarr(path: Path, *, position: str | None = None) -> Stack:
    """Open one image of an OME-Zarr: its full resolution, or one position of a series or plate.

    Parameters
    ----------
    path : Path
        The folder of an image, of a series, or of a plate.
    position : str, optional
        Which one, such as `p003` or `B2_p003`; needed when there are several.

    Raises
    ------
    InputError
        If it is no OME-Zarr image, its description is damaged, or the position is missing or unknown.
    """
    with opening(path, _KIND):
        parts = _parts(path)
        part = parts[chosen(path, [one.label or "p000" for one in parts], position)]
        return _open(part.path)


def zarr_parts(path: Path) -> list[Part]:
    """Return the images of an OME-Zarr: itself, the images of a series, or every field of every well.

    Raises
    ------
    InputError
        If the description is damaged.
    """
    with opening(path, _KIND):
        return _parts(path)


def zarr_label_folder(path: Path) -> Path:
    """Return the folder of the label image that a Zarr folder is, or the only one in its `labels` group.

    Raises
    ------
    InputError
        If it has several, or none.
    """
    with opening(path, "OME-Zarr label image"):
        if "multiscales" in attributes(path) and "image-label" in attributes(path):
            return path
        names = [str(name) for name in attributes(path / "labels").get("labels", [])]
        if len(names) == 1:
            return _inside(path / "labels", names[0])
        said = f"its group `labels` holds {', '.join(names)}" if names else "it has none"
        raise InputError(
            f"{path}: one OME-Zarr label image was wanted, {said}; "
            f"give its folder, such as {path.name}/labels/cells"
        )


def attributes(folder: Path) -> dict[str, Any]:
    """Return the NGFF attributes of a Zarr group of format 2 or 3; empty where there is none."""
    for name in ("zarr.json", ".zattrs"):
        if (folder / name).is_file():
            content = json.loads((folder / name).read_text(encoding="utf-8"))
            content = content.get("attributes", {}) if name == "zarr.json" else content
            found: dict[str, Any] = content.get("ome", content)
            return found
    return {}


def _inside(folder: Path, name: str) -> Path:
    """Return a folder below another, which a name in a file must not leave."""
    parts = PurePosixPath(name).parts
    if not parts or ".." in parts or name.startswith("/"):
        raise InputError(f"{folder}: a path inside the OME-Zarr was wanted, got {name!r}; export it again")
    return folder.joinpath(*parts)


def _parts(path: Path) -> list[Part]:
    described = attributes(path)
    if "multiscales" in described:
        return [Part(path)]
    if "plate" in described:
        return _fields(path, described["plate"])
    series = attributes(path / "OME").get("series") or _numbered_folders(path)
    if series:
        images = [_inside(path, str(name)) for name in series]
        return [
            replace(part, path=image, position=None)
            for part, image in zip(numbered(path, len(images)), images)
        ]
    raise InputError(
        f"{path}: an {_KIND} was wanted, its attributes name neither multiscales nor a plate; "
        "give the folder of an image, or convert it with bioformats2raw"
    )


def _numbered_folders(path: Path) -> list[str]:
    """Return the images `0`, `1`, … of a bioformats2raw layout without a list of series."""
    folders = (folder for folder in path.iterdir() if folder.name.isdecimal())
    return sorted((f.name for f in folders if "multiscales" in attributes(f)), key=int)


def _fields(path: Path, plate: Mapping[str, Any]) -> list[Part]:
    """Return every field of every well of a plate, wells in the order of the plate."""
    parts = []
    for entry in plate["wells"]:
        row, column = PurePosixPath(entry["path"]).parts
        folder = _inside(path, entry["path"])
        images = [_inside(folder, str(image["path"])) for image in attributes(folder)["well"]["images"]]
        for field, image in zip(numbered(folder, len(images)), images):
            label = "_".join(filter(None, (row + column, field.label)))
            parts.append(Part(image, None, label, row + column))
    if not parts:
        raise InputError(f"{path}: a plate with images was wanted, it lists no wells; export it again")
    return parts


def _open(path: Path) -> Stack:
    import zarr

    image = attributes(path)["multiscales"][0]
    dataset = image["datasets"][0]
    folder = _inside(path, str(dataset["path"]))
    array = zarr.open_array(folder, mode="r")
    axes = _axes(path, image.get("axes"), array.ndim)
    lead = tuple(zip((letter for letter, _ in axes[:-2]), map(int, array.shape)))
    shape = int(array.shape[-2]), int(array.shape[-1])
    dtype = np.dtype(array.dtype)
    check_extent(path, lead, shape, dtype)
    chunk = prod(array.chunks[:-2])
    check_extent(path, [("T", chunk)], (array.chunks[-2] * chunk, array.chunks[-1]), dtype)
    metadata = _completed(path, _metadata(path, image, dataset, axes))
    return Stack(lead, True, shape, dtype, metadata, ZarrPlanes(path, array, folder))


def _axes(path: Path, described: Any, n: int) -> list[tuple[str, str | None]]:
    """Return the letter and the unit of each axis; Y and X must be the last."""
    entries = [{"name": one} if isinstance(one, str) else dict(one) for one in described or _BEFORE_AXES[-n:]]
    names = [str(entry["name"]).lower() for entry in entries]
    if len(names) != n or names[-2:] != ["y", "x"] or len(set(names)) != n:
        raise InputError(
            f"{path}: {n} different axes of which the last are y, x were wanted, got "
            f"{', '.join(names)}; export the movie again"
        )
    letters = [_BY_TYPE.get(str(entry.get("type")), name.upper()) for entry, name in zip(entries, names)]
    return [(letter, entry.get("unit")) for letter, entry in zip(letters, entries)]


def _metadata(
    path: Path, image: Mapping[str, Any], dataset: Mapping[str, Any], axes: Sequence[tuple[str, str | None]]
) -> Metadata:
    scale = np.ones(len(axes))
    given = [
        *(dataset.get("coordinateTransformations") or ()),
        *(image.get("coordinateTransformations") or ()),
    ]
    factors = [one["scale"] for one in given if one["type"] == "scale" and "scale" in one]
    for factor in factors:
        scale = scale * np.asarray(factor, dtype=np.float64).reshape(len(axes))
    units = dict(axes)
    sizes = dict(zip(units, scale)) if factors else {}
    y, x = (scaled(sizes.get(axis), units[axis], UM_PER_UNIT) for axis in "YX")
    channels = (attributes(path).get("omero") or {}).get("channels") or ()
    return Metadata(
        pixel_size_um=None if y is None or x is None else (y, x),
        frame_interval_s=scaled(sizes.get("T"), units.get("T"), S_PER_UNIT),
        channel_names=tuple(str(channel.get("label") or "") for channel in channels),
    )


def _completed(path: Path, metadata: Metadata) -> Metadata:
    """Add what the OME-XML of a bioformats2raw layout says beyond NGFF, such as the times of planes."""
    for root in path.resolve().parents[:3]:
        xml = root / "OME" / "METADATA.ome.xml"
        if not xml.is_file():
            continue
        images = ome_images(xml.read_text(encoding="utf-8"))
        place = path.resolve().relative_to(root).as_posix()
        series = attributes(xml.parent).get("series") or [str(i) for i in range(len(images))]
        if place not in series or series.index(place) >= len(images):
            return metadata
        said = images[series.index(place)].metadata
        return Metadata(
            pixel_size_um=metadata.pixel_size_um or said.pixel_size_um,
            frame_interval_s=metadata.frame_interval_s or positive(said.frame_interval_s),
            plane_times_s=said.plane_times_s,
            channel_names=metadata.channel_names or said.channel_names,
        )
    return metadata
