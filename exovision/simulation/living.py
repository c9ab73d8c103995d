"""A field of cells that divide and die: who is there at a time, what shape it has, and what floats by."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from exovision.simulation.cells import CellField
from exovision.simulation.dying import Traits, draw_traits, dye_cells, parting, shape_cells, shape_nucleus
from exovision.simulation.lives import Life, draw_deaths, draw_pedigree
from exovision.simulation.painter import Blob, Vitality
from exovision.simulation.particles import Particle, populate
from exovision.simulation.scene import Deaths, Scene

Floats = NDArray[np.float64]

LARGEST_STEP_S = 60.0
DEBRIS_UM, DEBRIS_UM_MIN = (0.6, 2.2), 0.3
DEBRIS_PEAK = {"cell": 0.7, "nucleus": 0.5, "annexin": 0.9, "pi": 0.7, "caspase": 0.3}
VESICLE_S, VESICLE_PEAK = 1800.0, (0.4, 2.0)
"""Mean stay of a stained vesicle on a cell, and its brightness relative to a stained membrane."""


@dataclass(frozen=True)
class History:
    """What will happen to every cell.

    Attributes
    ----------
    lives : list of Life
    traits : list of Traits
    deaths : Deaths
        How dying looks; the defaults where nobody dies.
    late : list of Particle
        Vesicles that come besides because a dying cell binds more of them.
    """

    lives: list[Life]
    traits: list[Traits]
    deaths: Deaths
    late: list[Particle]

    def late_arrivals(self) -> list[Particle]:
        """Return fresh copies of the late vesicles."""
        return [Particle(**vars(particle)) for particle in self.late]


def draw_history(
    scene: Scene,
    rng: np.random.Generator,
    particles_rng: np.random.Generator,
    late_rng: np.random.Generator,
) -> History:
    """Draw births, divisions and deaths of a movie.

    Parameters
    ----------
    scene : Scene
    rng : numpy.random.Generator
        For the lives.
    particles_rng : numpy.random.Generator
        In the state in which the movie's particles will be drawn: these are the hits.
    late_rng : numpy.random.Generator
        For the vesicles that dying cells bind besides.
    """
    pedigree = draw_pedigree(rng, scene)
    lives = draw_deaths(rng, scene, pedigree, populate(particles_rng, scene, len(pedigree)))
    deaths = scene.deaths or Deaths(per_cell_hour=0)
    return History(lives, draw_traits(rng, lives), deaths, _late(late_rng, scene, lives))


def _late(rng: np.random.Generator, scene: Scene, lives: Sequence[Life]) -> list[Particle]:
    if scene.deaths is None or scene.deaths.binding_after_onset == 1:
        return []
    rate = scene.exosomes.dockings_per_cell_hour * (scene.deaths.binding_after_onset - 1)
    only = {"stuck_per_um2": 0.0, "dye_per_um2": 0.0, "beneath_per_cell": 0.0, "tethered_per_cell_hour": 0.0}
    vesicles = scene.exosomes.model_copy(update={**only, "dockings_per_cell_hour": rate})
    cells = scene.cells.model_copy(update={"lysosomes_per_cell": 0.0})
    drawn = populate(rng, scene.model_copy(update={"exosomes": vesicles, "cells": cells}), len(lives))
    return [p for p in drawn if p.start_s > lives[p.cell].onset_s]


class LivingField:
    """Moves a field of cells on in time and says how each cell looks.

    Parameters
    ----------
    scene : Scene
    history : History
    field : CellField
        Has a row per life.
    rng : numpy.random.Generator
        For debris and stained vesicles.
    """

    def __init__(self, scene: Scene, history: History, field: CellField, rng: np.random.Generator) -> None:
        self._scene, self._history, self._field, self._rng = scene, history, field, rng
        self._time_s = 0.0
        pixel, shape = scene.imaging.pixel_size_um, np.array(scene.imaging.shape_px)
        n = rng.poisson(history.deaths.debris)
        self._debris = rng.uniform(0, 1, (n, 2)) * shape
        self._debris_px = rng.uniform(*DEBRIS_UM, n) / pixel
        self._heading = rng.uniform(0, 2 * np.pi, n)
        self._vesicles = self._draw_vesicles()
        self._shape()

    def _draw_vesicles(self) -> Floats:
        """Return start, end, row of the cell, part of its outline and brightness of stained vesicles."""
        if not self._scene.cells.annexin_photons:
            return np.zeros((0, 5))
        rng, imaging = self._rng, self._scene.imaging
        end_s = imaging.frames * imaging.frame_interval_s
        mean = self._history.deaths.annexin_vesicles_per_cell * (end_s / VESICLE_S + 1)
        n = rng.poisson(mean * len(self._history.lives))
        start = rng.uniform(-VESICLE_S, end_s, n)
        row = rng.integers(0, max(len(self._history.lives), 1), n)
        return np.column_stack(
            [
                start,
                start + rng.exponential(VESICLE_S, n),
                row,
                rng.uniform(0, 1, n),
                rng.uniform(*VESICLE_PEAK, n),
            ]
        )

    def advance(self, time_s: float) -> Vitality:
        """Go on to `time_s` and return the looks; the field holds the outlines."""
        while self._time_s < time_s - 1e-6:
            step = min(LARGEST_STEP_S, time_s - self._time_s)
            self._field.advance(step)
            self._time_s += step
            self._bear(self._time_s - step)
            self._shape()
            self._drift(step)
        history, present = self._history, np.isfinite(self._field.outlines()[:, 0, 0])
        nuclei = {
            int(row): shape_nucleus(history.lives[row], history.traits[row], history.deaths, time_s)
            for row in np.flatnonzero(present)
        }
        return Vitality(nuclei, dye_cells(history.lives, history.deaths, time_s), tuple(self._blobs()))

    def _bear(self, before_s: float) -> None:
        """Put daughters in place that were born since `before_s`."""
        born: dict[int, int] = {}
        for row, life in enumerate(self._history.lives):
            if life.parent >= 0 and before_s < life.born_s <= self._time_s:
                sign = -1 if life.parent in born else 1
                born[life.parent] = row
                radius = float(self._field.whole_radii[life.parent])
                self._field.bear(row, life.parent, sign * parting(self._history.traits[life.parent], radius))

    def _shape(self) -> None:
        history = self._history
        forms = shape_cells(
            history.lives,
            history.traits,
            history.deaths,
            angles=self._field.angles,
            radii_um=self._field.whole_radii * self._scene.imaging.pixel_size_um,
            time_s=self._time_s,
        )
        self._field.take(forms)

    def _drift(self, step_s: float) -> None:
        self._heading += self._rng.normal(0, 0.5, self._heading.size)
        speed = DEBRIS_UM_MIN / 60 / self._scene.imaging.pixel_size_um * step_s
        self._debris += speed * np.column_stack([np.sin(self._heading), np.cos(self._heading)])

    def _blobs(self) -> list[Blob]:
        blobs = [
            Blob(place, float(sigma), DEBRIS_PEAK) for place, sigma in zip(self._debris, self._debris_px)
        ]
        outlines, now = self._field.outlines(), self._time_s
        width = self._scene.imaging.psf_sigma_um / self._scene.imaging.pixel_size_um
        there = (self._vesicles[:, 0] <= now) & (now < self._vesicles[:, 1])
        for _, _, row, part, peak in self._vesicles[there]:
            vertex = outlines[int(row), int(part * outlines.shape[1])]
            if np.isfinite(vertex).all():
                blobs.append(Blob(vertex, max(width, 0.8), {"annexin": float(peak)}))
        return blobs
