"""What every registered segmenter promises, and what each does beyond that."""

import importlib.util
from pathlib import Path

import numpy as np
import pytest
import torch

from exovision.cells.embedded_segmenter import EmbeddedSegmenter
from exovision.cells.labels_segmenter import LabelsSegmenter
from exovision.errors import InputError, SettingsError
from exovision.methods import SEGMENTERS
from exovision.settings import CellSettings

SPEC = importlib.util.spec_from_file_location(
    "cellpose3", Path(__file__).parents[3] / "benchmarks" / "cellpose3.py"
)
cellpose3 = importlib.util.module_from_spec(SPEC)
SPEC.loader.exec_module(cellpose3)

ROWS, COLUMNS = np.indices((96, 112))


def cells_and_images():
    labels = np.zeros((3, 96, 112), dtype=np.int32)
    for t in range(3):
        for index, (y, x) in enumerate([(26, 28 + t), (66, 40), (48, 84 - t)]):
            labels[t][np.hypot(ROWS - y, COLUMNS - x) < 15] = index + 1
    rng = np.random.default_rng(0)
    return labels, rng.poisson(20 + 80 * (labels > 0)).astype(np.float32)


class Stack:
    """Label images held in memory."""

    def __init__(self, labels):
        self.labels = labels

    def __len__(self):
        return len(self.labels)

    def __getitem__(self, frame):
        return self.labels[frame]


@pytest.fixture(params=sorted(SEGMENTERS.places))
def make(request, tmp_path):
    """Makes one registered segmenter; cells have a diameter of 15 µm."""
    labels, _ = cells_and_images()
    torch.save(cellpose3.weights(2, (6, 8, 10, 12)), tmp_path / "model")
    weights = str(tmp_path / "model") if request.param == "cellpose" else None
    settings = CellSettings(segmenter=request.param, weights=weights, diameter_um=15)
    return lambda: SEGMENTERS.load(request.param)(
        settings, pixel_size_um=0.5, device="cpu", labels=Stack(labels)
    )


def test_labels_have_the_shape_of_the_images_and_whole_numbers(make):
    labels = make().segment(cells_and_images()[1], range(3))
    assert labels.shape == (3, 96, 112) and labels.dtype == np.int32
    assert labels.min() == 0


def test_the_same_images_give_the_same_labels(make):
    _, images = cells_and_images()
    assert np.array_equal(make().segment(images, range(3)), make().segment(images, range(3)))


def test_labels_do_not_depend_on_chunks(make):
    _, images = cells_and_images()
    whole, segmenter = make().segment(images, range(3)), make()
    parts = [segmenter.segment(images[t : t + 1], range(t, t + 1)) for t in range(3)]
    assert np.array_equal(whole, np.concatenate(parts))


def test_no_frames_give_no_labels(make):
    assert make().segment(np.zeros((0, 96, 112), dtype=np.float32), range(0)).shape == (0, 96, 112)


def test_images_are_left_as_they_are(make):
    _, images = cells_and_images()
    before = images.copy()
    make().segment(images, range(3))
    assert np.array_equal(images, before)


@pytest.mark.parametrize("diameter_um", [None, 15.0])
def test_an_empty_frame_holds_no_cells_and_does_not_disturb_the_others(diameter_um):
    _, images = cells_and_images()
    images[0] = 7
    segmenter = EmbeddedSegmenter(CellSettings(diameter_um=diameter_um), pixel_size_um=0.5, device="cpu")
    labels = segmenter.segment(images, range(3))
    assert not labels[0].any()
    assert (segmenter.diameter_px is None) == (not labels.any() and diameter_um is None)


def test_an_unknown_segmenter_lists_the_known_ones():
    with pytest.raises(SettingsError, match=r"known: .*embedded.*labels"):
        SEGMENTERS.load("magic")


def test_given_labels_come_back_as_they_are():
    labels, images = cells_and_images()
    segmenter = LabelsSegmenter(CellSettings(), pixel_size_um=0.5, labels=Stack(labels))
    assert np.array_equal(segmenter.segment(images[1:], range(1, 3)), labels[1:])


def test_labels_that_do_not_fit_the_movie_are_refused():
    labels, images = cells_and_images()
    with pytest.raises(InputError, match="--labels"):
        LabelsSegmenter(CellSettings(), pixel_size_um=0.5)
    with pytest.raises(InputError, match="every frame, got 2"):
        LabelsSegmenter(CellSettings(), pixel_size_um=0.5, labels=Stack(labels[:2])).segment(images, range(3))
    with pytest.raises(InputError, match="in frame 0"):
        LabelsSegmenter(CellSettings(), pixel_size_um=0.5, labels=Stack(labels[:, :50])).segment(
            images, range(3)
        )
