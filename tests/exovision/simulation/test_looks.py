import numpy as np
import pytest

from exovision.simulation import looks

ANGLES = np.linspace(0, 2 * np.pi, 128, endpoint=False)
DISC = 32 + 15 * np.stack([np.sin(ANGLES), np.cos(ANGLES)], axis=1)[None]
Y, X = np.mgrid[:65, :65]
AWAY = np.hypot(Y - 32, X - 32)
LABELS = (AWAY < 15).astype(np.int32)


def _render(look):
    dye = looks.Stain(np.ones(1), np.ones((1, 128)), np.zeros((8, 8), dtype=np.float32), np.zeros((1, 2)))
    nuclei = 32 + 0.5 * (DISC - 32)
    inner = (AWAY < 7.5).astype(np.int32)
    return looks.render(look, dye, outlines=DISC, nuclei=nuclei, labels=LABELS, nucleus_labels=inner)


def test_splatting_keeps_light_and_place():
    points, light = np.array([[3.25, 5.5], [0.0, 0.0], [40.0, 5.0]]), np.array([8.0, 2.0, 99.0])
    image = looks.splat(points, light, (10, 12))
    assert image.sum() == pytest.approx(10)
    assert image[0, 0] == pytest.approx(2)
    assert (image[3:5, 5:7] / 8).round(4).tolist() == [[0.375, 0.375], [0.125, 0.125]]


def test_a_stained_membrane_is_brightest_on_the_outline_and_about_one_there():
    image = _render(looks.Look(cytoplasm=0.0, haze=0.0))
    crest = image[np.abs(AWAY - 15) < 0.4]
    assert crest.mean() == pytest.approx(1.0, abs=0.05)
    assert image[AWAY < 8].max() < 0.01 and image[AWAY > 22].max() < 0.01


def test_a_stained_body_is_full_and_its_nucleus_dim_where_the_dye_stays_out():
    image = _render(looks.Look(membrane=0.0, cytoplasm=1.0, nucleus=-0.5, dome=0.0, haze=0.0))
    assert image[32, 32] == pytest.approx(0.5, abs=0.02)
    assert image[32, 43] == pytest.approx(1.0, abs=0.02)
    assert image[AWAY > 20].max() < 0.01


def test_haze_is_light_around_the_cell():
    assert _render(looks.Look(haze=0.4))[AWAY > 22].min() > _render(looks.Look(haze=0.0))[AWAY > 22].max()


def test_depth_is_the_distance_to_the_edge():
    depth = looks.edge_depth(LABELS)
    assert depth[32, 32] == pytest.approx(15, abs=2)
    assert not depth[LABELS == 0].any()


def test_shading_has_mean_one_and_the_stated_strength():
    shade = looks.shading((101, 101), 0.2, 0.7)
    assert shade.mean() == pytest.approx(1, abs=0.01)
    assert 0.78 < shade.min() < 0.9 and 1.05 < shade.max() < 1.22
    assert (looks.shading((5, 5), 0.0, 0.7) == 1).all()


def test_phase_is_dark_inside_with_a_bright_halo_and_dic_has_two_sides():
    body = LABELS.astype(np.float32)
    phase = looks.phase(LABELS, body, 3.0)
    assert phase[AWAY < 12].mean() < 0 < phase[(AWAY > 15) & (AWAY < 18)].mean()
    dic = looks.dic(body, 0.0)
    assert dic[32, 17] == pytest.approx(-dic[32, 47], abs=0.01) and abs(dic[32, 17]) > 0.5


@pytest.mark.parametrize("sign", [1, -1])
def test_bright_field_has_a_fringe_on_each_side_of_the_rim_and_a_darker_body(sign):
    picture = sign * looks.brightfield(LABELS.astype(np.float32), sign * 4.0, 0.0)
    assert picture[(AWAY > 11) & (AWAY < 14)].mean() > 0.1 > -0.1 > picture[(AWAY > 16) & (AWAY < 19)].mean()
    assert abs(picture[AWAY < 2].mean()) < 0.05 and np.abs(picture[AWAY > 28]).max() < 0.05
    absorbing = looks.brightfield(LABELS.astype(np.float32), sign * 4.0, 0.3)
    assert absorbing[AWAY < 2].mean() == pytest.approx(-0.3, abs=0.05)


def test_a_wide_blur_keeps_an_even_image_and_the_light():
    assert np.allclose(looks.wide_blur(np.ones((40, 50), np.float32), 12.0), 1)
    spot = np.zeros((128, 128), np.float32)
    spot[64, 64] = 1
    assert looks.wide_blur(spot, 9.0).sum() == pytest.approx(1, abs=0.05)
