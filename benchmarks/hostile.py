"""The corpus of malformed input: each entry makes one file, folder or option, and says what must happen.

`benchmarks/faults.py` runs the command line on all of it; `tests/exovision/batch/test_hostile_input.py` on
most.
"""

from __future__ import annotations

import io
import json
import os
import pickle
import struct
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Literal

import numpy as np
import tifffile

GIVEN = ("--channels", "exosome=0,cell=1", "--pixel-size-um", "0.2", "--frame-interval-s", "5")
QUICK = "cells: {diameter_um: 5}\nreport: {overlay_frames: 1, kymographs: 0}\n"
SIZE = 64
CANARY = "CANARY"
"""The file that weights, settings and names try to make."""

Verdict = Literal["refused", "analysed", "no movie"]
"""A movie fails in one line; is analysed like any other; or is none and must not be taken for one."""
Make = Callable[[Path], object]


def pixels(frames: int = 4, seed: int = 1) -> np.ndarray:
    """Return (T, 2, 64, 64) counts: exosomes that stay at the rims of two discs, and the discs."""
    rng = np.random.default_rng(seed)
    yy, xx = np.mgrid[:SIZE, :SIZE]
    movie = rng.poisson(60, (frames, 2, SIZE, SIZE)).astype(np.uint16)
    for y, x in ((20, 20), (42, 44)):
        movie[:, 1] += (((yy - y) ** 2 + (xx - x) ** 2 < 12**2) * 120).astype(np.uint16)
        light = 150 * np.exp(-((yy - y) ** 2 + (xx - x - 12) ** 2) / (2 * 1.3**2))
        movie[:, 0] += rng.poisson(light, (frames, SIZE, SIZE)).astype(np.uint16)
    return movie


def write_good(path: Path, seed: int = 1) -> Path:
    """Write the movie beside which everything else lies."""
    tifffile.imwrite(path, pixels(seed=seed), imagej=True, metadata={"axes": "TCYX"})
    return path


def _good_bytes(**options: object) -> bytes:
    """Return a good movie as TIFF bytes."""
    buffer = io.BytesIO()
    tifffile.imwrite(buffer, pixels(), **({"imagej": True, "metadata": {"axes": "TCYX"}} | options))
    return buffer.getvalue()


def _cut(part: float, **options: object) -> Make:
    """Return what writes the first part of a good movie."""

    def make(path: Path) -> None:
        data = _good_bytes(**options)
        path.write_bytes(data[: int(len(data) * part)])

    return make


def _raw(data: bytes) -> Make:
    return lambda path: path.write_bytes(data)


def _array(make: Callable[[], np.ndarray], **options: object) -> Make:
    """Return what writes an array of axes T, C, Y, X as an OME-TIFF."""
    return lambda path: tifffile.imwrite(path, make(), ome=True, metadata={"axes": "TCYX"}, **options)


def _with(value: float, dtype: type = np.float32) -> Callable[[], np.ndarray]:
    """Return what makes a movie with one wrong pixel."""

    def make() -> np.ndarray:
        data = pixels().astype(dtype)
        data[2, 0, 3, 3] = value
        return data

    return make


def _described(text: str, data: np.ndarray | None = None) -> Make:
    """Return what writes good pixels under a description of somebody else's making."""

    def make(path: Path) -> None:
        planes = (pixels() if data is None else data).reshape(-1, SIZE, SIZE)
        description = text.encode()
        with tifffile.TiffWriter(path) as file:
            for k, plane in enumerate(planes):
                said = description if k == 0 else None
                file.write(plane, description=said, metadata=None, contiguous=False, photometric="minisblack")

    return make


def _ome(pixels_xml: str, inside: str = "") -> Make:
    space = 'xmlns="http://www.openmicroscopy.org/Schemas/OME/2016-06"'
    size = f'ID="P:0" Type="uint16" DimensionOrder="XYCZT" SizeX="{SIZE}" SizeY="{SIZE}"'
    return _described(
        f'<?xml version="1.0"?><OME {space}><Image ID="Image:0"><Pixels {size} {pixels_xml}>'
        f'<Channel ID="Channel:0" SamplesPerPixel="1"/><Channel ID="Channel:1" SamplesPerPixel="1"/>{inside}'
        "</Pixels></Image></OME>"
    )


