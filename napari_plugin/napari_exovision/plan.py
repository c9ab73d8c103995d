"""What the Analyse panel will run: a movie, its roles, settings and where results go; no Qt."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from exovision.batch.jobs import Job, ReadingOptions, plan
from exovision.batch.single import job_key
from exovision.batch.validate import describe
from exovision.calibration import regular_times
from exovision.errors import InputError
from exovision.io.discovery import MovieEntry
from exovision.pipeline import Preview, analyse, preview
from exovision.progress import Progress, silent
from exovision.records import LabelStack, Movie, check_channels, check_pixel_size
from exovision.settings import Settings
from napari_exovision.opening import LayerSource

MICROMETRE = {"micrometer": 1.0, "nanometer": 1e-3, "millimeter": 1e3}
SECOND = {"second": 1.0, "millisecond": 1e-3, "minute": 60.0, "hour": 3600.0}


@dataclass(frozen=True)
class Channel:
    """One image layer offered as a channel.

    Attributes
    ----------
    name : str
        Of the layer.
    data : array of shape (T, Y, X)
    role : str or None
        None: not used.
    """

    name: str
    data: Any
    role: str | None


@dataclass(frozen=True)
class Plan:
    """Everything that decides an analysis.

    Attributes
    ----------
    settings : Settings
    out : Path
        The results folder; the movie gets a folder in it.
    options : ReadingOptions
        What wins over the file; None leaves it to the file.
    path : Path, optional
        The movie's file, or the folder of single images.
    name : str
        The movie's name among those of the file; of layers, the results' name.
    channels : sequence of Channel
        Layers, if there is no file.
    labels : LabelStack, optional
        Cells that are given.
    device : str
    """

    settings: Settings
    out: Path
    options: ReadingOptions = field(default_factory=ReadingOptions)
    path: Path | None = None
    name: str = ""
    channels: Sequence[Channel] = ()
    labels: LabelStack | None = None
    device: str = "auto"

    def job(self) -> Job:
        """Return the batch's job for the movie, as the command line makes it.

        Raises
        ------
        InputError
            If the movie is not there.
        """
        if self.path is None:
            entry = MovieEntry(self.name, Path(self.name), None, Path())
            return Job(entry, self.options, self.settings)
        jobs = plan([self.path], self.options, self.settings)
        return next((job for job in jobs if job.entry.name == self.name), jobs[0])

    def open(self) -> Movie:
        """Open the movie, or make one of the layers.

        Raises
        ------
        InputError, SettingsError
            If it cannot be used so.
        """
        if self.path is not None:
            return self.job().open()[0]
        return movie_of_layers(
            self.channels,
            name=self.name,
            pixel_size_um=self.options.pixel_size_um,
            frame_interval_s=self.options.frame_interval_s,
        )

    def describe(self) -> list[str]:
        """Say what the movie holds and what can be told from it; raises as `open` does."""
        movie = self.open()
        try:
            return describe(self.job(), movie, self.labels, device=self.device)
        finally:
            movie.source.close()

    def at_scale(self, diameter_um: float | None) -> Plan:
        """Return the same plan with the cells' diameter given, where it is known and none was set."""
        cells = self.settings.cells
        if diameter_um is None or cells.diameter_um is not None:
            return self
        cells = cells.model_copy(update={"diameter_um": diameter_um})
        return replace(self, settings=self.settings.model_copy(update={"cells": cells}))

    def preview(self, frame: int) -> tuple[Movie, Preview]:
        """Find cells and spots in one frame; raises as `exovision.analyse` does."""
        movie = self.open()
        try:
            return movie, preview(movie, self.settings, frame, labels=self.labels, device=self.device)
        finally:
            movie.source.close()

    def run(self, progress: Progress = silent) -> Path:
        """Analyse the movie and write its folder; the same calls as the command line's.

        Returns
        -------
        Path
            The movie's folder.

        Raises
        ------
        ExovisionError
            As `exovision.analyse` and `Result.save` do.
        """
        job, movie = self.job(), self.open()
        try:
            result = analyse(movie, self.settings, labels=self.labels, device=self.device, progress=progress)
            folder = self.out / job.entry.name
            progress("writing results", 0, 1)
            resumable = self.path is not None and self.labels is None
            result.save(folder, key=job_key(job) if resumable else None)
            progress("writing results", 1, 1)
            return folder
        finally:
            movie.source.close()


