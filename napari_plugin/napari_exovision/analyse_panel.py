"""The Analyse panel: which movie, which channels, which settings; preview, run, stop."""

from __future__ import annotations

import os
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import exovision_samples
from napari.layers import Image, Labels
from qtpy.QtCore import QTimer
from qtpy.QtWidgets import (
    QComboBox,
    QFileDialog,
    QFormLayout,
    QGroupBox,
    QHBoxLayout,
    QLabel,
    QLineEdit,
    QProgressBar,
    QScrollArea,
    QVBoxLayout,
    QWidget,
)

from exovision.batch.jobs import ReadingOptions
from exovision.errors import ExovisionError, InputError
from exovision.files import write_text
from exovision.records import FIXED_ROLES, Movie
from exovision.settings import Settings
from napari_exovision.configuration import configured
from napari_exovision.display import about
from napari_exovision.forms import SettingsForm
from napari_exovision.layers import image_layers
from napari_exovision.open_dialog import ask_movies
from napari_exovision.panel import Panel, button
from napari_exovision.plan import Channel, LayerLabels, Plan, physical
from napari_exovision.previews import show_preview
from napari_exovision.say import complain, in_panel_words, say, warn
from napari_exovision.warm_up import WarmUp
from napari_exovision.work import Task

UNUSED = "not used"
LAYERS = "image layers"
FOUND = "found in the movie"
DEVICES = ("auto", "cpu", "cuda", "mps")
WARM_UP_MS = 500
STATES = {"idle": "", "stopping": "stopping: the part under way is finished first"}


