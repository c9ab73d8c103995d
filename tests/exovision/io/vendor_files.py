"""Small files of Nikon, Zeiss and Leica, made by hand as far as readers look: nobody writes these formats.

Pixels have shape (P, T, C, Z, Y, X), uint16; times have shape (P, T, C), s.
"""

from __future__ import annotations

import itertools
import struct
import uuid
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import imagecodecs
import numpy as np

NAMES = ("PKH67", "CellMask")
PIXEL_UM = 0.108
STEP_UM = 0.5
START = datetime(2026, 3, 1, 9, 30, tzinfo=UTC)


# --- ND2: chunks with names, a map of them at the end, descriptions in "lite variant" ---
MAGIC, MAP_NAME = 0x0ABECEDA, b"ND2 FILEMAP SIGNATURE NAME 0001!"
MAP_SIGNATURE = b"ND2 CHUNK MAP SIGNATURE 0000001!"


def lite(name: str, value: Any) -> bytes:
    kinds = {bool: (1, "<B"), int: (3, "<I"), float: (6, "<d")}
    label = (name + "\0").encode("utf-16-le")
    if isinstance(value, dict):
        inner = b"".join(lite(key, item) for key, item in value.items())
        head = bytes([11, len(name) + 1]) + label
        length = len(head) + 12 + len(inner)
        return head + struct.pack("<IQ", len(value), length) + inner + bytes(8 * len(value))
    if isinstance(value, str):
        return bytes([8, len(name) + 1]) + label + (value + "\0").encode("utf-16-le")
    kind, code = kinds[type(value)]
    return bytes([kind, len(name) + 1]) + label + struct.pack(code, value)


def nd2_loops(p: int, t: int, z: int, interval_s: float) -> dict[str, Any]:
    points = {f"i{i:010}": {"dPosX": 10.0 * i, "dPosY": 0.0, "dPosZ": 0.0, "pPosName": ""} for i in range(p)}
    duration = {"dStart": 0.0, "dPeriod": 1000 * interval_s, "dDuration": 0.0}
    loops = [
        (t, {"eType": 1, "uLoopPars": {"uiCount": t, **duration}}),
        (p, {"eType": 2, "uLoopPars": {"uiCount": p, "bUseZ": False, "Points": points}}),
        (z, {"eType": 4, "uLoopPars": {"uiCount": z, "dZStep": STEP_UM}}),
    ]
    whole: dict[str, Any] = {}
    for _, loop in reversed([one for one in loops if one[0] > 1]):
        whole = {**loop, **({"ppNextLevelEx": {"i0000000000": whole}} if whole else {})}
    return whole


def write_nd2(
    path: Path,
    pixels: np.ndarray,
    times: np.ndarray | None,
    *,
    interval_s: float = 2.0,
    calibrated: bool = True,
    recorded: int | None = None,
) -> Path:
    p, t, c, z, y, x = pixels.shape
    n = p * t * z
    chunks: dict[bytes, tuple[int, int]] = {}
    file = bytearray(struct.pack("<IIQ32s64s", MAGIC, 32, 64, b"ND2 FILE SIGNATURE CHUNK NAME01!", b"Ver3.0"))

    def add(name: bytes, data: bytes, reserve: int = 64) -> None:
        chunks[name] = (len(file), len(data))
        file.extend(struct.pack("<IIQ", MAGIC, reserve, len(data)) + name.ljust(reserve, b"\0") + data)

    frames = pixels.transpose(1, 0, 3, 4, 5, 2).reshape(n, y, x, c)
    for i, frame in enumerate(frames[:recorded]):
        add(b"ImageDataSeq|%d!" % i, bytes(8) + frame.astype("<u2").tobytes(), reserve=4072)
    attributes = {"uiWidth": x, "uiWidthBytes": 2 * x * c, "uiHeight": y, "uiComp": c, "uiBpcInMemory": 16}
    attributes |= {"uiBpcSignificant": 16, "uiSequenceCount": n if recorded is None else recorded}
    probe = {"pFluorescentProbe": {"uiCount": 1}, "uiCompCount": 1}
    planes = {f"a{i}": {"sDescription": NAMES[i], "uiSampleIndex": i, **probe} for i in range(c)}
    about = {"bCalibrated": calibrated, "dCalibration": PIXEL_UM if calibrated else 0.0}
    about["sPicturePlanes"] = {"uiCount": c, "sPlaneNew": planes}
    add(b"ImageAttributesLV!", lite("SLxImageAttributes", attributes))
    add(b"ImageMetadataSeqLV|0!", lite("SLxPictureMetadata", about))
    loops = nd2_loops(p, t, z, interval_s)
    if loops:
        add(b"ImageMetadataLV!", lite("SLxExperiment", loops))
    if times is not None:
        stamps = np.repeat(times[:, :, 0].T.reshape(-1), z) * 1000
        add(b"CustomData|AcqTimesCache!", stamps.astype("<f8").tobytes())
    start = len(file)
    table = b"".join(name + struct.pack("<QQ", *place) for name, place in chunks.items())
    table += MAP_SIGNATURE + struct.pack("<Q", start)
    file.extend(struct.pack("<IIQ", MAGIC, 32, len(table)) + MAP_NAME + table)
    path.write_bytes(file)
    return path


