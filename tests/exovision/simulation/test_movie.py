import numpy as np
import pandas as pd
import pytest
import tifffile
from scipy.ndimage import binary_dilation, binary_erosion

import exovision
from exovision import schema
from exovision.errors import OutputError
from exovision.io.labels_source import open_labels
from exovision.io.tables import read_table
from exovision.simulation.movie import simulate, write
from exovision.simulation.scene import load_scene

TABLES = {
    "spots.parquet": schema.TRUTH_SPOTS,
    "exosomes.csv": schema.EXOSOMES,
    "events.csv": schema.TRUTH_EVENTS,
    "cells.parquet": schema.CELLS,
    "fates.csv": schema.FATES,
    "decoys.parquet": schema.DECOYS,
}


def test_the_same_scene_and_seed_give_the_same_movie_and_another_seed_another(play):
    one, same, other = (play(simulate(load_scene("tiny"), seed=seed)) for seed in (3, 3, 4))
    assert one.exosomes.tobytes() == same.exosomes.tobytes() != other.exosomes.tobytes()
    for before, again in zip(one.backdrops, same.backdrops):
        assert before.images["cell"].tobytes() == again.images["cell"].tobytes()
        assert before.labels.tobytes() == again.labels.tobytes()
    for name, table in one.tables.items():
        pd.testing.assert_frame_equal(table, same.tables[name])
    assert not one.tables["spots"].equals(other.tables["spots"])


def test_writing_twice_gives_the_same_pixels_and_the_same_bytes_of_tables(tiny, tmp_path):
    write(simulate(load_scene("tiny"), seed=11), tmp_path)
    for name in ("movie.ome.tif", "truth/cell_labels.ome.tif"):
        assert tifffile.imread(tmp_path / name).tobytes() == tifffile.imread(tiny / name).tobytes()
    for name in [*TABLES, "scene.yaml"]:
        assert (tmp_path / "truth" / name).read_bytes() == (tiny / "truth" / name).read_bytes()


def test_the_movie_reads_back_with_sizes_times_channels_and_roles(tiny):
    movie = exovision.read(tiny / "movie.ome.tif")
    assert movie.shape == (12, 2, 1, 96, 96)
    assert movie.pixel_size_um == pytest.approx(0.108)
    np.testing.assert_allclose(movie.times_s, np.repeat(2.0 * np.arange(12)[:, None], 2, axis=1))
    assert movie.channel_names == ("exosome", "cell")
    assert dict(movie.roles) == {"exosome": 0, "cell": 1}


def test_the_movie_on_disk_is_the_one_that_was_simulated(tiny, play):
    played = play(simulate(load_scene("tiny"), seed=11))
    pixels = tifffile.imread(tiny / "movie.ome.tif")
    assert pixels.dtype == np.uint16
    cells = np.stack([back.images["cell"] for back in played.backdrops])
    assert (pixels[:, 0] == played.exosomes).all() and (pixels[:, 1] == cells).all()


def test_nuclei_are_a_channel_of_their_own(tmp_path, dark):
    write(simulate(dark(cells={"nucleus_photons": 50.0}, imaging={"frames": 2}), seed=1), tmp_path)
    movie = exovision.read(tmp_path / "movie.ome.tif")
    assert dict(movie.roles) == {"exosome": 0, "cell": 1, "nucleus": 2}
    labels = tifffile.imread(tmp_path / "truth" / "cell_labels.ome.tif")[0]
    nucleus = movie.image(0, "nucleus")
    assert nucleus[labels > 0].mean() > nucleus[labels == 0].mean() + 10


@pytest.mark.parametrize("look", ["phase", "dic", "brightfield"])
def test_unstained_cells_shift_the_light_at_their_rims_and_leave_that_beside_them_alone(look, dark, play):
    scene = dark(cells={"look": look, "photons": 2000.0, "background_photons": 0.0}, imaging={"frames": 1})
    (backdrop,) = play(simulate(scene, seed=1)).backdrops
    counts, inside = backdrop.images["cell"].astype(float), backdrop.labels > 0
    even = np.median(counts[~binary_dilation(inside, iterations=14)])
    rim = binary_dilation(inside, iterations=2) & ~binary_erosion(inside, iterations=3)
    assert np.percentile(np.abs(counts[rim] / even - 1), 90) > 0.08
    assert even == pytest.approx(100 + 0.82 * 2000 / 0.46, rel=0.1)


