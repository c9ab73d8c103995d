"""A small spatio-temporal network that tells fates from the frames around a change and from fitted models."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn


class FateNet(nn.Module):
    """Convolutions over each frame, then over time; joined by what the models of the light say.

    Parameters
    ----------
    classes : sequence of str
        The classes K, in the order of the output.
    numbers : int
        How many numbers the last plane of the input begins with; the first two are the outward normal (y, x).
    roles : int
        Channels of the movie.
    widths : sequence of int
        Features of a frame at full, half and quarter resolution.
    hidden : int
        Features over time, and of the numbers.
    dropout : float
        Share of the joined features dropped while learning.

    Notes
    -----
    Input (N, roles * T + 1, P, P) as `exovision.events.examples.picture` makes it; frames that are not there
    are NaN. Batch normalisation uses fixed statistics in evaluation, so that a result does not depend on its
    batch. The logits, log-likelihoods once trained, are those of the numbers alone plus what the frames add.
    """

    def __init__(
        self,
        classes: Sequence[str] = ("fused", "rest"),
        numbers: int = 2,
        roles: int = 2,
        widths: Sequence[int] = (12, 20, 28),
        hidden: int = 48,
        *,
        dropout: float = 0.2,
    ) -> None:
        super().__init__()
        self.classes, self.numbers, self.roles = tuple(classes), numbers, roles
        self.widths, self.hidden = tuple(widths), hidden
        frames = []
        for inputs, outputs in zip((roles + 1, *widths[:-1]), widths):
            stride = 1 if inputs == roles + 1 else 2
            frames += [
                nn.Conv2d(inputs, outputs, 3, stride, 1, bias=False),
                nn.BatchNorm2d(outputs),
                nn.ReLU(),
            ]
        self.frame = nn.Sequential(*frames)
        self.time = nn.Sequential(
            nn.Conv1d(2 * widths[-1] + roles, hidden, 3, padding=1),
            nn.ReLU(),
            nn.Conv1d(hidden, hidden, 3, padding=2, dilation=2),
            nn.ReLU(),
        )
        self.told = nn.Sequential(
            nn.BatchNorm1d(numbers),
            nn.Linear(numbers, hidden),
            nn.ReLU(),
            nn.Linear(hidden, hidden),
            nn.ReLU(),
        )
        self.join = nn.Sequential(
            nn.Dropout(dropout), nn.Linear(4 * hidden, hidden), nn.ReLU(), nn.Dropout(dropout)
        )
        self.seen = nn.Linear(hidden, len(classes))
        self.head = nn.Linear(hidden, len(classes))

    @property
    def shape(self) -> dict[str, Any]:
        """The arguments that make a network of this shape again."""
        return {
            "classes": list(self.classes),
            "numbers": self.numbers,
            "roles": self.roles,
            "widths": list(self.widths),
            "hidden": self.hidden,
        }

    def forward(self, x: Tensor) -> Tensor:
        """Map moments (N, roles * T + 1, P, P) to logits (N, K)."""
        n, size = len(x), x.shape[-1]
        numbers = x[:, -1].flatten(1)[:, : self.numbers]
        frames = x[:, :-1].unflatten(1, (self.roles, -1)).transpose(1, 2)
        there = (~torch.isnan(frames[..., 0, 0])).to(x.dtype)
        grid = (torch.arange(size, device=x.device, dtype=x.dtype) - size // 2) / (size // 2)
        across = numbers[:, :1, None] * grid[:, None] + numbers[:, 1:2, None] * grid[None, :]
        across = across[:, None, None].expand(-1, frames.shape[1], -1, -1, -1)
        planes = torch.cat([torch.nan_to_num(frames), across], dim=2).flatten(0, 1)
        found = self.frame(planes)
        middle = found.shape[-1] // 2
        pooled = torch.cat([found.mean(dim=(2, 3)), found[:, :, middle, middle]], dim=1).unflatten(0, (n, -1))
        over_time = self.time(torch.cat([pooled, there], dim=2).transpose(1, 2))
        change = over_time.shape[2] // 3
        told = self.told(numbers)
        parts = [over_time[:, :, :change].mean(2), over_time[:, :, change:].mean(2), over_time.amax(2), told]
        logits: Tensor = self.head(told) + self.seen(self.join(torch.cat(parts, dim=1)))
        return logits
