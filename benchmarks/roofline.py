"""What bounds the segmentation network on a device, transfer, memory or arithmetic: computed, not measured.

    python benchmarks/roofline.py --image 512 512 --diameter-um 16 --pixel-size-um 0.108

Counted for one frame, at the scale at which cells are looked for: floating-point operations by torch's
counter, bytes that every layer reads and writes when nothing is kept in cache between layers, and bytes that
go to the device and back. Divided by the device's peak figures, which are its maker's (those of an NVIDIA
H100 SXM by default, without tensor cores since weights and images are float32), each gives a least time; the
largest of the three is the bound.
"""

from __future__ import annotations

import argparse
import json
from typing import Any


def count(network: Any, height: int, width: int) -> dict[str, float]:
    """Return operations, and bytes moved in memory and transferred, for one image of the network's scale."""
    import torch
    from torch.utils.flop_counter import FlopCounterMode

    moved = 0

    def add(layer: Any, inputs: Any, output: Any) -> None:
        nonlocal moved
        tensors = [*inputs, output, *layer.parameters(recurse=False)]
        moved += sum(tensor.numel() * tensor.element_size() for tensor in tensors)

    for layer in network.modules():
        if not list(layer.children()):
            layer.register_forward_hook(add)
    image = torch.zeros(1, 1, height, width)
    with torch.inference_mode(), FlopCounterMode(display=False) as counter:
        output = network(image)
    sent = sum(tensor.numel() * tensor.element_size() for tensor in (image, output))
    return {"gflop": counter.get_total_flops() / 1e9, "moved_mb": moved / 1e6, "transferred_mb": sent / 1e6}


def main() -> None:
    """Print counts, least times and the bound."""
    from exovision.nets import weights
    from exovision.nets.cell_finder import MIRROR_PX, ZOOM
    from exovision.nets.shipped import weights_file
    from exovision.nets.unet import FlowUNet
    from exovision.settings import CellSettings

    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--image", type=int, nargs=2, default=(512, 512), help="rows and columns, px")
    parser.add_argument("--diameter-um", type=float, default=16.0, help="of a cell")
    parser.add_argument("--pixel-size-um", type=float, default=0.108)
    parser.add_argument("--tflops", type=float, default=67.0, help="float32 operations, 1e12/s")
    parser.add_argument("--memory-gb-s", type=float, default=3350.0)
    parser.add_argument("--transfer-gb-s", type=float, default=55.0, help="host to device")
    options = parser.parse_args()
    network, facts = weights.load(weights_file(CellSettings()), FlowUNet)
    # As CellFinder does for cells larger than its working diameter.
    working_um = facts["working_diameter_px"] * options.pixel_size_um
    factor = min(1.0, ZOOM * working_um / options.diameter_um)
    seen = [round(side * factor) + 2 * MIRROR_PX for side in options.image]
    sides = [side + -side % network.stride for side in seen]
    counted = count(network, *sides)
    least_us = {
        "arithmetic": 1e3 * counted["gflop"] / options.tflops,
        "memory": 1e3 * counted["moved_mb"] / options.memory_gb_s,
        "transfer": 1e3 * counted["transferred_mb"] / options.transfer_gb_s,
    }
    bound = max(least_us, key=lambda name: least_us[name])
    print(
        json.dumps({"network_sees_px": sides, **{name: round(value, 3) for name, value in counted.items()}})
    )
    print(json.dumps({"least_us_per_frame": {name: round(value, 1) for name, value in least_us.items()}}))
    print(json.dumps({"bound": bound, "frames_per_s_at_most": round(1e6 / least_us[bound])}))


if __name__ == "__main__":
    main()
