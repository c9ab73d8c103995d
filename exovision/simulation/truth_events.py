"""True events, from the plan of each exosome and what could be seen of it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd

from exovision import schema
from exovision.simulation.identifiable import View, identifiable, merger_identifiable
from exovision.simulation.particles import Particle
from exovision.simulation.release import Optics
from exovision.simulation.scene import Scene

OPTIONAL_S, OPTIONAL_FRAMES = 10.0, 3
STILL_THERE_UM = 0.5
"""An exosome that leaves is taken for docked by any observer until it is this far away."""
LEAST_SEEN = 0.5
SURFING_PATH_UM = 1.0
"""The way of a surfing exosome must be this long to count."""
KINDS = {
    "fused": "fusion",
    "hemifused": "hemifusion",
    "kiss_and_run": "kiss_and_run",
    "taken_up": "uptake",
    "aggregated": "aggregation",
}


def event_rows(
    spots: pd.DataFrame, exosomes: Sequence[Particle], times_s: Sequence[float], scene: Scene
) -> pd.DataFrame:
    """List every docking that was in view, the event that ended it in view, and all other events.

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
        Columns of `schema.TRUTH_EVENTS`, in order of time. Exosomes on membrane that faces the camera lie
        inside the outline and are no dockings, but their fates are events.
    """
    tracks = dict(tuple(spots.dropna(subset=["exosome_id"]).groupby("exosome_id")))
    rows: list[dict[str, Any]] = []
    for number, particle in enumerate(exosomes, start=1):
        track = tracks[number]
        rows += _ways(particle, track)
        state = "under_projection" if particle.flat else "docked"
        docked = track[(track["state"] == state) & (track["time_s"] <= particle.end_s)]
        if particle.kind == "docked" and len(docked):
            docking = _docking(particle, docked, times_s, scene)
            docking["alt_end_frame"] = _last_seen(track)
            rows += [] if particle.flat else [docking]
            rows += _end(particle, docking, docked, times_s, scene)
            rows += _remnant_loss(particle, docking, track, times_s)
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


def _end(
    particle: Particle,
    docking: dict[str, Any],
    docked: pd.DataFrame,
    times_s: Sequence[float],
    scene: Scene,
) -> list[dict[str, Any]]:
    """Return the event that ends a docking, none if its end was not in view."""
    if docking["censored"] in ("right", "both"):
        return []
    cause = particle.cause
    unseen = "detachment" if particle.leaves_visibly else "loss_unresolved"
    told: bool | None = particle.leaves_visibly
    if cause in KINDS:
        told = _identifiable(particle, docked, times_s, scene)
    row = _moment(docking, KINDS.get(cause, unseen), docking["end_frame"], docking["end_s"])
    return [row | {"identifiable": told, f"p_{cause}": 1.0} | _facts(particle)]


def _moment(docking: dict[str, Any], kind: str, frame: int, time_s: float) -> dict[str, Any]:
    """Return the row of an event that happens to a docked exosome at a moment."""
    return {
        **docking,
        "kind": kind,
        "start_frame": frame,
        "end_frame": frame,
        "start_s": time_s,
        "end_s": time_s,
        "duration_s": 0.0,
        "censored": "none",
    }


def _facts(particle: Particle) -> dict[str, float]:
    """Return the true diffusion, gain, release time and fraction of the label of the exosome channel."""
    release = particle.course.releases.get("exosome")
    if release is None:
        gain = particle.course.plateau_gain
        return {"dequench_gain": gain} if gain != 1.0 else {}
    return {
        "diffusion_um2_s": release.diffusion_um2_s,
        "dequench_gain": release.gain,
        "release_tau_s": release.tau_s,
        "spread_fraction": release.fraction,
    }


def _identifiable(
    particle: Particle, docked: pd.DataFrame, times_s: Sequence[float], scene: Scene
) -> bool | None:
    imaging, camera, labels = scene.imaging, scene.camera, scene.exosomes.labels
    last = docked.iloc[-1]
    later = np.array([t for t in times_s if t > particle.end_s])
    dimmed = last["photons"] / particle.photons
    content = camera.quantum_efficiency * labels.content_background_photons
    view = View(
        optics=Optics(
            imaging.pixel_size_um, imaging.psf_sigma_um, imaging.psf_sigma_z_um, imaging.exposure_s
        ),
        ages_s=later - particle.end_s,
        electrons={"exosome": float(last["photons"]), "content": float(dimmed * particle.content_photons)},
        background={"exosome": float(last["background"]) * camera.electrons_per_count, "content": content},
        read_noise=camera.read_noise_electrons,
        flat=particle.flat,
    )
    if particle.partner is not None:
        return merger_identifiable(view.electrons["exosome"], float(particle.partner.photons * dimmed), view)
    return identifiable(particle.cause, particle.course, labels, view)


def _remnant_loss(
    particle: Particle, docking: dict[str, Any], track: pd.DataFrame, times_s: Sequence[float]
) -> list[dict[str, Any]]:
    """Return the loss of what hemifusion or kiss-and-run left, if it was in view."""
    gone_s = particle.end_s + particle.course.remnant_s
    seen = track[track["time_s"] < gone_s]
    if not particle.course.remnant_s or docking["censored"] in ("right", "both") or gone_s >= times_s[-1]:
        return []
    if seen["frame"].iloc[-1] <= docking["end_frame"]:
        return []
    row = _moment(docking, "loss_unresolved", seen["frame"].iloc[-1], gone_s)
    return [row | {"identifiable": False, "cause": "bleached", "p_bleached": 1.0}]


def _ways(particle: Particle, track: pd.DataFrame) -> list[dict[str, Any]]:
    """Return the way on which an exosome surfs to a cell, and the moment when label is back from inside."""
    coming = track[track["time_s"] < particle.start_s]
    if not particle.path_um or not len(coming):
        return []
    recycled = particle.kind == "recycled"
    arrived = len(coming) < len(track)
    if recycled and not arrived:
        return []
    first, last = coming.iloc[-1 if recycled else 0], coming.iloc[-1]
    seen_s = last["time_s"] - first["time_s"]
    steps = track["time_s"].diff().median() if len(track) > 1 else np.inf
    left = not recycled and bool(first["time_s"] - particle.sets_out_s > steps)
    hidden = float(coming["ignore"].astype(bool).mean()) > LEAST_SEEN
    return [
        {
            "kind": "recycling" if recycled else "surfing",
            "exosome_id": particle.exosome_id,
            "cell_id": last["cell_id"],
            "start_frame": first["frame"],
            "end_frame": last["frame"],
            "start_s": first["time_s"] if left or recycled else particle.sets_out_s,
            "end_s": particle.start_s if arrived else last["time_s"],
            "duration_s": 0.0 if recycled else seen_s,
            "censored": {(0, 0): "none", (1, 0): "left", (0, 1): "right", (1, 1): "both"}[left, not arrived],
            "y_um": coming["y_um"].mean(),
            "x_um": coming["x_um"].mean(),
            "membrane_distance_um": coming["membrane_distance_um"].mean(),
            "probability": 1.0,
            "identifiable": True,
            "optional": hidden or (not recycled and seen_s * particle.speed_um_s < SURFING_PATH_UM),
        }
    ]
