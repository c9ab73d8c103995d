"""Whatever bytes come, readers answer with a movie, settings or a sheet, or with one line of ours."""

from __future__ import annotations

import io
import tempfile
from pathlib import Path

import numpy as np
import tifffile
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from exovision.errors import ExovisionError, InputError, SettingsError
from exovision.io.axes import resolve
from exovision.io.metadata import ome_images
from exovision.io.movies import read
from exovision.io.roles import parse_channels
from exovision.io.samples import match_samples, read_samples
from exovision.io.tiff_source import tiff_parts
from exovision.settings import Settings

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


@often
@given(kind=st.sampled_from(KINDS), changed=changes, kept=st.floats(0, 1), where=st.sampled_from((0.1, 1.0)))
def test_a_changed_or_cut_tiff_is_read_or_refused_in_one_line(kind, changed, kept, where) -> None:
    data = bytearray(kind)
    for at, new in changed:
        start = int(at * where * len(data))
        data[start : start + len(new)] = new
    path = PLACE / "movie.tif"
    path.write_bytes(data[: int(len(data) * max(kept, 0.02))] if kept < 0.8 else data)
    try:
        tiff_parts(path)
        movie = read(path, channels={"exosome": 0}, pixel_size_um=0.1, frame_interval_s=1.0)
        try:
            for t in range(min(movie.n_frames, 3)):
                if movie.acquired(t, "exosome"):
                    assert movie.image(t, "exosome").shape == movie.image_shape
        finally:
            movie.source.close()
    except ExovisionError as error:
        one_line(error)


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
