"""A folder with a file per time point, channel or depth, told apart by a regular expression."""

from __future__ import annotations

import math
import os
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

from numpy.typing import NDArray

from exovision.errors import InputError
from exovision.io.formats import TIFF, is_movie_file, is_zarr
from exovision.io.metadata import Metadata
from exovision.io.micromanager import ImageFacts, image_facts
from exovision.io.patterns import PRESETS, compile_pattern, spelled_time_s
from exovision.io.stack import Stack
from exovision.io.tiff_source import open_tiff

_MOST_GAPS = 20


@dataclass(frozen=True)
class Image:
    """One file of a folder movie.

    Attributes
    ----------
    path : Path
        The file.
    place : tuple of str
        Its tokens of the groups t, c, z; empty where the pattern has none.
    position : str
        Its well and position, such as `B02_p003`; empty if the pattern names neither.
    well : str
        Its well; empty if the pattern names none.
    """

    path: Path
    place: tuple[str, str, str]
    position: str
    well: str


def walk(root: Path, *, skip: frozenset[str] = frozenset()) -> Iterator[Path]:
    """Yield the movie files and Zarr folders below a folder in the order of names, following links once.

    Hidden files are left out, and so are folders named in `skip` and the outputs of exovision.
    """
    seen: set[str] = set()
    for folder, folders, files in os.walk(root, followlinks=True):
        here = Path(folder)
        folders[:] = sorted(name for name in folders if name not in skip and not name.startswith("."))
        real = os.path.realpath(folder)
        if real in seen or (here != root and "run.json" in files):
            folders[:] = []
            continue
        seen.add(real)
        yield from (here / name for name in sorted(files) if is_movie_file(name))
        zarrs = [name for name in folders if is_zarr(here / name)]
        folders[:] = [name for name in folders if name not in zarrs]
        yield from (here / name for name in zarrs)


def images_in(folder: Path) -> Iterator[Path]:
    """Yield the image files that lie in a folder itself, in the order of their names."""
    yield from (path for path in sorted(folder.iterdir()) if _is_image(path) and path.is_file())


def _is_image(path: Path) -> bool:
    name = path.name
    return name.lower().endswith(TIFF.suffixes) and not name.startswith(".")


def list_images(folder: Path, pattern: str) -> list[Image]:
    """Return the files of a folder that match a pattern.

    A pattern with a slash is matched against the path below the folder, any other against the names of the
    files that lie in the folder itself.

    Raises
    ------
    SettingsError
        If the pattern is wrong.
    """
    compiled = compile_pattern(pattern)
    files = filter(_is_image, walk(folder)) if "/" in pattern else images_in(folder)
    matches = ((path, compiled.search(path.relative_to(folder).as_posix())) for path in files)
    return [Image(path, *_tokens(match)) for path, match in matches if match]


def _tokens(match: re.Match[str]) -> tuple[tuple[str, str, str], str, str]:
    found = {name: token or "" for name, token in match.groupdict().items()}
    p = found.get("p", "")
    well = found.get("well", "")
    t, c, z = (found.get(axis, "") for axis in "tcz")
    return (t, c, z), "_".join(filter(None, (well, f"p{int(p):03d}" if p.isdecimal() else p))), well


class FolderPlanes:
    """The single images of one movie, opened one at a time; None where an image is missing."""

    def __init__(self, files: Sequence[Path | None], shape: tuple[int, int]) -> None:
        self._files, self._shape = files, shape

    def missing(self, k: int) -> bool:
        """Tell whether plane `k` has no file."""
        return self._files[k] is None

    def read(self, k: int) -> NDArray[Any]:
        """Return plane `k`, shape (Y, X).

        Raises
        ------
        InputError
            If the file is missing, damaged, of another size, or holds more than one image.
        """
        path = self._files[k]
        if path is None:
            raise InputError(f"image {k} was wanted, the folder has no file for it; skip this frame")
        stack = _single_image(path)
        try:
            if stack.image_shape != self._shape:
                raise InputError(
                    f"{path}: an image of {self._shape} px like the first one was wanted, "
                    f"got {stack.image_shape}; move it out of the folder or correct --pattern"
                )
            return stack.planes.read(0)
        finally:
            stack.planes.close()

    def close(self) -> None:
        """Do nothing: no file stays open."""


def _single_image(path: Path) -> Stack:
    stack = open_tiff(path)
    if math.prod(size for _, size in stack.axes) > 1:
        stack.planes.close()
        raise InputError(
            f"{path}: one image a file was wanted, got axes {stack.axes}; leave --pattern out for stacks"
        )
    return stack


def open_folder(folder: Path, *, pattern: str | None, position: str | None = None) -> Stack:
    """Open one movie of a folder of single images.

    Time tokens are numbers and frames in their order; a step larger than 1 between all of them is one frame,
    a number left out is a frame without image. Tokens that are times, as the Incucyte writes them, are frames
    at these times. Channels are numbered in the order of their tokens.

    Parameters
    ----------
    folder : Path
        Where the images are.
    pattern : str
        Regular expression with named groups t, c, z, p, well, or the name of a preset.
    position : str, optional
        Well and position, such as `B02_p003`; needed when there are several.

    Raises
    ------
    InputError
        If no file matches, the position is missing or unknown, a token is no number, or two files claim one
        place.
    """
    if pattern is None:
        raise InputError(
            f"{folder}: a movie file was wanted, got a folder; pass --pattern {', '.join(PRESETS)}, or one "
            r"with named groups, such as 't(?P<t>\d+)_c(?P<c>\d+)'"
        )
    images = list_images(folder, pattern)
    if not images:
        raise InputError(f"{folder}: images that match {pattern!r} were wanted, got none; correct --pattern")
    images = _choose(folder, images, position)
    axes, files, notes = _arrange(folder, images)
    first = _single_image(images[0].path)
    first.planes.close()
    facts = image_facts(images[0].path.parent)
    times = _spelled_times(axes, [image.place[0] for image in images])
    metadata = Metadata(
        pixel_size_um=first.metadata.pixel_size_um or _square(facts.pixel_size_um),
        plane_times_s=times or _told_times(axes, files, facts),
        channel_names=_channel_names(images, facts),
    )
    planes = FolderPlanes(files, first.image_shape)
    said = filter(None, (*notes, facts.note))
    return Stack(axes, True, first.image_shape, first.dtype, metadata, planes, tuple(said))


