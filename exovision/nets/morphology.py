"""A small residual network that tells from crops of a cell's channels which state the cell is in."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn

from exovision.nets.unet import ResidualBlock


class MorphologyNet(nn.Module):
    """Residual network from the crops of one cell, any subset of its channels, to class logits.

    Parameters
    ----------
    roles : sequence of str
        The channels R, in the order of the input.
    classes : sequence of str
        The classes K, in the order of the output.
    widths : sequence of int
        Features at half, quarter … resolution.
    dropout : float
        Share of the pooled features dropped while learning.

    Notes
    -----
    Input (N, R, Y, X) as `exovision.death.crops` cuts it; a channel that is missing is NaN throughout. Y
    and X must be multiples of `2 ** len(widths)`. Batch normalisation uses fixed statistics in evaluation,
    so that one cell's result does not depend on its batch. The middle half of the crop, where the cell is, is
    pooled apart from its neighbours.
    """

    def __init__(
        self,
        roles: Sequence[str] = ("nucleus",),
        classes: Sequence[str] = ("live", "apoptotic"),
        widths: Sequence[int] = (24, 48, 96),
        *,
        dropout: float = 0.2,
    ) -> None:
        super().__init__()
        self.roles, self.classes, self.widths = tuple(roles), tuple(classes), tuple(widths)
        self.fold = nn.PixelUnshuffle(2)
        self.stem = nn.Conv2d(4 * len(roles), widths[0], 3, padding=1, bias=False)
        self.presence = nn.Linear(len(roles), widths[0], bias=False)
        self.norm = nn.BatchNorm2d(widths[0])
        pairs = zip((widths[0], *widths[:-1]), widths)
        self.down = nn.ModuleList(ResidualBlock(inputs, outputs) for inputs, outputs in pairs)
        self.bottom = ResidualBlock(widths[-1], widths[-1])
        self.drop = nn.Dropout(dropout)
        self.head = nn.Linear(3 * widths[-1], len(classes))

    @property
    def shape(self) -> dict[str, Any]:
        """The arguments that make a network of this shape again."""
        return {"roles": list(self.roles), "classes": list(self.classes), "widths": list(self.widths)}

    def forward(self, x: Tensor) -> Tensor:
        """Map crops (N, R, Y, X) to logits (N, K)."""
        present = (~torch.isnan(x[:, :, 0, 0])).to(x.dtype)
        x = self.stem(self.fold(torch.nan_to_num(x)))
        x = torch.relu(self.norm(x + self.presence(present)[:, :, None, None]))
        for level, block in enumerate(self.down):
            x = block(x if level == 0 else nn.functional.max_pool2d(x, 2))
        x = self.bottom(x)
        rows, columns = x.shape[2] // 4, x.shape[3] // 4
        middle = x[:, :, rows : x.shape[2] - rows, columns : x.shape[3] - columns]
        pooled = [x.mean(dim=(2, 3)), middle.mean(dim=(2, 3)), middle.amax(dim=(2, 3))]
        logits: Tensor = self.head(self.drop(torch.cat(pooled, dim=1)))
        return logits
