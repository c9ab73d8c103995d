"""Label images on disk: gathered frame by frame in a compressed store, then saved as OME-TIFF."""

from __future__ import annotations

import os
import tempfile
import uuid
import weakref
from collections.abc import Iterator, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import imagecodecs
import numpy as np
import tifffile
from numpy.typing import NDArray

from exovision.errors import InputError, OutputError
from exovision.files import replacing


class LabelWriter:
    """A `LabelStack` that grows frame by frame on disk; memory holds one frame at a time.

    Attributes
    ----------
    shape : tuple of int
        (Y, X).
    pixel_size_um : float
    frame_interval_s : float
        NaN if unknown.

    Notes
    -----
    The store is a nameless file in the system's folder for temporary files (`TMPDIR`); it is gone after
    `close`, when the object is deleted, and when the process ends.
    """

    def __init__(self, shape: tuple[int, int], *, pixel_size_um: float, frame_interval_s: float) -> None:
        self.shape = shape
        self.pixel_size_um = pixel_size_um
        self.frame_interval_s = frame_interval_s
        self._largest = 0
        self._spans: list[tuple[int, int]] = []
        # The store outlives this call on purpose: `close` and the finalizer end it.
        self._store = tempfile.TemporaryFile(prefix="exovision-labels-")  # noqa: SIM115
        self._finalizer = weakref.finalize(self, self._store.close)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Delete the store; the labels can no longer be read. Closing twice does no harm."""
        self._finalizer()

    def append(self, labels: NDArray[Any]) -> None:
        """Add the labels of the next frame, shape (Y, X); negative or too large ids are refused.

        Raises
        ------
        InputError
            If the shape differs, or an id is negative or above 2,147,483,647.
        OutputError
            If the store cannot be written to.
        """
        if labels.shape != self.shape:
            raise InputError(f"labels must have shape {self.shape}, got {labels.shape} in frame {len(self)}")
        low, high = (int(labels.min()), int(labels.max())) if labels.size else (0, 0)
        if low < 0 or high > np.iinfo(np.int32).max:
            raise InputError(f"cell ids must lie in 0–2147483647, got {low} to {high} in frame {len(self)}")
        self._spans.append(self._write(labels))
        self._largest = max(self._largest, high)

    def rename(self, renames: Sequence[tuple[int, int, int]]) -> None:
        """Give cells other ids: first frame, old and new id of each, in the order in which they apply.

        Raises
        ------
        OutputError
            If the store cannot be written to.
        """
        for t in range(min((first for first, _, _ in renames), default=len(self)), len(self)):
            labels, changed = self[t], False
            for first, old, new in renames:
                if t >= first and (labels == old).any():
                    labels[labels == old] = new
                    changed = True
            if changed:
                self._spans[t] = self._write(labels)
        self._largest = max([self._largest, *(new for _, _, new in renames)])

    def _write(self, labels: NDArray[Any]) -> tuple[int, int]:
        """Add a block to the end of the store and return its place and size."""
        block = imagecodecs.zstd_encode(np.ascontiguousarray(labels, dtype=np.int32).tobytes(), level=1)
        try:
            start = self._store.seek(0, os.SEEK_END)
            self._store.write(block)
        except OSError as error:
            raise OutputError(
                f"{tempfile.gettempdir()}: temporary label images must be writable, got: {error.strerror}; "
                "free space there or set TMPDIR"
            ) from error
        return start, len(block)

    def __len__(self) -> int:
        return len(self._spans)

    def __iter__(self) -> Iterator[NDArray[np.int32]]:
        return (self[t] for t in range(len(self)))

    def __getitem__(self, t: int) -> NDArray[np.int32]:
        """Return the labels of frame `t`, shape (Y, X); raises `IndexError` outside the movie."""
        start, size = self._spans[t]
        self._store.seek(start)
        block = imagecodecs.zstd_decode(self._store.read(size))
        return np.frombuffer(block, dtype=np.int32).reshape(self.shape).copy()

    @property
    def stored_dtype(self) -> type[np.unsignedinteger[Any]]:
        """The type in files: uint16, or uint32 if an id needs it; raises `InputError` without frames."""
        if not len(self):
            raise InputError("label images need at least one frame, got none")
        return np.uint16 if self._largest <= np.iinfo(np.uint16).max else np.uint32

    def save(self, path: Path) -> None:
        """Write all frames as OME-TIFF, axes TYX, deflated; uint16, or uint32 if an id needs it.

        Raises
        ------
        InputError
            If there are no frames.
        OutputError
            If the file cannot be written.
        """
        dtype = self.stored_dtype
        shape = (len(self), *self.shape)
        with (
            replacing(path) as temporary,
            tifffile.TiffWriter(temporary, bigtiff=_needs_bigtiff(shape, dtype), ome=True) as writer,
        ):
            writer.write(
                (labels.astype(dtype) for labels in self),
                shape=shape,
                dtype=dtype,
                photometric="minisblack",
                compression="zlib",
                predictor=False,
                metadata=self._metadata(),
                software="exovision",
            )

    def _metadata(self) -> dict[str, Any]:
        size = self.pixel_size_um
        metadata: dict[str, Any] = {
            "axes": "TYX",
            "Name": "cell_labels",
            "PhysicalSizeX": size,
            "PhysicalSizeXUnit": "µm",
            "PhysicalSizeY": size,
            "PhysicalSizeYUnit": "µm",
            # A random identifier would make equal results differ.
            "UUID": str(uuid.uuid5(uuid.NAMESPACE_URL, f"exovision:cell_labels:{len(self)}:{self.shape}")),
        }
        if np.isfinite(self.frame_interval_s):
            metadata |= {"TimeIncrement": self.frame_interval_s, "TimeIncrementUnit": "s"}
        return metadata


def _needs_bigtiff(shape: tuple[int, ...], dtype: type[np.unsignedinteger[Any]]) -> bool:
    """Tell whether the pixels could exceed the 4 GB of a plain TIFF, however badly they compress."""
    return int(np.prod(shape, dtype=np.int64)) * np.dtype(dtype).itemsize > 3_500_000_000
