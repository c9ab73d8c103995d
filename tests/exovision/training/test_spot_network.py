import numpy as np
import pytest

from exovision.errors import InputError, SettingsError
from exovision.exosomes.detection import Detector
from exovision.exosomes.probability import MEASURES
from exovision.nets.spot_judge import SpotJudge
from exovision.settings import CameraSettings, ExosomeSettings
from exovision.training.spot_network import SpotTraining, evaluate_network, gather, train_network, turn
from exovision.training.spot_pictures import simulated_picture

SMALL = SpotTraining(simulated=20, side_px=192, steps=60)


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    return train_network(tmp_path_factory.mktemp("net"), SMALL, device="cpu")


@pytest.mark.slow
def test_a_short_training_parts_spots_from_the_rest_on_pictures_it_never_saw(trained):
    figures = evaluate_network(trained, SMALL, pictures=10)
    assert figures["peaks"] > 100
    assert figures["precision"] > 0.7 and figures["recall"] > 0.5


@pytest.mark.slow
def test_training_again_gives_the_same_weights(trained, tmp_path):
    assert train_network(tmp_path, SMALL, device="cpu").read_bytes() == trained.read_bytes()


@pytest.mark.slow
def test_the_analysis_uses_a_network_of_ones_own(trained):
    settings = ExosomeSettings(psf_sigma_um=0.15, weights=str(trained))
    images = simulated_picture([0, 7, 3], 128).image[None].astype(np.float32)
    tables = []
    for chosen in (settings, ExosomeSettings(psf_sigma_um=0.15)):
        detector = Detector(chosen, CameraSettings(), pixel_size_um=0.1)
        detector.prepare(images)
        tables.append(detector.evidence(images[0])["logit"])
    assert len(tables[0]) and not tables[0].equals(tables[1])


@pytest.mark.slow
def test_a_network_told_of_other_numbers_is_refused(trained):
    with pytest.raises(InputError, match="a spot classifier of this version"):
        SpotJudge(trained, inputs=(3, 4))


def test_a_picture_depends_on_its_seed_alone_and_its_spots_are_judged_against_the_truth():
    first, again = (simulated_picture([0, 1, 4], 96) for _ in range(2))
    assert np.array_equal(first.image, again.image)
    told, real = gather([first], None)
    assert told.shape[0] == len(real) and set(np.unique(real)) <= {0.0, 1.0}


def test_looks_are_turned_and_measures_are_not():
    told = np.random.default_rng(0).standard_normal((16, 13 * 13 + MEASURES)).astype(np.float32)
    turned = told.copy()
    turn(turned)
    assert np.array_equal(turned[:, -MEASURES:], told[:, -MEASURES:])
    assert np.array_equal(turned[:2], told[:2]) and not np.array_equal(turned[2:], told[2:])
    assert np.allclose(np.sort(turned[:, :-MEASURES]), np.sort(told[:, :-MEASURES]))


def test_nothing_to_learn_from_is_said(tmp_path):
    with pytest.raises(SettingsError, match="at least one simulated picture"):
        train_network(tmp_path, SpotTraining(simulated=0), device="cpu")
