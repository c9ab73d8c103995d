import numpy as np
import pytest

from exovision.errors import InputError, SettingsError
from exovision.records import ArrayLabels, Movie
from exovision.simulation.spike import VERTICES, _followed, _with_lasting_ids, spike

Y, X = np.mgrid[:60, :70]
FRAMES = 4


def _labels(ids=(5, 9)):
    """Two discs, one of which moves; its id is not the first."""
    frames = np.zeros((FRAMES, 60, 70), dtype=np.int32)
    for t in range(FRAMES):
        frames[t][np.hypot(Y - 20, X - 18 - t) < 12] = ids[0]
        frames[t][np.hypot(Y - 38, X - 50) < 10] = ids[1]
    return frames


def _movie(*, channels=None, interval_s=2.0, frames=FRAMES):
    pixels = np.zeros((frames, 1, 60, 70), dtype=np.uint16)
    pixels[:, 0] = 1000 + 10 * _labels()[:frames]
    return Movie.from_array(
        pixels, pixel_size_um=0.5, frame_interval_s=interval_s, channels=channels or {"cell": 0}, name="real"
    )


@pytest.fixture(scope="module")
def scene(dark):
    return dark(
        exosomes={
            "dockings_per_cell_hour": 900,
            "dwell_short_share": 0.0,
            "dwell_long_s": 1e5,
            "docked_diffusion_um2_s": 0.0,
            "stuck_per_um2": 0.01,
        }
    )


def test_size_pixel_and_interval_are_those_of_the_enlarged_movie_and_ids_are_kept(scene):
    simulation = spike(_movie(), ArrayLabels(_labels()), scene, seed=1, upsample=4)
    imaging = simulation.scene.imaging
    assert imaging.shape_px == (240, 280)
    assert (imaging.pixel_size_um, imaging.frame_interval_s, imaging.frames) == (0.125, 2.0, FRAMES)
    assert simulation.cell_ids.tolist() == [5, 9]
    assert simulation.roles == ("cell",)


@pytest.mark.parametrize("upsample", [1, 4])
def test_the_labels_are_those_given_enlarged(scene, play, upsample):
    played = play(spike(_movie(), ArrayLabels(_labels()), scene, seed=1, upsample=upsample))
    for given, backdrop in zip(_labels(), played.backdrops):
        large = np.kron(given, np.ones((upsample, upsample), dtype=np.int32))
        assert backdrop.labels.shape == large.shape
        assert set(np.unique(backdrop.labels)) == {0, 5, 9}
        for cell in (5, 9):
            both = (large == cell) & (backdrop.labels == cell)
            assert both.sum() / ((large == cell) | (backdrop.labels == cell)).sum() > 0.93


def test_labels_and_signed_distances_agree(scene, play):
    stuck = scene.exosomes.model_copy(update={"stuck_per_um2": 0.2, "beneath_per_cell": 20.0})
    onto = scene.model_copy(update={"exosomes": stuck})
    played = play(spike(_movie(), ArrayLabels(_labels()), onto, seed=1))
    spots = played.tables["spots"]
    clear = spots[spots["membrane_distance_um"].abs() > 0.36]
    assert len(clear) > 100
    for row in clear.itertuples():
        label = played.backdrops[row.frame].labels[min(round(row.y_px), 59), min(round(row.x_px), 69)]
        assert (label > 0) == (row.membrane_distance_um < 0)


def test_the_real_image_is_kept(scene, play):
    played = play(spike(_movie(), ArrayLabels(_labels()), scene, seed=1))
    for t, backdrop in enumerate(played.backdrops):
        assert (backdrop.images["cell"] == 1000 + 10 * _labels()[t]).all()


@pytest.mark.parametrize("upsample", [1, 4])
def test_dockings_lie_on_the_given_outlines_and_move_with_the_cell(scene, play, upsample):
    played = play(spike(_movie(), ArrayLabels(_labels()), scene, seed=1, upsample=upsample))
    spots = played.tables["spots"]
    docked = spots[spots["state"] == "docked"]
    assert set(docked["cell_id"]) == {5, 9}
    assert docked["membrane_distance_um"].between(-0.01, 0.1).all()
    size = 0.5 / upsample
    for row in docked.itertuples():
        y, x = ((place + 0.5) / upsample - 0.5 for place in (row.y_px, row.x_px))
        middle, radius = ((20, 18 + row.frame), 12) if row.cell_id == 5 else ((38, 50), 10)
        assert np.hypot(y - middle[0], x - middle[1]) == pytest.approx(radius, abs=0.8)
    for (cell, _), track in docked.groupby(["cell_id", "exosome_id"]):
        step = np.diff(track[["y_um", "x_um"]].to_numpy(), axis=0)
        expected = [0, 0.5] if cell == 5 else [0, 0]
        np.testing.assert_allclose(step, np.tile(expected, (len(step), 1)), atol=2 * size)


