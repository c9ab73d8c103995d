"""What a movie holds and what an analysis of it could tell and would cost, without analysing it."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice
from typing import Any

import numpy as np

from exovision.batch.jobs import Job
from exovision.costs import memory_gb, seconds
from exovision.death.fates import death_limits
from exovision.events.chemistry import find_chemistry
from exovision.events.identifiability import docking_limits, fate_limits
from exovision.events.judge import typical_view
from exovision.exosomes.detection import Detector
from exovision.nets.device import resolve_device
from exovision.pipeline import microscope_of, used_settings
from exovision.records import LabelStack, Movie
from exovision.settings import Settings
from exovision.sweep import PREPARATION_FRAMES


def validate_job(job: Job, *, device: str) -> list[str]:
    """Describe one movie: what is in it, what can be told from it, what its analysis costs.

    Parameters
    ----------
    job : Job
    device : str
        Where networks would run.

    Returns
    -------
    list of str
        Lines for the user; the first is the movie's name.

    Raises
    ------
    InputError
        If the movie or its labels cannot be used.
    SettingsError
        If a channel, setting or the device does not exist.

    Notes
    -----
    At most `PREPARATION_FRAMES` images of the exosome channel are read.
    """
    movie, labels = job.open()
    try:
        return [movie.name, *(f"  {line}" for line in describe(job, movie, labels, device=device))]
    finally:
        movie.source.close()


def describe(job: Job, movie: Movie, labels: LabelStack | None, *, device: str) -> list[str]:
    """Return the lines of `validate_job` without the name, of a movie that is open already."""
    place, settings = resolve_device(device), used_settings(job.settings, labels)
    return [
        *_shape(movie),
        *_calibration(movie, job),
        *_channels(movie, labels, job.settings),
        *_exosomes(movie, labels, job.settings),
        f"death: {death_limits(movie.roles, job.settings.death).removeprefix('death ')}",
        f"memory: about {memory_gb(movie, settings):.1f} GB, whatever the length",
        f"time: about {_duration(seconds(movie, settings))} on one CPU thread; networks run on {place}",
        *(f"note: {note}" for note in movie.notes),
    ]


def _shape(movie: Movie) -> Iterator[str]:
    t, c, z, y, x = movie.shape
    yield f"shape: T {t}, C {c}, Z {z}, Y {y}, X {x}"
    if z > 1:
        how = f"plane {movie.projection}" if isinstance(movie.projection, int) else movie.projection
        yield f"depth: {z} planes become one by {how}"


def _calibration(movie: Movie, job: Job) -> Iterator[str]:
    y, x = (size * movie.pixel_size_um for size in movie.image_shape)
    origin = _origin(job, "pixel_size_um")
    yield f"pixel size: {movie.pixel_size_um:.6g} µm ({origin}), field {y:.4g} x {x:.4g} µm"
    if movie.n_frames == 1:
        yield "frame interval: none, there is one frame"
        return
    times = movie.times_s[np.isfinite(movie.times_s).any(axis=1)]
    span = float(np.nanmax(times) - np.nanmin(times))
    steps = np.diff(np.nanmin(times, axis=1))
    even = "even" if np.ptp(steps) <= 0.05 * np.median(steps) else "uneven"
    yield (
        f"frame interval: {np.median(steps):.6g} s ({_origin(job, 'frame_interval_s')}), {even}, "
        f"{_duration(span)} in all"
    )


def _origin(job: Job, name: str) -> str:
    if getattr(job.options, name) is not None:
        return f"given with --{name.replace('_', '-')}"
    return "from the sample sheet" if name in job.facts else "from the file"


def _channels(movie: Movie, labels: LabelStack | None, settings: Settings) -> Iterator[str]:
    roles = {index: role for role, index in movie.roles.items()}
    named = (f"{i} {roles.get(i, 'not used')} ({name})" for i, name in enumerate(movie.channel_names))
    yield f"channels: {', '.join(named)}"
    if labels is not None:
        yield "cells: from the given label images"
    elif movie.cell_role is not None:
        yield f"cells: found in the {movie.cell_role} channel by the segmenter {settings.cells.segmenter}"


def _exosomes(movie: Movie, labels: LabelStack | None, settings: Settings) -> Iterator[str]:
    """Yield what the first images of the exosome channel show and what can be told of dockings."""
    if "exosome" not in movie.roles:
        yield "docking: cannot be told, there is no exosome channel"
        return
    images = list(islice(_images(movie), PREPARATION_FRAMES))
    if not images:
        yield f"exosomes: the first {PREPARATION_FRAMES} images are black; check --channels and the file"
        return
    detector = Detector(settings.exosomes, settings.camera, pixel_size_um=movie.pixel_size_um)
    detector.prepare(np.stack(images))
    spots = detector.detect(images[0][None], range(1))
    spots = spots[spots["probability"] >= settings.exosomes.min_probability]
    se_um = float(spots[["y_se_px", "x_se_px"]].median().mean()) * movie.pixel_size_um
    yield from _first_image(detector, spots, se_um)
    yield from _docking(movie, labels, settings, se_um)
    yield from _fates(movie, settings, detector, spots)


def _images(movie: Movie) -> Iterator[Any]:
    for t in range(min(PREPARATION_FRAMES, movie.n_frames)):
        if movie.acquired(t, "exosome") and (image := movie.image(t, "exosome")).any():
            yield image


def _first_image(detector: Detector, spots: Any, se_um: float) -> Iterator[str]:
    camera = detector.camera
    if camera is not None:
        gain = f"{camera.photons_per_count:.3g} photons per count"
        known = "given" if camera.gain_known else "estimated"
        psf = f"PSF {detector.sigma_px:.3g} px"
        yield f"camera: offset {camera.offset_counts:.4g} counts, {gain} ({known}), {psf}"
    yield from (f"camera: {note}" for note in detector.notes)
    precise = f", SNR {spots['snr'].median():.1f}, placed within {se_um:.3f} µm" if len(spots) else ""
    yield f"exosomes: {len(spots) or 'none'} in the first image{precise}"


def _docking(movie: Movie, labels: LabelStack | None, settings: Settings, se_um: float) -> Iterator[str]:
    precision = 0.0 if np.isnan(se_um) else se_um
    limits = docking_limits(movie.interval_s("exosome"), precision, settings.events)
    need = f"needs {settings.events.docked_min_frames} frames and {settings.events.docked_min_s:g} s"
    covered_s = movie.n_frames * movie.interval_s("exosome")
    reason = limits.reason
    if labels is None and movie.cell_role is None:
        reason = "there is no cell or nucleus channel and no label images"
    elif not reason and limits.shortest_s > covered_s:
        reason = f"a docking {need}, the movie covers {movie.n_frames} frames and {covered_s:g} s"
    if reason:
        yield f"docking: cannot be told, {reason}"
    else:
        basis = "judged by timing alone" if np.isnan(se_um) else f"band {limits.band_um:.2f} µm"
        yield f"docking: can be told from {limits.shortest_s:g} s on (a docking {need}), {basis}"


def _fates(movie: Movie, settings: Settings, detector: Detector, spots: Any) -> Iterator[str]:
    """Yield which fates the label, timing and light of the first image can show."""
    named = str(movie.facts.get("chemistry") or settings.events.chemistry)
    name, chemistry, warnings = find_chemistry(named, content="content" in movie.roles)
    yield f"chemistry: {name}; {chemistry.limits}"
    yield from (f"chemistry: {warning}" for warning in warnings)
    microscope = microscope_of(detector, settings, movie.pixel_size_um)
    view = typical_view(spots, microscope, movie.interval_s("exosome")) if len(spots) else None
    for kind, found in fate_limits(name, chemistry, view, settings.events).items():
        yield f"{kind}: {found.reason}"


def _duration(value_s: float) -> str:
    for unit, length in (("h", 3600.0), ("min", 60.0)):
        if value_s >= 2 * length:
            return f"{value_s / length:.3g} {unit}"
    return f"{value_s:.3g} s"
