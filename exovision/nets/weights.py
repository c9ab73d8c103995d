"""Networks on disk: weights as safetensors, beside them a JSON file with what is needed to use them."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, TypeVar

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file

from exovision.errors import InputError, OutputError
from exovision.nets.fate_net import FateNet
from exovision.nets.morphology import MorphologyNet
from exovision.nets.spot_classifier import SpotClassifier
from exovision.nets.unet import FlowUNet

Network = TypeVar("Network", FlowUNet, MorphologyNet, FateNet, SpotClassifier)


def save(
    network: FlowUNet | MorphologyNet | FateNet | SpotClassifier, path: Path, facts: Mapping[str, Any]
) -> None:
    """Write the weights to `path` and architecture and `facts` to the JSON file of the same stem.

    Raises
    ------
    OutputError
        If the folder cannot be written to.
    """
    record = {"architecture": type(network).__name__, **network.shape, **facts}
    state = {name: value.detach().cpu().contiguous() for name, value in network.state_dict().items()}
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        save_file(state, path)
        path.with_suffix(".json").write_text(json.dumps(record, indent=2) + "\n", encoding="utf-8")
    except OSError as error:
        raise OutputError(f"{path}: weights must go to a writable folder: {error.strerror}") from error


def load(path: Path, architecture: type[Network]) -> tuple[Network, dict[str, Any]]:
    """Read a network of a known kind in evaluation mode and the facts in its JSON file.

    Raises
    ------
    InputError
        If a file is missing or damaged, or holds another architecture.
    """
    try:
        facts: dict[str, Any] = json.loads(path.with_suffix(".json").read_text(encoding="utf-8"))
        if facts["architecture"] != architecture.__name__:
            raise ValueError(f"they must hold a {architecture.__name__}, got a {facts['architecture']}")
        with torch.device("meta"):  # Takes no memory before the file is known to hold as many numbers.
            network = architecture(**{name: facts[name] for name in architecture().shape})
        state = {name: value.clone() for name, value in load_file(path).items()}
        network.load_state_dict(state, assign=True)
    except (OSError, ValueError, KeyError, TypeError, RuntimeError, SafetensorError) as error:
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise InputError(
            f"{path}: weights and their JSON file must be as `exovision train` wrote them: {reason}"
        ) from error
    return network.eval(), facts
