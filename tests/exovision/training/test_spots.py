import json

import numpy as np
import pandas as pd
import pytest
import tifffile

from exovision.errors import InputError, SettingsError
from exovision.exosomes.detection import Detector
from exovision.nets.spot_classifier import INPUTS, MEASURES
from exovision.numerics.spot_evidence import LOOK_SIDE
from exovision.settings import CameraSettings, ExosomeSettings
from exovision.simulation.spot_frames import SpotConditions, spot_frames
from exovision.training.spot_evaluation import evaluate_spots
from exovision.training.spot_pictures import clicked_pictures, simulated_picture
from exovision.training.spots import SpotTraining, train_spots, turned

TINY = SpotTraining(steps=150, batch=64, simulated=25, frame_px=128, widths=(16, 8))


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    return train_spots(tmp_path_factory.mktemp("weights"), training=TINY, device="cpu")


@pytest.fixture
def clicked(tmp_path):
    """One picture with clicked spots."""
    made = spot_frames(SpotConditions(shape_px=(128, 128), spots=25, snr=6.0), 1, seed=4)
    tifffile.imwrite(tmp_path / "a.tif", made.images[0])
    made.truth[["y_px", "x_px"]].to_csv(tmp_path / "a_points.csv", index=False)
    return tmp_path


def test_the_trained_network_is_used_by_the_detector_and_parts_spots_from_noise(trained):
    made = spot_frames(SpotConditions(shape_px=(128, 128), spots=25, snr=6.0), 1, seed=5)
    settings = ExosomeSettings(psf_sigma_um=0.15, weights=str(trained))
    detector = Detector(settings, CameraSettings(), pixel_size_um=0.1)
    images = made.images.astype(np.float32)
    detector.prepare(images)
    table = detector.detect(images, range(1))
    near = np.hypot(
        *(table[["y_px", "x_px"]].to_numpy()[:, None] - made.truth[["y_px", "x_px"]].to_numpy(dtype=float)).T
    ).min(axis=0)
    assert table.loc[near < 1, "probability"].mean() > 0.5


def test_the_record_says_how_it_was_trained(trained):
    facts = json.loads(trained.with_suffix(".json").read_text())
    assert facts["architecture"] == "SpotClassifier" and facts["training"]["simulated"] == 25
    assert facts["examples_alone"] > 100 and facts["examples_together"] > 100


def test_the_same_seed_gives_the_same_weights(trained, tmp_path):
    again = train_spots(tmp_path, training=TINY, device="cpu")
    assert again.read_bytes() == trained.read_bytes()


def test_its_figures_come_from_frames_it_never_saw(trained):
    figures = evaluate_spots(trained, simulated=4, frame_px=128)
    assert set(figures) == {"alone", "together"}
    assert all(0 <= values["f1"] <= 1 and values["peaks"] > 0 for values in figures.values())


def test_a_picture_depends_on_its_seed_alone():
    first, second, other = (simulated_picture([7, 1, k], 96) for k in (3, 3, 4))
    assert np.array_equal(first.image, second.image) and first.sigma_px == second.sigma_px
    assert not np.array_equal(first.image, other.image)


def test_clicks_are_learned_from(clicked, tmp_path):
    pictures = clicked_pictures(clicked)
    assert len(pictures) == 1 and len(pictures[0].truth) == 25
    training = SpotTraining(steps=20, batch=32, simulated=0, widths=(8,))
    path = train_spots(tmp_path / "out", data=clicked, training=training, device="cpu")
    assert json.loads(path.with_suffix(".json").read_text())["pictures"] == 1


def test_nothing_to_learn_from_is_said(tmp_path):
    with pytest.raises(SettingsError, match="training needs pictures"):
        train_spots(tmp_path, training=SpotTraining(simulated=0), device="cpu")
    with pytest.raises(InputError, match=r"X\.tif with spots X_points\.csv, found none"):
        clicked_pictures(tmp_path)


def test_clicks_with_other_columns_are_refused(clicked):
    pd.DataFrame({"y": [1.0]}).to_csv(clicked / "a_points.csv", index=False)
    with pytest.raises(InputError, match="wanted columns y_px and x_px.*got columns y"):
        clicked_pictures(clicked)


def test_looks_are_turned_and_measures_kept():
    told = np.zeros((64, INPUTS), dtype=np.float32)
    told[:, 1] = 1.0
    told[:, -MEASURES:] = 7.0
    turned(told, np.random.default_rng(0))
    looks = told[:, :-MEASURES].reshape(64, 2, LOOK_SIDE, LOOK_SIDE)
    assert (looks.sum(axis=(1, 2, 3)) == 1).all() and (told[:, -MEASURES:] == 7).all()
    assert len(np.unique(looks[:, 0].reshape(64, -1).argmax(axis=1))) == 8
