"""The manifest: valid, named as the distribution, everything that it names is there."""

from __future__ import annotations

import tomllib
from importlib import import_module
from pathlib import Path

import napari_exovision
from napari._app_model.constants import MenuId
from npe2 import PluginManifest

MANIFEST = Path(napari_exovision.__file__).parent / "napari.yaml"
ROOT = Path(__file__).parents[2]


def test_the_manifest_is_named_as_the_distribution_and_its_entry_point() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    manifest = PluginManifest.from_file(MANIFEST)
    assert manifest.name == project["name"]
    assert project["entry-points"]["napari.manifest"] == {project["name"]: "napari_exovision:napari.yaml"}


def test_every_command_exists() -> None:
    for command in PluginManifest.from_file(MANIFEST).contributions.commands or []:
        module, name = str(command.python_name).split(":")
        assert hasattr(import_module(module), name), command.id


def test_menus_are_those_that_napari_offers() -> None:
    menus = PluginManifest.from_file(MANIFEST).contributions.menus
    assert menus and set(menus) <= {str(menu) for menu in MenuId.contributables()}


def test_the_default_dependencies_bring_no_qt() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    assert not [name for name in project["dependencies"] if "qt" in name.lower() or "napari" in name.lower()]
