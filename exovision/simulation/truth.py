"""The truth of a simulated movie, gathered frame by frame, as the contract's tables."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.spatial import cKDTree

from exovision import schema
from exovision.numerics.distance import outline_distance
from exovision.numerics.psf import localisation_bound_px
from exovision.simulation import truth_fates
from exovision.simulation.lives import Life
from exovision.simulation.looks import Image
from exovision.simulation.optics import ExosomeLight
from exovision.simulation.particles import Particle
from exovision.simulation.scene import Scene
from exovision.simulation.sightings import Sighting
from exovision.simulation.truth_events import event_rows

LEAST_SNR = 1.5
LARGEST_BLUR = 1.5
"""Spots wider than this many PSF widths are out of focus or smeared, and do not count."""
NEIGHBOUR_PX = 9.0
LINK_PX = 6.0
DECOYS = {"stuck": "stuck", "dye": "dye", "lysosome": "lysosome"}

Floats = NDArray[np.float64]


@dataclass
class Truth:
    """What was where in each frame.

    Parameters
    ----------
    scene : Scene
    light : ExosomeLight
        Gives the light and width of each spot.
    cell_ids : ndarray of shape (N,)
        The id of each row of the outlines.
    lives : sequence of Life, optional
        What became of each row's cell; empty where all live throughout.
    """

    scene: Scene
    light: ExosomeLight
    cell_ids: NDArray[np.int32]
    lives: Sequence[Life] = ()
    times_s: list[float] = field(default_factory=list)
    _spots: list[dict[str, Any]] = field(default_factory=list)
    _cells: list[pd.DataFrame] = field(default_factory=list)
    _decoys: list[dict[str, Any]] = field(default_factory=list)
    _exosomes: list[Particle] = field(default_factory=list)

    def add(
        self, sightings: Sequence[Sighting], outlines: Floats, labels: NDArray[np.int32], background: Image
    ) -> None:
        """Note one frame: outlines (N, K, 2), px; labels (Y, X); light without vesicles (Y, X), electrons."""
        frame = len(self.times_s)
        self.times_s.append(frame * self.scene.imaging.frame_interval_s)
        self._cells.append(self._measure(outlines, labels, frame))
        seen = [sighting for sighting in sightings if _in_view(sighting, labels.shape)]
        places = np.array([sighting.places_px.mean(axis=0) for sighting in seen]).reshape(-1, 2)
        cells, distances = self._place(seen, places, outlines)
        for sighting, place, cell, distance in zip(seen, places, cells, distances):
            particle = sighting.particle
            if particle.kind in DECOYS:
                self._decoys.append(
                    {"frame": frame, "y_px": place[0], "x_px": place[1], "kind": DECOYS[particle.kind]}
                )
            if particle.kind != "lysosome" and particle.exosome_id is None:
                self._exosomes.append(particle)
                particle.exosome_id = len(self._exosomes)
            row = self._row(sighting, place, background)
            self._spots.append({"frame": frame, "cell_id": cell, "membrane_distance_um": distance, **row})

    def add_passing(self, passing: Floats, outlines: Floats, background: Image) -> None:
        """Note the free vesicles of the same frame: y, x in px, electrons and width in px, shape (M, 4)."""
        inside = ((passing[:, :2] >= -0.5) & (passing[:, :2] < np.array(background.shape) - 0.5)).all(axis=1)
        passing = passing[inside]
        owner, distance = _nearest(passing[:, :2], outlines)
        for (y, x, light, sigma), cell, away in zip(passing, owner, distance):
            brightness = self._brightness(y, x, light, sigma, background)
            self._spots.append(
                {
                    "frame": len(self.times_s) - 1,
                    "y_px": y,
                    "x_px": x,
                    **brightness,
                    "cell_id": self._id(cell),
                    "membrane_distance_um": away * self.scene.imaging.pixel_size_um,
                    "state": "free",
                    "ignore": True,
                }
            )

    def _row(self, sighting: Sighting, place: Floats, background: Image) -> dict[str, Any]:
        sharp = self.scene.imaging.psf_sigma_um / self.scene.imaging.pixel_size_um
        smear = float(sighting.places_px.std(axis=0).max())
        sigma = math.hypot(self.light.sigma_px(sighting), smear)
        brightness = self._brightness(place[0], place[1], self.light.electrons(sighting), sigma, background)
        return {
            "y_px": place[0],
            "x_px": place[1],
            **brightness,
            "exosome_id": sighting.particle.exosome_id,
            "state": sighting.state,
            "ignore": sighting.particle.kind == "lysosome"
            or sighting.spent
            or brightness["snr"] < LEAST_SNR
            or sigma > LARGEST_BLUR * sharp,
        }

    def _brightness(
        self, y: float, x: float, light: float, sigma: float, background: Image
    ) -> dict[str, Any]:
        camera = self.scene.camera
        rows, columns = background.shape
        local = float(background[min(max(round(y), 0), rows - 1), min(max(round(x), 0), columns - 1)])
        peak = light / (2 * math.pi * sigma**2)
        return {
            "photons": light,
            "counts": light / camera.electrons_per_count,
            "background": local / camera.electrons_per_count,
            "sigma_px": sigma,
            "snr": peak / math.sqrt(peak + local + camera.read_noise_electrons**2),
            "crlb_px": math.inf
            if light <= 0
            else localisation_bound_px(
                light,
                sigma_px=sigma,
                background=local,
                read_noise=camera.read_noise_electrons,
                phase=float(y - round(y)),
            ),
        }

    def _place(
        self, seen: Sequence[Sighting], places: Floats, outlines: Floats
    ) -> tuple[list[int | None], Floats]:
        """Return the cell of each spot, its own where it rides on one, and the signed distance, µm."""
        owner, distance = _nearest(places, outlines)
        for row, sighting in enumerate(seen):
            own = sighting.particle.cell
            if own >= 0:
                _, away = _nearest(places[row : row + 1], outlines[own : own + 1])
                owner[row], distance[row] = own, away[0]
        return [self._id(cell) for cell in owner], distance * self.scene.imaging.pixel_size_um

    def _id(self, row: int) -> int | None:
        return int(self.cell_ids[row]) if row >= 0 else None

    def _measure(self, outlines: Floats, labels: NDArray[np.int32], frame: int) -> pd.DataFrame:
        pixel = self.scene.imaging.pixel_size_um
        present = np.isin(self.cell_ids, labels)
        edge = np.unique(np.concatenate([labels[0], labels[-1], labels[:, 0], labels[:, -1]]))
        here = outlines[present]
        after = np.roll(here, -1, axis=1)
        cross = here[..., 1] * after[..., 0] - here[..., 0] * after[..., 1]
        area = cross.sum(axis=1) / 2
        centre = ((here + after) * cross[..., None]).sum(axis=1) / (6 * area[:, None])
        return pd.DataFrame(
            {
                "frame": frame,
                "time_s": self.times_s[-1],
                "cell_id": self.cell_ids[present],
                "y_um": centre[:, 0] * pixel,
                "x_um": centre[:, 1] * pixel,
                "area_um2": np.abs(area) * pixel**2,
                "perimeter_um": np.sqrt(((after - here) ** 2).sum(axis=2)).sum(axis=1) * pixel,
                "touches_border": np.isin(self.cell_ids[present], edge),
                **truth_fates.state_columns(self.lives, np.flatnonzero(present), self.times_s[-1]),
            }
        )

    def tables(self) -> dict[str, pd.DataFrame]:
        """Return `spots exosomes events cells fates decoys`, named and typed as in the contract."""
        spots = _finish_spots(pd.DataFrame(self._spots), self.times_s, self.scene)
        events = event_rows(spots, self._exosomes, self.times_s, self.scene)
        cells = _count_events(pd.concat(self._cells, ignore_index=True), events)
        return {
            "spots": schema.conform(spots, schema.TRUTH_SPOTS),
            "exosomes": _exosome_rows(spots, events, self._exosomes, self.scene),
            "events": events,
            "cells": schema.conform(cells, schema.CELLS),
            "fates": truth_fates.fate_rows(cells, self.cell_ids, self.lives, self.times_s),
            "decoys": schema.conform(pd.DataFrame(self._decoys), schema.DECOYS),
        }


def _in_view(sighting: Sighting, shape: tuple[int, ...]) -> bool:
    place = sighting.places_px.mean(axis=0)
    return bool(((place >= -0.5) & (place < np.array(shape) - 0.5)).all())


def _nearest(points: Floats, outlines: Floats) -> tuple[NDArray[np.int64], Floats]:
    """Return the row of the outline that each point belongs to (−1: none) and the signed distance, px."""
    rows = np.flatnonzero(np.isfinite(outlines).all(axis=(1, 2)))
    if not rows.size or not len(points):
        return np.full(len(points), -1, dtype=np.int64), np.full(len(points), np.nan)
    vertices = outlines[rows].reshape(-1, 2)
    starts = np.arange(rows.size + 1, dtype=np.int64) * outlines.shape[1]
    owner, distance, _, _ = outline_distance(points, vertices, starts, np.ones(len(vertices), dtype=bool))
    return rows[owner], distance


def _finish_spots(spots: pd.DataFrame, times_s: list[float], scene: Scene) -> pd.DataFrame:
    spots = schema.conform(spots, schema.TRUTH_SPOTS).sort_values(
        ["frame", "exosome_id", "y_px"], ignore_index=True
    )
    pixel = scene.imaging.pixel_size_um
    spots["time_s"] = np.array(times_s)[spots["frame"].to_numpy(dtype=int)]
    spots["y_um"], spots["x_um"] = spots["y_px"] * pixel, spots["x_px"] * pixel
    spots["isolated"] = _isolated(spots)
    spots["linkable"] = _linkable(spots)
    return spots


def _isolated(spots: pd.DataFrame) -> NDArray[np.bool_]:
    """Tell which spots have none but passing, blurred vesicles within 9 px."""
    alone = np.ones(len(spots), dtype=bool)
    solid = spots[spots["state"] != "free"] if len(spots) else spots
    for frame, rows in spots.groupby("frame").indices.items():
        others = solid[solid["frame"] == frame][["y_px", "x_px"]].to_numpy()
        if len(others):
            places = spots.iloc[rows][["y_px", "x_px"]].to_numpy()
            near = cKDTree(others).query_ball_point(places, NEIGHBOUR_PX, return_length=True)
            itself = (spots.iloc[rows]["state"] != "free").to_numpy(dtype=int)
            alone[rows] = near <= itself
    return alone


def _linkable(spots: pd.DataFrame) -> NDArray[np.bool_]:
    """Tell which spots of an exosome lie within 6 px of those in the frames before and after."""
    known = spots.dropna(subset=["exosome_id"]).sort_values(["exosome_id", "frame"])
    number = known["exosome_id"].to_numpy(dtype=np.int64)
    same = np.diff(number, prepend=-1) == 0
    step = np.linalg.norm(np.diff(known[["y_px", "x_px"]].to_numpy(), axis=0, prepend=np.nan), axis=1)
    far = same & (step > LINK_PX)
    loose = far | np.append(far[1:], False)
    linkable = np.zeros(len(spots), dtype=bool)
    linkable[known.index.to_numpy()[~loose]] = True
    return linkable


def _count_events(cells: pd.DataFrame, events: pd.DataFrame) -> pd.DataFrame:
    """Return the cells of each frame with the dockings there are, and the events there have been, so far."""
    counted = cells
    for kind, name in (("docking", "dockings"), ("fusion", "fusions"), ("uptake", "uptakes")):
        mine = events[events["kind"] == kind]
        pairs = (
            cells[["frame", "cell_id"]]
            .reset_index()
            .merge(mine[["cell_id", "start_frame", "end_frame"]].astype(int), on="cell_id")
        )
        so_far = pairs[pairs["frame"] >= pairs["start_frame"]]["index"].value_counts()
        if kind == "docking":
            now = pairs[pairs["frame"].between(pairs["start_frame"], pairs["end_frame"])]
            here = now["index"].value_counts()
            counted = counted.assign(docked_now=here.reindex(cells.index, fill_value=0))
        counted = counted.assign(**{f"{name}_so_far": so_far.reindex(cells.index, fill_value=0)})
    return counted


def _exosome_rows(
    spots: pd.DataFrame, events: pd.DataFrame, particles: Sequence[Particle], scene: Scene
) -> pd.DataFrame:
    vesicles = scene.exosomes
    diffusion = {
        "docked": vesicles.docked_diffusion_um2_s,
        "tethered": vesicles.tethered_diffusion_um2_s,
        "beneath": vesicles.beneath_diffusion_um2_s,
        "recycled": vesicles.docked_diffusion_um2_s,
    }
    kinds = {particle.exosome_id: particle.kind for particle in particles}
    last_s = spots["time_s"].max()
    merged = {
        particle.exosome_id: particle.absorbed is not None and particle.absorbed.end_s <= last_s
        for particle in particles
    }
    rows = (
        spots.dropna(subset=["exosome_id"])
        .groupby("exosome_id", as_index=False)
        .agg(
            first_frame=("frame", "min"),
            last_frame=("frame", "max"),
            n_spots=("frame", "size"),
            mean_counts=("counts", "mean"),
            min_membrane_distance_um=("membrane_distance_um", "min"),
        )
    )
    kind = rows["exosome_id"].map(kinds)
    rows["diffusion_um2_s"] = kind.map(diffusion).fillna(0.0)
    rows["comoving"] = kind.isin(["docked", "tethered", "beneath", "recycled"])
    rows["aggregate_probability"] = rows["exosome_id"].map(merged).astype(float)
    dockings = events[events["kind"] == "docking"].set_index("exosome_id")
    rows["dockings"] = rows["exosome_id"].isin(dockings.index).astype(int)
    for name, source in (
        ("cell_id", "cell_id"),
        ("dwell_s", "duration_s"),
        ("dwell_censored", "censored"),
        ("outcome", "cause"),
    ):
        rows[name] = rows["exosome_id"].map(dockings[source])
    return schema.conform(rows, schema.EXOSOMES)