def _tag_set(tag: str, value: int) -> Make:
    """Return what overwrites the value of a tag of the first page."""

    def make(path: Path) -> None:
        data = bytearray(_good_bytes(imagej=False, photometric="minisblack", contiguous=False))
        with tifffile.TiffFile(io.BytesIO(bytes(data))) as file:
            found = file.pages[0].tags[tag]
            offset, size = found.valueoffset, found.valuebytecount
        data[offset : offset + size] = value.to_bytes(size, "little")
        path.write_bytes(data)

    return make


def _tag_count(tag: str, count: int) -> Make:
    """Return what overwrites how many values a tag of the first page claims to have."""

    def make(path: Path) -> None:
        data = bytearray(_good_bytes(imagej=False, photometric="minisblack", contiguous=False))
        with tifffile.TiffFile(io.BytesIO(bytes(data))) as file:
            offset = file.pages[0].tags[tag].offset
        data[offset + 4 : offset + 8] = count.to_bytes(4, "little")
        path.write_bytes(data)

    return make


def _page(width: int, height: int, block: bytes, *, circular: bool = False) -> bytes:
    """Return an ImageJ TIFF of two 16-bit channels that share one compressed strip."""
    said = b"ImageJ=1.53\nimages=2\nchannels=2\nhyperstack=true\n\0"
    body = block + b"\0" * (len(block) % 2) + said + b"\0" * (len(said) % 2)
    text, first, size = 8 + len(block) + len(block) % 2, 8 + len(body), 2 + 12 * 10 + 4
    tags = [
        *((256, 4, 1, width), (257, 4, 1, height), (258, 3, 1, 16), (259, 3, 1, 8), (262, 3, 1, 1)),
        (270, 2, len(said), text),
        *((273, 4, 1, 8), (277, 3, 1, 1), (278, 4, 1, height), (279, 4, 1, len(block))),
    ]
    directory = struct.pack("<H", len(tags)) + b"".join(struct.pack("<HHII", *tag) for tag in tags)
    ends = (first + size, first if circular else 0)
    pages = b"".join(directory + struct.pack("<I", end) for end in ends)
    return b"II*\0" + struct.pack("<I", first) + body + pages


def _zeros(count: int) -> bytes:
    """Return so many compressed zeros without holding them."""
    squeeze = zlib.compressobj(1)
    block = b"\0" * (1 << 20)
    return b"".join(squeeze.compress(block) for _ in range(count >> 20)) + squeeze.flush()


def _huge_plane(path: Path) -> None:
    """Write 20,000² real pixels, all of them there, in 1 MB."""
    path.write_bytes(_page(20_000, 20_000, _zeros(2 * 20_000**2)))


def _bomb_in_a_small_plane(path: Path) -> None:
    """Write a plane of 64² that unpacks to 2 GB."""
    path.write_bytes(_page(SIZE, SIZE, _zeros(2 << 30)))


def _circular(path: Path) -> None:
    path.write_bytes(_page(SIZE, SIZE, zlib.compress(pixels()[0, 0].tobytes()), circular=True))


def _many_pages(path: Path) -> None:
    """Write 20,000 directories of one pixel each, which say nothing of axes."""
    tifffile.imwrite(path, np.ones((20_000, 1, 1), np.uint16), photometric="minisblack", contiguous=False)


def _sparse(path: Path) -> None:
    """Write 60,000² pixels that a sparse file really has."""
    with tifffile.TiffWriter(path, bigtiff=True) as file:
        page = np.zeros((4, 4), np.uint16)
        file.write(page, photometric="minisblack")
    data = path.read_bytes()
    with tifffile.TiffFile(path) as file:
        tags = file.pages[0].tags
        places = {name: tags[name] for name in ("ImageWidth", "ImageLength", "StripByteCounts")}
    changed = bytearray(data)
    for name, value in (
        ("ImageWidth", 60_000),
        ("ImageLength", 60_000),
        ("StripByteCounts", 7_200_000_000),
    ):
        tag = places[name]
        changed[tag.valueoffset : tag.valueoffset + tag.valuebytecount] = value.to_bytes(
            max(tag.valuebytecount, 4), "little"
        )[: tag.valuebytecount]
    path.write_bytes(changed)
    os.truncate(path, 7_300_000_000)


