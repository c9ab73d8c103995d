"""Forms made from the settings models say what the models say, and lose nothing."""

from __future__ import annotations

from typing import Any

import pytest
from napari_exovision.forms import OF_STUDIES, SettingsForm
from qtpy.QtWidgets import QCheckBox, QComboBox, QSpinBox

from exovision.errors import SettingsError
from exovision.settings import Settings

OTHER = {
    "reading": {"projection": 2, "chunk_frames": 7},
    "camera": {"photons_per_count": 0.4567891, "offset_counts": None, "read_noise_photons": 1.25},
    "correction": {"drift": False, "bleaching": True},
    "cells": {"weights": "/some/where.safetensors", "diameter_um": 12.5, "min_overlap": 0.123456},
    "exosomes": {"psf_sigma_um": 0.1303, "max_step_um": 1e-5},
    "events": {"docked_max_diffusion_um2_s": 0.0001234, "intensity_tolerance": 0.999},
    "experiment": {"lag_h": 2.5, "lag_sweep_h": [0.0, 2.5]},
    "report": {"kymographs": 0},
}


@pytest.fixture
def form(qapp: Any) -> SettingsForm:
    """A form on its own."""
    return SettingsForm()


def test_an_untouched_form_holds_the_defaults(form: SettingsForm) -> None:
    assert form.settings() == Settings()


def test_settings_shown_are_settings_returned(form: SettingsForm) -> None:
    settings = Settings.from_mapping(OTHER)
    form.set_settings(settings)
    assert form.settings() == settings
    form.set_settings(Settings())
    assert form.settings() == Settings()


def test_every_setting_of_a_movie_has_an_editor_with_its_meaning(form: SettingsForm) -> None:
    assert set(Settings.model_fields) - set(form.editors) == set(OF_STUDIES)
    for stage in form.editors:
        info = Settings.model_fields[stage]
        for name, field in type(info.default).model_fields.items():
            assert form.editors[stage][name].toolTip() == field.description, name


def test_widgets_follow_types_and_bounds(form: SettingsForm) -> None:
    frames = form.editors["exosomes"]["max_gap_frames"]._widget
    assert isinstance(frames, QSpinBox) and frames.minimum() == 0
    tolerance = form.editors["events"]["intensity_tolerance"]._widget
    assert 0 < tolerance.minimum() < 1e-6 and 1 - 1e-6 < tolerance.maximum() < 1
    assert isinstance(form.editors["correction"]["drift"]._widget, QCheckBox)
    segmenter = form.editors["cells"]["segmenter"]._widget
    assert isinstance(segmenter, QComboBox) and segmenter.findText("embedded") >= 0


def test_a_wrong_choice_is_refused_as_the_model_refuses_it(form: SettingsForm) -> None:
    form.editors["reading"]["projection"]._widget.setCurrentText("median")
    with pytest.raises(SettingsError, match="projection"):
        form.settings()


def test_a_change_is_announced(form: SettingsForm) -> None:
    heard: list[int] = []
    form.changed.connect(lambda: heard.append(1))
    form.editors["cells"]["diameter_um"].set_value(9.0)
    assert heard
