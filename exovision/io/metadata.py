"""What TIFF files say about sizes, times and channels: OME-XML, ImageJ descriptions and resolution tags."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any
from xml.etree import ElementTree

UM_PER_UNIT = {
    **dict.fromkeys(("µm", "μm", "um", "micron", "microns", "micrometer", "micrometre", "âµm"), 1.0),
    **dict.fromkeys(("nm", "nanometer", "nanometre"), 1e-3),
    **dict.fromkeys(("å", "angstrom"), 1e-4),
    **dict.fromkeys(("pm", "picometer"), 1e-6),
    **dict.fromkeys(("mm", "millimeter", "millimetre"), 1e3),
    **dict.fromkeys(("cm", "centimeter"), 1e4),
    **dict.fromkeys(("m", "meter"), 1e6),
    **dict.fromkeys(("in", "inch"), 25400.0),
}
S_PER_UNIT = {
    **dict.fromkeys(("s", "sec", "second", "seconds"), 1.0),
    **dict.fromkeys(("ms", "msec", "millisecond", "milliseconds"), 1e-3),
    **dict.fromkeys(("µs", "μs", "us", "microsecond", "microseconds"), 1e-6),
    **dict.fromkeys(("ns", "nanosecond"), 1e-9),
    **dict.fromkeys(("min", "minute", "minutes"), 60.0),
    **dict.fromkeys(("h", "hour", "hours"), 3600.0),
    **dict.fromkeys(("d", "day", "days"), 86400.0),
}
COARSEST_UM = 10.0
"""A resolution in inches or centimetres that is coarser belongs to a printer or screen (1200 dpi: 21 µm)."""


@dataclass(frozen=True)
class Metadata:
    """What a file says about itself; None and empty where it says nothing.

    Attributes
    ----------
    pixel_size_um : tuple of float, optional
        (y, x), µm.
    frame_interval_s : float, optional
        Seconds.
    plane_times_s : mapping of (int, int) to float
        (t, c) to seconds, as far as the file gives them.
    channel_names : tuple of str
        One per channel, or none.
    """

    pixel_size_um: tuple[float, float] | None = None
    frame_interval_s: float | None = None
    plane_times_s: Mapping[tuple[int, int], float] = field(default_factory=dict)
    channel_names: tuple[str, ...] = ()


def positive(value: Any) -> float | None:
    """Return `value` as a positive finite number, else None."""
    try:
        number = float(value)
    except (TypeError, ValueError):
        return None
    return number if math.isfinite(number) and number > 0 else None


def scaled(value: Any, unit: Any, factors: Mapping[str, float]) -> float | None:
    """Return a positive size or time times the factor of its unit, None without number or known unit."""
    number = positive(value)
    factor = factors.get(str(unit).replace("\\u00B5", "µ").strip().lower())
    return None if number is None or factor is None else number * factor


def _tag(element: ElementTree.Element) -> str:
    return element.tag.rpartition("}")[2]


def _children(element: ElementTree.Element, name: str) -> list[ElementTree.Element]:
    return [child for child in element if _tag(child) == name]


@dataclass(frozen=True)
class OmeImage:
    """One `Image` of an OME-XML: a position.

    Attributes
    ----------
    name : str
        As given by the microscope.
    files : tuple of str
        The names of the files that hold its planes; empty if they are all in this one.
    metadata : Metadata
        Its sizes, times and channels.
    """

    name: str
    files: tuple[str, ...]
    metadata: Metadata


def ome_images(xml: str | None) -> list[OmeImage]:
    """Return the images of an OME-XML in order; none if it cannot be parsed."""
    try:
        root = ElementTree.fromstring(xml or "")
    except ElementTree.ParseError:
        return []
    return [_ome_image(image) for image in _children(root, "Image") if _children(image, "Pixels")]


def ome_master(xml: str | None) -> str | None:
    """Return the name of the file that holds the metadata of a set, if this file only refers to it."""
    match = re.search(r"<(?:\w+:)?BinaryOnly\b[^>]*\bMetadataFile=\"([^\"]+)\"", xml or "")
    return match[1] if match else None


def _ome_image(image: ElementTree.Element) -> OmeImage:
    pixels = _children(image, "Pixels")[0]
    sizes = tuple(
        scaled(pixels.get(f"PhysicalSize{axis}"), pixels.get(f"PhysicalSize{axis}Unit", "µm"), UM_PER_UNIT)
        for axis in "YX"
    )
    files = (
        uuid.get("FileName") for data in _children(pixels, "TiffData") for uuid in _children(data, "UUID")
    )
    metadata = Metadata(
        pixel_size_um=_pair(*sizes),
        frame_interval_s=scaled(
            pixels.get("TimeIncrement"), pixels.get("TimeIncrementUnit", "s"), S_PER_UNIT
        ),
        plane_times_s=_ome_times(pixels),
        channel_names=tuple(channel.get("Name", "") for channel in _children(pixels, "Channel")),
    )
    return OmeImage(image.get("Name", ""), tuple(dict.fromkeys(name for name in files if name)), metadata)


def _pair(y: float | None, x: float | None) -> tuple[float, float] | None:
    """Return both sizes; one that is not given equals the other."""
    known = y if y is not None else x
    return None if known is None else (y or known, x or known)


def _ome_times(pixels: ElementTree.Element) -> dict[tuple[int, int], float]:
    """Return the earliest time of each frame and channel, s."""
    times: dict[tuple[int, int], float] = {}
    for plane in _children(pixels, "Plane"):
        try:
            place = int(plane.get("TheT", 0)), int(plane.get("TheC", 0))
            value = float(plane.get("DeltaT", "nan")) * S_PER_UNIT[plane.get("DeltaTUnit", "s").lower()]
        except (ValueError, KeyError):
            continue
        if math.isfinite(value):
            times[place] = min(value, times.get(place, math.inf))
    return times


def imagej_metadata(description: Mapping[str, Any], resolution: tuple[float, float] | None) -> Metadata:
    """Return what an ImageJ description says.

    Parameters
    ----------
    description : mapping
        As parsed by tifffile.
    resolution : tuple of float, optional
        Pixels per unit in (y, x), from the resolution tags.
    """
    unit = description.get("unit")
    sizes = None
    if resolution is not None and unit is not None and resolution != (1.0, 1.0):
        sizes = _pair(*(scaled(1 / value, unit, UM_PER_UNIT) for value in resolution))
    printed = str(unit).strip().lower() in ("cm", "in", "inch") and sizes is not None
    if printed and sizes is not None and max(sizes) > COARSEST_UM:
        sizes = None
    return Metadata(
        pixel_size_um=sizes,
        frame_interval_s=scaled(description.get("finterval"), description.get("tunit", "s"), S_PER_UNIT),
        channel_names=_imagej_names(description),
    )


def _imagej_names(description: Mapping[str, Any]) -> tuple[str, ...]:
    """Return channel names from slice labels, if each channel keeps its own label through the file."""
    n = int(description.get("channels", 1))
    labels: Sequence[Any] = description.get("Labels") or ()
    if isinstance(labels, str) or len(labels) < n or description.get("order", "czt").lower()[0] not in "cd":
        return ()
    names = [re.sub(r"^(?:[ctz]:\d+/\d+[ ,]*)+(?:- *)?", "", str(label)).strip() for label in labels]
    repeated = all(name == names[i % n] for i, name in enumerate(names))
    return tuple(names[:n]) if repeated and all(names[:n]) and len(set(names[:n])) == n else ()


def resolution_size_um(resolution: tuple[float, float] | None, unit: int) -> tuple[float, float] | None:
    """Return the pixel size (y, x) in µm of the TIFF resolution tags, unless they are those of a printer.

    Parameters
    ----------
    resolution : tuple of float, optional
        Pixels per unit in (y, x).
    unit : int
        TIFF's ResolutionUnit: 2 inch, 3 centimetre; anything else has no length.
    """
    um = {2: UM_PER_UNIT["inch"], 3: UM_PER_UNIT["cm"]}.get(unit)
    if resolution is None or um is None:
        return None
    sizes = um / resolution[0], um / resolution[1]
    return sizes if max(sizes) <= COARSEST_UM else None