def test_label_values_are_cell_ids_in_every_frame(tiny):
    movie = exovision.read(tiny / "movie.ome.tif")
    labels = open_labels(str(tiny / "truth" / "cell_labels.ome.tif"), movie)
    cells = read_table(tiny / "truth" / "cells.parquet", schema.CELLS)
    for frame in range(movie.n_frames):
        ids = set(np.unique(labels[frame])) - {0}
        assert ids == set(cells[cells["frame"] == frame]["cell_id"])


@pytest.mark.parametrize("name", TABLES)
def test_the_types_of_the_truths_tables_survive_reading(tiny, play, name):
    table = read_table(tiny / "truth" / name, TABLES[name])
    expected = play(simulate(load_scene("tiny"), seed=11)).tables[name.partition(".")[0]]
    assert table.dtypes.tolist() == expected.dtypes.tolist()
    assert list(table.columns) == list(TABLES[name])
    assert len(table) == len(expected)
    ids = [column for column in ("frame", "exosome_id", "cell_id", "event_id") if column in table]
    pd.testing.assert_frame_equal(table[ids], expected[ids])


def test_the_scene_is_kept_beside_the_truth_and_makes_the_movie_again(tiny, play):
    scene = load_scene(tiny / "truth" / "scene.yaml")
    assert scene == load_scene("tiny")
    assert "seed: 11" in (tiny / "truth" / "scene.yaml").read_text()


def test_progress_is_told_after_each_frame(tmp_path, dark):
    told = []
    write(simulate(dark(), seed=1), tmp_path, progress=lambda *args: told.append(args))
    assert told == [("simulating", done, 4) for done in (1, 2, 3, 4)]


def test_a_file_in_the_way_is_one_clear_error(tmp_path, dark):
    (tmp_path / "out").write_text("")
    with pytest.raises(OutputError, match="the movie could not be written"):
        write(simulate(dark(), seed=1), tmp_path / "out")


def test_glass_particles_lie_beside_the_cells_and_move_with_the_stage(dark, play):
    drifting = dark(
        imaging={"drift_um_min": 6.0, "frames": 6}, exosomes={"stuck_per_um2": 1.0}, cells={"radius_um": 2.0}
    )
    played = play(simulate(drifting, seed=2))
    spots = played.tables["spots"]
    first = spots[spots["frame"] == 0]
    labels = played.backdrops[0].labels
    places = first[["y_px", "x_px"]].round().astype(int).clip(0, 63).to_numpy()
    assert len(first) > 20 and (labels[places[:, 0], places[:, 1]] == 0).all()
    step = played.backdrops[1].drift_px
    assert np.hypot(*step) == pytest.approx(6.0 / 60 * 2.0 / 0.108)
    for _, track in spots.groupby("exosome_id"):
        moved = np.diff(track[["y_px", "x_px"]].to_numpy(), axis=0)
        np.testing.assert_allclose(moved, np.tile(step, (len(moved), 1)), atol=1e-9)


def test_a_spot_adds_its_light_to_the_camera_image(dark, play):
    exosomes = {"stuck_per_um2": 0.3, "photons_median": 2000.0, "photons_gsd": 1.0, "bleach_tau_frames": 1e6}
    played, empty = (
        play(simulate(dark(imaging={"frames": 30}, exosomes=facts), seed=3)) for facts in (exosomes, {})
    )
    spots = played.tables["spots"]
    inner = spots[(spots["frame"] == 0) & spots["isolated"] & spots["y_px"].between(8, 55)]
    inner = inner[inner["x_px"].between(8, 55)]
    gained = (played.exosomes.astype(float) - empty.exosomes).mean(axis=0)
    assert len(inner) >= 2
    for row in inner.itertuples():
        y, x = round(row.y_px), round(row.x_px)
        light = gained[y - 4 : y + 5, x - 4 : x + 5].sum() * 0.46
        assert light == pytest.approx(2000 * 0.82, rel=0.03)