def test_cells_slowed_down_pass_through_the_frames_of_the_movie_and_between_them(scene, play):
    simulation = spike(_movie(), ArrayLabels(_labels()), scene, seed=1, slow=4)
    imaging = simulation.scene.imaging
    assert (imaging.frames, imaging.frame_interval_s) == (4 * (FRAMES - 1) + 1, 2.0)
    backdrops = play(simulation).backdrops
    for t in range(FRAMES):
        assert (backdrops[4 * t].images["cell"] == 1000 + 10 * _labels()[t]).all()
    centres = np.array([backdrop.outlines[0].mean(axis=0) for backdrop in backdrops])
    np.testing.assert_allclose(centres[:, 1], 18 + np.arange(imaging.frames) / 4, atol=0.15)
    np.testing.assert_allclose(centres[:, 0], 20, atol=0.15)
    light = [backdrop.images["cell"][:, :36].astype(float) - 1000 for backdrop in backdrops]
    middle = [(one.sum(axis=0) @ np.arange(36)) / one.sum() for one in light]
    np.testing.assert_allclose(middle, 18 + np.arange(imaging.frames) / 4, atol=0.3)


def test_a_cell_of_one_frame_is_there_in_the_steps_nearer_to_it(scene, play):
    labels = _labels()
    labels[2:][labels[2:] == 9] = 0
    backdrops = play(spike(_movie(), ArrayLabels(labels), scene, seed=1, slow=4)).backdrops
    assert [9 in b.labels for b in backdrops[4:9]] == [True, True, False, False, False]


def test_membrane_points_move_along_the_normals_of_an_outline_that_deforms():
    angle = np.linspace(0, 2 * np.pi, VERTICES, endpoint=False)
    circle = np.column_stack([30 + 20 * np.sin(angle), 40 + 20 * np.cos(angle)])
    radius = 20 * (1 + 0.1 * np.cos(3 * angle))
    lobed = np.column_stack([33 + radius * np.sin(angle), 40 + radius * np.cos(angle)])
    turned = np.roll(lobed, 77, axis=0)
    followed = _followed(turned, circle)
    shift = lobed.mean(axis=0) - circle.mean(axis=0)
    normals = np.column_stack([np.sin(angle), np.cos(angle)])
    slip = np.abs(np.sum((followed - circle - shift) * normals[:, ::-1] * [1, -1], axis=1))
    assert np.median(slip) < 0.6 and slip.max() < 1.6
    moved = np.abs(np.sum((followed - circle - shift) * normals, axis=1))
    assert moved.max() > 1.5


def test_a_cell_that_is_absent_for_a_while_keeps_its_id(scene, play):
    labels = _labels()
    labels[1][labels[1] == 9] = 0
    played = play(spike(_movie(), ArrayLabels(labels), scene, seed=1))
    here = [set(np.unique(backdrop.labels)) - {0} for backdrop in played.backdrops]
    assert here == [{5, 9}, {5}, {5, 9}, {5, 9}]
    assert np.isnan(played.backdrops[1].outlines[1]).all()
    spots = played.tables["spots"]
    assert not ((spots["frame"] == 1) & (spots["cell_id"] == 9) & (spots["state"] == "docked")).any()


def test_a_movie_without_cells_cannot_be_spiked(scene):
    with pytest.raises(InputError, match="real: --onto needs labelled cells"):
        spike(_movie(), ArrayLabels(np.zeros((FRAMES, 60, 70), np.int32)), scene, seed=1)


def test_a_movie_without_a_channel_of_cells_cannot_be_spiked(scene):
    with pytest.raises(InputError, match=r"--onto needs a channel of cells; name it with --channels cell=0"):
        spike(_movie(channels={"exosome": 0}), ArrayLabels(_labels()), scene, seed=1)


def test_a_movie_of_one_frame_has_no_interval_to_spike_at(scene):
    with pytest.raises(InputError, match="two or more frames at regular times"):
        spike(_movie(frames=1), ArrayLabels(_labels()[:1]), scene, seed=1)


def test_enlarging_by_less_than_one_is_refused(scene):
    with pytest.raises(SettingsError, match="got 0; correct --upsample"):
        spike(_movie(), ArrayLabels(_labels()), scene, seed=1, upsample=0)


def test_slowing_by_less_than_one_is_refused(scene):
    with pytest.raises(SettingsError, match="got 0; correct --slow"):
        spike(_movie(), ArrayLabels(_labels()), scene, seed=1, slow=0)


def test_an_id_that_changes_on_one_cell_goes_on():
    one, two = _labels((5, 9))[:2]
    two = np.where(two == 5, 7, two)
    two[50:55, 5:10] = 12
    lasting = _with_lasting_ids(two, one)
    assert (lasting == 5).sum() == (two == 7).sum() and 7 not in lasting
    assert (lasting == 9).sum() == (two == 9).sum() and (lasting == 12).sum() == 25
    assert (_with_lasting_ids(one, np.zeros_like(one)) == one).all()
    far = np.roll(np.where(one == 5, 7, 0), 40, axis=1)
    assert (_with_lasting_ids(far, one) == far).all()