def _escaping(path: Path) -> None:
    """Refer to a file above the input folder as the place of the pixels."""
    outside = path.parent.parent / "outside.tif"
    write_good(outside)
    block = '<TiffData IFD="0" PlaneCount="8"><UUID FileName="../outside.tif">urn:uuid:1</UUID></TiffData>'
    _ome('SizeC="2" SizeT="4" SizeZ="1"', block)(path)


def _laughs() -> str:
    """Return OME-XML whose entities grow to 10⁹ of the first one."""
    entities = "".join(f'<!ENTITY a{i} "{f"&a{i - 1};" * 10}">' for i in range(1, 10))
    return f'<?xml version="1.0"?><!DOCTYPE OME [<!ENTITY a0 "ha">{entities}]><OME><Image>&a9;</Image></OME>'


def _named(name: str | bytes) -> Make:
    """Return what writes a good movie under another name."""

    def make(path: Path) -> None:
        target = os.fsencode(path.parent) + b"/" + os.fsencode(name)
        with open(target, "wb") as file:  # noqa: PTH123 (Path takes no bytes)
            file.write(_good_bytes())

    return make


def _unreadable(path: Path) -> None:
    write_good(path).chmod(0)


def _loop(path: Path) -> None:
    path.symlink_to(path.name)


def _folder_loop(path: Path) -> None:
    path.mkdir()
    (path / "again").symlink_to(path.parent, target_is_directory=True)


_SHAPED = '{{"shape": [{}, 64, 64]}}'
_IMAGEJ = "ImageJ=1.53\nimages={0}\nchannels=2\nframes={1}\nhyperstack=true\nmode=grayscale\nloop=false\n"

