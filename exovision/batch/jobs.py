"""What a batch will do: one job per movie, each with its own reading options and output folder."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from exovision.errors import SettingsError
from exovision.io.discovery import MovieEntry, find_movies
from exovision.io.folder_source import list_images
from exovision.io.formats import content_of, is_zarr
from exovision.io.labels_source import labels_path, open_labels
from exovision.io.micromanager import FILE
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
        """Return the files and folders that the movie and its labels are read from."""
        entry, options = self.entry, self.options
        files = content_of(entry.path)
        if options.pattern is not None and entry.path.is_dir() and not is_zarr(entry.path):
            images = list_images(entry.path, options.pattern)
            files = [image.path for image in images if image.position == (entry.position or "")]
            beside = (folder / FILE for folder in dict.fromkeys(file.parent for file in files))
            files += [file for file in beside if file.is_file()]
        return [*files, *([labels_path(options.labels, entry.name)] if options.labels else [])]


@dataclass(frozen=True)
class Shard:
    """A part of a batch that one machine or array task takes.

    Attributes
    ----------
    number, count : int
        The `number`-th, from 1, of `count` parts.
    """

    number: int
    count: int

    @classmethod
    def parse(cls, text: str, environment: Mapping[str, str]) -> Shard:
        """Read "I/N", or "auto": what the scheduler's array variables say.

        Parameters
        ----------
        text : str
        environment : mapping of str to str
            Environment variables.

        Raises
        ------
        SettingsError
            If the text is neither, or "auto" finds no array task.
        """
        if text == "auto":
            return cls._of_array_task(environment)
        number, slash, count = text.partition("/")
        if not (slash and number.isdecimal() and count.isdecimal() and 1 <= int(number) <= int(count)):
            raise SettingsError(f"--shard must be I/N with I from 1 to N, or auto; got {text!r}")
        return cls(int(number), int(count))

    @classmethod
    def _of_array_task(cls, environment: Mapping[str, str]) -> Shard:
        for names in ARRAY_VARIABLES:
            values = [environment.get(name, "") for name in names]
            if all(value.isdecimal() for value in values):
                task, first, last, step = (int(value) for value in values)
                return cls((task - first) // step + 1, (last - first) // step + 1)
        wanted = " or ".join(names[0] for names in ARRAY_VARIABLES)
        raise SettingsError(f"--shard auto needs an array task of a scheduler ({wanted}); give I/N instead")

    def part(self, jobs: Sequence[Job]) -> list[Job]:
        """Return every `count`-th job, beginning with this part's."""
        return list(jobs[self.number - 1 :: self.count])

    @property
    def folder(self) -> str:
        """Where, in the output folder, this part's lists are kept until they are merged."""
        return f"{SHARDS}/{self.number}_of_{self.count}"


SHARDS = "shards"
ARRAY_VARIABLES = (
    ("SLURM_ARRAY_TASK_ID", "SLURM_ARRAY_TASK_MIN", "SLURM_ARRAY_TASK_MAX", "SLURM_ARRAY_TASK_STEP"),
    ("SGE_TASK_ID", "SGE_TASK_FIRST", "SGE_TASK_LAST", "SGE_TASK_STEPSIZE"),
)
"""Number of the array task, the first and the last one, and the step between them, by scheduler."""


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
        Job(entry, options, settings, sheet.facts_for(entry.path, well=entry.well) if sheet else {})
        for entry in find_movies(inputs, pattern=options.pattern)
    ]
