"""The weights that ship with exovision, checked before use; this package imports nothing of ours."""

from __future__ import annotations

import hashlib
import json
from importlib.resources import files
from pathlib import Path
from typing import Any

SUFFIX = ".safetensors"


class WeightsError(RuntimeError):
    """Weights that do not exist here or are not those that were shipped."""


def names() -> list[str]:
    """Return the names of the shipped weights."""
    return sorted(_manifest())


def weights(name: str) -> Path:
    """Return the path of a weights file after checking it and its JSON file.

    Raises
    ------
    WeightsError
        If the name is unknown, or a file is missing or differs from the one shipped.
    """
    manifest = _manifest()
    if name not in manifest:
        raise WeightsError(f"unknown weights {name!r}; known: {', '.join(sorted(manifest))}")
    for file, digest in manifest[name].items():
        _check(_folder() / file, digest)
    return _folder() / f"{name}{SUFFIX}"


def verify() -> dict[str, str]:
    """Check all weights; returns for each name "ok" or what is wrong."""
    found = {}
    for name in names():
        try:
            weights(name)
            found[name] = "ok"
        except WeightsError as error:
            found[name] = str(error)
    return found


def card(name: str) -> str:
    """Return the model card: origin, licence and figures, in Markdown.

    Raises
    ------
    WeightsError
        If the name is unknown or the card is missing.
    """
    if name not in names():
        raise WeightsError(f"unknown weights {name!r}; known: {', '.join(names())}")
    try:
        return (_folder() / f"{name}.md").read_text(encoding="utf-8")
    except OSError as error:
        raise WeightsError(f"{name}.md must lie beside the weights, found none; install exovision anew") from error


def _folder() -> Path:
    return Path(str(files(__name__)))


def _manifest() -> dict[str, dict[str, str]]:
    text = (_folder() / "manifest.json").read_text(encoding="utf-8")
    manifest: dict[str, Any] = json.loads(text)
    return manifest


def _check(path: Path, digest: str) -> None:
    try:
        found = hashlib.sha256(path.read_bytes()).hexdigest()
    except OSError as error:
        raise WeightsError(f"{path.name} must lie in {path.parent}, found none; install exovision anew") from error
    if found != digest:
        raise WeightsError(
            f"{path.name} must have SHA-256 {digest[:12]}…, got {found[:12]}…: it is damaged; install exovision anew"
        )
