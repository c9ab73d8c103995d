"""What one analysis leaves: tables, labels and summary, and how they are written to a folder."""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from exovision import schema
from exovision.errors import OutputError
from exovision.io.folders import make_folder
from exovision.io.geff_tracks import write_geff
from exovision.io.label_files import LabelWriter
from exovision.io.provenance import provenance
from exovision.io.rois import write_rois
from exovision.io.tables import write_csv, write_json, write_parquet
from exovision.io.tracks import write_napari_tracks, write_trackmate
from exovision.io.zarr_labels import write_zarr_labels
from exovision.nets.shipped import weights_used
from exovision.records import Movie
from exovision.report.html import write_report
from exovision.settings import Settings

FILES = (
    *("spots.parquet", "cells.parquet", "exosomes.csv", "events.csv", "fates.csv", "summary.json"),
    *("cell_labels.ome.tif", "rois.zip", "exosome_tracks.xml", "exosome_tracks_napari.csv", "report.html"),
    "run.json",
)
"""What a complete movie folder holds, in the order of writing."""
ZARR_LABELS, GEFF_TRACKS = "cell_labels.ome.zarr", "exosome_tracks.geff"


@dataclass(frozen=True)
class Result:
    """The tables of one movie, as the contract names them, and its label images.

    Attributes
    ----------
    movie : Movie
    settings : Settings
    spots, exosomes, events, cells, fates : DataFrame
        Columns as in `exovision.schema`.
    labels : LabelStack
        One (Y, X) label image per frame, on disk; a value is the `cell_id`.
    summary : dict
        Every number that the report prints.
    corrections : mapping
        What drift and bleaching corrections found and did.
    device : str
        Where the networks ran.
    seconds : float
        Wall time of the analysis.
    """

    movie: Movie
    settings: Settings
    spots: pd.DataFrame
    exosomes: pd.DataFrame
    events: pd.DataFrame
    cells: pd.DataFrame
    fates: pd.DataFrame
    labels: LabelWriter
    summary: dict[str, Any]
    corrections: Mapping[str, Any]
    device: str
    seconds: float

    def save(self, out: str | Path, *, key: str | None = None) -> Path:
        """Write every file of the contract into `out`; `run.json` comes last and marks the folder complete.

        Parameters
        ----------
        out : str or Path
        key : str, optional
            Hash of everything that decides the results; a batch resumes by it.

        Returns
        -------
        Path
            The report.

        Raises
        ------
        OutputError
            If the folder cannot be made or written to.
        """
        folder = make_folder(Path(out))
        (folder / "run.json").unlink(missing_ok=True)
        record = provenance(
            self.movie,
            self.settings,
            device=self.device,
            seconds=self.seconds,
            corrections=self.corrections,
            weights=weights_used(self.settings),
            key=key,
        )
        try:
            self._write_tables(folder)
            self._write_geometry(folder)
            report = write_report(
                folder,
                movie=self.movie,
                labels=self.labels,
                spots=self.spots,
                exosomes=self.exosomes,
                events=self.events,
                cells=self.cells,
                fates=self.fates,
                summary=self.summary,
                settings=self.settings,
                provenance=record,
                corrections=self.corrections,
            )
            write_json(record, folder / "run.json")
        except OSError as error:
            raise OutputError(f"{folder}: results could not be written: {error.strerror or error}") from error
        return report

    def _write_tables(self, folder: Path) -> None:
        write_parquet(self.spots, folder / "spots.parquet", schema.SPOTS)
        write_parquet(self.cells, folder / "cells.parquet", schema.CELLS)
        write_csv(self.exosomes, folder / "exosomes.csv", schema.EXOSOMES)
        write_csv(self.events, folder / "events.csv", schema.EVENTS)
        write_csv(self.fates, folder / "fates.csv", schema.FATES)
        write_json(self.summary, folder / "summary.json")

    def _write_geometry(self, folder: Path) -> None:
        self.labels.save(folder / "cell_labels.ome.tif")
        self._write_extras(folder)
        write_rois(folder / "rois.zip", self.labels, self.events, pixel_size_um=self.movie.pixel_size_um)
        write_trackmate(folder / "exosome_tracks.xml", self.spots, self.movie)
        write_napari_tracks(folder / "exosome_tracks_napari.csv", self.spots)

    def _write_extras(self, folder: Path) -> None:
        """Write what the settings ask for beside the usual files, and remove what they no longer do."""
        for name in (ZARR_LABELS, GEFF_TRACKS):
            shutil.rmtree(folder / name, ignore_errors=True)
        if self.settings.saving.zarr_labels != "none":
            write_zarr_labels(folder / ZARR_LABELS, self.labels, version=self.settings.saving.zarr_labels)
        if self.settings.saving.geff:
            write_geff(folder / GEFF_TRACKS, self.spots, self.movie)
