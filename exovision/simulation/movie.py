"""A simulated movie with its truth: made frame by frame, written as it is made."""

from __future__ import annotations

import math
import zlib
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import tifffile
import yaml
from numpy.typing import NDArray

from exovision.errors import OutputError
from exovision.progress import Progress, silent
from exovision.simulation.cells import PRESETS, CellField
from exovision.simulation.fates import CHEMISTRIES
from exovision.simulation.living import History, LivingField, draw_history
from exovision.simulation.looks import Image
from exovision.simulation.optics import ExosomeLight, Sensor
from exovision.simulation.painter import Painter, filmed_roles
from exovision.simulation.particles import Floats, populate
from exovision.simulation.scene import Scene
from exovision.simulation.sightings import Sighting, watch
from exovision.simulation.truth import Truth

CELL_STREAM, CELL_CAMERA, PARTICLES, LIGHT, CAMERA, STAGE, LIVES, VITALITY, LATE = range(9)
CONTENT, CONTENT_CAMERA = 9, 10
SECONDS_PER_MINUTE = 60.0

Channels = Mapping[str, NDArray[np.uint16]]
"""Camera counts of shape (Y, X) by role."""


@dataclass(frozen=True)
class Backdrop:
    """The cells of one frame, before exosomes are added.

    Attributes
    ----------
    drift_px : ndarray of shape (2,)
        Of the stage; already in all the rest.
    outlines : ndarray of shape (N, K, 2)
        (y, x), px; NaN for cells that are not there. A vertex keeps its place on the membrane.
    labels : ndarray of shape (Y, X)
        A value is the cell id.
    images : mapping of str to ndarray of shape (Y, X)
        Camera counts of the cell channels, by role.
    photons : ndarray of shape (Y, X)
        Light of the cell channel that may bleed into that of the exosomes.
    """

    drift_px: Floats
    outlines: Floats
    labels: NDArray[np.int32]
    images: Mapping[str, NDArray[np.uint16]]
    photons: Image


@dataclass(frozen=True)
class Simulation:
    """A movie that can be made.

    Attributes
    ----------
    scene : Scene
        `imaging` is that of the movie.
    seed : int
    cell_ids : ndarray of shape (N,)
        The id of each row of the backdrops' outlines.
    roles : tuple of str
        The cell channels.
    backdrops : callable
        Starts the backdrops from the first frame.
    history : History, optional
        Of cells that divide and die.
    """

    scene: Scene
    seed: int
    cell_ids: NDArray[np.int32]
    roles: tuple[str, ...]
    backdrops: Callable[[], Iterable[Backdrop]]
    history: History | None = None

    @property
    def vesicle_roles(self) -> tuple[str, ...]:
        """The channels that show labels of vesicles."""
        filmed = self.scene.imaging.exosome_channel
        return tuple(CHEMISTRIES[self.scene.exosomes.labels.chemistry]) if filmed else ()

    def frames(self, truth: Truth, light: ExosomeLight) -> Iterator[tuple[Backdrop, Channels]]:
        """Yield backdrop and vesicle channels, camera counts of shape (Y, X), of each frame; fill `truth`."""
        particles_rng = _rng(self.seed, PARTICLES)
        particles = populate(particles_rng, self.scene, len(self.cell_ids))
        if self.history is not None:
            particles += self.history.late_arrivals()
        sensor = Sensor(_rng(self.seed, CAMERA), self.scene.camera, self.scene.imaging.shape_px)
        second = _ContentChannel(self.scene, self.seed) if "content" in self.vesicle_roles else None
        for frame, backdrop in enumerate(self.backdrops()):
            if frame == 0:
                particles = [p for p in particles if p.cell >= 0 or _on_glass(p.place_px, backdrop.labels)]
            sightings = watch(
                particles_rng,
                self.scene,
                particles,
                outlines=backdrop.outlines,
                drift_px=backdrop.drift_px,
                time_s=frame * self.scene.imaging.frame_interval_s,
            )
            image = light.background((backdrop.labels > 0).astype(np.float32), backdrop.photons)
            background = image.copy()
            passing = light.add_passing(image)
            light.add(image, sightings)
            truth.add(sightings, backdrop.outlines, backdrop.labels, background)
            truth.add_passing(passing, backdrop.outlines, background)
            channels = {}
            if second is not None:
                channels["content"] = second.expose(backdrop, sightings, passing, image, image - background)
            yield backdrop, {"exosome": sensor.expose(image), **channels}


