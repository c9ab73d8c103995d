"""How the planes of a file, counted in the order they are stored, are distributed over T, C and Z."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import permutations
from math import prod

from exovision.errors import InputError, SettingsError

MOST_CHANNELS = 7
"""One frame of more channels than there are fixed roles is taken for a movie whose time was lost."""
_UNITS = {"T": ("frame", "frames"), "C": ("channel", "channels"), "Z": ("plane", "planes")}


@dataclass(frozen=True)
class Order:
    """Which stored plane belongs to which frame, channel and depth.

    Attributes
    ----------
    axes : str
        Letters of T, C and Z, slowest first; an absent one has length 1.
    sizes : tuple of int
        One length per letter.
    note : str
        What the user said against or beyond the file, empty if nothing.
    """

    axes: str
    sizes: tuple[int, ...]
    note: str = ""

    def size(self, axis: str) -> int:
        """Return the length of T, C or Z."""
        return self.sizes[self.axes.index(axis)] if axis in self.axes else 1

    def index(self, t: int, c: int, z: int) -> int:
        """Return the number of a plane in the order of storage, counted from 0."""
        place = {"T": t, "C": c, "Z": z}
        number = 0
        for axis, size in zip(self.axes, self.sizes):
            number = number * size + place[axis]
        return number


def resolve(
    where: str,
    found: Sequence[tuple[str, int]],
    *,
    declared: bool,
    wanted: str | None = None,
    interval_given: bool = False,
) -> Order:
    """Decide what the axes of a file mean, never taking time for depth silently.

    Parameters
    ----------
    where : str
        The file, for messages.
    found : sequence of (str, int)
        The file's axes before Y and X, slowest first: letter and length.
    declared : bool
        Whether the file itself names its axes, as OME-TIFF and ImageJ hyperstacks do.
    wanted : str, optional
        What the user says, such as `TYX`, `TCYX` or, with lengths, `TC2YX`; it wins over the file.
    interval_given : bool
        Whether the user gave a frame interval, which makes a single axis without a name time.

    Raises
    ------
    InputError
        If there is more than one reading, or `wanted` does not fit the file.
    SettingsError
        If `wanted` is not made of T, C, Z and a final YX.
    """
    long = _distinct([(axis, size) for axis, size in found if size > 1])
    if wanted is not None:
        return _as_wanted(where, long, wanted)
    unknown = _unknown(dict(long))
    if not unknown:
        return Order("".join(axis for axis, _ in long), tuple(size for _, size in long))
    if interval_given and len(unknown) == 1 and not (declared and set(unknown) <= set("TCZ")):
        axes = "".join("T" if axis in unknown else axis for axis, _ in long)
        note = f"{dict(long)[unknown[0]]} pages read as time, because a frame interval was given"
        return Order(axes, tuple(size for _, size in long), note)
    raise InputError(
        f"{where}: axes that can be read in one way were wanted, but {_name(long)} can be "
        f"{', '.join(_readings(long, unknown))}; pass the right one"
    )


def _distinct(axes: Sequence[tuple[str, int]]) -> list[tuple[str, int]]:
    """Give axes without a meaning a letter of their own: tifffile calls every one of them Q."""
    return [(axis if axis in "TCZ" else "abcdefgh"[i], size) for i, (axis, size) in enumerate(axes)]


def _unknown(sizes: Mapping[str, int]) -> list[str]:
    """Return the axes without a name, or one that is suspect because the file has a single frame."""
    unknown = [axis for axis in sizes if axis not in "TCZ"]
    if unknown or "T" in sizes:
        return unknown
    if "Z" in sizes:
        return ["Z"]
    return ["C"] if sizes.get("C", 1) > MOST_CHANNELS else []


def _readings(long: Sequence[tuple[str, int]], unknown: Sequence[str]) -> list[str]:
    free = [axis for axis in "TZC" if axis in unknown or axis not in dict(long)]
    readings = []
    for letters in permutations(free, min(len(unknown), len(free))):
        meaning = dict(zip(unknown, letters))
        named = [(meaning.get(axis, axis), size) for axis, size in long]
        axes = "".join(axis for axis, _ in named)
        if all(axis in "TCZ" for axis in axes):
            readings.append(f"--axes {axes}YX ({describe(named)})")
    if len(long) == 1 and long[0][1] % 2 == 0:
        half = long[0][1] // 2
        readings.append(
            f"--axes TCYX with the number of channels (TC2YX: {describe((('T', half), ('C', 2)))})"
        )
    return readings


def describe(named: Sequence[tuple[str, int]]) -> str:
    """Return lengths in words, such as `30 frames, 2 channels`."""
    return ", ".join(f"{size} {_UNITS[axis][size > 1]}" for axis, size in named)


def _name(long: Sequence[tuple[str, int]]) -> str:
    return f"its pages {' x '.join(str(size) for _, size in long)}"


def _as_wanted(where: str, long: Sequence[tuple[str, int]], wanted: str) -> Order:
    letters, numbers = _parse(wanted)
    total = prod(size for _, size in long)
    if any(numbers):
        sizes = _with_lengths(where, wanted, numbers, total)
    elif len(letters) == len(long):
        sizes = tuple(size for _, size in long)
    elif (named := dict(long)).keys() <= set(letters) and [a for a in letters if a in named] == list(named):
        sizes = tuple(named.get(axis, 1) for axis in letters)
    else:
        raise InputError(
            f"{where}: --axes {wanted} was wanted, the file has {len(long)} axis(es) before YX "
            f"({_name(long)}); give lengths after the letters, such as TC2YX for 2 channels"
        )
    in_file = "".join(axis if axis in "TCZ" else "?" for axis, _ in long)
    note = f"axes read as {wanted} as told, the file says {in_file}YX" if in_file != letters else ""
    return Order(letters, sizes, note)


def _parse(wanted: str) -> tuple[str, list[int | None]]:
    match = re.fullmatch(r"((?:[TCZ]\d*)*)YX", wanted.upper())
    parts = re.findall(r"([TCZ])(\d*)", match[1]) if match else []
    letters = "".join(letter for letter, _ in parts)
    if match is None or len(set(letters)) != len(letters):
        raise SettingsError(
            f"--axes must be letters of T, C and Z, each once, then YX, such as TCYX or TC2YX, got {wanted!r}"
        )
    return letters, [int(number) if number else None for _, number in parts]


def _with_lengths(where: str, wanted: str, numbers: Sequence[int | None], total: int) -> tuple[int, ...]:
    known = prod(number for number in numbers if number is not None)
    open_axes = numbers.count(None)
    fits = known > 0 and total % known == 0 and (open_axes == 1 or (open_axes == 0 and known == total))
    if not fits:
        raise InputError(
            f"{where}: --axes {wanted} was wanted, the file has {total} pages, which do not divide so; "
            "correct the lengths and leave at most one axis without"
        )
    return tuple(total // known if number is None else number for number in numbers)
