"""The analysis as a whole: the same answer however it is cut, given labels kept, scores on fixed scenes."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import exovision
from exovision.errors import Cancelled, InputError
from exovision.io.labels_source import open_labels
from exovision.pipeline import preview, reanalyse
from exovision.records import ArrayLabels, Given, Movie
from exovision.settings import Settings

TABLES = ("spots", "exosomes", "events", "cells", "fates")


def test_results_do_not_depend_on_the_chunk(tiny: Path) -> None:
    movie = exovision.read(tiny / "movie.ome.tif")
    small, large = (
        exovision.analyse(movie, Settings.from_mapping({"reading": {"chunk_frames": n}}), device="cpu")
        for n in (3, 16)
    )
    for name in TABLES:
        pd.testing.assert_frame_equal(getattr(small, name), getattr(large, name), atol=1e-4)
    for t in range(movie.n_frames):
        np.testing.assert_array_equal(small.labels[t], large.labels[t])


def test_the_command_line_and_python_write_the_same_tables(tiny: Path, tmp_path: Path) -> None:
    from exovision.cli import run

    assert run(["run", str(tiny / "movie.ome.tif"), "--out", str(tmp_path / "cli"), "--device", "cpu"]) == 0
    result = exovision.analyse(exovision.read(tiny / "movie.ome.tif"), device="cpu")
    result.save(tmp_path / "api")
    for name in ("spots.parquet", "cells.parquet", "exosomes.csv", "events.csv", "fates.csv", "summary.json"):
        assert (tmp_path / "api" / name).read_bytes() == (tmp_path / "cli/movie" / name).read_bytes(), name


def test_given_labels_keep_their_ids(tiny: Path) -> None:
    movie = exovision.read(tiny / "movie.ome.tif")
    labels = open_labels(str(tiny / "truth/cell_labels.ome.tif"), movie)
    result = exovision.analyse(movie, labels=labels, device="cpu")
    for t in (0, movie.n_frames - 1):
        np.testing.assert_array_equal(result.labels[t], labels[t])
    assert set(result.cells["cell_id"]) == {
        int(i) for t in range(len(labels)) for i in np.unique(labels[t]) if i
    }


def test_progress_reaches_the_end_and_can_cancel(tiny: Path) -> None:
    movie = exovision.read(tiny / "movie.ome.tif")
    seen: list[tuple[int, int]] = []
    exovision.analyse(movie, device="cpu", progress=lambda stage, done, total: seen.append((done, total)))
    assert seen[-1] == (movie.n_frames, movie.n_frames)

    def stop(stage: str, done: int, total: int) -> None:
        raise Cancelled("enough")

    with pytest.raises(Cancelled):
        exovision.analyse(movie, device="cpu", progress=stop)


def test_a_movie_without_useful_channels_is_refused() -> None:
    movie = Movie.from_array(
        np.ones((2, 1, 16, 16)), pixel_size_um=0.1, frame_interval_s=1, channels={"content": 0}
    )
    with pytest.raises(InputError, match="--channels"):
        exovision.analyse(movie)


def test_an_analysis_of_its_own_cells_and_tracks_gives_the_same_tables(tiny: Path) -> None:
    movie = exovision.read(tiny / "movie.ome.tif")
    first = exovision.analyse(movie, device="cpu")
    given = Given(labels=first.labels, every_frame=False, spots=first.spots)
    again = reanalyse(movie, first.settings, given, device="cpu")
    for name in TABLES:
        pd.testing.assert_frame_equal(getattr(first, name), getattr(again, name))
    assert again.corrections["by_hand"] == {"spots_and_tracks": True, "rulings": 0}


def test_given_tracks_are_kept_and_their_events_recounted(tiny: Path) -> None:
    movie = exovision.read(tiny / "movie.ome.tif")
    first = exovision.analyse(movie, device="cpu")
    loose = first.spots.assign(exosome_id=pd.array([pd.NA] * len(first.spots), dtype="Int64"))
    again = reanalyse(movie, first.settings, Given(labels=first.labels, spots=loose), device="cpu")
    assert len(again.spots) == len(first.spots)
    assert again.exosomes.empty and again.events.empty


def test_a_preview_finds_the_cells_and_spots_of_the_analysis(tiny: Path) -> None:
    movie = exovision.read(tiny / "movie.ome.tif")
    whole, one = exovision.analyse(movie, device="cpu"), preview(movie, Settings(), 0, device="cpu")
    np.testing.assert_array_equal(one.labels > 0, whole.labels[0] > 0)
    likely = whole.spots[(whole.spots["frame"] == 0) & (whole.spots["probability"] >= 0.5)]
    for name in ("y_px", "x_px", "counts", "membrane_distance_um"):
        np.testing.assert_allclose(one.spots[name], likely[name], atol=1e-6)
    assert one.warnings == []


def test_progress_names_the_stages_and_stops_within_a_frame(tiny: Path) -> None:
    movie = exovision.read(tiny / "movie.ome.tif")
    stages: list[str] = []

    def stop(stage: str, done: int, total: int) -> None:
        stages.append(stage)
        if len(stages) == 4:
            raise Cancelled("enough")

    with pytest.raises(Cancelled):
        exovision.analyse(movie, device="cpu", progress=stop)
    assert stages == ["finding cells", *["finding exosomes"] * 3]


@pytest.mark.slow
def test_the_docking_scene_is_scored_above_the_bars(tmp_path: Path) -> None:
    from exovision.scoring.score import score
    from exovision.simulation.movie import simulate, write
    from exovision.simulation.scene import load_scene

    write(simulate(load_scene("demo"), seed=101), tmp_path)
    exovision.analyse(exovision.read(tmp_path / "movie.ome.tif"), device="cpu").save(tmp_path / "result")
    scores = score(tmp_path / "result", tmp_path).to_dict()
    assert scores["spots.f1"]["value"] >= 0.85
    assert scores["cells.ap50"]["value"] >= 0.90
    assert scores["docking.f1"]["value"] >= 0.6


def test_cells_are_judged_the_same_however_the_movie_is_cut() -> None:
    rows, columns = np.indices((96, 96))
    labels = np.stack([((rows - 48) ** 2 + (columns - 40 - t) ** 2 < 144).astype(np.int32) for t in range(5)])
    noise = np.random.default_rng(0).normal(100, 5, labels.shape)
    movie = Movie.from_array(
        (noise + 300 * labels)[:, None], pixel_size_um=0.5, frame_interval_s=600, channels={"nucleus": 0}
    )
    tables = [
        exovision.analyse(
            movie,
            Settings.from_mapping({"reading": {"chunk_frames": n}, "death": {"morphology": "embedded"}}),
            labels=ArrayLabels(labels),
            device="cpu",
        ).cells
        for n in (2, 5)
    ]
    pd.testing.assert_frame_equal(tables[0], tables[1], check_exact=True)
    shares = tables[0][["p_live", "p_mitotic", "p_apoptotic", "p_lytic", "p_debris"]]
    np.testing.assert_allclose(shares.sum(axis=1), 1)
