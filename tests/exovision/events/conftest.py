"""A world of round, moving cells and exosomes as tables: what the events wing is given, with truth."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import pandas as pd
import pytest

from exovision import schema
from exovision.events.find import find_events
from exovision.settings import EventSettings

PIXEL_UM = 0.108


@dataclass
class World:
    """Cells on a square lattice; exosomes are added kind by kind."""

    seed: int
    frames: int = 150
    interval_s: float = 2.0
    n_side: int = 3
    radius_um: float = 8.0
    speed_um_min: float = 0.3
    se_um: float = 0.03
    outline_um: float = 0.1
    bias_um: float = 0.0
    jitter_um: float = 0.08
    seen: float = 0.95
    drift_um_min: float = 0.05
    missing: tuple = ()
    rows: list[dict] = field(default_factory=list)
    truth: list[dict] = field(default_factory=list)
    ids: int = 0

    def __post_init__(self) -> None:
        self.rng = np.random.default_rng(self.seed)
        self.times = np.arange(self.frames) * self.interval_s
        lattice = 14 + 26 * np.indices((self.n_side, self.n_side)).reshape(2, -1).T.astype(float)
        heading = np.cumsum(self.rng.normal(0, 0.08, (len(lattice), self.frames)), axis=1)
        heading += self.rng.uniform(0, 2 * np.pi, (len(lattice), 1))
        step = self.speed_um_min / 60 * self.interval_s
        moves = step * np.stack([np.sin(heading), np.cos(heading)], axis=2)
        self.centre = lattice[:, None] + np.cumsum(moves, axis=1)
        self.phase = self.rng.uniform(0, 2 * np.pi, len(lattice))
        self.drift = np.outer(self.times / 60 * self.drift_um_min, [0.8, -0.6])

    def radius(self, cell, angle, t):
        """The outline breathes: two lobes of 0.15 µm that turn slowly."""
        return self.radius_um + 0.15 * np.sin(2 * angle + self.phase[cell] + 2 * np.pi * self.times[t] / 90)

    def on_membrane(self, cell, angle, t, offset=0.0):
        reach = self.radius(cell, angle, t) + offset
        return self.centre[cell, t] + np.stack([reach * np.sin(angle), reach * np.cos(angle)], axis=-1)

    def wander(self, n, d, start=0.0):
        return start + np.cumsum(self.rng.normal(0, np.sqrt(2 * d * self.interval_s), n))

    def dock(self, start, length, *, d=0.01, leave=0, kind="docked", cell=None):
        cell = int(self.rng.integers(len(self.centre))) if cell is None else cell
        t = np.arange(max(start, 0), min(start + length, self.frames))
        angle = self.wander(len(t), d) / self.radius_um + self.rng.uniform(0, 2 * np.pi)
        at = self.on_membrane(cell, angle, t, self.rng.normal(0, 0.04))
        if leave and t[-1] + leave < self.frames:
            out = np.arange(t[-1] + 1, t[-1] + 1 + leave)
            away = 0.1 * self.interval_s * np.arange(1, leave + 1) + self.wander(leave, 0.02)
            at = np.concatenate([at, self.on_membrane(cell, angle[-1], out, 0.2 + np.abs(away))])
            end, t = t[-1], np.concatenate([t, out])
        else:
            leave, end = 0, t[-1]
        exosome = self.add(t, at)
        if kind == "docked":
            self.truth.append(
                {
                    "exosome_id": exosome,
                    "cell_id": cell + 1,
                    "start_frame": max(start, 0),
                    "end_frame": int(end),
                    "left": start < 0,
                    "right": start + length > self.frames,
                    "leaves": bool(leave),
                }
            )
        return exosome

    def stick(self, at_um):
        """Fixed to the stage throughout."""
        return self.add(
            np.arange(self.frames), np.repeat(np.asarray(at_um, float)[None], self.frames, axis=0)
        )

    def stick_near(self, cell, offset_um, angle=None):
        angle = self.rng.uniform(0, 2 * np.pi) if angle is None else angle
        return self.stick(self.on_membrane(cell, np.array(angle), self.frames // 2, offset_um))

    def beneath(self, cell):
        t = np.arange(self.frames)
        at = self.centre[cell] + self.rng.uniform(-4, 4, 2)
        at = at + np.stack([self.wander(len(t), 0.003), self.wander(len(t), 0.003)], axis=1)
        return self.add(t, at)

    def add(self, t, at):
        """Record spots with errors; a gap of more than two frames begins a new exosome."""
        self.ids += 1
        first, last = self.ids, None
        slow = self.rng.normal(0, self.outline_um)
        for frame, (y, x) in zip(t.tolist(), at):
            if self.rng.random() > self.seen or frame in self.missing:
                continue
            if last is not None and frame - last > 3:
                self.ids += 1
            last = frame
            away = np.hypot(*(np.array([y, x]) - self.centre[:, frame]).T)
            cell = int(away.argmin())
            angle = np.arctan2(y - self.centre[cell, frame, 0], x - self.centre[cell, frame, 1])
            distance = away[cell] - self.radius(cell, angle, frame)
            noise = self.rng.normal(0, [self.se_um, self.se_um, self.jitter_um])
            seen_at = np.array([y, x]) + self.drift[frame] + noise[:2]
            self.rows.append(
                {
                    "frame": frame,
                    "time_s": self.times[frame],
                    "y_um": seen_at[0],
                    "x_um": seen_at[1],
                    "y_px": seen_at[0] / PIXEL_UM,
                    "x_px": seen_at[1] / PIXEL_UM,
                    "y_se_px": self.se_um / PIXEL_UM,
                    "x_se_px": self.se_um / PIXEL_UM,
                    "counts": 500 * self.rng.lognormal(0, 0.1),
                    "sigma_px": 1.2 + self.rng.normal(0, 0.05),
                    "probability": 0.99,
                    "exosome_id": self.ids,
                    "cell_id": cell + 1,
                    "membrane_distance_um": distance + self.bias_um + slow + noise[2],
                    "contour_um": self.radius_um * (angle % (2 * np.pi)),
                }
            )
        return first

    def forget(self, exosome_id, frames):
        """Lose the spots of an exosome in some frames."""
        self.rows = [r for r in self.rows if r["exosome_id"] != exosome_id or r["frame"] not in frames]

    def change(self, exosome_id, frames, **values):
        """Exchange values of an exosome's spots in some frames."""
        for row in self.rows:
            if row["exosome_id"] == exosome_id and row["frame"] in frames:
                row.update(values)

    def tables(self):
        rng = np.random.default_rng(self.seed + 1)
        spots = pd.DataFrame(self.rows, columns=None if self.rows else list(schema.SPOTS))
        spots = schema.conform(spots, schema.SPOTS).sort_values("frame", kind="stable", ignore_index=True)
        cells = pd.concat(
            [
                pd.DataFrame(
                    {
                        "frame": np.arange(self.frames),
                        "time_s": self.times,
                        "cell_id": cell + 1,
                        "y_um": path[:, 0] + self.drift[:, 0] + rng.normal(0, 0.07, self.frames),
                        "x_um": path[:, 1] + self.drift[:, 1] + rng.normal(0, 0.07, self.frames),
                    }
                )
                for cell, path in enumerate(self.centre)
            ]
        )
        ids = np.arange(1, len(self.centre) + 1)
        fates = pd.DataFrame({"cell_id": ids, "first_frame": 0, "last_frame": self.frames - 1})
        r = self.radius_um
        ring = np.pi * ((r + 3) ** 2 - (r + 1) ** 2)
        zones = pd.DataFrame({"cell_id": ids, "band_um2": 2 * np.pi * r * 0.6, "ring_um2": ring})
        exosomes = pd.DataFrame({"exosome_id": spots["exosome_id"].dropna().unique()})
        return (
            spots,
            exosomes,
            schema.conform(cells, schema.CELLS),
            schema.conform(fates, schema.FATES),
            zones,
        )

    def find(self, settings=None, reverse=False):
        spots, exosomes, cells, fates, zones = self.tables()
        drift, times = self.drift, self.times.copy()
        times[list(self.missing)] = np.nan
        if reverse:
            last = self.frames - 1
            spots, cells = (table.assign(frame=last - table["frame"]) for table in (spots, cells))
            drift, times = drift[::-1], times[-1] - times[::-1]
        return find_events(
            spots,
            exosomes,
            cells,
            fates,
            times_s=times,
            drift_um=drift,
            pixel_size_um=PIXEL_UM,
            settings=settings or EventSettings(),
            zone_areas=zones,
        )


@pytest.fixture
def world():
    """Make a world: `world(seed, **parameters)`."""
    return World
