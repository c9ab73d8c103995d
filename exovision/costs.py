"""What an analysis takes: time and memory estimated before it begins, and what this machine has."""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path

from exovision.errors import InputError
from exovision.nets.cellpose_files import TRANSFORMER_BYTES, find_model
from exovision.records import Movie
from exovision.settings import Settings

SECONDS_PER_MEGAPIXEL = 1.2
"""One CPU thread, per frame of a movie with exosomes and cells: .9 with few large cells, 1.6 with many small
ones (`benchmarks/whole.py`)."""
FIXED_GB = 1.08
"""What an analysis takes whatever the size of the images: packages and networks (`benchmarks/whole.py`)."""
CELLPOSE_TILE_PX = 200
"""Edge of what a tile of a Cellpose network adds to its neighbours."""
CELLPOSE_SECONDS, CELLPOSE_GB = (0.4, 6.5), (0.3, 1.8)
"""What cells found by a U-Net of Cellpose 1 to 3, and by cpsam, take more: s per tile, GB
(`benchmarks/cellpose_cost.py`)."""
WORKING_PLANES = 95
"""Planes of 4 bytes a pixel held beside the chunk, from the growth with the size of the images."""
CONTAINER = Path("/sys/fs/cgroup/memory.max")
"""Where Linux says what a container may use."""


def seconds(movie: Movie, settings: Settings) -> float:
    r"""Estimate the time of an analysis on one CPU thread, s.

    .. math:: t = T\,(k\,Y\,X + c\,\lceil Y/e\rceil\lceil X/e\rceil)

    where k is `SECONDS_PER_MEGAPIXEL`, e `CELLPOSE_TILE_PX`, and c, of `CELLPOSE_SECONDS`, is 0 without a
    Cellpose model; how far the model resizes the images is left out.

    Raises
    ------
    InputError
        If a Cellpose model is named that is not there.
    """
    y, x = movie.image_shape
    tiles = -(-y // CELLPOSE_TILE_PX) * -(-x // CELLPOSE_TILE_PX)
    return movie.n_frames * (
        SECONDS_PER_MEGAPIXEL * y * x / 1e6 + _cellpose(settings, CELLPOSE_SECONDS) * tiles
    )


def memory_gb(movie: Movie, settings: Settings) -> float:
    r"""Estimate the peak memory of an analysis, GB.

    .. math:: m = m_0 + m_c + 4YX\,(2 n R + Z + W)

    where m₀ is `FIXED_GB`, m_c, of `CELLPOSE_GB`, 0 without a Cellpose model, n the frames of a chunk, R the
    number of roles, Z the depth and W `WORKING_PLANES`.

    Raises
    ------
    InputError
        If a Cellpose model is named that is not there.
    """
    depth, y, x = movie.shape[2:]
    chunk = min(settings.reading.chunk_frames, movie.n_frames)
    planes = 2 * chunk * len(movie.roles) + depth + WORKING_PLANES
    return FIXED_GB + _cellpose(settings, CELLPOSE_GB) + 4 * y * x * planes / 1e9


def _cellpose(settings: Settings, costs: tuple[float, float]) -> float:
    """Return what the settings' Cellpose model costs, given that of a U-Net and of cpsam; 0 without one."""
    if settings.cells.segmenter != "cellpose":
        return 0.0
    return costs[find_model(settings.cells.weights).stat().st_size >= TRANSFORMER_BYTES]


def machine_gb() -> float | None:
    """Return the memory that this process may use, GB; None where the system does not say."""
    try:
        total = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (AttributeError, ValueError, OSError):  # Windows has no sysconf.
        return None
    with suppress(OSError, ValueError):  # No container, or one without a limit ("max").
        total = min(total, int(CONTAINER.read_text(encoding="ascii")))
    return total / 1e9


def check_memory(movie: Movie, settings: Settings) -> None:
    """Check, before any pixel is read, that this machine can hold what an analysis takes.

    Raises
    ------
    InputError
        If it takes more than the machine has.
    """
    needed, there = memory_gb(movie, settings), machine_gb()
    if there is not None and needed > there:
        y, x = movie.image_shape
        raise InputError(
            f"{movie.path or movie.name}: images that fit into {there:.1f} GB of memory were wanted, "
            f"{y} x {x} px take about {needed:.3g} GB; crop or bin the movie, or lower reading.chunk_frames"
        )
