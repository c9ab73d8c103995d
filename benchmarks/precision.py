"""What fewer bits in the cell network would change: cells found with bfloat16 and TF32 beside float32.

    python benchmarks/precision.py --frames 40 --seed 7

Simulated frames of all looks at the diameter that the network finds itself, on the CPU: bfloat16 by torch's
autocast, TF32 (what GPUs use for convolutions unless told otherwise) by rounding what goes into every
convolution, images and weights, to ten bits. One JSON line each: cells found, cells that float32 has and this
has not (no overlap of .5) and the reverse, the share of pixels that are cell in one only, and AP@.5 against
the truth.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

BITS_DROPPED = 13
"""Of the 23 bits of a float32's mantissa."""


def rounded(tensor: Any) -> Any:
    """Return a float32 tensor rounded to the ten bits of TF32."""
    import torch

    half = 1 << (BITS_DROPPED - 1)
    bits = tensor.contiguous().view(torch.int32)
    return ((bits + half) >> BITS_DROPPED << BITS_DROPPED).view(torch.float32)


@contextmanager
def tf32() -> Iterator[None]:
    """Let convolutions see their images and weights as a GPU in TF32 does."""
    import torch
    from torch.nn.modules import module

    def before(layer: Any, inputs: Any) -> Any:
        if not isinstance(layer, torch.nn.Conv2d):
            return None
        layer.weight.data = rounded(layer.weight.data)
        return tuple(rounded(tensor) for tensor in inputs)

    hook = module.register_module_forward_pre_hook(before)
    try:
        yield
    finally:
        hook.remove()


def compare(frames: int, seed: int) -> Iterator[dict[str, Any]]:
    """Yield the figures of each arithmetic, float32 first."""
    from contextlib import nullcontext

    import numpy as np
    import torch

    from exovision.cells.embedded_segmenter import EmbeddedSegmenter
    from exovision.scoring.cells import cells_score, match_cells
    from exovision.settings import CellSettings
    from exovision.simulation.training_frames import training_frame

    drawn = [training_frame(np.random.default_rng([seed, 7, k]), (512, 512)) for k in range(frames)]

    def found() -> list[Any]:
        return [
            EmbeddedSegmenter(CellSettings(), pixel_size_um=0.3, device="cpu").segment(
                image[None].astype(np.float32), range(1)
            )[0]
            for image, _ in drawn
        ]

    exact = found()
    for name, arithmetic in (
        ("float32", nullcontext()),
        ("tf32", tf32()),
        ("bfloat16", torch.autocast("cpu", torch.bfloat16)),
    ):
        with arithmetic:
            labels = found()
        beside = match_cells(labels, exact).frames.sum()
        yield {
            "arithmetic": name,
            "cells": int(beside["n_result"]),
            "missing": int(beside["n_truth"] - beside["hits_50"]),
            "added": int(beside["n_result"] - beside["hits_50"]),
            "pixels": float(np.mean([(a > 0) != (b > 0) for a, b in zip(labels, exact)])),
            "ap50": cells_score(labels, [truth for _, truth in drawn])["cells.ap50"].value,
        }


def main() -> None:
    """Print one JSON line per arithmetic."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--frames", type=int, default=40)
    parser.add_argument("--seed", type=int, default=7)
    options = parser.parse_args()
    for figures in compare(options.frames, options.seed):
        print(json.dumps(figures), flush=True)


if __name__ == "__main__":
    main()
