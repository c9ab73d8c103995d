"""A plain training loop for flow networks: AdamW, one learning-rate cycle, a seed."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from exovision.nets.flows import FLOW_SCALE
from exovision.nets.unet import FlowUNet
from exovision.progress import Progress, silent

Batch = tuple[NDArray[np.float32], NDArray[np.float32]]
"""Images of shape (N, 1, Y, X) and targets of shape (N, 4, Y, X): unit flow y, x, cell share, weight."""


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
    """

    steps: int
    learning_rate: float = 3e-3
    weight_decay: float = 1e-4


def fresh_network(widths: Sequence[int], seed: int) -> FlowUNet:
    """Return an untrained network whose weights depend on `widths` and `seed` alone."""
    torch.manual_seed(seed)
    return FlowUNet(widths)


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
    network: FlowUNet,
    next_batch: Callable[[int], Batch],
    course: Course,
    *,
    device: torch.device,
    progress: Progress = silent,
) -> list[float]:
    """Train a network in place and leave it in evaluation mode on the CPU.

    Parameters
    ----------
    network : FlowUNet
        Changed in place.
    next_batch : callable
        Gives the batch of a step number.
    course : Course
        Steps and rates.
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
    losses = []
    for step in range(course.steps):
        images, targets = (torch.from_numpy(part).to(device) for part in next_batch(step))
        with torch.autocast(device.type, torch.bfloat16, enabled=_has_bfloat16(device)):
            output = network(images.contiguous(memory_format=torch.channels_last))
        loss = flow_loss(output.float(), targets)
        optimiser.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(network.parameters(), 5.0)
        optimiser.step()
        cycle.step()
        losses.append(loss.item())
        logging.getLogger(__name__).debug("step %d loss %.4f", step, losses[-1])
        progress("training", step + 1, course.steps)
    network.to("cpu").eval()
    return losses


def _has_bfloat16(device: torch.device) -> bool:
    if device.type == "cuda":
        return bool(torch.cuda.is_bf16_supported())
    return device.type == "cpu" and "AVX512" in torch.backends.cpu.get_cpu_capability()
