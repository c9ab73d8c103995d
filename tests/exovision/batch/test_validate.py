"""What `validate` says of a movie before it is analysed."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tifffile

from exovision.batch.jobs import Job, ReadingOptions, plan
from exovision.batch.validate import validate_job
from exovision.costs import FIXED_GB, SECONDS_PER_MEGAPIXEL, memory_gb, seconds
from exovision.errors import InputError, SettingsError
from exovision.records import Movie
from exovision.settings import Settings

OME = {"axes": "TCYX", "PhysicalSizeX": 0.1, "PhysicalSizeXUnit": "µm", "PhysicalSizeY": 0.1} | {
    "PhysicalSizeYUnit": "µm",
    "TimeIncrement": 2.0,
    "TimeIncrementUnit": "s",
    "Channel": {"Name": ["PKH67", "membrane"]},
}


def job(folder: Path, frames: int = 8, settings: Settings | None = None, **options: Any) -> Job:
    data = np.random.default_rng(0).poisson(100, (frames, 2, 64, 64)).astype(np.uint16)
    yy, xx = np.mgrid[:64, :64]
    for y, x in ((15, 20), (40, 45)):
        data[:, 0] += (400 * np.exp(-((yy - y) ** 2 + (xx - x) ** 2) / (2 * 1.3**2))).astype(np.uint16)
    tifffile.imwrite(folder / "m.ome.tif", data, ome=True, metadata=OME)
    return plan([folder / "m.ome.tif"], ReadingOptions(**options), settings or Settings())[0]


def line(lines: list[str], start: str) -> str:
    found = [line.strip() for line in lines if line.strip().startswith(start)]
    assert len(found) == 1, lines
    return found[0]


def test_a_movie_is_described_with_where_each_fact_came_from(tmp_path: Path) -> None:
    lines = validate_job(job(tmp_path), device="cpu")
    assert lines[0] == "m"
    assert line(lines, "shape") == "shape: T 8, C 2, Z 1, Y 64, X 64"
    assert line(lines, "pixel size") == "pixel size: 0.1 µm (from the file), field 6.4 x 6.4 µm"
    assert line(lines, "frame interval") == "frame interval: 2 s (from the file), even, 14 s in all"
    assert line(lines, "channels") == "channels: 0 exosome (PKH67), 1 cell (membrane)"
    assert line(lines, "cells").endswith("segmenter embedded")
    assert line(lines, "exosomes").startswith("exosomes: 2 in the first image")
    assert line(lines, "docking").startswith("docking: can be told from 10 s on")
    assert line(lines, "chemistry").startswith("chemistry: unknown; the label is not known")
    assert "ideal AUC" in line(lines, "fusion")
    assert line(lines, "uptake").endswith("cannot show it")
    assert line(lines, "aggregation").startswith("aggregation: two exosomes approach")
    assert line(lines, "death").startswith("death: cannot be told: it needs the morphology network")


def test_overrides_are_named(tmp_path: Path) -> None:
    (tmp_path / "s.csv").write_text("path,frame_interval_s\n*.tif,4\n")
    made = job(tmp_path, pixel_size_um=0.2, channels={"exosome": 0})
    lines = validate_job(made, device="cpu")
    assert "0.2 µm (given with --pixel-size-um)" in line(lines, "pixel size")
    assert "1 not used (membrane)" in line(lines, "channels")
    assert line(lines, "note").endswith("0.2 used")
    sheet = job(tmp_path, samples=tmp_path / "s.csv")
    assert "4 s (from the sample sheet)" in line(validate_job(sheet, device="cpu"), "frame interval")


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"frames": 4}, "the movie covers 4 frames and 8 s"),
        ({"frames": 1, "axes": "TCYX"}, "fewer than two frames"),
        ({"channels": {"exosome": 0}}, "no cell or nucleus channel"),
        ({"channels": {"cell": 1}}, "no exosome channel"),
        ({"settings": Settings.from_mapping({"events": {"docked_min_frames": 20}})}, "needs 20 frames"),
    ],
)
def test_where_docking_cannot_be_told_the_reason_is_given(
    changes: dict[str, Any], reason: str, tmp_path: Path
) -> None:
    said = line(validate_job(job(tmp_path, **changes), device="cpu"), "docking")
    assert said.startswith("docking: cannot be told, ")
    assert reason in said


def test_given_labels_stand_for_a_cell_channel(tmp_path: Path) -> None:
    tifffile.imwrite(tmp_path / "l.tif", np.ones((64, 64), np.uint8))
    made = job(tmp_path, channels={"exosome": 0}, labels=str(tmp_path / "l.tif"))
    lines = validate_job(made, device="cpu")
    assert line(lines, "cells") == "cells: from the given label images"
    assert "can be told from" in line(lines, "docking")


def test_what_an_analysis_would_refuse_is_refused(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="exosome=5"):
        validate_job(job(tmp_path, channels={"exosome": 5}), device="cpu")
    with pytest.raises(SettingsError, match="abacus"):
        validate_job(job(tmp_path), device="abacus")
    with pytest.raises(InputError, match="no such file"):
        validate_job(job(tmp_path, labels="gone.tif"), device="cpu")


def test_estimates_follow_their_formulas() -> None:
    def movie(frames: int) -> Movie:
        return Movie.from_array(
            np.broadcast_to(np.uint8(1), (frames, 2, 512, 512)),
            pixel_size_um=0.1,
            frame_interval_s=1,
            channels={"exosome": 0, "cell": 1},
        )

    assert seconds(movie(1000), Settings()) == pytest.approx(SECONDS_PER_MEGAPIXEL * 262.144)
    assert memory_gb(movie(1000), Settings()) == memory_gb(movie(100), Settings()) > FIXED_GB
    assert memory_gb(movie(4), Settings()) < memory_gb(movie(100), Settings()) < 1.8