class _ContentChannel:
    """The second channel of vesicles."""

    def __init__(self, scene: Scene, seed: int) -> None:
        self._bleed = scene.exosomes.labels.content_bleed
        self._light = ExosomeLight(_rng(seed, CONTENT), scene, "content")
        self._sensor = Sensor(_rng(seed, CONTENT_CAMERA), scene.camera, scene.imaging.shape_px)

    def expose(
        self,
        backdrop: Backdrop,
        sightings: Sequence[Sighting],
        passing: Floats,
        exosomes: Image,
        exosome_light: Image,
    ) -> NDArray[np.uint16]:
        """Return the camera counts, and add what bleeds from this channel to the image of the other one."""
        image = self._light.background((backdrop.labels > 0).astype(np.float32), backdrop.photons)
        vesicles = np.zeros_like(image)
        self._light.add_content(vesicles, passing)
        self._light.add(vesicles, sightings)
        exosomes += self._bleed * vesicles
        return self._sensor.expose(image + vesicles + self._bleed * exosome_light)


def simulate(scene: Scene, *, seed: int) -> Simulation:
    """Prepare a movie of simulated cells; the same scene and seed give the same movie.

    Parameters
    ----------
    scene : Scene
    seed : int
        Of all randomness.

    Returns
    -------
    Simulation
    """
    roles = filmed_roles(scene)
    if scene.deaths is None and scene.divisions is None:
        ids = np.arange(1, scene.cells.count + 1, dtype=np.int32)
        return Simulation(scene, seed, ids, roles, lambda: _simulated_cells(scene, seed, None))
    history = draw_history(scene, _rng(seed, LIVES), _rng(seed, PARTICLES), _rng(seed, LATE))
    ids = np.arange(1, len(history.lives) + 1, dtype=np.int32)
    return Simulation(scene, seed, ids, roles, lambda: _simulated_cells(scene, seed, history), history)


def _simulated_cells(scene: Scene, seed: int, history: History | None) -> Iterator[Backdrop]:
    imaging, cells = scene.imaging, scene.cells
    rng = _rng(seed, CELL_STREAM)
    preset = PRESETS[cells.preset]
    field = CellField(
        rng,
        imaging.shape_px,
        pixel_size_um=imaging.pixel_size_um,
        preset=replace(preset, radius_um=cells.radius_um or preset.radius_um),
        n_cells=cells.count if history is None else len(history.lives),
        n_placed=cells.count,
        margin=cells.margin_radii,
    )
    parents = [] if history is None else [life.parent for life in history.lives]
    painter = Painter(scene, rng, _rng(seed, CELL_CAMERA), field, parents)
    living = None if history is None else LivingField(scene, history, field, _rng(seed, VITALITY))
    heading = _rng(seed, STAGE).uniform(0, 2 * np.pi)
    speed = imaging.drift_um_min / SECONDS_PER_MINUTE * imaging.frame_interval_s / imaging.pixel_size_um
    vitality = None
    for frame in range(imaging.frames):
        if living is not None:
            vitality = living.advance(frame * imaging.frame_interval_s)
        elif frame:
            field.advance(imaging.frame_interval_s)
        drift = frame * speed * np.array([np.sin(heading), np.cos(heading)])
        drawn = painter.paint(field, drift, vitality)
        bleeding = drawn.photons.get("cell", np.zeros(imaging.shape_px, dtype=np.float32))
        yield Backdrop(drift, drawn.outlines, drawn.labels, drawn.images, bleeding)


