"""Whatever bytes come, readers answer with a movie, settings or a sheet, or with one line of ours."""

from __future__ import annotations

import io
import re
import shutil
import tempfile
from pathlib import Path

import numpy as np
import pytest
import tifffile
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from exovision.errors import ExovisionError, InputError, SettingsError
from exovision.io.axes import resolve
from exovision.io.formats import parts_of
from exovision.io.metadata import ome_images
from exovision.io.movies import read
from exovision.io.roles import parse_channels
from exovision.io.samples import match_samples, read_samples
from exovision.settings import Settings

MARKS = (".zattrs", ".zarray", ".zgroup", "zarr.json")
PLACE = Path(tempfile.mkdtemp(prefix="exovision-fuzz-"))
often = settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow])


def tiff_bytes(**options: object) -> bytes:
    buffer = io.BytesIO()
    pixels = np.random.default_rng(0).integers(0, 500, (3, 2, 8, 9), dtype=np.uint16)
    tifffile.imwrite(buffer, pixels, metadata={"axes": "TCYX"}, **options)
    return buffer.getvalue()


KINDS = [
    tiff_bytes(imagej=True),
    tiff_bytes(ome=True, photometric="minisblack"),
    tiff_bytes(ome=True, photometric="minisblack", compression="zlib"),
    tiff_bytes(bigtiff=True, photometric="minisblack"),
]
changes = st.lists(
    st.tuples(st.floats(0, 1, exclude_max=True), st.binary(min_size=1, max_size=4)), max_size=6
)


def one_line(error: ExovisionError) -> None:
    assert str(error) and "\n" not in str(error) and len(str(error)) < 2000


def read_or_refused(path: Path) -> None:
    try:
        parts_of(path)
        movie = read(path, channels={"exosome": 0}, pixel_size_um=0.1, frame_interval_s=1.0)
        try:
            for t in range(min(movie.n_frames, 3)):
                if movie.acquired(t, "exosome"):
                    assert movie.image(t, "exosome").shape == movie.image_shape
        finally:
            movie.source.close()
    except ExovisionError as error:
        one_line(error)


def changed_or_cut(data: bytes, changed: list[tuple[float, bytes]], where: float, kept: float) -> bytes:
    made = bytearray(data)
    for at, new in changed:
        start = int(at * where * len(made))
        made[start : start + len(new)] = new
    return bytes(made[: int(len(made) * max(kept, 0.02))] if kept < 0.8 else made)


@often
@given(kind=st.sampled_from(KINDS), changed=changes, kept=st.floats(0, 1), where=st.sampled_from((0.1, 1.0)))
def test_a_changed_or_cut_tiff_is_read_or_refused_in_one_line(kind, changed, kept, where) -> None:
    path = PLACE / "movie.tif"
    path.write_bytes(changed_or_cut(kind, changed, where, kept))
    read_or_refused(path)


@pytest.fixture(scope="module")
def vendor_bytes(vendor) -> dict[str, bytes]:
    pixels = np.random.default_rng(0).integers(0, 500, (1, 3, 2, 1, 8, 9), dtype=np.uint16)
    times = np.arange(6.0).reshape(1, 3, 2)
    writers = {ending: getattr(vendor, f"write_{ending}") for ending in ("nd2", "czi", "lif")}
    return {
        ending: write(PLACE / f"whole.{ending}", pixels, times).read_bytes()
        for ending, write in writers.items()
    }


@often
@given(
    ending=st.sampled_from(("nd2", "czi", "lif")),
    changed=changes,
    kept=st.floats(0, 1),
    where=st.sampled_from((0.1, 1.0)),
)
def test_a_changed_or_cut_vendor_file_is_read_or_refused_in_one_line(
    vendor_bytes, ending, changed, kept, where
) -> None:
    path = PLACE / f"movie.{ending}"
    path.write_bytes(changed_or_cut(vendor_bytes[ending], changed, where, kept))
    read_or_refused(path)


