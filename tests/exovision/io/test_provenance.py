"""The record of a run: what decides the results changes the fingerprint, nothing else does."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest

from exovision.errors import InputError
from exovision.io.provenance import fingerprint, provenance
from exovision.records import Movie
from exovision.settings import Settings


def test_the_fingerprint_follows_content_and_not_place_or_time(tmp_path: Path) -> None:
    first, second = tmp_path / "a.tif", tmp_path / "b.tif"
    first.write_bytes(b"pixels")
    second.write_bytes(b"pixels")
    os.utime(second, (1, 1))
    assert fingerprint([first]) == fingerprint([second])
    assert fingerprint([first], {"a": 1, "b": 2}) == fingerprint([second], {"b": 2, "a": 1})
    assert fingerprint([first], {"a": 1}) != fingerprint([first], {"a": 2})
    before = fingerprint([first])
    first.write_bytes(b"pixelz")
    os.utime(first, (2, 2))
    assert fingerprint([first]) != before


def test_a_folder_counts_with_names_and_contents(tmp_path: Path) -> None:
    (tmp_path / "a.tif").write_bytes(b"1")
    (tmp_path / "b.tif").write_bytes(b"2")
    before = fingerprint([tmp_path])
    (tmp_path / "b.tif").rename(tmp_path / "c.tif")
    assert fingerprint([tmp_path]) != before
    (tmp_path / "c.tif").rename(tmp_path / "b.tif")
    assert fingerprint([tmp_path]) == before
    with pytest.raises(InputError, match="must be readable"):
        fingerprint([tmp_path / "gone"])


def test_the_record_holds_what_is_needed_to_repeat_the_run() -> None:
    movie = Movie.from_array(
        np.ones((3, 2, 4, 5)), pixel_size_um=0.1, frame_interval_s=2, channels={"exosome": 1}
    ).with_notes("assumed something")
    record = provenance(
        movie,
        Settings(),
        device="cpu",
        seconds=1.23456,
        weights={"net": "abc"},
        key="k",
        corrections={"d": 1},
    )
    assert record["status"] == "complete"
    assert record["shape"] == {"T": 3, "C": 2, "Z": 1, "Y": 4, "X": 5}
    assert record["frame_interval_s"] == {"exosome": 2.0}
    assert record["channels"] == {"exosome": {"index": 1, "name": "channel 1"}}
    assert record["settings"] == Settings().model_dump(mode="json")
    assert (record["weights"], record["key"], record["corrections"]) == ({"net": "abc"}, "k", {"d": 1})
    assert record["notes"] == ["assumed something"]
    assert record["input"]["blake2b"] is None
    assert {"python", "exovision", "torch", "numpy"} <= record["versions"].keys()