def _square(size_um: float | None) -> tuple[float, float] | None:
    return None if size_um is None else (size_um, size_um)


def _channel_names(images: Sequence[Image], facts: ImageFacts) -> tuple[str, ...]:
    """Return the names that Micro-Manager gave the channels, else the tokens in the files' names."""
    tokens = sorted({image.place[1] for image in images}, key=_natural)
    told = [{facts.channels.get(i.path.name, "") for i in images if i.place[1] == token} for token in tokens]
    names = [names.pop() if len(names) == 1 else "" for names in told]
    return tuple(names if all(names) and len(set(names)) == len(names) else tokens)


def _told_times(
    axes: Sequence[tuple[str, int]], files: Sequence[Path | None], facts: ImageFacts
) -> dict[tuple[int, int], float]:
    """Return the earliest time of each frame and channel that Micro-Manager recorded, s."""
    times: dict[tuple[int, int], float] = {}
    per_frame, depth = dict(axes)["C"] * dict(axes)["Z"], dict(axes)["Z"]
    for k, file in enumerate(files):
        if file is not None and file.name in facts.times_s:
            place = k // per_frame, k % per_frame // depth
            times[place] = min(facts.times_s[file.name], times.get(place, math.inf))
    return times


def _arrange(
    folder: Path, images: Sequence[Image]
) -> tuple[tuple[tuple[str, int], ...], list[Path | None], tuple[str, ...]]:
    """Return the axes, the file of every plane in the order T, C, Z, and notes."""
    tokens = [image.place[0] for image in images]
    spelled = _spelled(tokens)
    frames = _numbers(folder, "t", [] if spelled else tokens)
    order = sorted(spelled, key=spelled.__getitem__) or [str(t) for t in frames]
    depths = _numbers(folder, "z", [image.place[2] for image in images])
    channels = sorted({image.place[1] for image in images}, key=_natural)
    placed: dict[tuple[str, str, int], Path] = {}
    for image in images:
        t, c, z = image.place
        place = t if spelled else str(int(t or 0)), c, int(z or 0)
        if place in placed:
            raise InputError(
                f"{folder}: one file for each t, c and z was wanted, {placed[place].name} and "
                f"{image.path.name} claim the same; correct --pattern"
            )
        placed[place] = image.path
    files = [placed.get((t, c, z)) for t in order for c in channels for z in depths]
    notes = (
        [] if frames.step == 1 else [f"time numbers advance by {frames.step}: taken as consecutive frames"]
    )
    if missing := files.count(None):
        notes.append(f"{missing} of {len(files)} images are missing: not acquired")
    axes = (("T", len(order)), ("C", len(channels)), ("Z", len(depths)))
    return axes, files, tuple(notes)


def _spelled(tokens: Sequence[str]) -> dict[str, float]:
    """Return the time of every token, s, if all of them are times; else nothing."""
    times = {token: spelled_time_s(token) for token in dict.fromkeys(tokens)}
    known = {token: time for token, time in times.items() if time is not None}
    return known if len(known) == len(times) else {}


def _spelled_times(axes: Sequence[tuple[str, int]], tokens: Sequence[str]) -> dict[tuple[int, int], float]:
    """Return the time of each frame and channel, s after the first, where names are times; else nothing."""
    times = sorted(_spelled(tokens).values())
    return {(t, c): time - times[0] for t, time in enumerate(times) for c in range(dict(axes)["C"])}


def _choose(folder: Path, images: list[Image], position: str | None) -> list[Image]:
    known = sorted({image.position for image in images}, key=_natural)
    if position is None and len(known) == 1:
        return images
    if position not in known:
        came = "none was chosen" if position is None else f"got {position!r}"
        raise InputError(
            f"{folder}: one position of {known[0]} to {known[-1]} was wanted, {came}; name one of these"
        )
    return [image for image in images if image.position == position]


def _natural(token: str) -> tuple[int, int, str]:
    return (0, int(token), token) if token.isdecimal() else (1, 0, token)


def _numbers(folder: Path, group: str, tokens: Sequence[str]) -> range:
    """Return the numbers that occur or are left out between others."""
    wrong = next((token for token in tokens if token and not token.isdecimal()), None)
    if wrong is not None:
        raise InputError(f"{folder}: numbers for group {group} were wanted, got {wrong!r}; correct --pattern")
    numbers = sorted({int(token or 0) for token in tokens}) or [0]
    step = math.gcd(*(b - a for a, b in pairwise(numbers))) or 1
    every = range(numbers[0], numbers[-1] + 1, step)
    if len(every) > _MOST_GAPS * len(numbers):
        raise InputError(
            f"{folder}: consecutive numbers for group {group} were wanted, got {len(numbers)} between "
            f"{numbers[0]} and {numbers[-1]}; let the group match a counter"
        )
    return every