MOVIES: dict[str, tuple[Make, Verdict]] = {
    "no bytes": (_raw(b""), "refused"),
    "one byte": (_raw(b"I"), "refused"),
    "text": (_raw(b"these are not pixels"), "refused"),
    "null bytes": (_raw(b"\0" * 4096), "refused"),
    "random bytes": (_raw(np.random.default_rng(0).bytes(40_000)), "refused"),
    "PNG called TIFF": (_raw(b"\x89PNG\r\n\x1a\n" + b"\0" * 200), "refused"),
    "HTML error page called TIFF": (_raw(b"<!DOCTYPE html><title>404</title>"), "refused"),
    "magic only": (_raw(b"II*\0"), "refused"),
    "header without directory": (_raw(b"II*\0\x08\0\0\0"), "refused"),
    "directory beyond the end": (_raw(b"II*\0" + struct.pack("<I", 0x7FFFFFFF) + b"\0" * 64), "refused"),
    "wrong byte order": (lambda path: path.write_bytes(b"MM\0*" + _good_bytes()[4:]), "refused"),
    "BigTIFF magic on a small TIFF": (
        lambda path: path.write_bytes(b"II+\0" + _good_bytes(imagej=False, photometric="minisblack")[4:]),
        "refused",
    ),
    **{f"cut at {part:.0%}": (_cut(part), "refused") for part in (0.001, 0.01, 0.1, 0.25, 0.5, 0.75, 0.99)},
    **{
        f"OME-TIFF, zlib, cut at {part:.0%}": (
            _cut(part, imagej=False, ome=True, compression="zlib", photometric="minisblack"),
            "refused",
        )
        for part in (0.01, 0.3, 0.6, 0.95)
    },
    "no pixels wide": (_tag_set("ImageWidth", 0), "refused"),
    "wider than its pixels": (_tag_set("ImageWidth", 60_000), "refused"),
    "99 bits a sample": (_tag_set("BitsPerSample", 99), "refused"),
    "unknown compression": (_tag_set("Compression", 60_000), "refused"),
    "offsets beyond the end": (_tag_set("StripOffsets", 0xFFFFFFF0), "refused"),
    "offset in its own header": (_tag_set("StripOffsets", 0), "refused"),
    "two billion strips": (_tag_count("StripOffsets", 0x7FFFFFFF), "refused"),
    "description of 4 GB": (_tag_count("ImageDescription", 0xFFFFFFFF), "refused"),
    "20,000² pixels in 1 MB": (_huge_plane, "refused"),
    "plane of 64² that unpacks to 2 GB": (_bomb_in_a_small_plane, "refused"),
    "7 GB, sparse": (_sparse, "refused"),
    "plane that is no zlib stream": (_raw(_page(SIZE, SIZE, b"\x55" * 900)), "refused"),
    "directories in a circle": (_circular, "refused"),
    "20,000 pages of one pixel": (_many_pages, "refused"),
    "ImageJ, two billion frames": (_described(_IMAGEJ.format(2_000_000_000, 1_000_000_000)), "refused"),
    "ImageJ, minus one frame": (_described(_IMAGEJ.format(-2, -1)), "refused"),
    "shaped, a billion planes": (_described(_SHAPED.format(1_000_000_000)), "refused"),
    "shaped, not a number": (_described('{"shape": ["x", 64, 64]}'), "refused"),
    "OME, a billion frames": (_ome('SizeC="2" SizeT="1000000000" SizeZ="1"'), "refused"),
    "OME, a billion frames of which the first is there": (
        _ome('SizeC="2" SizeT="1000000000" SizeZ="1"', '<TiffData IFD="0" PlaneCount="8"/>'),
        "refused",
    ),
    "OME, frame minus five": (
        _ome('SizeC="2" SizeT="4" SizeZ="1"', '<TiffData FirstT="-5" IFD="-3"/>'),
        "refused",
    ),
    "OME, sizes in words": (_ome('SizeC="two" SizeT="four" SizeZ="1"'), "refused"),
    "OME, pixels above the folder": (_escaping, "refused"),
    "OME, entities that explode": (_described(_laughs()), "refused"),
    "OME, cut XML": (_described('<?xml version="1.0"?><OME><Image'), "refused"),
    "NaN in a frame": (_array(_with(np.nan)), "refused"),
    "infinity in a frame": (_array(_with(np.inf)), "refused"),
    "beyond single precision": (_array(_with(1e300, np.float64)), "refused"),
    "complex": (_array(lambda: pixels().astype(np.complex64)), "refused"),
    "bool": (_array(lambda: pixels() > 100), "refused"),
    "zeros": (_array(lambda: pixels() * 0), "refused"),
    "constant": (_array(lambda: pixels() * 0 + 7), "analysed"),
    "saturated": (_array(lambda: pixels() * 0 + 65535), "analysed"),
    "negative": (_array(lambda: -pixels().astype(np.int16)), "analysed"),
    "one pixel": (_array(lambda: pixels()[..., :1, :1]), "analysed"),
    "one row": (_array(lambda: pixels()[..., :1, :]), "analysed"),
    "5 × 5 pixels": (_array(lambda: pixels()[..., :5, :5]), "analysed"),
    "RGB": (
        lambda path: tifffile.imwrite(path, np.ones((64, 64, 3), np.uint8), photometric="rgb"),
        "refused",
    ),
    "pages without a meaning": (
        lambda path: tifffile.imwrite(path, pixels(), photometric="minisblack"),
        "refused",
    ),
    "one channel of two": (_array(lambda: pixels()[:, :1]), "refused"),
    "a folder called movie": (lambda path: path.mkdir(), "no movie"),
    "a folder with a link to its parent": (_folder_loop, "no movie"),
    "a link to itself": (_loop, "refused"),
    "a link to nothing": (lambda path: path.symlink_to("gone.tif"), "refused"),
    "a pipe nobody writes to": (os.mkfifo, "refused"),
    "a link to /dev/zero": (lambda path: path.symlink_to("/dev/zero"), "refused"),
    "unreadable": (_unreadable, "refused"),
    "name not in UTF-8": (_named(b"caf\xe9 \xff.tif"), "refused"),
    "name with a line break": (_named("two\nlines.tif"), "refused"),
    "name of a list of the run": (_named("failures.csv.tif"), "analysed"),
    "name of the run's record": (_named("run.json.tif"), "analysed"),
    "name of the experiment": (_named("experiment.tif"), "analysed"),
    "name in HTML": (_named("<script>alert(1)<!--.tif"), "analysed"),
    "name of 255 bytes": (_named("n" * 251 + ".tif"), "analysed"),
    "name with a command": (_named(f"$(touch {CANARY}); touch {CANARY}.tif"), "analysed"),
}

