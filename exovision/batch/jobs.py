"""What a batch will do: one job per movie, each with its own reading options and output folder."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from exovision.io.discovery import MovieEntry, find_movies
from exovision.io.folder_source import list_images
from exovision.io.labels_source import labels_path, open_labels
from exovision.io.movies import read
from exovision.io.samples import SampleSheet, read_samples
from exovision.records import LabelStack, Movie
from exovision.settings import Settings


@dataclass(frozen=True)
class ReadingOptions:
    """How the movies of a batch are read; None leaves it to the sample sheet and the file.

    Attributes
    ----------
    channels : mapping of str to int, optional
        Role to channel index.
    pixel_size_um, frame_interval_s : float, optional
        Win over the file's own metadata.
    axes : str, optional
        Axis order of files that do not say it, such as "TYX".
    pattern : str, optional
        Regular expression with named groups for folders of single images.
    labels : str, optional
        Label images: a path, or a pattern with `{name}`.
    samples : Path, optional
        The sample sheet.
    """

    channels: Mapping[str, int] | None = None
    pixel_size_um: float | None = None
    frame_interval_s: float | None = None
    axes: str | None = None
    pattern: str | None = None
    labels: str | None = None
    samples: Path | None = None


@dataclass(frozen=True)
class Job:
    """One movie to analyse.

    Attributes
    ----------
    entry : MovieEntry
        Where the movie is and what it is called.
    options : ReadingOptions
    settings : Settings
    facts : mapping
        The movie's row of the sample sheet.
    """

    entry: MovieEntry
    options: ReadingOptions
    settings: Settings
    facts: Mapping[str, Any] = field(default_factory=dict)

    def open(self) -> tuple[Movie, LabelStack | None]:
        """Open the movie and its labels, if any are given; raises `InputError` if either is unusable."""
        options, facts = self.options, self.facts
        movie = read(
            self.entry.path,
            channels=options.channels or facts.get("channels"),
            pixel_size_um=_first(options.pixel_size_um, facts.get("pixel_size_um")),
            frame_interval_s=_first(options.frame_interval_s, facts.get("frame_interval_s")),
            projection=self.settings.reading.projection,
            axes=options.axes,
            pattern=options.pattern,
            position=self.entry.position,
            name=self.entry.name,
            facts=facts,
        )
        return movie, open_labels(options.labels, movie) if options.labels else None

    def sources(self) -> list[Path]:
        """Return the files that the movie and its labels are read from."""
        entry, options = self.entry, self.options
        files = [entry.path]
        if options.pattern is not None and entry.path.is_dir():
            images = list_images(entry.path, options.pattern)
            files = [image.path for image in images if image.position == (entry.position or "")]
        return [*files, *([labels_path(options.labels, entry.name)] if options.labels else [])]


def _first(given: float | None, from_sheet: float | None) -> float | None:
    return from_sheet if given is None else given


def plan(inputs: Sequence[Path], options: ReadingOptions, settings: Settings) -> list[Job]:
    """List the movies under `inputs` as jobs.

    Raises
    ------
    InputError
        If nothing is found, or the sample sheet is wrong.
    """
    sheet: SampleSheet | None = read_samples(options.samples) if options.samples else None
    return [
        Job(entry, options, settings, sheet.facts_for(entry.path) if sheet else {})
        for entry in find_movies(inputs, pattern=options.pattern)
    ]
