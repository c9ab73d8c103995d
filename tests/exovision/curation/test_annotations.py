"""Annotations on disk: signed, replaced whole, refused where they do not belong."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from exovision.curation.annotations import Annotation, count_by_person, read_annotations, write_annotations
from exovision.errors import InputError

MADE = [
    Annotation("link", {"spots": [3, 4], "exosome_id": None}, who="Ada"),
    Annotation("paint", {"frame": 2, "runs": [[10, 3, 7]]}, who="Bo"),
    Annotation("review", {"kind": "docking", "spots": [1, 9]}, who="Ada"),
]


def test_annotations_return_as_they_were_written(tmp_path: Path) -> None:
    path = tmp_path / "annotations.jsonl"
    write_annotations(MADE, path, n_spots=12)
    assert read_annotations(path, n_spots=12) == MADE
    assert count_by_person(MADE) == {"Ada": 2, "Bo": 1}


def test_every_line_says_who_and_when(tmp_path: Path) -> None:
    path = tmp_path / "annotations.jsonl"
    write_annotations(MADE, path, n_spots=12)
    lines = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
    assert [line["who"] for line in lines[1:]] == ["Ada", "Bo", "Ada"]
    assert all(line["when"].endswith("+00:00") for line in lines[1:])


def test_without_a_file_there_are_none(tmp_path: Path) -> None:
    assert read_annotations(tmp_path / "annotations.jsonl", n_spots=5) == []


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("{", "remove the file"),
        ("", "remove the file"),
        ('{"spots": 12}\n{"who": "A", "when": "x"}\n', "action"),
        ('{"spots": 12}\n{"who": "A", "when": "x", "action": "guess"}\n', "unknown action"),
        ('{"spots": 99}\n', "analysed again"),
    ],
)
def test_a_file_that_does_not_fit_is_refused_in_one_line(tmp_path: Path, text: str, words: str) -> None:
    path = tmp_path / "annotations.jsonl"
    path.write_text(text)
    with pytest.raises(InputError, match=words) as caught:
        read_annotations(path, n_spots=12)
    assert "\n" not in str(caught.value)
