import numpy as np
import pytest
import torch
from torch import nn

from exovision.errors import SettingsError
from exovision.nets.device import BYTES_PER_PX, SHARE, BatchRunner, resolve_device

IMAGES = np.arange(5 * 4 * 4, dtype=np.float32).reshape(5, 4, 4)


class Pretender:
    """A device that claims to be a GPU while tensors stay on the CPU."""

    type = "cuda"

    def __str__(self):
        return "cuda"


class Hungry(nn.Module):
    """Doubles images; runs out of memory with more than `most` of them."""

    def __init__(self, most):
        super().__init__()
        self.most, self.batches = most, []

    def to(self, device=None, **kwargs):
        if getattr(device, "type", "") == "cpu":
            self.most = 99
        return self

    def forward(self, x):
        self.batches.append(len(x))
        if len(x) > self.most:
            raise RuntimeError("CUDA out of memory. Tried to allocate 20 GiB")
        return 2 * x


@pytest.fixture
def on_gpu(monkeypatch):
    """Let a pretended GPU run on the CPU."""
    as_before = torch.Tensor.to

    def stay(tensor, *args, **kwargs):
        return tensor if args and isinstance(args[0], Pretender) else as_before(tensor, *args, **kwargs)

    monkeypatch.setattr(torch.Tensor, "to", stay)
    monkeypatch.setattr(torch.Tensor, "pin_memory", lambda tensor: tensor)
    monkeypatch.setattr(torch.cuda, "empty_cache", lambda: None)
    free = [1 << 34]
    monkeypatch.setattr(torch.cuda, "mem_get_info", lambda device: (free[0], 1 << 34))
    return free


def run(network, **kwargs):
    notes = []
    runner = BatchRunner(network, Pretender(), note=notes.append, **kwargs)
    return runner, runner.run(IMAGES), notes


def test_out_of_memory_halves_the_batch_and_says_so(on_gpu):
    network = Hungry(most=1)
    runner, output, notes = run(network)
    assert np.array_equal(output, 2 * IMAGES[:, None])
    assert network.batches == [5, 2, 1, 1, 1, 1, 1]
    assert notes == [
        "cuda: out of memory with 5 images, going on with 2",
        "cuda: out of memory with 2 images, going on with 1",
    ]
    assert runner.device.type == "cuda"


def test_out_of_memory_with_one_image_goes_on_with_the_cpu_and_says_so(on_gpu):
    runner, output, notes = run(Hungry(most=0), batch_px=16)
    assert np.array_equal(output, 2 * IMAGES[:, None])
    assert notes == ["cuda: out of memory with one image, going on with the CPU"]
    assert runner.device == torch.device("cpu")


def test_the_first_batch_is_as_large_as_the_free_memory_allows(on_gpu):
    on_gpu[0] = 2 * 16 * BYTES_PER_PX / SHARE
    network = Hungry(most=2)
    _, output, notes = run(network)
    assert np.array_equal(output, 2 * IMAGES[:, None])
    assert network.batches == [2, 2, 1]
    assert not notes


def test_a_full_gpu_still_gets_one_image_at_a_time(on_gpu):
    on_gpu[0] = 0
    network = Hungry(most=1)
    run(network)
    assert network.batches == [1] * 5


def test_a_network_that_needs_more_memory_gets_smaller_batches(on_gpu):
    on_gpu[0] = 2 * 16 * 5000 / SHARE
    network = Hungry(most=2)
    run(network, bytes_per_px=5000)
    assert network.batches == [2, 2, 1]


def test_a_network_that_a_gpu_does_not_hold_runs_on_the_cpu_and_says_so(on_gpu):
    class TooLarge(Hungry):
        def to(self, device=None, **kwargs):
            if device.type != "cpu":
                raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2 GiB")
            return self

    runner, output, notes = run(TooLarge(most=99))
    assert np.array_equal(output, 2 * IMAGES[:, None])
    assert notes == ["cuda: out of memory for the network, going on with the CPU"]
    assert runner.device == torch.device("cpu")


def test_images_go_to_a_gpu_from_pinned_memory(on_gpu, monkeypatch):
    pinned = []
    monkeypatch.setattr(torch.Tensor, "pin_memory", lambda tensor: pinned.append(len(tensor)) or tensor)
    run(Hungry(most=2), batch_px=32)
    assert pinned == [2, 2, 1]


def test_convolutions_keep_all_bits_of_float32(on_gpu):
    class Asking(nn.Module):
        def to(self, **kwargs):
            return self

        def forward(self, x):
            return x.new_full((len(x), 1), float(torch.backends.cudnn.allow_tf32))

    assert torch.backends.cudnn.allow_tf32
    assert not run(Asking())[1].any()
    assert torch.backends.cudnn.allow_tf32


def test_another_failure_is_not_hidden():
    class Broken(nn.Module):
        def forward(self, x):
            raise RuntimeError("shapes do not fit")

    with pytest.raises(RuntimeError, match="shapes"):
        BatchRunner(Broken(), torch.device("cpu")).run(IMAGES)


def test_the_result_does_not_depend_on_the_batch():
    torch.manual_seed(0)
    network = nn.Conv2d(1, 3, 3, padding=1).eval()
    runner = BatchRunner(network, torch.device("cpu"))
    one_by_one = np.concatenate([runner.run(image[None]) for image in IMAGES])
    assert runner.run(IMAGES) == pytest.approx(one_by_one, abs=1e-5)


@pytest.mark.parametrize("name", ["gpu", "cpu:1", "cuda:x", "mps:0", ""])
def test_an_unknown_device_lists_the_known_ones(name):
    with pytest.raises(SettingsError, match="known: auto, cpu, cuda"):
        resolve_device(name)


def test_devices_that_are_not_there_are_refused(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: False)
    assert resolve_device("auto") == torch.device("cpu") == resolve_device("cpu")
    for name in ("cuda", "cuda:0", "mps"):
        with pytest.raises(SettingsError, match="use auto or cpu"):
            resolve_device(name)


def test_a_gpu_number_that_does_not_exist_is_refused(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 1)
    assert resolve_device("cuda:0") == torch.device("cuda:0")
    with pytest.raises(SettingsError, match="1 GPU"):
        resolve_device("cuda:1")