# --- CZI: segments; a directory says where the plane of each block lies ---
def segment(kind: bytes, content: bytes) -> bytes:
    content = content.ljust(-(-len(content) // 32) * 32, b"\0")
    return kind.ljust(16, b"\0") + struct.pack("<qq", len(content), len(content)) + content


def czi_entry(place: dict[str, int], shape: tuple[int, int], at: int, compression: int) -> bytes:
    dims = [("X", 0, shape[1]), ("Y", 0, shape[0]), *((axis, start, 1) for axis, start in place.items())]
    head = struct.pack("<2siqiiBB4si", b"DV", 1, at, 0, compression, 0, 0, b"", len(dims))
    return head + b"".join(struct.pack("<4siifi", d.encode(), start, n, 0.0, 0) for d, start, n in dims)


def czi_xml(scaled: bool, interval_s: float) -> bytes:
    value = f"<Value>{PIXEL_UM * 1e-6}</Value>"
    distances = "".join(f'<Distance Id="{axis}">{value}</Distance>' for axis in "XY") if scaled else ""
    channels = "".join(f'<Channel Id="Channel:{i}" Name="{name}"/>' for i, name in enumerate(NAMES))
    step = f"<T><Positions><Interval><Increment>{interval_s}</Increment></Interval></Positions></T>"
    return (
        f"<ImageDocument><Metadata><Scaling><Items>{distances}</Items></Scaling><Information><Image>"
        f"<Dimensions><Channels>{channels}</Channels>{step if interval_s else ''}</Dimensions></Image>"
        "</Information></Metadata></ImageDocument>"
    ).encode()


def packed(plane: np.ndarray, compression: int) -> bytes:
    raw = plane.astype("<u2").tobytes()
    if compression == 2:
        return bytes(imagecodecs.lzw_encode(raw))
    if compression == 5:
        return bytes(imagecodecs.zstd_encode(raw))
    if compression == 6:
        split = np.frombuffer(raw, np.uint8).reshape(-1, 2).T.tobytes()
        return b"\x03\x01\x01" + bytes(imagecodecs.zstd_encode(split))
    return raw


def write_czi(
    path: Path,
    pixels: np.ndarray,
    times: np.ndarray | None,
    *,
    interval_s: float = 2.0,
    scaled: bool = True,
    compression: int = 0,
    extra: dict[str, int] | None = None,
    stamps: np.ndarray | None = None,
    skip: tuple[dict[str, int], ...] = (),
) -> Path:
    p, t, c, z, y, x = pixels.shape
    file = bytearray(32 + 512)
    entries = []
    for place in itertools.product(range(p), range(t), range(c), range(z)):
        named = dict(zip("STCZ", place)) | (extra or {})
        if any(one.items() <= named.items() for one in skip):
            continue
        about = b"<METADATA><Tags/></METADATA>"
        if times is not None:
            moment = START + timedelta(seconds=float(times[place[:3]]))
            text = moment.isoformat(timespec="microseconds").replace("+00:00", "7Z")
            about = f"<METADATA><Tags><AcquisitionTime>{text}</AcquisitionTime></Tags></METADATA>".encode()
        data = packed(pixels[place], compression)
        entry = czi_entry(named, (y, x), len(file), compression)
        entries.append(entry)
        body = struct.pack("<iiq", len(about), 0, len(data)) + entry + bytes(max(240 - len(entry), 0))
        file += segment(b"ZISRAWSUBBLOCK", body + about + data)
    xml, at_xml = czi_xml(scaled, interval_s), len(file)
    file += segment(b"ZISRAWMETADATA", struct.pack("<ii", len(xml), 0) + bytes(248) + xml)
    at_directory = len(file)
    file += segment(b"ZISRAWDIRECTORY", struct.pack("<i", len(entries)) + bytes(124) + b"".join(entries))
    at_attachments = len(file)
    listed = b""
    if stamps is not None:
        head = struct.pack("<2s10sqi16s8s80s", b"A1", b"", len(file), 0, bytes(16), b"CZTIMS", b"TimeStamps")
        data = struct.pack("<ii", 8 + 8 * len(stamps), len(stamps)) + stamps.astype("<f8").tobytes()
        file += segment(b"ZISRAWATTACH", struct.pack("<i", len(data)) + bytes(12) + head + bytes(112) + data)
        listed, at_attachments = head, len(file)
    file += segment(b"ZISRAWATTDIR", struct.pack("<i", len(listed) // 128) + bytes(252) + listed)
    guid = uuid.UUID(int=1).bytes
    header = struct.pack(
        "<iiii16s16siqqiq", 1, 0, 0, 0, guid, guid, 0, at_directory, at_xml, 0, at_attachments
    )
    file[: 32 + 512] = segment(b"ZISRAWFILE", header.ljust(512, b"\0"))
    path.write_bytes(file)
    return path


# --- LIF: a description in XML, then one block of memory for each image ---
def filetime(seconds: float) -> str:
    return f"{116444736000000000 + round((START.timestamp() + seconds) * 1000) * 10000:x}"


def lif_dimension(number: int, n: int, length: float, unit: str, step: int) -> str:
    return (
        f'<DimensionDescription DimID="{number}" NumberOfElements="{n}" Origin="0" Length="{length}" '
        f'Unit="{unit}" BytesInc="{step}" BitInc="0"/>'
    )


def write_lif(
    path: Path,
    pixels: np.ndarray,
    times: np.ndarray | None,
    *,
    interval_s: float = 2.0,
    unit: str = "m",
    dyes: bool = True,
) -> Path:
    p, t, c, z, y, x = pixels.shape
    plane = 2 * y * x
    images = ""
    for i in range(p):
        dye = [
            f"<ChannelProperty><Key>DyeName</Key><Value>{NAMES[k]}</Value></ChannelProperty>" if dyes else ""
            for k in range(c)
        ]
        channels = "".join(
            '<ChannelDescription DataType="0" ChannelTag="0" Resolution="16" NameOfMeasuredQuantity="" '
            f'Min="0" Max="65535" Unit="" LUTName="Gray{k}" IsLUTInverted="0" BytesInc="{k * plane}" '
            f'BitInc="0">{dye[k]}</ChannelDescription>'
            for k in range(c)
        )
        dims = lif_dimension(1, x, (x - 1) * PIXEL_UM * 1e-6, unit, 2)
        dims += lif_dimension(2, y, (y - 1) * PIXEL_UM * 1e-6, unit, 2 * x)
        dims += lif_dimension(3, z, (z - 1) * STEP_UM * 1e-6, unit, plane * c) if z > 1 else ""
        dims += lif_dimension(4, t, (t - 1) * interval_s, "s", plane * c * z) if t > 1 else ""
        stamps = (
            ""
            if times is None
            else " ".join(filetime(times[i, j, m]) for j in range(t) for _ in range(z) for m in range(c))
        )
        listed = f"<TimeStampList>{stamps}</TimeStampList>" if stamps else ""
        images += (
            f'<Element Name="Series{i:03d}" UniqueID="u{i}"><Data><Image><ImageDescription><Channels>'
            f"{channels}</Channels><Dimensions>{dims}</Dimensions></ImageDescription>{listed}</Image></Data>"
            f'<Memory Size="{plane * t * c * z}" MemoryBlockID="MemBlock_{i}"/></Element>'
        )
    xml = (
        '<LMSDataContainerHeader Version="2"><Element Name="Project" UniqueID="r"><Children>'
        f"{images}</Children></Element></LMSDataContainerHeader>"
    )
    file = struct.pack("<IIBI", 0x70, 2 * len(xml) + 5, 0x2A, len(xml)) + xml.encode("utf-16-le")
    for i in range(p):
        name, data = f"MemBlock_{i}", pixels[i].transpose(0, 2, 1, 3, 4).astype("<u2").tobytes()
        file += struct.pack("<IIBQBI", 0x70, 2 * len(name) + 14, 0x2A, len(data), 0x2A, len(name))
        file += name.encode("utf-16-le") + data
    path.write_bytes(file)
    return path
