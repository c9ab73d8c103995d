"""A small residual U-Net that predicts, for every pixel, a flow to its cell's centre and a cell logit."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn


class ResidualBlock(nn.Module):
    """Two 3 x 3 convolutions with batch normalisation beside a linear shortcut.

    Parameters
    ----------
    inputs, outputs : int
        Channels.
    dilation : int
        Spacing of the taps in px; widens the receptive field at no cost.
    """

    def __init__(self, inputs: int, outputs: int, *, dilation: int = 1) -> None:
        super().__init__()
        self.shortcut = (
            nn.Identity()
            if inputs == outputs
            else nn.Sequential(nn.Conv2d(inputs, outputs, 1, bias=False), nn.BatchNorm2d(outputs))
        )
        self.body = nn.Sequential(
            nn.Conv2d(inputs, outputs, 3, padding=dilation, dilation=dilation, bias=False),
            nn.BatchNorm2d(outputs),
            nn.ReLU(inplace=True),
            nn.Conv2d(outputs, outputs, 3, padding=dilation, dilation=dilation, bias=False),
            nn.BatchNorm2d(outputs),
        )

    def forward(self, x: Tensor) -> Tensor:
        """Map (N, inputs, Y, X) to (N, outputs, Y, X)."""
        return torch.relu(self.shortcut(x) + self.body(x))


class FlowUNet(nn.Module):
    """Residual U-Net from one image to Cellpose's flow representation (doi:10.1038/s41592-020-01018-x).

    Parameters
    ----------
    widths : sequence of int
        Channels at full, half, quarter … resolution.

    Notes
    -----
    The output is (N, 3, Y, X): flow along y, flow along x (both times `flows.FLOW_SCALE`) and the logit of
    being inside a cell. Y and X must be multiples of `stride`. Batch normalisation uses fixed statistics in
    evaluation, so that one frame's result does not depend on its batch.
    """

    def __init__(self, widths: Sequence[int] = (16, 32, 64, 96)) -> None:
        super().__init__()
        self.widths = tuple(widths)
        pairs = list(zip((1, *widths[:-1]), widths))
        self.down = nn.ModuleList(ResidualBlock(inputs, outputs) for inputs, outputs in pairs)
        self.bottom = ResidualBlock(widths[-1], widths[-1], dilation=2)
        self.reduce = nn.ModuleList(
            nn.Conv2d(deep, shallow, 1) for deep, shallow in zip(widths[:0:-1], widths[-2::-1])
        )
        self.up = nn.ModuleList(ResidualBlock(width, width) for width in widths[-2::-1])
        self.head = nn.Conv2d(widths[0], 3, 1)

    @property
    def shape(self) -> dict[str, Any]:
        """The arguments that make a network of this shape again."""
        return {"widths": list(self.widths)}

    @property
    def stride(self) -> int:
        """The multiple that Y and X must be of, px."""
        return int(2 ** (len(self.widths) - 1))

    def forward(self, x: Tensor) -> Tensor:
        """Map images (N, 1, Y, X) to flows and logits (N, 3, Y, X)."""
        skips: list[Tensor] = []
        for level, block in enumerate(self.down):
            x = block(x if level == 0 else nn.functional.max_pool2d(x, 2))
            skips.append(x)
        x = self.bottom(skips.pop())
        for reduce, block in zip(self.reduce, self.up):
            wide = nn.functional.interpolate(reduce(x), scale_factor=2.0, mode="nearest")
            x = block(wide + skips.pop())
        logits: Tensor = self.head(x)
        return logits