def write(simulation: Simulation, out: Path, *, progress: Progress = silent) -> None:
    """Write `movie.ome.tif` and the truth's tables and labels, one frame in memory at a time.

    Parameters
    ----------
    simulation : Simulation
    out : Path
        Folder; gets `movie.ome.tif` and `truth/`.
    progress : Progress
        Called after each frame; may raise `Cancelled`.

    Raises
    ------
    OutputError
        If the folder cannot be written to.
    """
    imaging = simulation.scene.imaging
    light = ExosomeLight(_rng(simulation.seed, LIGHT), simulation.scene)
    truth = Truth(
        simulation.scene,
        light,
        simulation.cell_ids,
        simulation.history.lives if simulation.history is not None else (),
    )
    packed: list[bytes] = []

    def planes() -> Iterator[NDArray[np.uint16]]:
        for done, (backdrop, vesicles) in enumerate(simulation.frames(truth, light), start=1):
            packed.append(zlib.compress(backdrop.labels.astype(np.uint32).tobytes(), 1))
            progress("simulating", done, imaging.frames)
            yield from (vesicles[role] for role in simulation.vesicle_roles)
            yield from (backdrop.images[role] for role in simulation.roles)

    folder = Path(out) / "truth"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        names = [*simulation.vesicle_roles, *simulation.roles]
        shape = (imaging.frames, len(names), *imaging.shape_px)
        _write_tiff(Path(out) / "movie.ome.tif", planes(), shape, simulation.scene, names)
        labels = (np.frombuffer(zlib.decompress(one), np.uint32).reshape(imaging.shape_px) for one in packed)
        _write_tiff(
            folder / "cell_labels.ome.tif", labels, (imaging.frames, *imaging.shape_px), simulation.scene
        )
        for name, table in truth.tables().items():
            _write_table(folder, name, table)
        facts = {**simulation.scene.model_dump(mode="json"), "seed": simulation.seed}
        (folder / "scene.yaml").write_text(yaml.safe_dump(facts, sort_keys=False), encoding="utf-8")
    except OSError as error:
        raise OutputError(f"{out}: the movie could not be written: {error.strerror or error}") from error


def _write_tiff(
    path: Path,
    pages: Iterator[NDArray[Any]],
    shape: tuple[int, ...],
    scene: Scene,
    channels: list[str] | None = None,
) -> None:
    imaging = scene.imaging
    metadata: dict[str, Any] = {
        "axes": "TCYX" if channels else "TYX",
        "Name": scene.name,
        "PhysicalSizeX": imaging.pixel_size_um,
        "PhysicalSizeXUnit": "µm",
        "PhysicalSizeY": imaging.pixel_size_um,
        "PhysicalSizeYUnit": "µm",
        "TimeIncrement": imaging.frame_interval_s,
        "TimeIncrementUnit": "s",
    }
    if channels:
        metadata["Channel"] = {"Name": channels}
    dtype = np.uint16 if channels else np.uint32
    with tifffile.TiffWriter(path, ome=True, bigtiff=math.prod(shape) * 4 > 3_500_000_000) as writer:
        writer.write(
            pages,
            shape=shape,
            dtype=dtype,
            photometric="minisblack",
            compression="zlib",
            metadata=metadata,
            software="exovision",
        )


def _write_table(folder: Path, name: str, table: pd.DataFrame) -> None:
    if name in ("spots", "cells", "decoys"):
        table.to_parquet(folder / f"{name}.parquet", index=False)
    else:
        table.to_csv(folder / f"{name}.csv", index=False, lineterminator="\n")


def _on_glass(place_px: Floats, labels: NDArray[np.int32]) -> bool:
    y, x = (int(np.clip(round(p), 0, n - 1)) for p, n in zip(place_px, labels.shape))
    return not labels[y, x]


def _rng(seed: int, stream: int) -> np.random.Generator:
    return np.random.default_rng([seed, stream])
