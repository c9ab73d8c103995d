"""The analysis of one movie: the only place that knows the order of the stages."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from exovision import schema
from exovision.cells.lineage import Lineage, Rename, find_divisions
from exovision.correction.bleaching import estimate_bleaching
from exovision.correction.fixed_spots import fixed_drift
from exovision.costs import check_memory
from exovision.death.fates import count_hits, find_deaths
from exovision.death.remains import join_pieces, rejoin_remains
from exovision.errors import InputError
from exovision.events.chemistry import find_chemistry
from exovision.events.examples import NUMBERS
from exovision.events.find import find_events
from exovision.events.judge import Judge
from exovision.events.patches import Microscope
from exovision.events.weighing import CLASSES, FateNetwork
from exovision.exosomes.detection import Detector
from exovision.exosomes.linking import link
from exovision.exosomes.motion import summarise
from exovision.methods import Segmenter
from exovision.progress import Progress, silent
from exovision.records import Given, LabelStack, Movie
from exovision.result import Result
from exovision.settings import EventSettings, Settings
from exovision.sweep import Sweep


def analyse(
    movie: Movie,
    settings: Settings | None = None,
    *,
    labels: LabelStack | None = None,
    device: str = "auto",
    progress: Progress = silent,
) -> Result:
    """Find cells and exosomes in a movie and say which exosomes docked where and for how long.

    Parameters
    ----------
    movie : Movie
        Needs the role `exosome`, `cell` or `nucleus`; events need exosomes and cells (or `labels`).
    settings : Settings, optional
        All thresholds; the defaults if omitted.
    labels : LabelStack, optional
        Ready-made label images, one (Y, X) image per frame; replaces the segmentation and keeps its ids.
    device : str
        "auto", "cpu", "cuda", "cuda:N" or "mps".
    progress : Progress
        Called after each chunk; may raise `Cancelled`.

    Returns
    -------
    Result
        The contract's tables, the label images and the summary.

    Raises
    ------
    InputError
        If the movie lacks the channels, holds NaN, is black throughout, or is too large for this machine.
    """
    settings = used_settings(settings or Settings(), labels)
    return reanalyse(movie, settings, Given(labels=labels), device=device, progress=progress)


def used_settings(settings: Settings, labels: LabelStack | None) -> Settings:
    """Return the settings as they are used: where label images are given, no segmenter finds cells."""
    if labels is None:
        return settings
    cells = settings.cells.model_copy(update={"segmenter": "labels"})
    return settings.model_copy(update={"cells": cells})


def reanalyse(
    movie: Movie,
    settings: Settings,
    given: Given,
    *,
    device: str = "auto",
    progress: Progress = silent,
) -> Result:
    """Analyse a movie of which something is known already: cells, spots, tracks, or single events.

    Parameters
    ----------
    movie, settings, device, progress
        As for `analyse`.
    given : Given
        What replaces segmentation, detection and linking, and what was ruled of single events.

    Returns
    -------
    Result
        Spots in the order of `given.spots`, stably sorted by frame.

    Raises
    ------
    InputError
        As `analyse` does.
    """
    started = time.perf_counter()
    _check_channels(movie, given.labels)
    check_memory(movie, settings)
    sweep = Sweep(movie, settings, given, device)
    sweep.run(progress)
    progress("following exosomes and events", 0, movie.n_frames)
    result = _conclude(sweep, started)
    progress("following exosomes and events", movie.n_frames, movie.n_frames)
    return result


@dataclass(frozen=True)
class Preview:
    """What one frame shows.

    Attributes
    ----------
    labels : ndarray of shape (Y, X)
        Cells, not yet followed: ids hold for this frame only.
    spots : DataFrame
        Spots of at least the least probability, placed on the outlines; not yet linked.
    warnings : list of str
    cell_diameter_um : float or None
        At which cells were looked for; as a setting it spares the next preview the search.
    """

    labels: NDArray[np.int32]
    spots: pd.DataFrame
    warnings: list[str]
    cell_diameter_um: float | None


def preview(
    movie: Movie,
    settings: Settings,
    frame: int,
    *,
    labels: LabelStack | None = None,
    device: str = "auto",
) -> Preview:
    """Find cells and spots in one frame, as `analyse` would with these settings.

    Parameters
    ----------
    movie : Movie
        The frame, and those from which camera and PSF are estimated, are read.
    settings : Settings
    frame : int
    labels : LabelStack, optional
        Ready-made label images.
    device : str
        As for `analyse`.

    Raises
    ------
    InputError
        As `analyse` does.

    Notes
    -----
    Without a given cell diameter the scale is found in this frame, in an analysis in the first one.
    """
    _check_channels(movie, labels)
    unjudged = settings.death.model_copy(update={"morphology": "none"})
    sweep = Sweep(movie, settings.model_copy(update={"death": unjudged}), Given(labels=labels), device)
    sweep.take(range(frame, frame + 1))
    spots = schema.conform(sweep.spots.take(), schema.SPOTS)
    likely = spots["probability"] >= settings.exosomes.min_probability
    return Preview(
        labels=sweep.current,
        spots=spots[likely].reset_index(drop=True),
        warnings=sweep.warnings,
        cell_diameter_um=_diameter_um(sweep.segmenter, movie.pixel_size_um),
    )


def _check_channels(movie: Movie, labels: LabelStack | None) -> None:
    if "exosome" not in movie.roles and movie.cell_role is None and labels is None:
        raise InputError(
            f"{movie.name}: an exosome, cell or nucleus channel is needed, got "
            f"{', '.join(movie.roles) or 'no roles'}; name them with --channels exosome=0,cell=1"
        )


def _conclude(sweep: Sweep, started: float) -> Result:
    """Make tracks, events and the summary from what the sweep gathered."""
    movie, settings = sweep.movie, sweep.settings
    times_s = sweep.times_s()
    spots = _linked(sweep, times_s)
    drift = _drift(sweep, spots)
    drift_px = np.array(drift["px"])
    cells = sweep.morphology.join(schema.conform(sweep.cells.take(), schema.CELLS))
    lineage = _lineage(sweep, cells)
    sweep.labels.rename(lineage.renames)
    spots = lineage.rename(lineage.rename(spots), "next_cell_id")
    spots, exosomes, bleaching = _follow(sweep, spots, times_s, drift_px)
    judge, on_chemistry = _judge(sweep, bleaching)
    tables = find_events(
        spots,
        exosomes,
        join_pieces(lineage.rename(cells)),
        lineage.tracks,
        times_s=times_s,
        drift_um=drift_px * movie.pixel_size_um,
        pixel_size_um=movie.pixel_size_um,
        settings=settings.events,
        exposure_s=settings.camera.exposure_s,
        zone_areas=lineage.rename(sweep.zones.take(("cell_id", "band_um2", "ring_um2"))),
        rulings=sweep.given.rulings,
        judge=judge,
    )
    deaths = find_deaths(
        tables.cells,
        tables.fates,
        nuclei_only=movie.cell_role == "nucleus",
        settings=settings.death,
        rulings=sweep.given.states,
    )
    return Result(
        movie=movie,
        settings=settings,
        spots=tables.spots,
        exosomes=tables.exosomes,
        events=tables.events,
        cells=deaths.cells,
        fates=count_hits(deaths.fates, tables.events),
        labels=sweep.labels,
        summary=_summary(sweep, tables.summary, deaths.summary, [*drift["notes"], *on_chemistry]),
        corrections={"drift": drift, "bleaching": bleaching, **sweep.given.facts()},
        device=sweep.device,
        seconds=time.perf_counter() - started,
    )


def _lineage(sweep: Sweep, cells: pd.DataFrame) -> Lineage:
    """Return tracks that end and begin at divisions, and go on over the pieces of dead cells."""
    movie, settings, given = sweep.movie, sweep.settings, sweep.given
    found = find_divisions(cells, sweep.tracker.tracks(), settings.cells, keep_ids=given.labels is not None)
    if given.labels is not None:
        return found
    whole = rejoin_remains(
        found.rename(cells),
        found.tracks,
        nuclei_only=movie.cell_role == "nucleus",
        settings=settings.death,
    )
    return Lineage(whole.tracks, (*found.renames, *map(Rename._make, whole.renames)))


def _judge(sweep: Sweep, bleaching: Mapping[str, Any]) -> tuple[Judge | None, list[str]]:
    """Return what tells fates apart by their light, None without exosomes; and warnings."""
    movie, settings, detector = sweep.movie, sweep.settings, sweep.detector
    if detector is None:
        return None, []
    named = str(movie.facts.get("chemistry") or settings.events.chemistry)
    name, chemistry, warnings = find_chemistry(named, content="content" in movie.roles)
    microscope = microscope_of(detector, settings, movie.pixel_size_um)
    fading = np.array(bleaching["factor"], dtype=np.float64)
    network, witness = fate_network(settings.events, sweep.device, warnings.append), sweep.given.witness
    judge = Judge(movie, microscope, name, chemistry, fading, settings.events, network, witness)
    return judge, warnings


def fate_network(settings: EventSettings, device: str, note: Callable[[str], None]) -> FateNetwork | None:
    """Return the network of fates that the settings ask for, None if they ask for none."""
    if settings.network == "none":
        return None
    from exovision.nets.fate_judge import FateJudge
    from exovision.nets.shipped import weights_file

    return FateJudge(weights_file(settings), numbers=NUMBERS, classes=CLASSES, device=device, note=note)


def microscope_of(detector: Detector, settings: Settings, pixel_size_um: float) -> Microscope:
    """Return camera and optics as the event models want them.

    Parameters
    ----------
    detector : Detector
        Prepared.
    settings : Settings
    pixel_size_um : float

    Raises
    ------
    InputError
        If the detector was not prepared.
    """
    camera = detector.camera
    if camera is None:
        raise InputError("the detector must know camera and PSF: call prepare() with the first frames")
    return Microscope(
        offset_counts=camera.offset_counts,
        photons_per_count=camera.photons_per_count,
        read_noise_photons=camera.read_noise_photons,
        sigma_px=detector.sigma_px,
        sigma_z_px=settings.exosomes.psf_sigma_z_um / pixel_size_um,
        exposure_s=settings.camera.exposure_s,
        pixel_size_um=pixel_size_um,
    )


def _summary(
    sweep: Sweep, events: Mapping[str, Any], death: Mapping[str, Any], remarks: list[str]
) -> dict[str, Any]:
    """Add to the summary of the events what the other stages found and have to say."""
    movie, segmenter, detector = sweep.movie, sweep.segmenter, sweep.detector
    warnings = [*sweep.warnings, *sweep.skipped(), *getattr(segmenter, "notes", ())]
    warnings += [*(detector.notes if detector else ()), *remarks, *events["warnings"]]
    return {
        **events,
        "death": {name: value for name, value in death.items() if name != "warnings"},
        "warnings": [*warnings, *death["warnings"]],
        "notes": [*movie.notes, *sweep.morphology.notes],
        "cell_diameter_um": _diameter_um(segmenter, movie.pixel_size_um),
        "psf_sigma_um": detector.sigma_px * movie.pixel_size_um if detector else None,
    }


def _linked(sweep: Sweep, times_s: NDArray[np.float64]) -> pd.DataFrame:
    """Link the spots; those that are neither likely nor borne out by a track are dropped."""
    settings = sweep.settings
    columns = {**schema.SPOTS, **dict.fromkeys((*schema.MEMBRANE_FRAME, *schema.NEXT_CELL), schema.FLOAT)}
    spots = schema.conform(sweep.spots.take(), columns)
    if sweep.given.spots is not None:
        return spots
    spots["exosome_id"] = link(
        spots,
        times_s=times_s,
        drift_px=sweep.drift.drift_px if settings.correction.drift else None,
        pixel_size_um=sweep.movie.pixel_size_um,
        settings=settings.exosomes,
    )
    borne_out = spots["exosome_id"].notna() | (spots["probability"] >= settings.exosomes.min_probability)
    return spots[borne_out].reset_index(drop=True)


def _drift(sweep: Sweep, spots: pd.DataFrame) -> dict[str, Any]:
    """Return the stage's path from fixed spots, else from registration."""
    frames = sweep.movie.n_frames
    if not sweep.settings.correction.drift:
        return {"applied": False, "px": np.zeros((frames, 2)).tolist(), "from": None, "notes": []}
    path, fixed = fixed_drift(spots, frames)
    notes = list(sweep.drift.notes)
    if path is None and frames > 1:
        notes.append(f"drift from registration of whole images: only {fixed} spots move together")
    return {
        "applied": True,
        "px": (sweep.drift.drift_px if path is None else path).round(3).tolist(),
        "from": "registration" if path is None else f"{fixed} spots fixed to the glass",
        "notes": notes,
    }


