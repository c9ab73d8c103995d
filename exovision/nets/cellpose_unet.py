"""The network of Cellpose 1 to 3: a residual U-Net whose way up is told the style of the whole image."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn


def _step(inputs: int, outputs: int, *, kernel: int = 3, rectified: bool = True) -> nn.Sequential:
    """Return normalisation, rectification and convolution, in that order."""
    convolution = nn.Conv2d(inputs, outputs, kernel, padding=kernel // 2)
    return nn.Sequential(nn.BatchNorm2d(inputs), *([nn.ReLU()] if rectified else []), convolution)


class StyledStep(nn.Module):
    """A step whose input is first shifted, channel by channel, by a linear map of the style.

    Parameters
    ----------
    channels : int
        Channels in and out.
    style : int
        Length of the style vector.
    """

    def __init__(self, channels: int, style: int) -> None:
        super().__init__()
        self.full = nn.Linear(style, channels)
        self.conv = _step(channels, channels)

    def forward(self, x: Tensor, style: Tensor) -> Tensor:
        """Map (N, channels, Y, X), and styles (N, style), to the shape of the first."""
        shifted: Tensor = self.conv(x + self.full(style)[:, :, None, None])
        return shifted


class DownBlock(nn.Module):
    """Four steps in two residual pairs, the first beside a linear projection."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.proj = _step(inputs, outputs, kernel=1, rectified=False)
        self.steps = nn.ModuleList(_step(inputs if k == 0 else outputs, outputs) for k in range(4))

    def forward(self, x: Tensor) -> Tensor:
        """Map (N, inputs, Y, X) to (N, outputs, Y, X)."""
        x = self.proj(x) + self.steps[1](self.steps[0](x))
        whole: Tensor = x + self.steps[3](self.steps[2](x))
        return whole


class UpBlock(nn.Module):
    """As a `DownBlock`, with the image of the way down added in the middle and the style in three steps."""

    def __init__(self, inputs: int, outputs: int, style: int) -> None:
        super().__init__()
        self.proj = _step(inputs, outputs, kernel=1, rectified=False)
        self.steps = nn.ModuleList([_step(inputs, outputs), *(StyledStep(outputs, style) for _ in range(3))])

    def forward(self, x: Tensor, skip: Tensor, style: Tensor) -> Tensor:
        """Map (N, inputs, Y, X) and the skipped (N, outputs, Y, X) to (N, outputs, Y, X)."""
        x = self.proj(x) + self.steps[1](self.steps[0](x) + skip, style)
        whole: Tensor = x + self.steps[3](self.steps[2](x, style), style)
        return whole


class CellposeUNet(nn.Module):
    """The U-Net of Cellpose (doi:10.1038/s41592-020-01018-x), for weights of Cellpose 1 to 3.

    Parameters
    ----------
    channels : int
        Images in; Cellpose's own models have the cell and its nucleus.
    widths : sequence of int
        Channels at full, half, quarter … resolution.

    Notes
    -----
    The output is (N, 3, Y, X): flow along y and along x, both times `flows.FLOW_SCALE`, and the logit of
    being inside a cell. Y and X must be multiples of ``2 ** (len(widths) - 1)``. The style is the mean of the
    deepest features, brought to unit length.
    """

    def __init__(self, channels: int = 2, widths: Sequence[int] = (32, 64, 128, 256)) -> None:
        super().__init__()
        self.down = nn.ModuleList(DownBlock(*pair) for pair in zip((channels, *widths[:-1]), widths))
        deeper = (*widths[1:], widths[-1])
        self.up = nn.ModuleList(UpBlock(deep, width, widths[-1]) for deep, width in zip(deeper, widths))
        self.output = _step(widths[0], 3, kernel=1)

    def forward(self, x: Tensor) -> Tensor:
        """Map images (N, channels, Y, X) to flows and logits (N, 3, Y, X)."""
        skips: list[Tensor] = []
        for level, block in enumerate(self.down):
            x = block(x if level == 0 else nn.functional.max_pool2d(x, 2))
            skips.append(x)
        mean = x.mean(dim=(2, 3))
        style = mean / torch.linalg.vector_norm(mean, dim=1, keepdim=True)
        for level in range(len(self.up) - 1, -1, -1):
            x = self.up[level](x, skips[level], style)
            if level > 0:
                x = nn.functional.interpolate(x, scale_factor=2.0, mode="nearest")
        flows: Tensor = self.output(x)
        return flows
