"""Keeps two copies of LLVM from meeting in one process; no Qt."""

from __future__ import annotations

import sys
from pathlib import Path

MAPS = Path("/proc/self/maps")


def keep_triton_out(maps: Path = MAPS) -> bool:
    """Keep `triton` from being imported into a process whose graphics driver has brought its own LLVM.

    Parameters
    ----------
    maps : Path
        The list of loaded libraries that Linux keeps of a process; elsewhere there is none.

    Returns
    -------
    bool
        Whether it is kept out.

    Notes
    -----
    Mesa's drivers load libLLVM with the first window. If torch then imports triton (torchvision makes it do
    so), which brings another LLVM, the process ends in a segmentation fault. Nothing here compiles with
    triton, and torch works without it.
    """
    if "triton" in sys.modules:
        return sys.modules["triton"] is None
    try:
        loaded = "libLLVM" in maps.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return False
    if loaded:
        sys.modules["triton"] = None  # type: ignore[assignment]
    return loaded