def _follow(
    sweep: Sweep, spots: pd.DataFrame, times_s: NDArray[np.float64], drift_px: NDArray[np.float64]
) -> tuple[pd.DataFrame, pd.DataFrame, dict[str, Any]]:
    """Return the spots with corrected counts, a row per exosome, and what the bleaching correction did."""
    movie, settings = sweep.movie, sweep.settings
    bleaching = estimate_bleaching(spots, times_s, enabled=settings.correction.bleaching)
    spots["counts_corrected"] = spots["counts"] / bleaching.factor[spots["frame"].to_numpy(dtype=np.int64)]
    exosomes = summarise(spots, times_s=times_s, drift_px=drift_px, pixel_size_um=movie.pixel_size_um)
    facts = {
        "applied": bleaching.used,
        "tau_s": bleaching.tau_s,
        "tau_s_lo": bleaching.tau_lo_s,
        "tau_s_hi": bleaching.tau_hi_s,
        "factor": bleaching.factor.round(5).tolist(),
        "notes": [bleaching.note],
    }
    return spots, exosomes, facts


def _diameter_um(segmenter: Segmenter | None, pixel_size_um: float) -> float | None:
    diameter_px = getattr(segmenter, "diameter_px", None)
    return None if diameter_px is None else float(diameter_px) * pixel_size_um