_ALIASES = "a0: &a0 [x, x, x, x, x, x, x, x, x]\n" + "".join(
    f"a{i}: &a{i} [{', '.join([f'*a{i - 1}'] * 9)}]\n" for i in range(1, 12)
)
SETTINGS: dict[str, bytes] = {
    "aliases that explode": _ALIASES.encode(),
    "aliases that explode in a setting": (_ALIASES + "cells: {diameter_um: *a11}\n").encode(),
    "aliases in a circle": b"cells: &a\n  diameter_um: *a\n",
    "10,000 brackets": b"[" * 10_000,
    "python tag": f"!!python/object/apply:os.system ['touch {CANARY}']".encode(),
    "python name": b"cells: !!python/name:os.system",
    "wrong type": b"cells: {diameter_um: wide}",
    "stage that is a list": b"cells: [1, 2]",
    "unknown setting": b"cells: {colour: red}",
    "unknown segmenter": b"cells: {segmenter: os.system}",
    "not a mapping": b"- 1\n- 2\n",
    "two documents": b"cells: {}\n---\ncells: {}\n",
    "NaN": b"cells: {diameter_um: .nan}",
    "infinity": b"events: {band_um: .inf}",
    "number of 5,000 digits": b"reading: {chunk_frames: " + b"9" * 5000 + b"}",
    "minus one frame at once": b"reading: {chunk_frames: -1}",
    "UTF-16": "cells: {}".encode("utf-16"),
    "not UTF-8": b"cells: {}  # caf\xe9",
    "null byte": b"cells: {}\0",
    "tab": b"cells:\n\tdiameter_um: 5\n",
    "key that is a mapping": b"? {a: 1}\n: 2\n",
    "merge of a scalar": b"cells: {<<: 5}\n",
    "date": b"cells: {diameter_um: 2020-13-45}",
}

SHEETS: dict[str, bytes] = {
    "empty": b"",
    "no column path": b"movie,donor\ngood.tif,1\n",
    "column twice": b"path,donor,donor\nin/good.tif,1,2\n",
    "movie twice": b"path\nin/good.tif\nin/good.tif\n",
    "file that is not there": b"path\nin/gone.tif\n",
    "unit in a number": "path,pixel_size_um\nin/good.tif,0.2 µm\n".encode(),
    "negative size": b"path,pixel_size_um\nin/good.tif,-0.2\n",
    "size NaN": b"path,pixel_size_um\nin/good.tif,nan\n",
    "interval zero": b"path,frame_interval_s\nin/good.tif,0\n",
    "decimal comma": b'path,pixel_size_um\nin/good.tif,"0,2"\n',
    "more cells than columns": b"path,donor\nin/good.tif,1,2\n",
    "open quote": b'path,donor\nin/good.tif,"1\n',
    "unknown control": b"path,control\nin/good.tif,sham\n",
    "unknown role": b"path,channels\nin/good.tif,exozome=0\n",
    "digits that are none": "path,channels\nin/good.tif,exosome=²\n".encode(),
    "path with a null byte": b"path\nin/go\0od.tif\n",
    "path of 5,000 letters": b"path\n" + b"a" * 5000 + b"\n",
    "pattern that is none": b"path\nin/**good.tif\n",
    "cell of 200,000 letters": b"path,note\nin/good.tif," + b"a" * 200_000 + b"\n",
    "not UTF-8": b"path,donor\nin/good.tif,caf\xe9\n",
    "UTF-16": "path\nin/good.tif\n".encode("utf-16"),
    "binary": np.random.default_rng(1).bytes(4000),
}
ODD_SHEETS: dict[str, bytes] = {
    "byte order mark and CRLF": b"\xef\xbb\xbfpath,donor\r\nin/good.tif,1\r\n",
    "column called movie": b"path,movie,path_of\nin/good.tif,x,y\n",
    "formula and HTML": b"path,condition,donor\nin/good.tif,=cmd|' /C calc'!A0,<script>alert(1)</script>\n",
    "channel of 400 digits": b"path,channels\nin/good.tif,exosome=" + b"9" * 400 + b"\n",
    "path of two dots": b"path\n..\n",
    "a folder, not a file": b"path\nin\nin/good.tif\n",
}
"""Sheets with which the good movie is analysed all the same."""


