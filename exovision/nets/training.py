"""A plain training loop: AdamW, one learning-rate cycle, averaged weights, a seed."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

from exovision.nets.fate_net import FateNet
from exovision.nets.flows import FLOW_SCALE
from exovision.nets.morphology import MorphologyNet
from exovision.nets.unet import FlowUNet
from exovision.progress import Progress, silent

Batch = tuple[NDArray[np.float32], NDArray[np.float32]]
"""Images of shape (N, C, Y, X) and their targets, of N rows."""
Loss = Callable[[Tensor, Tensor], Tensor]
"""Of the network's output and the targets, float32."""


@dataclass(frozen=True)
class Course:
    """How long and how fast a network learns.

    Attributes
    ----------
    steps : int
        Batches seen.
    learning_rate : float
        The largest of the cycle.
    weight_decay : float
        Of AdamW.
    averaging : float
        Share of the running average of the weights that a step keeps (Polyak, doi:10.1137/0330046); the
        average is the result. 0: the last weights are.
    half : bool
        Whether half precision is used where the device has it.
    """

    steps: int
    learning_rate: float = 3e-3
    weight_decay: float = 1e-4
    averaging: float = 0.0
    half: bool = True


def fresh_network(widths: Sequence[int], seed: int) -> FlowUNet:
    """Return an untrained network whose weights depend on `widths` and `seed` alone."""
    torch.manual_seed(seed)
    return FlowUNet(widths)


def fresh_morphology(
    roles: Sequence[str], classes: Sequence[str], widths: Sequence[int], seed: int
) -> MorphologyNet:
    """Return an untrained morphology network whose weights depend on its shape and `seed` alone."""
    torch.manual_seed(seed)
    return MorphologyNet(roles, classes, widths)


def fresh_fates(
    classes: Sequence[str], numbers: int, roles: int, widths: Sequence[int], hidden: int, seed: int
) -> FateNet:
    """Return an untrained network of fates whose weights depend on its shape and `seed` alone."""
    torch.manual_seed(seed)
    return FateNet(classes, numbers, roles, widths, hidden)


def class_loss(smoothing: float, shares: Sequence[float] | None = None) -> Loss:
    """Return the cross-entropy against sets of allowed classes.

    Parameters
    ----------
    smoothing : float
        Share of the weight that is spread over all classes (doi:10.1109/CVPR.2016.308).
    shares : sequence of float, optional
        How often each class is drawn. Logits then become log-likelihoods, whatever is drawn
        (doi:10.48550/arXiv.2007.07314); log-probabilities at the shares that are drawn if omitted.

    Returns
    -------
    callable
        Of logits (N, K) and allowed classes (N, K), each 0 or 1: minus the mean logarithm of the summed
        probability of what is allowed.
    """
    prior = torch.log(torch.tensor([1.0] if shares is None else shares).clamp(min=1e-9))

    def loss(output: Tensor, allowed: Tensor) -> Tensor:
        logs = torch.log_softmax(output + prior.to(output.device), dim=1)
        right = torch.logsumexp(logs.masked_fill(allowed < 0.5, -torch.inf), dim=1)
        return -((1 - smoothing) * right + smoothing * logs.mean(dim=1)).mean()

    return loss


def logit_loss(output: Tensor, target: Tensor) -> Tensor:
    """Return the mean binary cross-entropy of logits (N, 1) with targets (N, 1) of 0 or 1."""
    return functional.binary_cross_entropy_with_logits(output, target)


def flow_loss(output: Tensor, target: Tensor) -> Tensor:
    """Compare flows by their squared error and cells by binary cross-entropy.

    Parameters
    ----------
    output : Tensor of shape (N, 3, Y, X)
        As `FlowUNet` returns it.
    target : Tensor of shape (N, 4, Y, X)
        Unit flow along y and x, share of the pixel that lies in a cell (0–1), weight of the pixel.

    Returns
    -------
    Tensor of shape ()
        Weighted mean over pixels (the sum of the two losses of doi:10.1038/s41592-020-01018-x).
    """
    weight = target[:, 3]
    flows = ((output[:, :2] - FLOW_SCALE * target[:, :2]) ** 2).mean(dim=1) / 2
    cells = functional.binary_cross_entropy_with_logits(output[:, 2], target[:, 2], reduction="none")
    return (weight * (flows + cells)).sum() / weight.sum().clamp(min=1)


def train(
    network: nn.Module,
    next_batch: Callable[[int], Batch],
    course: Course,
    *,
    loss: Loss = flow_loss,
    device: torch.device,
    progress: Progress = silent,
) -> list[float]:
    """Train a network in place and leave it in evaluation mode on the CPU.

    Parameters
    ----------
    network : Module
        Changed in place.
    next_batch : callable
        Gives the batch of a step number.
    course : Course
        Steps and rates.
    loss : callable
        What is made small.
    device : torch.device
        Where to compute; half precision is used for the convolutions on a CPU that has it and on CUDA.
    progress : Progress
        Called after every step; may raise `Cancelled`.

    Returns
    -------
    list of float
        The loss of every step.
    """
    network.to(device=device, memory_format=torch.channels_last).train()  # type: ignore[call-overload]
    optimiser = torch.optim.AdamW(
        network.parameters(), lr=course.learning_rate, weight_decay=course.weight_decay
    )
    cycle = torch.optim.lr_scheduler.OneCycleLR(
        optimiser, max_lr=course.learning_rate, total_steps=course.steps + 1, pct_start=0.1
    )
    average = _Average(network, course.averaging)
    losses = []
    for step in range(course.steps):
        images, targets = (torch.from_numpy(part).to(device) for part in next_batch(step))
        with torch.autocast(device.type, torch.bfloat16, enabled=course.half and _has_bfloat16(device)):
            output = network(images.contiguous(memory_format=torch.channels_last))
        error = loss(output.float(), targets)
        optimiser.zero_grad()
        error.backward()
        torch.nn.utils.clip_grad_norm_(network.parameters(), 5.0)
        optimiser.step()
        cycle.step()
        average.take(step)
        losses.append(error.item())
        logging.getLogger(__name__).debug("step %d loss %.4f", step, losses[-1])
        progress("training", step + 1, course.steps)
    average.give()
    network.to("cpu").eval()
    return losses


class _Average:
    """A running average of a network's weights and statistics that starts short and grows long."""

    def __init__(self, network: nn.Module, keep: float) -> None:
        self._network, self._keep = network, keep
        self._mean = {name: value.clone() for name, value in network.state_dict().items()} if keep else {}

    @torch.no_grad()
    def take(self, step: int) -> None:
        """Take in the weights after a step."""
        keep = min(self._keep, (1 + step) / (10 + step))
        for name, value in self._network.state_dict().items() if self._mean else ():
            mean = self._mean[name]
            mean.copy_(keep * mean + (1 - keep) * value if value.is_floating_point() else value)

    def give(self) -> None:
        """Give the network the average."""
        if self._mean:
            self._network.load_state_dict(self._mean)


def _has_bfloat16(device: torch.device) -> bool:
    if device.type == "cuda":
        return bool(torch.cuda.is_bf16_supported())
    return device.type == "cpu" and "AVX512" in torch.backends.cpu.get_cpu_capability()
