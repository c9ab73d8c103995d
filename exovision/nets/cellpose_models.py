"""Cellpose model files read without running anything in them, as networks that map images to flows."""

from __future__ import annotations

import pickle
import re
import warnings
import zipfile
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from exovision.errors import InputError
from exovision.nets.cellpose_files import KNOWN
from exovision.nets.cellpose_unet import CellposeUNet
from exovision.nets.flows import quiet

State = dict[str, Tensor]

_RENAMED = (
    ("downsample.down.res_down_", "down."),
    ("upsample.up.res_up_", "up."),
    (".conv.conv_", ".steps."),
)
"""Parts of the names in files of Cellpose 1 to 3, and what they are called here."""
_DIAMETERS = ("diam_mean", "diam_labels")
UNET_TILE_PX, TRANSFORMER_TILE_PX = 224, 256
UNET_BYTES_PER_PX, TRANSFORMER_BYTES_PER_PX = 2000, 5000
"""GPU memory of one pixel of a batch: about twice the peak of the activations, counted layer by layer."""
USUAL_DIAMETER_PX, NUCLEUS_DIAMETER_PX = 30.0, 17.0


@dataclass(frozen=True)
class CellposeModel:
    """A network and how images must be given to it.

    Attributes
    ----------
    network : Module
        Maps (N, channels, Y, X) to (N, 3, Y, X): flow along y and x, times `flows.FLOW_SCALE`, and logit.
    channels : int
        Images in; the first is the cell, the others are 0.
    tile_px : int
        Edge of the tiles.
    fixed_tiles : bool
        Whether smaller images must be filled up to a tile.
    diameter_px : float
        Diameter of a cell as the network wants to see it.
    trained_px : float or None
        Mean diameter of the cells a user trained it on, before they were resized; None if not known.
    any_size : bool
        Whether it needs no resizing.
    aligned : bool
        How flows are interpolated, see `flows.follow`.
    bytes_per_px : int
        GPU memory of one pixel of a batch.
    """

    network: nn.Module
    channels: int
    tile_px: int
    fixed_tiles: bool
    diameter_px: float
    trained_px: float | None
    any_size: bool
    aligned: bool
    bytes_per_px: int


class _Transformer(nn.Module):
    """cpsam in the precision that it runs in, without the outputs that nobody needs."""

    def __init__(self, network: nn.Module, dtype: torch.dtype) -> None:
        super().__init__()
        self.network, self._dtype = network, dtype

    def forward(self, x: Tensor) -> Tensor:
        flows: Tensor = self.network(x.to(self._dtype))[0]
        return flows.float()


def load_model(path: Path) -> CellposeModel:
    """Read a model of Cellpose 1 to 4.

    Raises
    ------
    InputError
        If the file is no such model, holds code, or is a network for other channels or outputs.
    """
    state = read_state(path)
    try:
        return _transformer(state) if "W2" in state else _unet(state, path)
    except (RuntimeError, KeyError, IndexError, ValueError) as error:
        reason = " ".join(str(error).split())[:200]
        raise InputError(f"{path}: not the network of Cellpose that it seems to be: {reason}") from error


def read_state(path: Path) -> State:
    """Return the named arrays in a model file of Cellpose 1 to 4; nothing in it is run.

    Raises
    ------
    InputError
        If it cannot be read, is something else, or would run code.
    """
    wanted = f"{path}: a model file of Cellpose 1 to 4 is needed"
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # Of the way in which a file was written, which is told below.
            state = torch.load(path, map_location="cpu", weights_only=True, mmap=zipfile.is_zipfile(path))
    except pickle.UnpicklingError as error:
        raise InputError(f"{wanted}, this one is none, or holds code, which is not run") from error
    except OSError as error:
        raise InputError(f"{wanted}, this one cannot be read: {error.strerror or error}") from error
    except (RuntimeError, EOFError, ValueError, LookupError, AttributeError, TypeError) as error:
        raise InputError(f"{wanted}, this one is none, or is damaged") from error
    if not isinstance(state, dict) or not all(isinstance(value, Tensor) for value in state.values()):
        raise InputError(f"{wanted}, got a file of {type(state).__name__} that is no table of arrays")
    plain = {str(name).removeprefix("module."): value for name, value in state.items()}
    _check_kind(plain, path)
    return plain


