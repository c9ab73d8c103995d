"""A small movie of round cells, drawn here, with the tables and the summary that belong to it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd
import pytest

from exovision import schema
from exovision.events.find import find_events
from exovision.io.provenance import provenance
from exovision.records import ArrayLabels, ArraySource, Movie
from exovision.report.html import write_report
from exovision.settings import Settings

PIXEL_UM, INTERVAL_S, SE_PX = 0.1, 2.0, 0.2


class CountingSource(ArraySource):
    """Pixels that remember which planes were asked for."""

    def plane(self, t, c, z):
        READ.append((t, c))
        return super().plane(t, c, z)


READ: list[tuple[int, int]] = []


QUICK = Settings.from_mapping({"report": {"overlay_frames": 2, "kymographs": 2}})


@dataclass
class Study:
    """Cells in a row and exosomes that dock on them, or not."""

    n_frames: int = 60
    n_cells: int = 2
    n_docked: int = 3
    n_free: int = 4
    name: str = "small"
    radius_px: float = 30.0
    seed: int = 3
    settings: Settings = QUICK

    def __post_init__(self):
        rng = np.random.default_rng(self.seed)
        step = 0.05 * np.arange(self.n_frames)
        self.shape = (110, max(1, self.n_cells) * 90 + 20)
        self.centres = [np.stack([50 + step, 55 + 90 * i + step], axis=1) for i in range(self.n_cells)]
        self.times = np.arange(self.n_frames) * INTERVAL_S
        rows = [row for i in range(self.n_docked) for row in self._docked(rng, i)]
        rows += [row for i in range(self.n_free) for row in self._free(rng, self.n_docked + i)]
        self.given = pd.DataFrame(rows, columns=None if rows else list(schema.SPOTS))
        self.labels = ArrayLabels(np.stack([self._label(t) for t in range(self.n_frames)]))
        pixels = np.stack([self._draw(rng, t) for t in range(self.n_frames)])
        self.movie = Movie(
            name=self.name,
            shape=(self.n_frames, 2, 1, *self.shape),
            pixel_size_um=PIXEL_UM,
            times_s=np.stack([self.times, self.times], axis=1),
            channel_names=("DiD", "membrane"),
            roles={"exosome": 0, "cell": 1},
            source=CountingSource(pixels[:, :, None]),
            notes=("pixel size of the file overridden: 0.1 um",),
        )
        self._analyse()

    def _docked(self, rng, i):
        start = 5 + 4 * i
        stop = self.n_frames if i % 3 == 2 else min(self.n_frames, start + 20 + 3 * i)
        angle = rng.uniform(0, 2 * np.pi)
        for t in range(start, stop):
            reach = self.radius_px + rng.normal(0, 0.3)
            centre = self.centres[i % self.n_cells][t]
            yield self._spot(rng, i + 1, t, centre + reach * np.array([np.sin(angle), np.cos(angle)]))
        for t in range(stop, min(stop + 6, self.n_frames)):
            reach = self.radius_px + 6 + 2 * (t - stop)
            centre = self.centres[i % self.n_cells][t]
            yield self._spot(rng, i + 1, t, centre + reach * np.array([np.sin(angle), np.cos(angle)]))

    def _free(self, rng, i):
        at = np.array([100.0, rng.uniform(5, self.shape[1] - 5)])
        for t in range(self.n_frames):
            at = np.clip(at + rng.normal(0, 0.8, 2), [92, 3], [106, self.shape[1] - 4])
            yield self._spot(rng, i + 1, t, at)

    def _spot(self, rng, exosome, t, at):
        seen = at + rng.normal(0, SE_PX, 2)
        away = [np.hypot(*(at - path[t])) - self.radius_px for path in self.centres]
        nearest = int(np.argmin(away)) if away else 0
        return {
            "frame": t,
            "time_s": self.times[t],
            "y_px": seen[0],
            "x_px": seen[1],
            "y_um": seen[0] * PIXEL_UM,
            "x_um": seen[1] * PIXEL_UM,
            "y_se_px": SE_PX,
            "x_se_px": SE_PX,
            "counts": 900.0 * np.exp(-self.times[t] / 300) * rng.lognormal(0, 0.1),
            "background": 100.0,
            "sigma_px": 1.4,
            "probability": 0.98,
            "exosome_id": exosome,
            "cell_id": nearest + 1 if away else None,
            "membrane_distance_um": away[nearest] * PIXEL_UM if away else None,
        }

    def _label(self, t):
        y, x = np.indices(self.shape)
        image = np.zeros(self.shape, dtype=np.int32)
        for i, path in enumerate(self.centres):
            image[np.hypot(y - path[t, 0], x - path[t, 1]) < self.radius_px] = i + 1
        return image

    def _draw(self, rng, t):
        y, x = np.indices(self.shape)
        exosome, cell = np.full((2, *self.shape), 100.0)
        for path in self.centres:
            away = np.hypot(y - path[t, 0], x - path[t, 1]) - self.radius_px
            cell += 250 * np.exp(-(away**2) / 8) + 60 * (away < 0)
        now = self.given[self.given["frame"] == t]
        for at_y, at_x, counts in now[["y_px", "x_px", "counts"]].to_numpy(dtype=float):
            spot = np.exp(-((y - at_y) ** 2 + (x - at_x) ** 2) / (2 * 1.4**2))
            exosome += counts / (2 * np.pi * 1.4**2) * spot
        return rng.poisson(np.stack([exosome, cell])).astype(np.uint16)

    def _analyse(self):
        ids = np.arange(1, self.n_cells + 1)
        cells = pd.DataFrame(
            [
                {
                    "frame": t,
                    "time_s": self.times[t],
                    "cell_id": i + 1,
                    "y_um": path[t, 0] * PIXEL_UM,
                    "x_um": path[t, 1] * PIXEL_UM,
                }
                for i, path in enumerate(self.centres)
                for t in range(self.n_frames)
            ],
            columns=None if self.n_cells else list(schema.CELLS),
        )
        self.tables = find_events(
            schema.conform(self.given, schema.SPOTS).sort_values("frame", kind="stable", ignore_index=True),
            pd.DataFrame({"exosome_id": pd.unique(self.given["exosome_id"])}),
            schema.conform(cells, schema.CELLS),
            schema.conform(
                pd.DataFrame({"cell_id": ids, "first_frame": 0, "last_frame": self.n_frames - 1}),
                schema.FATES,
            ),
            times_s=self.times,
            drift_um=np.zeros((self.n_frames, 2)),
            pixel_size_um=PIXEL_UM,
            settings=self.settings.events,
            zone_areas=pd.DataFrame({"cell_id": ids, "band_um2": 11.0, "ring_um2": 62.0}),
        )
        self.summary = self.tables.summary | {"cell_diameter_um": 6.0, "psf_sigma_um": 0.14, "notes": []}
        self.corrections = {
            "drift": {
                "applied": True,
                "px": np.outer(self.times, [0.004, -0.002]).tolist(),
                "notes": ["frame 7 could not be registered"],
            },
            "bleaching": {
                "applied": True,
                "tau_s": 300.0,
                "factor": np.exp(-self.times / 300).tolist(),
                "notes": ["brightness corrected for bleaching"],
            },
        }

    def provenance(self):
        return provenance(
            self.movie, self.settings, device="cpu", seconds=1.5, corrections=self.corrections, key="k"
        )

    def write(self, folder, **changes):
        """Write the report and return its text."""
        folder.mkdir(exist_ok=True)
        READ.clear()
        given = {
            "movie": self.movie,
            "labels": self.labels,
            "spots": self.tables.spots,
            "exosomes": self.tables.exosomes,
            "events": self.tables.events,
            "cells": self.tables.cells,
            "fates": self.tables.fates,
            "summary": self.summary,
            "settings": self.settings,
            "provenance": self.provenance(),
            "corrections": self.corrections,
        }
        report = write_report(folder, **(given | changes))
        assert report == folder / "report.html"
        return report.read_text(encoding="utf-8")

    @property
    def frames_read(self):
        """Frames of which any channel was read since the report was begun."""
        return {t for t, _ in READ}


@pytest.fixture(scope="session")
def study():
    """The class: `study(n_cells=0)` makes another movie."""
    return Study


@pytest.fixture(scope="session")
def small(study):
    """Two cells, three dockings."""
    return study()
