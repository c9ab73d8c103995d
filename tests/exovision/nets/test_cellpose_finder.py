"""Flows and cells beside those of Cellpose itself, 3 by a stored reference and 4 as installed."""

import importlib.util
from pathlib import Path

import numpy as np
import pytest
import torch

from exovision.nets.cellpose_finder import CellposeFinder, Thresholds

SPEC = importlib.util.spec_from_file_location(
    "cellpose3", Path(__file__).parents[3] / "benchmarks" / "cellpose3.py"
)
cellpose3 = importlib.util.module_from_spec(SPEC)
SPEC.loader.exec_module(cellpose3)

REFERENCE = np.load(Path(__file__).with_name("cellpose3.npz"))
SMALL = (6, 8, 10, 12)


def found_by(tmp_path, *, channels=2, widths=SMALL, **kwargs):
    path = tmp_path / "weights"
    torch.save(cellpose3.weights(channels, widths), path)
    return CellposeFinder(path, device="cpu", **kwargs)


@pytest.mark.parametrize("case", cellpose3.CASES, ids=lambda case: case["name"])
def test_flows_and_cells_are_those_of_cellpose_3(tmp_path, case):
    finder = found_by(tmp_path, channels=case["channels"], widths=cellpose3.WIDTHS)
    image, step = cellpose3.image(case)[None], cellpose3.STEP
    flows = finder.flows(image, diameter_px=case["diameter_px"])[0]
    assert np.abs(flows[:, ::step, ::step] - REFERENCE[f"{case['name']}_flows"]).max() < 1e-4
    labels = finder.find(image, diameter_px=case["diameter_px"], thresholds=Thresholds())[0]
    expected = REFERENCE[f"{case['name']}_masks"]
    assert labels.max() == expected.max() >= 6
    # Rounding in another order, by 1e-5, leads one pixel in 10,000 to the other side of a watershed.
    assert (labels != expected).mean() < 1e-4


CASE = cellpose3.CASES[0]


def test_thresholds_decide_what_is_a_cell(tmp_path):
    finder, image = found_by(tmp_path), cellpose3.image(CASE)[None]

    def find(**changed):
        return finder.find(image, diameter_px=CASE["diameter_px"], thresholds=Thresholds(**changed))

    usual = find()
    areas = np.bincount(usual.ravel())[1:]
    assert len(areas) >= 10
    assert (find(logit=3.0) > 0).sum() < (usual > 0).sum() < (find(logit=-1.0) > 0).sum()
    assert find(area_px=float(np.median(areas)) + 0.6).max() < usual.max()
    assert not find(flow=1e-6).any() and find(flow=0.0).max() >= usual.max()


def test_the_diameter_is_found_at_which_the_network_finds_it_again(tmp_path):
    finder = found_by(tmp_path)
    labels = finder.find(
        cellpose3.image(CASE)[None], diameter_px=CASE["diameter_px"], thresholds=Thresholds()
    )
    seen = 2 * np.sqrt(np.median(np.bincount(labels.ravel())[1:]) / np.pi)
    assert finder.estimate_diameter_px(cellpose3.image(CASE), 15, 120) == pytest.approx(seen, rel=0.25)
    assert finder.estimate_diameter_px(np.zeros((90, 90), np.float32), 15, 120) is None


def test_tiles_of_several_images_run_together_and_give_what_each_gives_alone(tmp_path):
    finder = found_by(tmp_path)
    images = np.stack([cellpose3.image(cellpose3.CASES[1]), cellpose3.image(cellpose3.CASES[1])[::-1] + 50])
    batches = []
    finder._runner._cpu_images = 5
    finder.model.network.register_forward_pre_hook(lambda network, given: batches.append(len(given[0])))
    together = finder.flows(images, diameter_px=23.0)
    assert batches[0] == 5 and sum(batches) > 5
    alone = [finder.flows(image[None], diameter_px=23.0)[0] for image in images]
    assert np.abs(together - np.stack(alone)).max() < 1e-4


def test_an_image_smaller_than_the_network_reaches_is_no_problem(tmp_path):
    finder = found_by(tmp_path)
    image = cellpose3.image(CASE)[None, :3, :1]
    assert finder.find(image, diameter_px=44.0, thresholds=Thresholds()).shape == (1, 3, 1)
    assert finder.find(image, diameter_px=4400.0, thresholds=Thresholds()).shape == (1, 3, 1)


@pytest.fixture
def tiny_cpsam(monkeypatch):
    """Lets cpsam be built with an encoder of one block; returns a function that writes random weights."""
    from cellpose import vit
    from segment_anything.modeling import ImageEncoderViT

    class Parts:
        def __init__(self):
            self.image_encoder = ImageEncoderViT(
                depth=1, embed_dim=16, num_heads=2, out_chans=24, use_rel_pos=True, global_attn_indexes=(0,)
            )

    monkeypatch.setattr(vit, "sam_model_registry", {"vit_l": lambda checkpoint: Parts()})

    def write(path):
        torch.manual_seed(3)
        network = vit.CPSAM()
        with torch.no_grad():
            for name, value in network.named_parameters():
                if value.requires_grad:
                    value.normal_(0, 3.0 if name.startswith("out") else 0.2)
        network.save_model(path)
        return path

    return write


@pytest.mark.filterwarnings("ignore:torch.jit.script")  # From Cellpose's own imports.
@pytest.mark.parametrize("diameter_px", [None, 41.0])
def test_flows_and_cells_are_those_of_cellpose_4(tmp_path, tiny_cpsam, diameter_px):
    from cellpose.models import CellposeModel

    path = tiny_cpsam(tmp_path / "mine")
    image = cellpose3.image(cellpose3.CASES[1])
    model = CellposeModel(gpu=False, pretrained_model=str(path))
    masks, (_, flows, logit), _ = model.eval(
        image, diameter=diameter_px, flow_threshold=0.0, max_size_fraction=1.0
    )
    finder = CellposeFinder(path, device="cpu")
    ours = finder.flows(image[None], diameter_px=diameter_px)[0]
    expected = np.concatenate([flows, logit[None]])
    assert expected.std() > 0.2
    assert np.abs(ours - expected).max() < 0.05 * expected.std()  # Both have 16 bits.
    labels = finder.find(image[None], diameter_px=diameter_px, thresholds=Thresholds(flow=0.0))[0]
    assert finder.model.any_size and masks.max() >= 5
    assert ((labels > 0) != (masks > 0)).mean() < 0.01
    shares = [
        np.bincount(labels[masks == cell]).max() / (masks == cell).sum() for cell in range(1, masks.max() + 1)
    ]
    assert np.mean(shares) > 0.95