def _check_kind(state: State, path: Path) -> None:
    """Raise `InputError`, with what the file is, unless it holds cpsam or the U-Net."""
    if "encoder.cls_token" in state:
        raise InputError(
            f"{path}: Cellpose's DINO networks need a package of their own; use cpsam or cpsam_v2"
        )
    if "W2" in state and "encoder.patch_embed.proj.weight" in state:
        return
    if any(name.startswith("downsample.down.conv_down_") for name in state):
        raise InputError(f"{path}: a U-Net with residual blocks is needed, this one has none")
    if "style_off" in path.name:
        raise InputError(f"{path}: a U-Net with a style is needed, this one was trained without")
    if "downsample.down.res_down_0.proj.1.weight" not in state or "output.2.weight" not in state:
        raise InputError(
            f"{path}: cpsam or the U-Net of Cellpose 1 to 3 is needed, got arrays of other names "
            f"({', '.join(list(state)[:2]) or 'none'} …)"
        )
    _check_channels(state, path)


def _check_channels(state: State, path: Path) -> None:
    first, last = state["downsample.down.res_down_0.proj.1.weight"], state["output.2.weight"]
    if first.ndim != 4 or not 1 <= first.shape[1] <= 2:
        channels = f"{first.shape[1]} channels" if first.ndim == 4 else "volumes"
        raise InputError(f"{path}: a network for one or two channels is needed, this one is for {channels}")
    if last.shape[0] != 3:
        raise InputError(
            f"{path}: a network with 3 outputs, two flows and a probability, is needed; this one has "
            f"{last.shape[0]} (denoising networks do not find cells)"
        )


def _transformer(state: State) -> CellposeModel:
    """Return cpsam in 16 bits, as Cellpose runs it."""
    with quiet():  # It would advise to install other networks.
        from cellpose.vit import CPSAM

    dtype = torch.bfloat16
    with torch.device("meta"):  # Takes no memory before the file is known to fit.
        network = CPSAM(dtype=dtype)
    _assign(network, state)
    return CellposeModel(
        network=_Transformer(network.to(dtype), dtype).eval(),
        channels=1,
        tile_px=TRANSFORMER_TILE_PX,
        fixed_tiles=True,
        diameter_px=USUAL_DIAMETER_PX,
        trained_px=None,
        any_size=True,
        aligned=False,
        bytes_per_px=TRANSFORMER_BYTES_PER_PX,
    )


def _unet(state: State, path: Path) -> CellposeModel:
    renamed = {_rename(name): value for name, value in state.items() if name not in _DIAMETERS}
    levels = sorted({int(found[1]) for name in renamed if (found := re.match(r"down\.(\d+)\.", name))})
    projections = [renamed[f"down.{level}.proj.1.weight"] for level in levels]
    channels = int(projections[0].shape[1])
    with torch.device("meta"):
        network = CellposeUNet(channels, [int(projection.shape[0]) for projection in projections])
    _assign(network, renamed)
    known = path.name in {model.file for model in KNOWN.values()}
    usual = NUCLEUS_DIAMETER_PX if path.name.startswith("nuclei") else USUAL_DIAMETER_PX
    diameter, trained = (float(state[name]) if name in state else usual for name in _DIAMETERS)
    if not (0 < diameter < np.inf and 0 < trained < np.inf):
        raise ValueError(f"the diameters in it must be positive, got {diameter:g} and {trained:g}")
    return CellposeModel(
        network=network.float().eval(),
        channels=channels,
        tile_px=UNET_TILE_PX,
        fixed_tiles=False,
        diameter_px=usual if known else diameter,
        trained_px=None if known or "diam_labels" not in state else trained,
        any_size=False,
        aligned=True,
        bytes_per_px=UNET_BYTES_PER_PX,
    )


def _rename(name: str) -> str:
    for theirs, ours in _RENAMED:
        name = name.replace(theirs, ours)
    return name


def _assign(network: nn.Module, state: State) -> None:
    """Give a network on the meta device its arrays; all must be there, but for the diameters."""
    missing, unknown = network.load_state_dict(state, strict=False, assign=True)
    wanting = [name for name in missing if name not in _DIAMETERS]
    if wanting or unknown:
        raise ValueError(
            f"{len(wanting)} arrays are missing, {len(unknown)} unknown: {(wanting + unknown)[0]}"
        )
    for name in _DIAMETERS:
        if name in missing:
            setattr(network, name, nn.Parameter(torch.tensor([USUAL_DIAMETER_PX]), requires_grad=False))
