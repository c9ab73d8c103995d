import numpy as np
import pytest

from exovision.death.crops import CROP_PX, ROLES, WINDOW_DIAMETERS, Sizes, cut, typical_sizes

ROWS, COLUMNS = np.indices((200, 240))


def disc(y, x, radius):
    return np.hypot(ROWS - y, COLUMNS - x) <= radius


def scene(radius=20.0):
    """Three cells, the first with its nucleus off the centre, the last at the border."""
    labels = np.zeros(ROWS.shape, dtype=np.int32)
    nuclei = 100.0 + 900 * disc(105, 94, radius / 2)
    for number, y, x in ((4, 100, 90), (6, 160, 30), (9, 8, 200)):
        labels[disc(y, x, radius)] = number
        nuclei += 0 if number == 4 else 500.0 * disc(y, x, radius / 2)
    return labels, nuclei.astype(np.float32)


def test_sizes_are_those_of_whole_cells_and_of_their_nuclei():
    labels, nuclei = scene()
    sizes = typical_sizes(labels, nuclei, labelled="cell")
    assert sizes.cell_px == pytest.approx(40, rel=0.02) and sizes.nucleus_px == pytest.approx(20, rel=0.05)
    assert typical_sizes(labels, None, labelled="nucleus").nucleus_px == pytest.approx(40, rel=0.02)
    assert typical_sizes(np.zeros_like(labels), nuclei, labelled="cell") is None


def test_each_cell_is_in_the_middle_of_its_crop_at_the_same_scale():
    labels, nuclei = scene()
    body = (labels > 0).astype(np.float32)
    ids, crops = cut(labels, {"cell": body, "nucleus": nuclei}, sizes=Sizes(40.0, 20.0))
    assert ids.tolist() == [4, 6, 9] and crops.shape == (3, len(ROLES), CROP_PX, CROP_PX)
    for channel in (crops[0, 0], crops[0, 1]):
        y, x = np.nonzero(channel > 0.5)
        assert (y.mean(), x.mean()) == pytest.approx((31.5, 31.5), abs=1)
        assert 2 * np.sqrt(y.size / np.pi) == pytest.approx(CROP_PX / WINDOW_DIAMETERS, rel=0.08)


def test_missing_channels_are_nan_and_the_others_are_not():
    labels, nuclei = scene()
    _, crops = cut(labels, {"nucleus": nuclei}, sizes=Sizes(40.0, 20.0))
    there = np.isfinite(crops).all(axis=(0, 2, 3))
    assert dict(zip(ROLES, there.tolist())) == {role: role == "nucleus" for role in ROLES}
    assert np.isnan(crops[:, ~there]).all()


def test_brightness_of_bodies_does_not_depend_on_gain_and_offset():
    labels, nuclei = scene()
    one, other = (
        cut(labels, {"nucleus": image}, sizes=Sizes(40.0, 20.0), roles=["nucleus"])[1]
        for image in (nuclei, 7 * nuclei + 300)
    )
    assert np.allclose(one, other, atol=1e-4) and one.max() == pytest.approx(1, abs=0.1)


def test_death_stains_count_in_noise_so_that_dark_ones_stay_dark():
    labels, _ = scene()
    noise = np.random.default_rng(1).normal(200, 5, ROWS.shape).astype(np.float32)
    stained = noise + 2000 * disc(100, 90, 20).astype(np.float32)
    dark, bright = (
        cut(labels, {"pi": image}, sizes=Sizes(40.0, 20.0), roles=["pi"])[1] for image in (noise, stained)
    )
    middle = (slice(26, 38),) * 2
    assert abs(dark[0, 0][middle].mean()) < 0.1 and bright[0, 0][middle].mean() > 1
    assert abs(bright[1, 0][middle].mean()) < 0.1


def test_an_image_without_contrast_and_one_without_cells_give_finite_crops():
    labels, nuclei = scene()
    _, flat = cut(labels, {"nucleus": np.full_like(nuclei, 7)}, sizes=Sizes(40.0, 20.0), roles=["nucleus"])
    assert np.abs(flat).max() < 0.01
    ids, none = cut(np.zeros_like(labels), {"nucleus": nuclei}, sizes=Sizes(40.0, 20.0))
    assert ids.size == 0 and none.shape == (0, len(ROLES), CROP_PX, CROP_PX)


def test_a_cell_larger_than_the_image_is_cut_all_the_same():
    labels = np.ones((20, 30), dtype=np.int32)
    image = np.random.default_rng(0).random((20, 30)).astype(np.float32)
    _, crops = cut(labels, {"cell": image}, sizes=Sizes(5.0, 3.0), roles=["cell"])
    assert crops.shape == (1, 1, CROP_PX, CROP_PX) and np.isfinite(crops).all()
