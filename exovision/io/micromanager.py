"""What Micro-Manager writes beside the single images of a folder: `metadata.txt`."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import Any

from exovision.io.metadata import positive

FILE = "metadata.txt"


@dataclass(frozen=True)
class ImageFacts:
    """What is known of the images of a folder, by the name of the file.

    Attributes
    ----------
    times_s : mapping of str to float
        Seconds since the acquisition began.
    channels : mapping of str to str
        The name of the channel.
    pixel_size_um : float, optional
        Edge of a pixel, µm, if all images agree on one.
    note : str
        Why the file is not used, or empty.
    """

    times_s: Mapping[str, float] = field(default_factory=dict)
    channels: Mapping[str, str] = field(default_factory=dict)
    pixel_size_um: float | None = None
    note: str = ""


def image_facts(folder: Path) -> ImageFacts:
    """Return what `metadata.txt` says of the images beside it: nothing without one, a note if it is damaged.

    Micro-Manager leaves the file without its end when an acquisition is broken off.
    """
    try:
        content = json.loads((folder / FILE).read_text(encoding="utf-8", errors="replace"))
        entries = {_name(key, value): value for key, value in content.items() if _is_image(value)}
    except OSError:
        return ImageFacts()
    except (ValueError, AttributeError, RecursionError):
        return ImageFacts(note=f"{FILE} is damaged: the times and channel names in it are not used")
    sizes = {positive(entry.get("PixelSizeUm")) for entry in entries.values()}
    return ImageFacts(
        times_s={name: float(entry["ElapsedTime-ms"]) / 1000 for name, entry in entries.items()},
        channels={name: str(entry["Channel"]) for name, entry in entries.items() if entry.get("Channel")},
        pixel_size_um=sizes.pop() if len(sizes) == 1 else None,
    )


def _is_image(value: Any) -> bool:
    time = value.get("ElapsedTime-ms") if isinstance(value, dict) else None
    return isinstance(time, int | float) and abs(time) < math.inf


def _name(key: str, value: Mapping[str, Any]) -> str:
    """Return the name of the file: Micro-Manager 2 has it in the key, 1.4 beside the other facts."""
    return PurePosixPath(str(value.get("FileName") or key.removeprefix("Metadata-"))).name
