import numpy as np
import pytest
from scipy.spatial import cKDTree

from exovision.errors import InputError
from exovision.exosomes.detection import Detector
from exovision.numerics.psf import localisation_bound_px
from exovision.settings import CameraSettings, ExosomeSettings

CAMERA = CameraSettings(photons_per_count=0.46, offset_counts=100)


def expose(rng, expected):
    electrons = rng.poisson(expected) + 1.6 * rng.standard_normal(expected.shape)
    return np.round(electrons / 0.46 + 100).astype(np.float32)


def detector(images, camera=CAMERA):
    made = Detector(ExosomeSettings(psf_sigma_um=0.15), camera, pixel_size_um=0.1)
    made.prepare(images)
    return made


@pytest.fixture(scope="module")
def matched(grid_frames):
    """Detections with probability >= .5 beside the nearest true place of their frame."""
    images, places = grid_frames
    table = detector(images).detect(images, range(4))
    table = table[table["probability"] >= 0.5].reset_index(drop=True)
    away, nearest = np.empty(len(table)), np.empty((len(table), 2))
    for frame in range(4):
        rows = np.flatnonzero(table["frame"] == frame)
        away[rows], which = cKDTree(places[frame]).query(table.loc[rows, ["y_px", "x_px"]].to_numpy())
        nearest[rows] = places[frame][which]
    return table, away, nearest


def test_isolated_spots_are_found_and_nothing_else(matched):
    _, away, nearest = matched
    hits = len(np.unique(nearest[away < 1.5], axis=0))
    assert hits >= 0.985 * 900
    assert (away >= 1.5).sum() <= 3


def test_isolated_spots_are_localised_as_well_as_physics_allows(matched):
    table, away, nearest = matched
    hit = away < 1.5
    error = table.loc[hit, ["y_px", "x_px"]].to_numpy() - nearest[hit]
    rng = np.random.default_rng(0)
    photons = table.loc[hit, "photons"].median()
    bound = np.sqrt(
        np.mean(
            [
                localisation_bound_px(photons, sigma_px=1.5, background=6.1, read_noise=1.6, phase=phase) ** 2
                for phase in rng.uniform(-0.5, 0.5, 50)
            ]
        )
    )
    assert abs(error.mean()) < 0.02
    assert np.sqrt((error**2).mean()) / bound <= 1.1


def test_standard_errors_are_those_of_the_errors(matched):
    table, away, nearest = matched
    hit = away < 1.5
    error = table.loc[hit, ["y_px", "x_px"]].to_numpy() - nearest[hit]
    z = error / table.loc[hit, ["y_se_px", "x_se_px"]].to_numpy()
    assert np.sqrt((z**2).mean()) == pytest.approx(1, abs=0.15)


def test_brightness_background_width_and_snr_are_those_simulated(matched):
    from_truth = {"photons": 376.0, "counts": 376 / 0.46, "background": 6.1 / 0.46, "sigma_px": 1.5, "snr": 4}
    table, away, _ = matched
    medians = table.loc[away < 1.5, list(from_truth)].median()
    snr4_photons = medians["photons"]
    assert medians["counts"] == pytest.approx(snr4_photons / 0.46)
    assert medians["background"] == pytest.approx(from_truth["background"], rel=0.05)
    assert medians["sigma_px"] == pytest.approx(1.5, rel=0.03)
    assert medians["snr"] == pytest.approx(4, rel=0.05)


def test_results_do_not_depend_on_how_frames_are_cut_into_chunks(grid_frames):
    images, _ = grid_frames
    made = detector(images)
    whole = made.detect(images, range(4))
    for frame in range(4):
        part = made.detect(images[frame : frame + 1], range(frame, frame + 1))
        expected = whole[whole["frame"] == frame].reset_index(drop=True)
        assert part.equals(expected)


def test_photons_are_missing_without_a_known_gain(grid_frames):
    images, _ = grid_frames
    table = detector(images, CameraSettings()).detect(images[:1], range(1))
    assert len(table) > 200 and table["photons"].isna().all() and table["counts"].notna().all()


def test_empty_noise_and_even_frames_hold_no_likely_spots():
    rng = np.random.default_rng(1)
    noise = expose(rng, np.full((4, 256, 256), 6.1))
    table = detector(noise).detect(noise, range(4))
    assert (table["probability"] >= 0.5).sum() <= 3
    even = np.full((1, 64, 64), 100, dtype=np.float32)
    assert detector(even).detect(even, range(1)).empty
    assert list(detector(even).detect(even[:0], range(0)).columns) == list(table.columns)


def test_a_detector_that_is_not_prepared_or_gets_wrong_frames_says_so():
    images = np.zeros((2, 32, 32), dtype=np.float32)
    with pytest.raises(InputError, match="prepare"):
        Detector(ExosomeSettings(), CameraSettings(), pixel_size_um=0.1).detect(images, range(2))
    with pytest.raises(InputError, match=r"\(3, Y, X\)"):
        detector(images).detect(images, range(3))


def test_a_faint_spot_is_measured_where_a_person_points(grid_frames):
    images, places = grid_frames
    found = detector(images).measure_at(images[1], 1, tuple(places[1][7] + 0.6))
    assert np.hypot(*(found[["y_px", "x_px"]].to_numpy()[0] - places[1][7])) < 0.5
    assert found["frame"].item() == 1 and len(found) == 1


def test_pointing_at_nothing_is_refused(grid_frames):
    images, _ = grid_frames
    made = detector(images)
    with pytest.raises(InputError, match="none to fit"):
        made.measure_at(np.full_like(images[0], 100.0), 0, (20.0, 20.0))
