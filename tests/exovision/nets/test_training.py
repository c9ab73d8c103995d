import numpy as np
import pytest
import torch

from exovision.errors import InputError, OutputError
from exovision.nets import weights
from exovision.nets.cell_finder import choose_diameter, confidence, drop_small
from exovision.nets.flows import flow_targets
from exovision.nets.training import Course, flow_loss, train
from exovision.nets.unet import FlowUNet

ROWS, COLUMNS = np.indices((32, 32))


def batch(step):
    rng = np.random.default_rng(step)
    images, targets = [], []
    for _ in range(2):
        y, x = rng.uniform(11, 21, 2)
        labels = (np.hypot(ROWS - y, COLUMNS - x) < 8).astype(np.int32)
        images.append((labels + 0.05 * rng.standard_normal(labels.shape))[None])
        targets.append([*flow_targets(labels), labels, np.ones_like(labels)])
    return np.array(images, dtype=np.float32), np.array(targets, dtype=np.float32)


def trained(steps=30, seed=0):
    torch.manual_seed(seed)
    network = FlowUNet((4, 8))
    return network, train(network, batch, Course(steps=steps), device=torch.device("cpu"))


def test_the_loss_falls_on_a_small_problem():
    _, losses = trained(60)
    assert np.mean(losses[-5:]) < 0.5 * np.mean(losses[:3])


def test_the_same_seed_gives_the_same_weights():
    first, second, other = (trained(4, seed)[0].state_dict() for seed in (0, 0, 1))
    assert all(torch.equal(first[name], second[name]) for name in first)
    assert not all(torch.equal(first[name], other[name]) for name in first)


def test_pixels_without_weight_do_not_count():
    targets = torch.from_numpy(batch(0)[1])
    output = torch.zeros(2, 3, 32, 32)
    before = flow_loss(output, targets)
    targets[:, 3, :16] = 0
    half = flow_loss(output, targets)
    output[:, :, :16] = 100
    assert flow_loss(output, targets) == pytest.approx(float(half)) and half != before


def test_a_perfect_output_has_next_to_no_loss():
    _, targets = (torch.from_numpy(part) for part in batch(0))
    perfect = torch.cat([5 * targets[:, :2], 40 * targets[:, 2:3] - 20], dim=1)
    assert float(flow_loss(perfect, targets)) < 1e-6


def test_one_image_gives_the_same_output_in_any_batch():
    network = FlowUNet((4, 8, 8)).eval()
    images = torch.rand(3, 1, 24, 20 - 20 % network.stride)
    with torch.inference_mode():
        together, alone = network(images), network(images[1:2])
    assert together.shape == (3, 3, 24, 20) and network.stride == 4
    assert torch.allclose(together[1:2], alone, atol=1e-5)


def test_weights_come_back_as_they_were_saved(tmp_path):
    network, _ = trained(1)
    weights.save(network, tmp_path / "new" / "w.safetensors", {"working_diameter_px": 32.0})
    loaded, facts = weights.load(tmp_path / "new" / "w.safetensors", FlowUNet)
    assert facts["working_diameter_px"] == 32 and not loaded.training
    assert all(torch.equal(value, loaded.state_dict()[name]) for name, value in network.state_dict().items())


@pytest.mark.parametrize("damage", ["no json", "no weights", "cut", "other widths", "unknown architecture"])
def test_damaged_weights_are_refused_in_one_line(tmp_path, damage):
    path = tmp_path / "w.safetensors"
    weights.save(FlowUNet((4, 8)), path, {})
    facts = path.with_suffix(".json")
    if damage == "no json":
        facts.unlink()
    elif damage == "no weights":
        path.unlink()
    elif damage == "cut":
        path.write_bytes(path.read_bytes()[:200])
    else:
        new = ("4", "6") if damage == "other widths" else ("FlowUNet", "Other")
        facts.write_text(facts.read_text().replace(*new))
    with pytest.raises(InputError, match="as `exovision train` wrote them") as raised:
        weights.load(path, FlowUNet)
    assert "\n" not in str(raised.value)


def test_weights_cannot_be_written_into_a_file(tmp_path):
    (tmp_path / "taken").write_text("")
    with pytest.raises(OutputError, match="writable folder"):
        weights.save(FlowUNet((4, 8)), tmp_path / "taken" / "w.safetensors", {})


def test_the_diameter_that_is_found_again_wins():
    assert choose_diameter([(10, 25, 0.9), (20, 21, 0.9), (40, 22, 0.9)]) == 21
    assert choose_diameter([(10, 0, 0.9), (20, 0, 0.9)]) is None


def test_confidence_asks_whether_all_that_is_probably_cell_was_found_and_not_how_much_background_there_is():
    labels, output = np.zeros((20, 40), dtype=np.int32), np.full((3, 20, 40), -20.0, dtype=np.float32)
    labels[5:15, 5:15] = 1
    output[2, 5:15, 5:15] = 20.0
    assert confidence(labels, output) == pytest.approx(1)
    output[2, 5:15, 20:30] = 20.0
    for wide in (0, 60):
        margin = [(0, 0), (0, wide)]
        empty = np.pad(output, [(0, 0), *margin], constant_values=-20.0)
        assert confidence(np.pad(labels, margin), empty) == pytest.approx(0.5)
    assert confidence(np.zeros_like(labels), output) == 0


def test_small_cells_are_not_looked_for_once_two_trials_agree_on_larger_ones():
    trials = iter([(80, 61, 0.9), (57, 60, 0.95), (40, 58, 0.95), (28, 28, 1.0)])
    assert choose_diameter(trials) == 60
    assert next(trials) == (28, 28, 1.0)
    assert choose_diameter([(200, 210, 0.95), (140, 110, 0.9), (28, 28, 1.0)]) == 28


def test_small_cells_are_dropped_and_the_rest_numbered_anew():
    labels = np.array([[1, 1, 1, 0], [2, 0, 5, 5], [0, 0, 5, 5]], dtype=np.int32)
    assert drop_small(labels, 3).tolist() == [[1, 1, 1, 0], [0, 0, 2, 2], [0, 0, 2, 2]]