def _label_array(make: Callable[[], np.ndarray], **options: object) -> Make:
    return lambda path: tifffile.imwrite(path, make(), photometric="minisblack", **options)


def _ids() -> np.ndarray:
    return np.ones((4, SIZE, SIZE), np.int32)


LABELS: dict[str, Make] = {
    "no file": lambda path: None,
    "text": _raw(b"no labels"),
    "a folder": lambda path: path.mkdir(),
    "a pipe": os.mkfifo,
    "other size": _label_array(lambda: _ids()[:, :32]),
    "other length": _label_array(lambda: _ids()[:3]),
    "negative": _label_array(lambda: -_ids()),
    "fractions": _label_array(lambda: _ids() / 2),
    "NaN": _label_array(lambda: _ids() * np.nan),
    "infinity": _label_array(lambda: _ids() * np.inf),
    "beyond 32 bits": _label_array(lambda: _ids().astype(np.uint64) << 40),
    "complex": _label_array(lambda: _ids().astype(np.complex64)),
    "RGB": lambda path: tifffile.imwrite(path, np.ones((64, 64, 3), np.uint8), photometric="rgb"),
    "cut": _cut(0.5),
}


class _Runs:
    """Makes a file when it is unpickled."""

    def __reduce__(self) -> tuple[object, tuple[str]]:
        return os.system, (f"touch {CANARY}",)


def _weights(facts: object, data: bytes = b"") -> Make:
    def make(path: Path) -> None:
        text = facts if isinstance(facts, bytes) else json.dumps(facts).encode()
        path.with_suffix(".json").write_bytes(text)
        path.write_bytes(data)

    return make


def _header(count: int) -> bytes:
    return struct.pack("<Q", count) + b"{}"


_FLOW = {"architecture": "FlowUNet"}
WEIGHTS: dict[str, Make] = {
    "no file": lambda path: None,
    "no JSON": _raw(_header(2)),
    "pickle with code": _weights(_FLOW, pickle.dumps(_Runs())),
    "pickle with code, and its sizes": _weights({**_FLOW, "widths": [16, 32, 64, 96]}, pickle.dumps(_Runs())),
    "a network of a billion channels": _weights({**_FLOW, "widths": [1_000_000_000, 1_000_000_000]}),
    "widths in words": _weights({**_FLOW, "widths": "abc"}),
    "JSON that is a list": _weights([1, 2]),
    "JSON with 100,000 brackets": _weights(b"[" * 100_000),
    "JSON not in UTF-8": _weights(b"\xff\xfe"),
    "name of a function": _weights({"architecture": "os.system"}),
    "header of 2⁶³ bytes": _weights(_FLOW, _header(1 << 63)),
    "text": _weights(_FLOW, b"no weights"),
}


def label_discs(path: Path) -> None:
    """Write the right labels of the good movie."""
    yy, xx = np.mgrid[:SIZE, :SIZE]
    labels = np.zeros((SIZE, SIZE), np.uint16)
    for k, (y, x) in enumerate(((20, 20), (42, 44)), start=1):
        labels[(yy - y) ** 2 + (xx - x) ** 2 < 12**2] = k
    tifffile.imwrite(path, np.stack([labels] * 4), photometric="minisblack")


LARGE = ("20,000² pixels in 1 MB", "plane of 64² that unpacks to 2 GB", "7 GB, sparse")
"""Movies that take seconds to make."""
LINUX_ONLY = (
    *("a pipe nobody writes to", "a link to /dev/zero", "unreadable", "name not in UTF-8"),
    *("name with a line break", "name in HTML", "a link to itself"),
)
"""Movies that other systems cannot have."""
