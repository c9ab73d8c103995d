"""What every reader gives: the planes of one movie and what its file says about them."""

from __future__ import annotations

import threading
import warnings
import weakref
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from importlib import import_module
from math import prod
from pathlib import Path
from typing import Any, Protocol, TypeVar

import numpy as np
from numpy.typing import NDArray

from exovision.errors import InputError
from exovision.io.metadata import Metadata

MOST_PLANES = 10_000_000
MOST_PLANE_BYTES = 1 << 31
"""More than this is no movie but a number gone wrong: it is refused before memory is asked for."""


class _Closable(Protocol):
    def close(self) -> None: ...


Opened = TypeVar("Opened", bound=_Closable)


class PlaneReader(Protocol):
    """The planes of one movie, counted in the order they are stored."""

    def missing(self, k: int) -> bool:
        """Tell whether plane `k` was announced but never recorded."""

    def read(self, k: int) -> NDArray[Any]:
        """Return plane `k`, shape (Y, X)."""

    def close(self) -> None:
        """Release the files."""


@dataclass(frozen=True)
class Stack:
    """One movie as its file describes it.

    Attributes
    ----------
    axes : tuple of (str, int)
        Letter and length of the axes before Y and X, slowest first.
    declared : bool
        Whether the file names its axes.
    image_shape : tuple of int
        (Y, X).
    dtype : dtype
        Of the pixels in the file.
    metadata : Metadata
        Sizes, times and channels.
    planes : PlaneReader
        The pixels.
    notes : tuple of str
        What the user should know.
    """

    axes: tuple[tuple[str, int], ...]
    declared: bool
    image_shape: tuple[int, int]
    dtype: np.dtype[Any]
    metadata: Metadata
    planes: PlaneReader
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class Part:
    """One movie in a file or folder that may hold several.

    Attributes
    ----------
    path : Path
        What to open: the file itself, or a folder inside an OME-Zarr.
    position : str, optional
        Which position of `path` to open.
    label : str
        What tells it from the others, such as `p003` or `B2_p003`; empty if it is alone.
    well : str
        The well of a plate; empty if there is none.
    """

    path: Path
    position: str | None = None
    label: str = ""
    well: str = ""


def numbered(path: Path, n: int) -> list[Part]:
    """Return the parts of a file of `n` positions: `p000` onwards, or the file itself if there is one."""
    if n == 1:
        return [Part(path)]
    return [Part(path, f"p{i:03d}", f"p{i:03d}") for i in range(n)]


def chosen(path: Path, labels: Sequence[str], position: str | None) -> int:
    """Return which of several positions is meant.

    Raises
    ------
    InputError
        If none was chosen among several, or there is no such one.
    """
    if position is None and len(labels) == 1:
        return 0
    if position in labels:
        return labels.index(position)
    came = "none was chosen" if position is None else f"got {position!r}"
    raise InputError(
        f"{path}: one position of {labels[0]} to {labels[-1]} was wanted, {came}; name one of these"
    )


def check_dtype(path: Path, dtype: np.dtype[Any]) -> None:
    """Check that pixels are integers or real numbers.

    Raises
    ------
    InputError
        If they are of another type, such as bool or complex.
    """
    if dtype.kind not in "uif":
        raise InputError(
            f"{path}: integer or real pixels were wanted, got {dtype.name}; convert the movie to 16 bit"
        )


def check_extent(
    path: Path, axes: Sequence[tuple[str, int]], shape: tuple[int, int], dtype: np.dtype[Any]
) -> None:
    """Check that a movie has pixels of a usable type, and no more than a movie can have.

    Raises
    ------
    InputError
        If an axis is empty, there are too many planes, or one of them is too large.
    """
    check_dtype(path, dtype)
    sizes = (*(size for _, size in axes), *shape)
    if min(sizes) < 1:
        raise InputError(f"{path}: an image was wanted, got shape {sizes} without pixels; export it again")
    if prod(size for _, size in axes) > MOST_PLANES or prod(shape) * dtype.itemsize > MOST_PLANE_BYTES:
        raise InputError(
            f"{path}: at most {MOST_PLANES} planes of {MOST_PLANE_BYTES >> 20} MB were wanted, the file "
            f"announces shape {sizes}; cut the movie into parts or export it again"
        )


@contextmanager
def readable(path: Path, kind: str) -> Iterator[None]:
    """Turn whatever goes wrong with a file into one `InputError`.

    Parameters
    ----------
    path : Path
    kind : str
        What the file should be, such as "ND2 movie".

    Raises
    ------
    InputError
        If the file is absent, unreadable, empty, damaged, or of another kind.
    """
    try:
        yield
    except InputError:
        raise
    except FileNotFoundError as error:
        if path.exists():
            raise InputError(
                f"{path}: a whole {kind} was wanted, a part of it is missing; copy or export it again"
            ) from error
        raise InputError(
            f"{path}: a readable {kind} was wanted, there is no such file; correct the path"
        ) from error
    except PermissionError as error:
        raise InputError(
            f"{path}: a readable file was wanted, permission was denied; change its permissions"
        ) from error
    except Exception as error:
        if path.is_file() and not path.stat().st_size:
            raise InputError(
                f"{path}: a readable {kind} was wanted, the file is empty (0 bytes); copy or export it again"
            ) from error
        reason = " ".join(str(error).split())[:100] or type(error).__name__
        raise InputError(
            f"{path}: a whole {kind} was wanted, it is damaged, truncated or something else ({reason}); "
            "copy or export it again"
        ) from error


@contextmanager
def opening(path: Path, kind: str) -> Iterator[None]:
    """Do as `readable` does while a file is opened, and keep a library's warnings about it to itself.

    Raises
    ------
    InputError
        As `readable` does.
    """
    with readable(path, kind), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


@contextmanager
def closed_on_error(file: Opened) -> Iterator[Opened]:
    """Yield an open file, and close it if what is done with it fails."""
    try:
        yield file
    except BaseException:
        file.close()
        raise


def library(name: str, path: Path, kind: str) -> Any:
    """Return the package that reads a vendor's files.

    Raises
    ------
    InputError
        If it is not installed.
    """
    try:
        return import_module(name)
    except ImportError as error:
        raise InputError(
            f"{path}: this {kind} needs the package {name}, which is not installed; "
            "run: pip install 'exovision[vendor]'"
        ) from error


class LibraryPlanes:
    """The planes of a file that a library reads one by one.

    Parameters
    ----------
    path : Path
    kind : str
        What the file is, for messages.
    read : callable
        Gives plane `k`, shape (Y, X).
    close : callable
        Releases the file; called once.
    absent : collection of int
        The planes that were announced but never recorded.
    """

    def __init__(
        self,
        path: Path,
        kind: str,
        read: Callable[[int], NDArray[Any]],
        close: Callable[[], None],
        absent: Collection[int] = (),
    ) -> None:
        self._path, self._kind, self._read = path, kind, read
        self._absent = frozenset(absent)
        self._lock = threading.Lock()
        self._closer = weakref.finalize(self, close)

    def close(self) -> None:
        """Release the file; a second call does nothing."""
        self._closer()

    def missing(self, k: int) -> bool:
        """Tell whether plane `k` was announced but never recorded."""
        return k in self._absent

    def read(self, k: int) -> NDArray[Any]:
        """Return plane `k`, shape (Y, X).

        Raises
        ------
        InputError
            If it was never recorded or cannot be decoded.
        """
        if k in self._absent:
            raise InputError(f"{self._path}: plane {k} was wanted, it was never recorded; skip this frame")
        with self._lock, readable(self._path, self._kind):
            return self._read(k)
