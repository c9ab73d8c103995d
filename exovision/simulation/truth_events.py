"""True dockings and how they ended, from the plan of each exosome and what could be seen of it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd

from exovision import schema
from exovision.simulation.particles import Particle
from exovision.simulation.scene import Scene

OPTIONAL_S, OPTIONAL_FRAMES = 10.0, 3
STILL_THERE_UM = 0.5
"""An exosome that leaves is taken for docked by any observer until it is this far away."""
LEAST_SEEN = 0.5


def docking_rows(
    spots: pd.DataFrame, exosomes: Sequence[Particle], times_s: Sequence[float], scene: Scene
) -> pd.DataFrame:
    """List every docking that was in view and, if it ended in view, the event that ended it.

    Parameters
    ----------
    spots : DataFrame
        The truth of all spots, with `exosome_id`.
    exosomes : sequence of Particle
        Exosome number i + 1 is at i.
    times_s : sequence of float
        Of the frames, s.
    scene : Scene

    Returns
    -------
    DataFrame
        Columns of `schema.TRUTH_EVENTS`, in order of time.
    """
    tracks = dict(tuple(spots.dropna(subset=["exosome_id"]).groupby("exosome_id")))
    rows: list[dict[str, Any]] = []
    for number, particle in enumerate(exosomes, start=1):
        track = tracks[number]
        docked = track[(track["state"] == "docked") & (track["time_s"] <= particle.end_s)]
        if particle.kind == "docked" and len(docked):
            docking = _docking(particle, docked, times_s, scene)
            docking["alt_end_frame"] = _last_seen(track)
            rows += [docking, *_end(particle, docking)]
    table = schema.conform(pd.DataFrame(rows), schema.TRUTH_EVENTS)
    table = table.sort_values(["start_frame", "exosome_id", "kind"], ignore_index=True)
    table["event_id"] = pd.array(np.arange(1, len(table) + 1), dtype="Int64")
    return table


def _docking(
    particle: Particle, docked: pd.DataFrame, times_s: Sequence[float], scene: Scene
) -> dict[str, Any]:
    first, last = docked.iloc[0], docked.iloc[-1]
    interval = scene.imaging.frame_interval_s
    left = bool(first["time_s"] - particle.start_s > interval) or first["frame"] == 0
    right = bool(particle.end_s - last["time_s"] > interval) or last["frame"] == len(times_s) - 1
    start = first["time_s"] if left else particle.start_s
    end = last["time_s"] if right else particle.end_s
    counted = ~docked["ignore"].to_numpy(dtype=bool)
    short = end - start < max(OPTIONAL_S, OPTIONAL_FRAMES * interval)
    return {
        "kind": "docking",
        "exosome_id": particle.exosome_id,
        "cell_id": last["cell_id"],
        "start_frame": first["frame"],
        "end_frame": last["frame"],
        "start_s": start,
        "end_s": end,
        "duration_s": end - start,
        "censored": {(0, 0): "none", (1, 0): "left", (0, 1): "right", (1, 1): "both"}[left, right],
        "y_um": docked["y_um"].mean(),
        "x_um": docked["x_um"].mean(),
        "membrane_distance_um": docked["membrane_distance_um"].mean(),
        "probability": 1.0,
        "identifiable": True,
        "optional": short or counted.mean() < LEAST_SEEN,
        "cause": "movie_end" if right else particle.cause,
    }


def _last_seen(track: pd.DataFrame) -> Any:
    """Return the last frame in which it can be seen near the membrane."""
    near = track["membrane_distance_um"].abs() < STILL_THERE_UM
    seen = track[near & ~track["ignore"].astype(bool)]
    return seen["frame"].iloc[-1] if len(seen) else pd.NA


def _end(particle: Particle, docking: dict[str, Any]) -> list[dict[str, Any]]:
    """Return the event that ends a docking, none if its end was not in view."""
    if docking["censored"] in ("right", "both"):
        return []
    kind = "detachment" if particle.leaves_visibly else "loss_unresolved"
    shared = {name: value for name, value in docking.items() if name not in ("duration_s", "censored")}
    return [
        {
            **shared,
            "kind": kind,
            "identifiable": particle.leaves_visibly,
            "start_frame": docking["end_frame"],
            "start_s": docking["end_s"],
            "duration_s": 0.0,
            "censored": "none",
            f"p_{particle.cause}": 1.0,
        }
    ]
