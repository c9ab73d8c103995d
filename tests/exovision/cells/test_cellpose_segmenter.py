"""The segmenter `cellpose`: scale, thresholds, what it says; what all segmenters promise is tested beside."""

import importlib.util
from pathlib import Path

import numpy as np
import pytest
import torch

import exovision
from exovision.calibration import regular_times
from exovision.cells import cellpose_segmenter
from exovision.cells.cellpose_segmenter import CellposeSegmenter
from exovision.errors import Cancelled, InputError, SettingsError
from exovision.nets.shipped import weights_file, weights_used
from exovision.records import Movie
from exovision.settings import CellSettings, Settings

SPEC = importlib.util.spec_from_file_location(
    "cellpose3", Path(__file__).parents[3] / "benchmarks" / "cellpose3.py"
)
cellpose3 = importlib.util.module_from_spec(SPEC)
SPEC.loader.exec_module(cellpose3)

CASE = cellpose3.CASES[0]
IMAGES = np.stack([cellpose3.image(CASE)] * 2)


@pytest.fixture
def weights(tmp_path):
    """A small U-Net in the form of Cellpose 3, trained (it says) on cells of 41 px."""
    torch.save(cellpose3.weights(2, (6, 8, 10, 12)), tmp_path / "mine")
    return str(tmp_path / "mine")


def segmenter(weights, **changed):
    settings = CellSettings(segmenter="cellpose", weights=weights, **changed)
    return CellposeSegmenter(settings, pixel_size_um=0.25, device="cpu")


def test_a_users_model_looks_for_cells_of_the_size_it_learned_from(weights):
    found = segmenter(weights)
    assert found.diameter_px == 41.0
    assert found.segment(IMAGES, range(2)).max() >= 10
    assert "41 px" in found.notes[0] and "diameter_um" in found.notes[0]


def test_a_given_diameter_wins(weights):
    found = segmenter(weights, diameter_um=11.0)
    assert found.diameter_px == 44.0 and not found.notes


def test_without_either_the_size_is_found_in_the_first_frame_with_cells(tmp_path):
    path = tmp_path / "cyto3"
    torch.save(cellpose3.weights(2, (6, 8, 10, 12)), path)
    found = segmenter(str(path))
    images = np.concatenate([np.full_like(IMAGES[:1], 7), IMAGES])
    assert found.diameter_px is None
    labels = found.segment(images, range(3))
    assert not labels[0].any() and labels[1].any() and 15 < found.diameter_px < 60


def test_settings_reach_the_network(weights):
    usual = segmenter(weights).segment(IMAGES[:1], range(1))
    strict = segmenter(weights, cellprob_threshold=3.0).segment(IMAGES[:1], range(1))
    assert 0 < (strict > 0).sum() < (usual > 0).sum()
    assert not segmenter(weights, flow_threshold=1e-6).segment(IMAGES[:1], range(1)).any()
    large = segmenter(weights, min_area_um2=1e5).segment(IMAGES[:1], range(1))
    assert usual.any() and not large.any()


@pytest.mark.parametrize(("diameter_um", "known"), [(11.0, 44.0), (None, 41.0)])
def test_outlines_are_moved_onto_membranes_as_after_any_network(weights, monkeypatch, diameter_um, known):
    given = []

    def moved(labels, image, **scale):
        given.append(scale)
        return np.where(labels == 1, 0, labels)

    monkeypatch.setattr(cellpose_segmenter, "onto_membranes", moved)
    labels = segmenter(weights, diameter_um=diameter_um).segment(IMAGES, range(2))
    assert given == [{"diameter_px": known, "pixel_size_um": 0.25}] * 2
    assert labels.any() and not (labels == 1).any()
    plain = segmenter(weights, diameter_um=diameter_um, snap_to_membrane=False)
    assert (plain.segment(IMAGES, range(2)) == 1).any() and len(given) == 2


def test_thresholds_are_refused_where_nothing_would_use_them():
    with pytest.raises(SettingsError, match=r"flow_threshold is used with segmenter: cellpose alone"):
        Settings.from_mapping({"cells": {"flow_threshold": 0.6}})
    changed = {"segmenter": "cellpose", "cellprob_threshold": -1.0}
    assert Settings.from_mapping({"cells": changed}).cells.cellprob_threshold == -1.0


def movie():
    class Source:
        def plane(self, t, c, z):
            return IMAGES[t]

        def close(self):
            """Nothing is open."""

    return Movie(
        name="cones",
        shape=(2, 1, 1, *IMAGES.shape[1:]),
        pixel_size_um=0.25,
        times_s=regular_times(2, 1, 60.0),
        channel_names=("",),
        roles={"cell": 0},
        source=Source(),
    )


def test_an_analysis_uses_it_and_records_the_models_hash(weights, tmp_path):
    settings = Settings.from_mapping({"cells": {"segmenter": "cellpose", "weights": weights}})
    result = exovision.analyse(movie(), settings, device="cpu")
    assert result.cells.groupby("frame").size().min() >= 10
    assert any("41 px" in warning for warning in result.summary["warnings"])
    recorded = weights_used(settings)
    assert list(recorded) == ["mine", "spots_embedded"] and len(recorded["mine"]) == 64
    Path(weights).write_bytes(Path(weights).read_bytes() + b"\0")
    assert weights_used(settings) != recorded
    assert list(weights_used(settings, labels=True)) == ["spots_embedded"]


def test_on_a_cpu_a_stop_takes_effect_within_a_frame(weights):
    settings = Settings.from_mapping({"cells": {"segmenter": "cellpose", "weights": weights}})
    told = []

    def stop_at_the_second(stage, done, total):
        told.append((stage, done))
        if (stage, done) == ("finding cells", 1):
            raise Cancelled("stopped")

    with pytest.raises(Cancelled):
        exovision.analyse(movie(), settings, device="cpu", progress=stop_at_the_second)
    assert told[-1] == ("finding cells", 1) and ("finding cells", 0) in told


def test_a_name_that_is_no_model_is_refused_before_anything_is_fetched(monkeypatch, tmp_path):
    monkeypatch.setenv("CELLPOSE_LOCAL_MODELS_PATH", str(tmp_path))
    with pytest.raises(InputError, match="neither a file here nor in"):
        segmenter("cpsam_v3")
    with pytest.raises(InputError, match="exovision models fetch cpsam_v2"):
        segmenter(None)
    assert not list(tmp_path.iterdir())


def test_without_cellpose_the_weights_are_those_that_come_along():
    assert weights_file(CellSettings()).name == "cells_embedded.safetensors"