def movie_of_layers(
    channels: Sequence[Channel],
    *,
    name: str,
    pixel_size_um: float | None,
    frame_interval_s: float | None,
) -> Movie:
    """Make a movie of image layers; their pixels are read frame by frame.

    Parameters
    ----------
    channels : sequence of Channel
    name : str
    pixel_size_um, frame_interval_s : float, optional
        Not guessed.

    Raises
    ------
    InputError
        If there are no layers, they have other axes than T, Y, X, differ in shape, or a size is missing.
    """
    if not channels:
        raise InputError("a movie is needed, got no image layer; open one with File > Open or in this panel")
    shapes = {tuple(channel.data.shape) for channel in channels}
    for channel in channels:
        if len(channel.data.shape) != 3:
            raise InputError(
                f"layer {channel.name}: axes T, Y, X were wanted, got shape {tuple(channel.data.shape)}; "
                "split channels into layers (right click > Split stack) and project depth first"
            )
    if len(shapes) > 1:
        listed = ", ".join(f"{channel.name} {tuple(channel.data.shape)}" for channel in channels)
        raise InputError(f"the channels of a movie must be of one shape, got {listed}; untick the others")
    if pixel_size_um is None:
        raise InputError("the layers do not say their pixel size; correct --pixel-size-um")
    n_frames, height, width = next(iter(shapes))
    if frame_interval_s is None and n_frames > 1:
        raise InputError("the layers do not say their frame interval; correct --frame-interval-s")
    roles = {channel.role: c for c, channel in enumerate(channels) if channel.role}
    return Movie(
        name=name,
        shape=(n_frames, len(channels), 1, height, width),
        pixel_size_um=check_pixel_size(pixel_size_um),
        times_s=regular_times(n_frames, len(channels), frame_interval_s or 0.0),
        channel_names=tuple(channel.name for channel in channels),
        roles=check_channels(roles, len(channels)),
        source=LayerSource(tuple(channel.data for channel in channels)),
    )


def physical(scale: Sequence[float], units: Sequence[Any]) -> Mapping[str, float]:
    """Return `pixel_size_um` and `frame_interval_s` of a layer of axes T, Y, X, as far as its units tell."""
    found = {}
    names = [str(unit) for unit in units]
    if len(names) >= 2 and names[-1] in MICROMETRE and np.isclose(scale[-1], scale[-2]):
        found["pixel_size_um"] = float(scale[-1]) * MICROMETRE[names[-1]]
    if len(names) == 3 and names[0] in SECOND:
        found["frame_interval_s"] = float(scale[0]) * SECOND[names[0]]
    return found


@dataclass(frozen=True)
class LayerLabels:
    """A labels layer as given label images.

    Attributes
    ----------
    name : str
        Of the layer.
    data : array of shape (T, Y, X) or (Y, X)
        The latter holds for all frames.
    n_frames : int
    """

    name: str
    data: Any
    n_frames: int

    def __post_init__(self) -> None:
        if len(self.data.shape) not in (2, 3) or (len(self.data.shape) == 3 and len(self) != self.n_frames):
            raise InputError(
                f"layer {self.name}: {self.n_frames} label images, or one for all frames, were wanted, got "
                f"shape {tuple(self.data.shape)}; choose the labels of this movie"
            )

    def __len__(self) -> int:
        return int(self.data.shape[0]) if len(self.data.shape) == 3 else self.n_frames

    def __getitem__(self, t: int) -> NDArray[np.int32]:
        """Return the labels of frame `t`, shape (Y, X)."""
        frame = self.data[t] if len(self.data.shape) == 3 else self.data
        return np.array(frame, dtype=np.int32)
