"""An analysis in a viewer: layers added, kept up to date, and taken away again; no Qt."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from napari.layers import Layer

from napari_exovision.layers import (
    CELLS,
    EVENTS,
    KEY,
    OUTLINES,
    SPOTS,
    TRACKS,
    cell_layer,
    event_layer,
    image_layers,
    outline_vectors,
    result_layers,
    spot_layer,
    track_layer,
)
from napari_exovision.session import Session

ZOOM_UM = 12.0
"""A selected event is shown with about this much around it."""


class Display:
    """The layers of one analysis in one viewer.

    Parameters
    ----------
    viewer : Viewer or ViewerModel
    session : Session
    """

    def __init__(self, viewer: Any, session: Session) -> None:
        self.viewer, self.session = viewer, session
        self._connections: list[tuple[Any, Callable[..., Any]]] = []

    def show(self) -> None:
        """Add what is not shown yet, and follow time and corrections from now on."""
        movie = self.session.stored.movie
        if movie is not None and not any(about(layer).get("movie") is movie for layer in self.viewer.layers):
            self._add(image_layers(movie))
        present = {about(layer)["what"] for layer in self._own()}
        self._add(
            [one for one in result_layers(self.session) if one[1]["metadata"][KEY]["what"] not in present]
        )
        self.follow()

    def follow(self) -> None:
        """Follow time and corrections, again after `disconnect`; a second call changes nothing."""
        if not self._connections:
            self._connections = [
                (self.viewer.dims.events.current_step, self._on_time),
                (self.session.changed, self.refresh),
            ]
            for signal, slot in self._connections:
                signal.connect(slot)
        self._on_time()

    def close(self) -> None:
        """Stop following and take the layers of the analysis away; the movie's stay."""
        self.disconnect()
        for layer in self._own():
            self.viewer.layers.remove(layer)

    def disconnect(self) -> None:
        """Undo every connection."""
        for signal, slot in self._connections:
            signal.disconnect(slot)
        self._connections = []

    def layer(self, what: str) -> Layer | None:
        """Return the layer of this name, None if the user removed it."""
        return next((layer for layer in self._own() if about(layer)["what"] == what), None)

    def refresh(self) -> None:
        """Show the session's tables as they are now."""
        for what, make in ((SPOTS, spot_layer), (EVENTS, event_layer), (TRACKS, track_layer)):
            layer = self.layer(what)
            if layer is None:
                continue
            data, attributes = make(self.session)
            if what == TRACKS and not len(data):
                self.viewer.layers.remove(layer)
                continue
            _replace(layer, data, attributes)
        cells = self.layer(CELLS)
        if cells is not None:
            cells.features = cell_layer(self.session)[1]["features"]
            cells.refresh()
        self._on_time()

    def frame(self) -> int:
        """Return the frame that is shown."""
        last = self.session.stored.n_frames - 1
        return min(max(int(self.viewer.dims.current_step[0]), 0), last) if self.viewer.dims.ndim > 2 else 0

    def go_to(self, frame: int, y_um: float, x_um: float) -> None:
        """Show a frame, and the place in the middle, zoomed in."""
        self.viewer.dims.set_current_step(0, frame)
        camera = self.viewer.scene.camera
        camera.center = (0.0, y_um, x_um)
        camera.zoom = min(self.viewer.canvas.size) / (2 * ZOOM_UM)

    def _own(self) -> list[Layer]:
        return [layer for layer in self.viewer.layers if about(layer).get("session") is self.session]

    def _add(self, layers: list[Any]) -> None:
        for data, attributes, kind in layers:
            self.viewer.add_layer(Layer.create(data, attributes, kind))

    def _on_time(self, event: Any = None) -> None:
        layer = self.layer(OUTLINES)
        if layer is not None and layer.visible:
            layer.data = outline_vectors(self.session, self.frame())


def about(layer: Layer) -> dict[str, Any]:
    """Return what exovision noted of a layer; empty for layers that are not ours."""
    found = layer.metadata.get(KEY, {})
    return found if isinstance(found, dict) else {}


def _replace(layer: Layer, data: Any, attributes: dict[str, Any]) -> None:
    """Give a points or tracks layer other data and features in place."""
    chosen = set(getattr(layer, "selected_data", ()))
    if hasattr(layer, "selected_data"):
        layer.selected_data = set()
    if hasattr(layer, "graph"):
        layer.features = {}
    layer.data = data
    layer.features = attributes["features"]
    for name in ("border_color", "symbol"):
        if name in attributes and len(data):
            setattr(layer, name, attributes[name])
    if chosen and max(chosen) < len(data):
        layer.selected_data = chosen