@pytest.fixture(scope="module")
def zarr_folders(zarrs) -> dict[str, dict[str, bytes]]:
    pixels = np.random.default_rng(0).integers(0, 500, (3, 2, 1, 8, 9), dtype=np.uint16)
    images = {v: zarrs.write_image(PLACE / f"whole{v}.zarr", pixels, version=v) for v in ("0.4", "0.5")}
    return {
        version: {
            str(file.relative_to(image)): file.read_bytes()
            for file in sorted(image.rglob("*"))
            if file.is_file()
        }
        for version, image in images.items()
    }


VALUE = re.compile(rb"-?\d+(?:\.\d+)?|\"[^\"]*\"|null|true|false")
odd = st.sampled_from((b"null", b"-1", b"0", b"1e99", b'"x"', b"[]", b"{}", b"99999999999", b"true"))


@often
@given(
    version=st.sampled_from(("0.4", "0.5")), data=st.data(), value=odd, changed=changes, kept=st.floats(0, 1)
)
def test_a_zarr_of_which_one_file_is_wrong_is_read_or_refused_in_one_line(
    zarr_folders, version, data, value, changed, kept
) -> None:
    files = dict(zarr_folders[version])
    name = data.draw(st.sampled_from(sorted(files)))
    spans = [found.span() for found in VALUE.finditer(files[name])] if Path(name).name in MARKS else []
    if spans and kept > 0.3:
        start, stop = data.draw(st.sampled_from(spans))
        files[name] = files[name][:start] + value + files[name][stop:]
    else:
        files[name] = changed_or_cut(files[name], changed, 1.0, kept)
    image = PLACE / "movie.zarr"
    shutil.rmtree(image, ignore_errors=True)
    for place, content in files.items():
        (image / place).parent.mkdir(parents=True, exist_ok=True)
        (image / place).write_bytes(content)
    read_or_refused(image)


@often
@given(st.text(max_size=300))
def test_xml_of_any_kind_has_images_or_none(text: str) -> None:
    assert isinstance(ome_images(text), list)
    assert isinstance(ome_images(f"<OME><Image><Pixels>{text}</Pixels></Image></OME>"), list)


plain = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=8,
)
fields = st.sampled_from(
    [
        (stage, name)
        for stage, field in Settings.model_fields.items()
        for name in type(field.default).model_fields
    ]
)


@often
@given(fields, plain)
def test_any_value_of_any_setting_is_taken_or_refused_in_one_line(place: tuple[str, str], value) -> None:
    stage, name = place
    try:
        made = Settings.from_mapping({stage: {name: value}})
    except SettingsError as error:
        one_line(error)
        assert name in str(error)
    else:
        assert Settings.from_mapping(made.model_dump(mode="json")) == made


@often
@given(st.binary(max_size=200) | st.text(max_size=200).map(lambda text: text.encode("utf-8", "replace")))
def test_any_bytes_as_settings_are_taken_or_refused_in_one_line(data: bytes) -> None:
    path = PLACE / "settings.yaml"
    path.write_bytes(data)
    try:
        Settings.from_yaml(path)
    except SettingsError as error:
        assert str(error)


cells = st.text(alphabet=st.characters(exclude_categories=["Cs"]), max_size=12)
columns = st.sampled_from(
    ["path", "donor", "ph", "pixel_size_um", "channels", "control", "tracer_fraction", "x"]
)


@often
@given(
    st.lists(columns, max_size=4), st.lists(st.lists(cells, max_size=4), max_size=4), st.binary(max_size=6)
)
def test_any_sheet_is_read_or_refused_in_one_line(header, rows, tail: bytes) -> None:
    path = PLACE / "sheet.csv"
    lines = [",".join(header), *(",".join(row) for row in rows)]
    path.write_bytes("\n".join(lines).encode() + tail)
    for use in (lambda: read_samples(path), lambda: match_samples(path, {"a": "a.tif"})):
        try:
            use()
        except InputError as error:
            assert str(error)


@often
@given(st.text(max_size=20), st.text(alphabet="TCZYX0123456789", max_size=8))
def test_any_channels_and_axes_are_read_or_refused(channels: str, axes: str) -> None:
    for use in (
        lambda: parse_channels(channels),
        lambda: resolve("m.tif", [("Q", 6), ("C", 2)], declared=False, wanted=axes),
    ):
        try:
            use()
        except ExovisionError as error:
            assert str(error)
