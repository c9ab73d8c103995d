"""What the Analyse panel runs: the same tables as the command line and Python; what cannot run is said."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import tifffile
from napari_exovision.plan import Channel, LayerLabels, Plan, physical

import exovision
from exovision.batch.jobs import ReadingOptions
from exovision.cli import run
from exovision.errors import InputError, SettingsError
from exovision.io.results import open_result
from exovision.settings import Settings

TABLES = ("spots.parquet", "cells.parquet", "exosomes.csv", "events.csv", "fates.csv", "summary.json")


@pytest.fixture(scope="module")
def plain(scene: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The scene as an ImageJ hyperstack that says neither roles nor sizes, channels exchanged."""
    movie = exovision.read(scene / "movie.ome.tif")
    path = tmp_path_factory.mktemp("plain") / "plain.tif"
    stack = [[movie.channel_image(t, c) for c in (1, 0)] for t in range(movie.n_frames)]
    tifffile.imwrite(path, np.array(stack).astype(np.uint16), imagej=True, metadata={"axes": "TCYX"})
    return path


@pytest.mark.parametrize("which", ["as it is", "told by the user", "with settings"])
def test_panel_command_line_and_python_write_the_same_bytes(
    which: str, scene: Path, plain: Path, tiny: Path, tmp_path: Path
) -> None:
    path = {"as it is": scene / "movie.ome.tif", "told by the user": plain}.get(which, tiny / "movie.ome.tif")
    settings, options, words = Settings(), ReadingOptions(), ["--device", "cpu"]
    if which == "told by the user":
        options = ReadingOptions({"exosome": 1, "cell": 0}, pixel_size_um=0.11, frame_interval_s=3.0)
        words += ["--channels", "exosome=1,cell=0", "--pixel-size-um", "0.11", "--frame-interval-s", "3"]
    if which == "with settings":
        settings = Settings.from_mapping({"events": {"docked_min_s": 6.0}, "reading": {"chunk_frames": 5}})
        (tmp_path / "settings.yaml").write_text(settings.to_yaml(), encoding="utf-8")
        words += ["--settings", str(tmp_path / "settings.yaml")]
    name = path.name.split(".")[0]
    plan = Plan(settings, tmp_path / "panel", options, path=path, name=name, device="cpu")
    folder = plan.run()
    assert run(["run", str(path), "--out", str(tmp_path / "cli"), *words]) == 0
    movie = exovision.read(
        path,
        channels=options.channels,
        pixel_size_um=options.pixel_size_um,
        frame_interval_s=options.frame_interval_s,
    )
    exovision.analyse(movie, settings, device="cpu").save(tmp_path / "api")
    for table in TABLES:
        panel = (folder / table).read_bytes()
        assert panel == (tmp_path / "cli" / name / table).read_bytes(), table
        assert panel == (tmp_path / "api" / table).read_bytes(), table


def test_the_command_line_skips_what_the_panel_completed(
    scene: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = scene / "movie.ome.tif"
    Plan(Settings(), tmp_path, path=path, name="movie", device="cpu").run()
    assert run(["run", str(path), "--out", str(tmp_path), "--device", "cpu"]) == 0
    assert "complete already" in capsys.readouterr().err


def test_layers_give_the_tables_of_their_file(scene: Path, analysed: Path, tmp_path: Path) -> None:
    movie = exovision.read(scene / "movie.ome.tif")
    channels = [
        Channel(role, np.stack([movie.image(t, role) for t in range(movie.n_frames)]), role)
        for role in ("exosome", "cell")
    ]
    options = ReadingOptions(pixel_size_um=0.108, frame_interval_s=2.0)
    folder = Plan(Settings(), tmp_path, options, channels=channels, name="layers", device="cpu").run()
    found, expected = open_result(folder), open_result(analysed)
    for name in ("spots", "events", "fates"):
        pd.testing.assert_frame_equal(getattr(found, name), getattr(expected, name), rtol=1e-6)
    assert "array" in found.problem


def test_given_labels_keep_their_ids(scene: Path, tmp_path: Path) -> None:
    movie = exovision.read(scene / "movie.ome.tif")
    image = np.zeros(movie.image_shape, dtype=np.uint8)
    image[20:60, 20:60] = 31
    labels = LayerLabels("drawn", image, movie.n_frames)
    plan = Plan(Settings(), tmp_path, path=scene / "movie.ome.tif", name="movie", labels=labels, device="cpu")
    assert open_result(plan.run()).fates["cell_id"].tolist() == [31]


def test_a_movie_is_described_before_it_is_run(scene: Path, tmp_path: Path) -> None:
    text = "\n".join(Plan(Settings(), tmp_path, path=scene / "movie.ome.tif", name="movie").describe())
    for word in ("pixel size", "frame interval", "docking", "memory", "time"):
        assert word in text


IMAGE = np.ones((4, 8, 8))


@pytest.mark.parametrize(
    ("channels", "size", "interval", "words"),
    [
        ([], 0.1, 1.0, "no image layer"),
        ([Channel("flat", np.ones((8, 8)), "exosome")], 0.1, 1.0, "axes T, Y, X"),
        ([Channel("deep", np.ones((2, 3, 8, 8)), "exosome")], 0.1, 1.0, "axes T, Y, X"),
        ([Channel("a", IMAGE, "exosome"), Channel("b", IMAGE[:2], "cell")], 0.1, 1.0, "one shape"),
        ([Channel("a", IMAGE, "exosome")], None, 1.0, "--pixel-size-um"),
        ([Channel("a", IMAGE, "exosome")], 0.1, None, "--frame-interval-s"),
        ([Channel("a", IMAGE, "exosome")], -1.0, 1.0, "positive"),
        ([Channel("a", IMAGE, "vesicle")], 0.1, 1.0, "unknown channel role"),
    ],
)
def test_layers_that_cannot_be_a_movie_are_refused_with_what_to_do(
    channels: list[Channel], size: float | None, interval: float | None, words: str, tmp_path: Path
) -> None:
    options = ReadingOptions(pixel_size_um=size, frame_interval_s=interval)
    plan = Plan(Settings(), tmp_path, options, channels=channels, name="x")
    with pytest.raises((InputError, SettingsError), match=words):
        plan.open()


def test_labels_of_another_length_are_refused() -> None:
    with pytest.raises(InputError, match="choose the labels of this movie"):
        LayerLabels("cells", np.zeros((3, 4, 4), dtype=int), 5)


def test_only_physical_units_count_as_a_scale() -> None:
    assert physical((2.0, 0.1, 0.1), ("second", "micrometer", "micrometer")) == {
        "pixel_size_um": 0.1,
        "frame_interval_s": 2.0,
    }
    assert physical((1.0, 1.0, 1.0), ("pixel", "pixel", "pixel")) == {}
    assert physical((0.5, 100.0, 100.0), ("minute", "nanometer", "nanometer")) == {
        "pixel_size_um": pytest.approx(0.1),
        "frame_interval_s": 30.0,
    }
