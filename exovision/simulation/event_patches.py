"""Patch sequences of single fates and of all their look-alikes, with known truth; many, without movies."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from exovision.errors import SettingsError
from exovision.simulation.fates import CHEMISTRIES
from exovision.simulation.scene import Camera
from exovision.simulation.single_events import KINDS, PatchConditions, SingleEvent

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class EventPatches:
    """Patch sequences and what is in them.

    Attributes
    ----------
    counts : ndarray of shape (N, T, C, P, P)
        Camera counts, float32, offset included; channels in the order of `roles`.
    roles : tuple of str
    times_s : ndarray of shape (N, T)
        Begin of each exposure, s; the event is at 0.
    places_px : ndarray of shape (N, T, 2)
        The vesicle, or the place where it was lost, (y, x) from the middle of the patch.
    truth : DataFrame
        A row per event: `kind cause diffusion_um2_s dequench_gain release_tau_s spread_fraction onset_frame`
        (the last frame before the event) `y_px x_px` (there) `normal_y normal_x` (outwards)
        `membrane_distance_um geometry` ("flat" or "edge") `frame_interval_s exposure_s photons
        content_photons background_photons identifiable`.
    """

    counts: NDArray[np.float32]
    roles: tuple[str, ...]
    times_s: Floats
    places_px: Floats
    truth: pd.DataFrame


def event_patches(rng: np.random.Generator, conditions: PatchConditions, count: int) -> EventPatches:
    """Render patch sequences of single events.

    Parameters
    ----------
    rng : numpy.random.Generator
    conditions : PatchConditions
    count : int
        Events.

    Returns
    -------
    EventPatches

    Raises
    ------
    SettingsError
        If a share is named that is no fate.
    """
    unknown = sorted(set(conditions.shares) - set(KINDS))
    if unknown:
        raise SettingsError(f"unknown fates {', '.join(unknown)}; known: {', '.join(KINDS)}")
    names = list(conditions.shares)
    weights = np.array([conditions.shares[name] for name in names])
    causes = rng.choice(names, count, p=weights / weights.sum())
    events = [SingleEvent(rng, conditions, str(cause)) for cause in causes]
    frames = conditions.before + conditions.after
    roles = tuple(CHEMISTRIES[conditions.labels.chemistry])
    shape = (count, frames, len(roles), conditions.size_px, conditions.size_px)
    counts = np.empty(shape, dtype=np.float32)
    for patch, event in zip(counts, events):
        patch[:] = _record(rng, event.electrons(), conditions.camera)
    return EventPatches(
        counts=counts,
        roles=roles,
        times_s=np.array([event.times_s for event in events]).reshape(count, frames),
        places_px=np.array([event.places_px for event in events]).reshape(count, frames, 2),
        truth=pd.DataFrame([event.facts() for event in events]),
    )


def _record(rng: np.random.Generator, electrons: Floats, camera: Camera) -> NDArray[np.float32]:
    caught = rng.poisson(electrons) + rng.normal(0, camera.read_noise_electrons, electrons.shape)
    return np.rint(camera.offset_counts + caught / camera.electrons_per_count).astype(np.float32)
