"""What Cellpose 3.1.1.3 makes of known weights and images: the reference for the project's own U-Net.

Needs Cellpose 3 in a folder of its own, since the package exovision needs is Cellpose 4:

    pip install --no-deps --target cellpose3 cellpose==3.1.1.3
    PYTHONPATH=cellpose3 python benchmarks/cellpose3.py --out tests/exovision/nets/cellpose3.npz

The weights are random but for one path through the network that makes flows up the slope of the image, so
that there are cells to find; weights and images come from a generator whose stream is fixed for good.
"""

from __future__ import annotations

import argparse
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch

WIDTHS = (32, 64, 128, 256)
SEED = 5
PATHS = 5
"""Channels of the path that is not random: slopes down, up, right and left, and the image itself."""
STEP = 29
"""Every so many pixels of flows and logits are kept in the reference."""
CASES = (
    {"name": "one_tile", "shape": (150, 190), "spacing": 48, "diameter_px": 44.0, "channels": 2},
    {"name": "tiles", "shape": (270, 330), "spacing": 26, "diameter_px": 23.0, "channels": 2},
    {"name": "gray", "shape": (110, 90), "spacing": 34, "diameter_px": 30.0, "channels": 1},
)


def weights(channels: int, widths: Sequence[int] = WIDTHS) -> dict[str, torch.Tensor]:
    """Return arrays named as in a model file of Cellpose 3, `channels` images in."""
    random = np.random.RandomState(SEED)
    state = {name: _drawn(name, shape, random) for name, shape in _shapes(channels, widths)}
    _lead_up_the_slope(state)
    state["diam_mean"], state["diam_labels"] = np.array([30.0]), np.array([41.0])
    return {name: torch.from_numpy(np.asarray(value, dtype=np.float32)) for name, value in state.items()}


def image(case: dict[str, Any]) -> np.ndarray:
    """Return an image of bright cones on a jittered grid, shape (Y, X), counts."""
    random = np.random.RandomState(SEED + 1)
    rows, columns = np.indices(case["shape"])
    bright = np.zeros(case["shape"])
    for y in range(case["spacing"] // 2, case["shape"][0], case["spacing"]):
        for x in range(case["spacing"] // 2, case["shape"][1], case["spacing"]):
            dy, dx = random.uniform(-3, 3, 2)
            away = np.hypot(rows - y - dy, columns - x - dx)
            bright = np.maximum(bright, 1 - away / (0.6 * case["diameter_px"]))
    return (100 + 800 * bright + random.normal(0, 6, case["shape"])).astype(np.float32)


def _shapes(channels: int, widths: Sequence[int]) -> Iterator[tuple[str, tuple[int, ...]]]:
    """Yield the names and shapes of all arrays."""
    for n, (inputs, outputs) in enumerate(zip((channels, *widths[:-1]), widths)):
        block = f"downsample.down.res_down_{n}"
        yield from _step(f"{block}.proj", inputs, outputs, 1, conv=1)
        for k in range(4):
            yield from _step(f"{block}.conv.conv_{k}", inputs if k == 0 else outputs, outputs, 3)
    for n, (inputs, outputs) in enumerate(zip((*widths[1:], widths[-1]), widths)):
        block = f"upsample.up.res_up_{n}"
        yield from _step(f"{block}.conv.conv_0", inputs, outputs, 3)
        for k in (1, 2, 3):
            yield from _step(f"{block}.conv.conv_{k}.conv", outputs, outputs, 3)
            yield f"{block}.conv.conv_{k}.full.weight", (outputs, widths[-1])
            yield f"{block}.conv.conv_{k}.full.bias", (outputs,)
        yield from _step(f"{block}.proj", inputs, outputs, 1, conv=1)
    yield from _step("output", widths[0], 3, 1)


def _step(
    name: str, inputs: int, outputs: int, kernel: int, *, conv: int = 2
) -> Iterator[tuple[str, tuple[int, ...]]]:
    for part in ("weight", "bias", "running_mean", "running_var"):
        yield f"{name}.0.{part}", (inputs,)
    yield f"{name}.{conv}.weight", (outputs, inputs, kernel, kernel)
    yield f"{name}.{conv}.bias", (outputs,)


def _drawn(name: str, shape: tuple[int, ...], random: np.random.RandomState) -> np.ndarray:
    if name.endswith("running_var"):
        return random.uniform(0.5, 1.5, shape)
    if len(shape) > 1:
        return random.standard_normal(shape) / np.sqrt(np.prod(shape[1:]))
    return 0.1 * random.standard_normal(shape) + (name.endswith(".0.weight"))


def _lead_up_the_slope(state: dict[str, np.ndarray]) -> None:
    """Let the image through to the last block, take its slopes there, and make them the flows."""
    down, up = "downsample.down.res_down_0", "upsample.up.res_up_0"
    for name in (f"{down}.proj.1", f"{down}.conv.conv_1.2", f"{down}.conv.conv_3.2", f"{up}.conv.conv_0.2"):
        state[f"{name}.weight"][0] = state[f"{name}.bias"][0] = 0
    state[f"{down}.proj.1.weight"][0, 0] = 1
    for name in (f"{up}.proj.1", f"{up}.conv.conv_1.conv.2", f"{up}.conv.conv_3.conv.2"):
        state[f"{name}.weight"][:PATHS] = state[f"{name}.bias"][:PATHS] = 0
    state[f"{up}.conv.conv_1.full.weight"][0] = state[f"{up}.conv.conv_1.full.bias"][0] = 0
    for name, count in ((f"{down}.proj.0", 1), (f"{up}.conv.conv_1.conv.0", 1), ("output.0", PATHS)):
        for part, value in (("weight", 1), ("bias", 0), ("running_mean", 0), ("running_var", 1)):
            state[f"{name}.{part}"][:count] = value
    slope = np.outer([-1, 0, 1], [1, 2, 1])
    kernels = (slope, -slope, slope.T, -slope.T, np.diag([0, 1, 0]))
    for path, kernel in enumerate(kernels):
        state[f"{up}.conv.conv_1.conv.2.weight"][path, 0] = kernel
    last = state["output.2.weight"]
    last[:, PATHS:] *= 0.2
    last[:, :PATHS] = 0
    last[0, 0:2, 0, 0] = last[1, 2:4, 0, 0] = (11, -11)
    last[2, 4], state["output.2.bias"][:] = 12, (0, 0, -3)


def reference(folder: Path) -> dict[str, np.ndarray]:
    """Return what Cellpose 3 finds in each case."""
    from cellpose.models import CellposeModel

    found = {}
    for case in CASES:
        path = folder / f"{case['name']}_weights"
        torch.save(weights(case["channels"]), path)
        model = CellposeModel(gpu=False, pretrained_model=str(path), nchan=case["channels"])
        masks, (_, flows, logit), _ = model.eval(
            image(case), channels=[0, 0] if case["channels"] == 2 else None, diameter=case["diameter_px"]
        )
        seen = np.concatenate([flows, logit[None]])[:, ::STEP, ::STEP]
        found |= {f"{case['name']}_masks": masks.astype(np.uint8), f"{case['name']}_flows": seen}
        print(f"{case['name']}: {masks.max()} cells, flows up to {np.abs(flows).max():.3g}")
    return found


def main() -> None:
    """Write the reference."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, required=True)
    with tempfile.TemporaryDirectory() as folder:
        np.savez_compressed(parser.parse_args().out, **reference(Path(folder)))


if __name__ == "__main__":
    main()
