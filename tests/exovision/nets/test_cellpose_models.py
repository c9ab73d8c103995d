"""Model files of Cellpose: what is read, and what is refused with one line."""

import importlib.util
import pickle
from pathlib import Path

import pytest
import torch

from exovision.errors import InputError
from exovision.nets.cellpose_models import load_model, read_state

SPEC = importlib.util.spec_from_file_location(
    "cellpose3", Path(__file__).parents[3] / "benchmarks" / "cellpose3.py"
)
cellpose3 = importlib.util.module_from_spec(SPEC)
SPEC.loader.exec_module(cellpose3)

SMALL = (6, 8, 10, 12)


def saved(path, **changed):
    """Writes the arrays of a small U-Net, with some changed or (None) left out."""
    state = cellpose3.weights(2, SMALL) | changed
    torch.save({name: value for name, value in state.items() if value is not None}, path)
    return path


class Shell:
    """Would create a file when unpickled without care."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return (Path.touch, (self.path,))


def test_a_u_net_is_read_with_its_channels_and_diameters(tmp_path):
    model = load_model(saved(tmp_path / "mine"))
    assert (model.channels, model.diameter_px, model.trained_px) == (2, 30.0, 41.0)
    assert model.network(torch.zeros(1, 2, 16, 24)).shape == (1, 3, 16, 24)


def test_a_file_of_cellpose_1_knows_no_diameters(tmp_path):
    model = load_model(saved(tmp_path / "mine", diam_mean=None, diam_labels=None))
    assert (model.diameter_px, model.trained_px) == (30.0, None)


def test_cellposes_own_nuclei_are_wanted_at_17_px(tmp_path):
    model = load_model(saved(tmp_path / "nucleitorch_0"))
    assert (model.diameter_px, model.trained_px) == (17.0, None)


def test_names_of_a_network_spread_over_gpus_are_understood(tmp_path):
    state = {f"module.{name}": value for name, value in cellpose3.weights(1, SMALL).items()}
    torch.save(state, tmp_path / "spread")
    assert load_model(tmp_path / "spread").channels == 1


def test_code_in_a_file_is_refused_and_does_not_run(tmp_path):
    path, trace = tmp_path / "evil", tmp_path / "ran"
    torch.save({"output.2.weight": Shell(trace)}, path)
    with pytest.raises(InputError, match="code, which is not run"):
        read_state(path)
    path.write_bytes(pickle.dumps(Shell(trace)))
    with pytest.raises(InputError, match="evil: a model file of Cellpose 1 to 4 is needed"):
        read_state(path)
    assert not trace.exists()


@pytest.mark.parametrize("content", [b"", b"<html>sign in</html>", b"PK\x03\x04 cut short", b"\x80\x02]."])
def test_a_file_that_is_no_model_gets_one_line(tmp_path, content):
    path = tmp_path / "no_model"
    path.write_bytes(content)
    with pytest.raises(InputError, match="a model file of Cellpose 1 to 4 is needed") as refused:
        load_model(path)
    assert "\n" not in str(refused.value)


def test_a_missing_file_gets_one_line(tmp_path):
    with pytest.raises(InputError, match="cannot be read"):
        load_model(tmp_path / "absent")


CHANNELS = cellpose3.weights(4, SMALL)
OUT = {"output.2.weight": torch.zeros(1, 6, 1, 1), "output.2.bias": torch.zeros(1)}


@pytest.mark.parametrize(
    ("state", "message"),
    [
        (CHANNELS, "this one is for 4 channels"),
        (cellpose3.weights(2, SMALL) | OUT, "this one has 1 .denoising"),
        ({"downsample.down.conv_down_0.conv.conv_0.0.weight": torch.zeros(2)}, "residual blocks"),
        ({"encoder.cls_token": torch.zeros(1)}, "DINO"),
        ({"layer.weight": torch.zeros(3)}, "arrays of other names"),
        ({}, "arrays of other names"),
        ([torch.zeros(3)], "no table of arrays"),
        (cellpose3.weights(2, SMALL) | {"extra": torch.zeros(2)}, "0 arrays are missing, 1 unknown: extra"),
        (cellpose3.weights(2, SMALL) | {"output.0.bias": torch.zeros(5)}, "size mismatch"),
        (cellpose3.weights(2, SMALL) | {"diam_labels": torch.zeros(1)}, "must be positive, got 30 and 0"),
        (cellpose3.weights(2, SMALL) | {"diam_mean": torch.ones(2)}, "not the network"),
        ({"W2": torch.zeros(3), "encoder.patch_embed.proj.weight": torch.zeros(3)}, "arrays|size mismatch"),
    ],
)
def test_other_networks_are_refused_with_what_they_are(tmp_path, state, message):
    torch.save(state, tmp_path / "other")
    with pytest.raises(InputError, match=message) as refused:
        load_model(tmp_path / "other")
    assert "\n" not in str(refused.value)


def test_a_network_trained_without_style_is_refused(tmp_path):
    with pytest.raises(InputError, match="with a style"):
        load_model(saved(tmp_path / "cellpose_residual_on_style_off_concatenation_off"))
