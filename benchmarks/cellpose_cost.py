"""CPU-seconds and memory of Cellpose models in exovision, and cpsam's flows beside Cellpose's own.

    python benchmarks/cellpose_cost.py

The weights are random: cpsam's whole architecture (1.2 GB, in a temporary folder), and the U-Net of
`benchmarks/cellpose3.py` at full width. One thread, one image; each network is measured in a process of
its own.
"""

from __future__ import annotations

import argparse
import json
import resource
import subprocess
import sys
import tempfile
import time
from multiprocessing import get_context
from pathlib import Path

import cellpose3
import numpy as np
import torch

from exovision.nets.cellpose_finder import STEPS, CellposeFinder, Thresholds

UNET = {"shape": (512, 512), "spacing": 40, "diameter_px": 30.0}
CPSAM = {"shape": (200, 330), "spacing": 40, "diameter_px": 30.0}
UNET_TILES, CPSAM_TILES = 9, 2


def measure(kind: str, path: Path) -> dict[str, float]:
    """Return CPU-seconds a tile and for the decoding, and the growth of the peak of memory, GB."""
    case, tiles = (UNET, UNET_TILES) if kind == "unet" else (CPSAM, CPSAM_TILES)
    image = cellpose3.image(case)[None]
    from cellpose import dynamics, transforms  # noqa: F401 (what they take is not the model's)

    before = _peak_gb()
    finder = CellposeFinder(path, device="cpu")
    if kind == "unet":  # Compiles what decodes.
        finder.find(image[:, :64, :64], diameter_px=case["diameter_px"], thresholds=Thresholds())
    started = time.process_time()
    flows = finder.flows(image, diameter_px=case["diameter_px"])
    spent = time.process_time() - started
    found = {"cpu_s_per_tile": spent / tiles, "gb": _peak_gb() - before}
    if kind == "unet":
        started = time.process_time()
        finder._decode(flows[0], STEPS, Thresholds())
        return found | {"cpu_s_decoding": time.process_time() - started}
    return found | _beside_cellpose(flows[0], image[0], path)


def _beside_cellpose(flows: np.ndarray, image: np.ndarray, path: Path) -> dict[str, float]:
    from cellpose.models import CellposeModel

    model = CellposeModel(gpu=False, pretrained_model=str(path))
    theirs = model.eval(image, diameter=CPSAM["diameter_px"], compute_masks=False)[1]
    expected = np.concatenate([theirs[1], theirs[2][None]])
    return {"largest_difference": np.abs(flows - expected).max(), "largest_flow": np.abs(expected).max()}


def write_weights(kind: str, path: Path) -> None:
    """Write random weights as a model file."""
    if kind == "unet":
        torch.save(cellpose3.weights(2), path)
        return
    from cellpose import vit

    torch.manual_seed(1)
    network = vit.CPSAM()
    with torch.no_grad():
        for name, value in network.named_parameters():
            if "rel_pos" in name or "pos_embed" in name:
                value.normal_(0, 0.05)
    network.save_model(path)


def _peak_gb() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6


def main() -> None:
    """Measure each network in a process of its own and print what it costs."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--one", nargs=2, metavar=("KIND", "FILE"), help=argparse.SUPPRESS)
    one = parser.parse_args().one
    torch.set_num_threads(1)
    if one:
        print(json.dumps({name: float(value) for name, value in measure(one[0], Path(one[1])).items()}))
        return
    with tempfile.TemporaryDirectory() as folder:
        for kind in ("unet", "cpsam"):
            path = Path(folder) / kind
            # A child's peak begins at what its parent holds, so that the parent must not make the weights.
            writer = get_context("spawn").Process(target=write_weights, args=(kind, path))
            writer.start()
            writer.join()
            command = [sys.executable, __file__, "--one", kind, str(path)]
            answer = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout
            print(
                kind, {name: round(value, 4) for name, value in json.loads(answer.splitlines()[-1]).items()}
            )


if __name__ == "__main__":
    main()
