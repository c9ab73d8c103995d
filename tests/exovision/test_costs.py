"""What does not fit into memory is refused before a pixel of it is read."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

import exovision
from exovision import costs
from exovision.calibration import regular_times
from exovision.errors import InputError
from exovision.records import Movie
from exovision.settings import Settings


class Untouched:
    """A source that must not be asked for pixels."""

    def plane(self, t: int, c: int, z: int) -> Any:
        raise AssertionError("a plane was read")

    def close(self) -> None:
        """Nothing is open."""


def movie_of(size: int) -> Movie:
    return Movie(
        name="large",
        shape=(100, 2, 1, size, size),
        pixel_size_um=0.1,
        times_s=regular_times(100, 2, 1.0),
        channel_names=("", ""),
        roles={"exosome": 0, "cell": 1},
        source=Untouched(),
    )


def test_a_movie_larger_than_memory_is_refused_before_a_pixel_is_read(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(costs, "machine_gb", lambda: 8.0)
    with pytest.raises(InputError, match=r"large: images that fit into 8\.0 GB .* 20000 x 20000 px"):
        exovision.analyse(movie_of(20_000), device="cpu")
    costs.check_memory(movie_of(2048), Settings())


def test_fewer_frames_at_once_make_a_large_movie_fit(monkeypatch: pytest.MonkeyPatch) -> None:
    movie, few = movie_of(4096), Settings.from_mapping({"reading": {"chunk_frames": 1}})
    limit = (costs.memory_gb(movie, Settings()) + costs.memory_gb(movie, few)) / 2
    monkeypatch.setattr(costs, "machine_gb", lambda: limit)
    costs.check_memory(movie, few)
    with pytest.raises(InputError, match=r"lower reading\.chunk_frames"):
        costs.check_memory(movie, Settings())


def test_where_the_system_does_not_say_nothing_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(costs, "machine_gb", lambda: None)
    costs.check_memory(movie_of(100_000), Settings())


def test_a_containers_limit_counts(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    machine = costs.machine_gb()
    (tmp_path / "max").write_text("500000000\n")
    monkeypatch.setattr(costs, "CONTAINER", tmp_path / "max")
    assert machine is None or costs.machine_gb() == pytest.approx(0.5)
    (tmp_path / "max").write_text("max\n")
    assert machine is None or (costs.machine_gb() is not None and np.isfinite(costs.machine_gb() or 0))


def test_a_cellpose_model_costs_what_its_kind_does(tmp_path: Path) -> None:
    def with_model(size: int) -> Settings:
        path = tmp_path / f"model_{size}"
        with path.open("wb") as file:
            file.truncate(size)
        return Settings.from_mapping({"cells": {"segmenter": "cellpose", "weights": str(path)}})

    unet, transformer = with_model(27_000_000), with_model(1_220_000_000)
    movie = movie_of(512)
    assert costs.memory_gb(movie, Settings()) < costs.memory_gb(movie, unet)
    assert costs.memory_gb(movie, transformer) > costs.memory_gb(movie, unet) + 1
    assert costs.seconds(movie, transformer) > 10 * costs.seconds(movie, unet) > 30 * movie.n_frames
    missing = Settings.from_mapping({"cells": {"segmenter": "cellpose", "weights": str(tmp_path / "none")}})
    with pytest.raises(InputError, match="must be a Cellpose model file"):
        costs.seconds(movie, missing)
