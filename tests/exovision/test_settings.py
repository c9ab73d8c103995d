"""Settings: defaults, YAML, and what a wrong setting is told."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from exovision.errors import SettingsError
from exovision.settings import Settings, annotated_yaml


def test_the_annotated_yaml_is_the_defaults() -> None:
    assert Settings.from_mapping(yaml.safe_load(annotated_yaml())) == Settings()


def test_settings_survive_a_round_trip_through_yaml(tmp_path: Path) -> None:
    settings = Settings.from_mapping({"events": {"band_um": 0.4}, "cells": {"diameter_um": 12}})
    (tmp_path / "s.yaml").write_text(settings.to_yaml(), encoding="utf-8")
    assert Settings.from_yaml(tmp_path / "s.yaml") == settings


@pytest.mark.parametrize(
    ("data", "message"),
    [
        ({"events": {"bandwidth": 1}}, "unknown setting events.bandwidth; known: band_um, "),
        ({"event": {}}, "unknown setting event; known: reading, camera"),
        ({"events": {"band_um": -1}}, "events.band_um: Input should be greater than 0, got -1"),
        ({"cells": {"segmenter": "magic"}}, "unknown segmenter 'magic'; known: cellpose, embedded, labels"),
        ({"events": {"weights": "w"}}, "weights are used with network: embedded alone; choose it"),
        ({"death": {"weights": "w"}}, "weights are used with morphology: embedded alone; choose it"),
        ([1], "must be a mapping of stages, got list"),
        ({"events": 3}, "events: Input should be a valid dictionary"),
    ],
)
def test_a_wrong_setting_is_told_in_one_line(data: object, message: str) -> None:
    with pytest.raises(SettingsError) as caught:
        Settings.from_mapping(data)
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("text", ["a: [", "\x00", "- 1"])
def test_a_broken_settings_file_is_told_in_one_line(tmp_path: Path, text: str) -> None:
    path = tmp_path / "s.yaml"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(SettingsError) as caught:
        Settings.from_yaml(path)
    assert "s.yaml" in str(caught.value)
    assert "\n" not in str(caught.value)


def test_settings_cannot_be_changed_in_place() -> None:
    with pytest.raises(ValueError, match="frozen"):
        Settings().events.band_um = 1.0  # type: ignore[misc]
