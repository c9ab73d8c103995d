"""Movies whose every plane says which one it is."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest


@pytest.fixture
def numbered() -> Callable[..., np.ndarray]:
    """Give (T, C, Z, Y, X) pixels of value 100 t + 10 c + z + 1, in the axes asked for."""

    def make(t: int = 1, c: int = 1, z: int = 1, size: tuple[int, int] = (12, 16)) -> np.ndarray:
        value = 100 * np.arange(t)[:, None, None] + 10 * np.arange(c)[:, None] + np.arange(z) + 1
        return np.broadcast_to(value[..., None, None], (t, c, z, *size)).astype(np.uint16)

    return make
