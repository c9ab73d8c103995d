"""The preferences that napari keeps for the plugin; the manifest declares them and their defaults."""

from __future__ import annotations

from dataclasses import dataclass

from napari.settings import get_plugin_settings

NAME = "exovision"


@dataclass(frozen=True)
class Configuration:
    """Preferences of the user.

    Attributes
    ----------
    person : str
        Signs annotations; empty: the login name.
    results_folder : str
        Where results go; empty: beside the movie.
    device : str
        Where networks run.
    """

    person: str
    results_folder: str
    device: str


def configured() -> Configuration:
    """Return the preferences as napari keeps them."""
    stored = get_plugin_settings(NAME).general
    return Configuration(stored.person, stored.results_folder, stored.device)
