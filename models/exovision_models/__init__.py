"""The weights that ship with exovision, checked before use; this package imports nothing of ours."""

from __future__ import annotations

import hashlib
import json
from importlib.resources import files
from pathlib import Path

SUFFIX = ".safetensors"
MANIFEST = "manifest.json"


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
        raise WeightsError(f"{name}.md must lie beside the weights; install exovision anew") from error


def seal() -> Path:
    """Write the manifest anew from the weights and JSON files that lie here; for maintainers, after training.

    Returns
    -------
    Path
        The manifest.
    """
    manifest = {
        path.stem: {file.name: _digest(file) for file in (path, path.with_suffix(".json"))}
        for path in sorted(_folder().glob(f"*{SUFFIX}"))
    }
    place = _folder() / MANIFEST
    place.write_text(json.dumps(manifest, indent=2) + "\n", encoding="utf-8")
    return place


def _folder() -> Path:
    return Path(str(files(__name__)))


def _manifest() -> dict[str, dict[str, str]]:
    manifest: dict[str, dict[str, str]] = json.loads((_folder() / MANIFEST).read_text(encoding="utf-8"))
    return manifest


def _digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def _check(path: Path, digest: str) -> None:
    try:
        found = _digest(path)
    except OSError as error:
        raise WeightsError(
            f"{path.name} must lie in {path.parent}, found none; install exovision anew"
        ) from error
    if found != digest:
        raise WeightsError(
            f"{path.name} must have SHA-256 {digest[:12]}…, got {found[:12]}…: it is damaged; "
            "install exovision anew"
        )