class AnalysePanel(Panel):
    """Analyse a movie: see what it holds, try the settings on one frame, run, stop.

    Parameters
    ----------
    napari_viewer : Viewer
    """

    def __init__(self, napari_viewer: Any) -> None:
        super().__init__(napari_viewer)
        self.task: Task[Any] | None = None
        self._title = ""
        self._movies: dict[str, Movie] = {}
        self._roles: dict[str, QComboBox] = {}
        self._shown: Any = None
        self._ready: WarmUp | None = None
        self._layout()
        # Not before the movie was drawn: until then nobody knows which libraries the graphics driver brings.
        self._soon = QTimer(self)
        self._soon.setSingleShot(True)
        self._soon.setInterval(WARM_UP_MS)
        self._soon.timeout.connect(self._warm_up)
        self._later = QTimer(self)
        self._later.setSingleShot(True)
        self._later.setInterval(50)
        self._later.timeout.connect(self.find_movies)
        for signal in (self.viewer.layers.events.inserted, self.viewer.layers.events.removed):
            self.ties.connect(signal, self._layers_changed)
        self.ties.connect(self.hub.weights, self._use_weights)
        self.find_movies()

    def _layout(self) -> None:
        self.movie = QComboBox()
        self.movie.currentTextChanged.connect(lambda _: self._show_movie())
        self.channels = QFormLayout()
        self.pixel_size, self.interval = QLineEdit(), QLineEdit()
        self.cells, self.device, self.out = QComboBox(), QComboBox(), QLineEdit()
        self.device.addItems(DEVICES)
        self.form = SettingsForm()
        self.facts = QLabel()
        self.facts.setWordWrap(True)
        self.bar, self.status = QProgressBar(), QLabel()
        self.bar.setVisible(False)
        self.status.setWordWrap(True)
        self.preview_button = button(
            "Preview this frame", self.start_preview, "cells and spots of this frame"
        )
        self.run_button = button("Run on the movie", self.start_run, "in the background; results are written")
        self.stop_button = button("Stop", self.stop)
        self.stop_button.setEnabled(False)
        inner = QWidget()
        column = QVBoxLayout(inner)
        for part in (self._movie_box(), self._run_box(), self._settings_box()):
            column.addWidget(part)
        column.addStretch(1)
        area = QScrollArea()
        area.setWidgetResizable(True)
        area.setWidget(inner)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addWidget(area)
        self.setMinimumWidth(380)

    def _movie_box(self) -> QGroupBox:
        box = QGroupBox("Movie")
        column, form = QVBoxLayout(box), QFormLayout()
        form.addRow("movie", self.movie)
        form.addRow("", button("Open file or folder…", self.open_movies))
        form.addRow("channels", self.channels)
        form.addRow("pixel size, µm", self.pixel_size)
        form.addRow("frame interval, s", self.interval)
        form.addRow("cells", self.cells)
        form.addRow("", button("What can this movie tell?", self.start_check))
        column.addLayout(form)
        column.addWidget(self.facts)
        return box

    def _settings_box(self) -> QGroupBox:
        box = QGroupBox("Settings")
        column = QVBoxLayout(box)
        row = QHBoxLayout()
        row.addWidget(button("Load…", self.ask_load, "the command line's YAML file"))
        row.addWidget(button("Save…", self.ask_save, "the command line's YAML file"))
        row.addWidget(button("Defaults", lambda: self.form.set_settings(Settings())))
        column.addLayout(row)
        column.addWidget(self.form)
        return box

    def _run_box(self) -> QGroupBox:
        box = QGroupBox("Run")
        form = QFormLayout(box)
        self.device.setCurrentText(configured().device)
        row = QHBoxLayout()
        row.addWidget(self.out)
        row.addWidget(button("…", self.ask_out))
        form.addRow("results folder", row)
        form.addRow("device", self.device)
        row = QHBoxLayout()
        for part in (self.preview_button, self.run_button, self.stop_button):
            row.addWidget(part)
        form.addRow(row)
        form.addRow(self.bar)
        form.addRow(self.status)
        return box

    # The movie and its channels

    def _layers_changed(self, event: Any = None) -> None:
        self._later.start()

    def find_movies(self) -> None:
        """List the movies among the layers, and the labels layers."""
        before = self.movie.currentText()
        self._movies = {}
        loose = False
        for layer in self._images():
            movie = about(layer).get("movie")
            loose |= movie is None
            if movie is not None:
                self._movies.setdefault(movie.name, movie)
        names = [*self._movies, *([LAYERS] if loose else [])]
        self.movie.blockSignals(True)
        self.movie.clear()
        self.movie.addItems(names)
        self.movie.setCurrentText(before if before in names else names[-1] if names else "")
        self.movie.blockSignals(False)
        self._list_labels()
        self._show_movie()

    def _images(self) -> list[Image]:
        return [layer for layer in self.viewer.layers if isinstance(layer, Image)]

    def _list_labels(self) -> None:
        before = self.cells.currentText()
        labels = [one.name for one in self.viewer.layers if isinstance(one, Labels) and not about(one)]
        self.cells.clear()
        self.cells.addItems([FOUND, *labels])
        self.cells.setCurrentText(before if before in labels else FOUND)

    def _show_movie(self) -> None:
        """Show the channels of the chosen movie with their roles, and what the file says of its sizes."""
        movie = self._movies.get(self.movie.currentText())
        shown = movie if movie is not None else [layer.name for layer in self._loose()]
        if shown is self._shown or shown == self._shown:
            return
        self._shown = shown
        for name in list(self._roles):
            self.channels.removeRow(self._roles.pop(name))
        known: dict[str, Any] = {}
        missing: tuple[str, ...] = ()
        if movie is not None:
            layer = next(one for one in self._images() if about(one).get("movie") is movie)
            missing = about(layer)["missing"]
            roles = {c: role for role, c in movie.roles.items() if "channels" not in missing}
            for c, name in enumerate(movie.channel_names):
                self._add_channel(f"{c} {name}", roles.get(c))
            known = {"pixel_size_um": movie.pixel_size_um, "frame_interval_s": _interval(movie)}
        elif self.movie.currentText() == LAYERS:
            for layer in self._loose():
                self._add_channel(layer.name, None)
                known = {**physical(layer.scale, layer.units), **known}
        for line, fact in ((self.pixel_size, "pixel_size_um"), (self.interval, "frame_interval_s")):
            line.clear()
            told = known.get(fact) if fact not in missing else None
            line.setPlaceholderText(
                f"{told:.6g} (as the movie says)" if told else "needed: the movie does not say"
            )
        self.facts.setText("")
        self.out.setText(str(self._default_out(movie)))
        self._soon.start()

    def _loose(self) -> list[Image]:
        return [layer for layer in self._images() if not about(layer)]

    def _add_channel(self, name: str, role: str | None) -> None:
        box = QComboBox()
        box.setEditable(True)
        box.addItems([UNUSED, *FIXED_ROLES])
        box.setCurrentText(role or UNUSED)
        box.setToolTip("what this channel shows; type marker:NAME for any other protein")
        self._roles[name] = box
        self.channels.addRow(name, box)

    def _default_out(self, movie: Movie | None) -> Path:
        chosen = configured().results_folder
        if chosen:
            return Path(chosen).expanduser()
        beside = Path(movie.path).resolve().parent if movie is not None and movie.path else Path.home()
        ours = Path(exovision_samples.__file__).resolve().parent
        usable = os.access(beside, os.W_OK) and not beside.is_relative_to(ours)
        return (beside if usable else Path.home()) / "exovision_results"

    def roles(self) -> dict[str, int]:
        """Return the roles as chosen, role to channel."""
        chosen = [box.currentText().strip() for box in self._roles.values()]
        used = [role for role in chosen if role and role != UNUSED]
        if len(set(used)) < len(used):
            raise InputError("every role may be given to one channel, got one twice; correct --channels")
        return {role: c for c, role in enumerate(chosen) if role and role != UNUSED}

    def plan(self) -> Plan:
        """Return what would be run now.

        Raises
        ------
        InputError, SettingsError
            If something is missing or wrong.
        """
        movie = self._movies.get(self.movie.currentText())
        roles, settings = self.roles(), self.form.settings()
        size, interval = (_number(line, name) for line, name in self._numbers())
        common = Plan(
            settings,
            Path(self.out.text()).expanduser(),
            device=self.device.currentText(),
            labels=self._labels(movie),
        )
        if movie is None:
            layers = self._loose()
            told = {name: value for one in layers for name, value in physical(one.scale, one.units).items()}
            options = ReadingOptions(
                pixel_size_um=size or told.get("pixel_size_um"),
                frame_interval_s=interval or told.get("frame_interval_s"),
            )
            numbers = {c: role for role, c in roles.items()}
            channels = [Channel(one.name, one.data, numbers.get(c)) for c, one in enumerate(layers)]
            used = [channel for channel in channels if channel.role] or channels
            name = layers[0].name if layers else ""
            return replace(common, options=options, channels=used, name=name)
        reading = movie.reading
        guessed = roles == dict(movie.roles) and movie.reading.get("channels") is None
        options = ReadingOptions(
            channels=None if guessed else roles,
            pixel_size_um=size,
            frame_interval_s=interval,
            axes=reading.get("axes"),
            pattern=reading.get("pattern"),
        )
        return replace(common, options=options, path=Path(movie.path), name=movie.name)

    def _numbers(self) -> tuple[tuple[QLineEdit, str], ...]:
        return ((self.pixel_size, "pixel size"), (self.interval, "frame interval"))

    def _labels(self, movie: Movie | None) -> LayerLabels | None:
        name = self.cells.currentText()
        if name in ("", FOUND):
            return None
        if name not in self.viewer.layers:
            raise InputError(f"the labels layer {name} was removed; choose the cells again")
        images = self._loose()
        n_frames = movie.n_frames if movie is not None else int(images[0].data.shape[0])
        return LayerLabels(name, self.viewer.layers[name].data, n_frames)

    # Files

    def open_movies(self) -> None:
        """Ask for a movie, and how to read it, and open it."""
        for opened in ask_movies(self):
            for data, attributes, _ in image_layers(opened):
                self.viewer.add_image(data, **attributes)

    def ask_load(self) -> None:
        """Load settings from a YAML file."""
        path, _ = QFileDialog.getOpenFileName(self, "Settings", filter="YAML (*.yaml *.yml)")
        if path:
            self.load_settings(Path(path))

    def load_settings(self, path: Path) -> None:
        """Show the settings of a YAML file; raises `SettingsError` if it is wrong."""
        self.form.set_settings(Settings.from_yaml(path))

    def ask_save(self) -> None:
        """Save the settings to a YAML file."""
        path, _ = QFileDialog.getSaveFileName(self, "Settings", "settings.yaml", "YAML (*.yaml *.yml)")
        if path:
            self.save_settings(Path(path))

    def save_settings(self, path: Path) -> None:
        """Write the settings as the command line reads them; raises `SettingsError` or `OutputError`."""
        write_text(self.form.settings().to_yaml(), path)

    def ask_out(self) -> None:
        """Choose the results folder."""
        path = QFileDialog.getExistingDirectory(self, "Results folder", self.out.text())
        if path:
            self.out.setText(path)

    # Work

    def start_check(self) -> None:
        """Say what the movie holds and what can be told from it."""
        plan = self.plan()
        self._start("looking", lambda progress: plan.describe(), self._tell)

    def _tell(self, lines: list[str]) -> None:
        self.facts.setText("\n".join(in_panel_words(line) for line in lines))

    def start_preview(self) -> None:
        """Find cells and spots in the frame that is shown."""
        plan, frame = self.plan(), int(self.viewer.dims.current_step[0])
        if self._ready is None or not self._ready.fits(plan):
            self._ready = WarmUp(plan)
        ready = self._ready

        def work(progress: Any) -> Any:
            return plan.at_scale(ready.diameter_um(progress)).preview(frame)

        def show(found: Any) -> None:
            movie, preview = found
            show_preview(self.viewer, movie, preview, frame)
            cells = len(set(preview.labels.ravel().tolist()) - {0})
            self.status.setText(f"frame {frame}: {cells} cells, {len(preview.spots)} spots")
            for text in preview.warnings:
                warn(text)

        self._start("preview", work, show)

    def _warm_up(self) -> None:
        """Make the first preview ready, if the movie says all that it needs."""
        if not self.ties.hold or self._movies.get(self.movie.currentText()) is None:
            return
        with suppress(ExovisionError):
            plan = self.plan()
            if self._ready is None or not self._ready.fits(plan):
                self._ready = WarmUp(plan)

    def start_run(self) -> None:
        """Analyse the movie in the background, write its folder and show it."""
        plan = self.plan()
        movie = self._movies.get(self.movie.currentText())

        def show(folder: Path) -> None:
            session = self.hub.open(folder, movie=movie)
            found = session.summary["movie"]
            self.status.setText(
                f"{found['cells']} cells, {found['exosomes']} exosomes, {found['dockings']} dockings; "
                f"results in {folder}"
            )
            for text in session.summary["warnings"]:
                warn(text)
            say(f"{session.stored.name}: done")

        self._start("analysing", plan.run, show)

    def stop(self) -> None:
        """Stop what runs; what was written before stays."""
        if self.task is not None:
            self.task.cancel()
            self.status.setText(STATES["stopping"])

    def _start(self, title: str, work: Any, done: Any) -> None:
        if self.task is not None:
            raise InputError(f"one thing at a time, {self._title} is under way; stop it or wait")
        self._title = title
        self._set_busy(True)
        self.status.setText(f"{title}…")
        try:
            self.task = Task(self.hub, title, work, done, step=self._on_step, ended=self._on_end)
        except Exception as error:
            self._on_end()
            complain(error)

    def _on_step(self, stage: str, done: int, total: int) -> None:
        self.bar.setRange(0, max(total, 1))
        self.bar.setValue(done)
        self.status.setText(f"{stage}: {done} of {total}")

    def _on_end(self) -> None:
        stopped = self.task is not None and self.task.stopping
        self.task = None
        if not self.ties.hold:
            return
        self._set_busy(False)
        if stopped:
            self.status.setText("stopped")
        elif self.status.text().endswith("…") or " of " in self.status.text():
            self.status.setText(STATES["idle"])

    def _set_busy(self, busy: bool) -> None:
        self.preview_button.setEnabled(not busy)
        self.run_button.setEnabled(not busy)
        self.stop_button.setEnabled(busy)
        self.bar.setVisible(busy)
        self.bar.setRange(0, 0)

    def _use_weights(self, changes: Mapping[str, Mapping[str, Any]]) -> None:
        for stage, values in changes.items():
            for name, value in values.items():
                self.form.editors[stage][name].set_value(value)


def _interval(movie: Movie) -> float | None:
    role = next(iter(movie.roles), None)
    interval_s = movie.interval_s(role) if role else float("nan")
    return interval_s if interval_s == interval_s else None


def _number(line: QLineEdit, name: str) -> float | None:
    """Return what is written in a field, None if it is empty."""
    text = line.text().strip().replace(",", ".")
    if not text:
        return None
    try:
        return float(text)
    except ValueError:
        raise InputError(
            f"the {name} must be a number, got {text!r}; correct it in the Analyse panel"
        ) from None
