"""One viewer for all tests of panels: the first costs seconds, so it is shared and swept between them."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import napari
import napari_exovision
import pytest
from napari.utils.notifications import Notification, notification_manager
from napari_exovision.graphics import keep_triton_out
from napari_exovision.hub import hub_of
from npe2 import PluginManager, PluginManifest
from qtpy.QtWidgets import QApplication


@pytest.fixture(scope="session", autouse=True)
def _plugin() -> None:
    """Register the plugin where the installed distribution is older than the checkout."""
    manager = PluginManager.instance()
    manager.discover()
    if "exovision" not in manager:
        path = Path(napari_exovision.__file__).parent / "napari.yaml"
        manager.register(PluginManifest.from_file(path))


@pytest.fixture(scope="session")
def _shared(qapp: Any, _plugin: None) -> Iterator[napari.Viewer]:
    viewer = napari.Viewer(show=False, show_welcome_screen=False)
    keep_triton_out()
    yield viewer
    viewer.close()


@pytest.fixture
def viewer(_shared: napari.Viewer, monkeypatch: pytest.MonkeyPatch) -> Iterator[napari.Viewer]:
    """The viewer, empty; afterwards no task runs and no dock is left."""
    hub = hub_of(_shared)
    yield _shared
    for name in list(_shared.window.dock_widgets):
        _shared.window.remove_dock_widget(_shared.window.dock_widgets[name])
    wait_until(lambda: not hub.busy)
    hub.close()
    _shared.layers.clear()
    QApplication.processEvents()


@pytest.fixture
def said() -> Iterator[list[str]]:
    """What the user was told."""
    heard: list[str] = []

    def hear(notification: Notification) -> None:
        heard.append(notification.message)

    notification_manager.notification_ready.connect(hear)
    yield heard
    notification_manager.notification_ready.disconnect(hear)


@pytest.fixture
def dock(viewer: napari.Viewer) -> Callable[[type], Any]:
    """Open a panel in the viewer, as its menu does."""

    def opened(panel: type) -> Any:
        made = panel(viewer)
        viewer.window.add_dock_widget(made, name=panel.__name__)
        return made

    return opened


def wait_until(ready: Callable[[], bool], limit_s: float = 120) -> None:
    """Let Qt work until something is so."""
    begun = time.monotonic()
    while not ready():
        assert time.monotonic() - begun < limit_s, "waited too long"
        QApplication.processEvents()
        time.sleep(0.005)


@pytest.fixture
def until() -> Callable[..., None]:
    """Wait, with Qt at work."""
    return wait_until
