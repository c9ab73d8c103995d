"""Moments of single simulated events, examined as the analysis does: examples without movies."""

from __future__ import annotations

import numpy as np

from exovision.events.chemistry import CHEMISTRIES, Dye
from exovision.events.examples import examine, picture
from exovision.events.sequences import PatchSequence
from exovision.events.weighing import REST, SPECIAL, model_ratio
from exovision.simulation.event_patches import EventPatches, event_patches
from exovision.simulation.scene import Labels
from exovision.simulation.single_events import PatchConditions
from exovision.training.event_examples import EventExamples

ERROR_PX = 0.1
BLEACH_FRAMES = 1500.0
REMAINING = ("hemifused", "kiss_and_run", "unchanged", "aggregated", "left_focus", "taken_up")
"""Causes after which the tracker still sees where the exosome is."""
CHEMISTRY_NAMES = ("lipid_dye", "lipid_dye", "dual", "phluorin", "protein_tag", "unknown")
SHARES = {
    "fused": 2.5,
    "hemifused": 1.2,
    "kiss_and_run": 1.0,
    "taken_up": 0.7,
    "aggregated": 1.0,
    "leaving": 1.2,
    "detached": 1.0,
    "bleached": 1.0,
    "left_focus": 1.0,
    "unchanged": 1.0,
}
"""Relative numbers of the causes; the network's answer is divided by the shares of its classes."""


def single_moments(rng: np.random.Generator, count: int, group: str) -> EventExamples:
    """Simulate events of one kind of labelling, timing and light, and examine them.

    Parameters
    ----------
    rng : numpy.random.Generator
    count : int
    group : str
        Name of the set.

    Returns
    -------
    EventExamples
    """
    name = str(rng.choice(CHEMISTRY_NAMES))
    chemistry = CHEMISTRIES[name]
    before = int(rng.integers(8, 17))
    conditions = PatchConditions(
        labels=Labels(
            chemistry="lipid_dye" if name == "unknown" else name,
            lipid_diffusion_um2_s=(0.15, 2.0),
            protein_diffusion_um2_s=(0.05, 0.4),
            quench=(0.0, 0.85),
            release_tau_s=(0.02, 3.0),
        ),
        shares=SHARES,
        before=before,
        after=int(rng.integers(8, 20)),
        frame_interval_s=(float(np.exp(rng.uniform(np.log(0.05), np.log(1.5)))),) * 2,
        photons=(80.0, 800.0),
        bleach_tau_frames=(300.0, 3000.0),
    )
    patches = event_patches(rng, conditions, count)
    pixel = conditions.pixel_size_um
    parts = [cut_sequences(patches, i, rng, conditions, chemistry.dye) for i in range(count)]
    moments = [examine(part, chemistry.dye, pixel_size_um=pixel) for part in parts]
    causes = patches.truth["cause"].to_numpy(dtype=np.str_)
    return EventExamples(
        pictures=np.stack([picture(moment, chemistry.dye, pixel_size_um=pixel) for moment in moments]).astype(
            np.float16
        ),
        classes=np.where(np.isin(causes, SPECIAL), causes, REST).astype(np.str_),
        ratios=np.array([model_ratio(moment) for moment in moments]),
        groups=np.full(count, group),
    )


def cut_sequences(
    patches: EventPatches, i: int, rng: np.random.Generator, conditions: PatchConditions, dye: Dye
) -> dict[str, PatchSequence]:
    """Return the patch sequences of one event by role, as the analysis would cut them.

    Positions are those of the simulator with an error of 0.1 px, as long as there is a vesicle; other
    exosomes are not masked.

    Parameters
    ----------
    patches : EventPatches
    i : int
        Row.
    rng : numpy.random.Generator
        Of the errors.
    conditions : PatchConditions
        Under which the patches were made.
    dye : Dye
    """
    truth, camera = patches.truth.iloc[i], conditions.camera
    onset = int(truth["onset_frame"])
    places = patches.places_px[i] + rng.normal(0, ERROR_PX, patches.places_px[i].shape)
    if truth["cause"] not in REMAINING:
        places[onset + 1 :] = places[onset]
    photons = (patches.counts[i].astype(np.float64) - camera.offset_counts) * camera.electrons_per_count
    exposure = float(truth["exposure_s"])
    fade = np.exp(-(np.arange(len(places)) - onset) / BLEACH_FRAMES)
    return {
        role: PatchSequence(
            photons=photons[:, c],
            mask=np.ones_like(photons[:, c]),
            frames=np.arange(len(places)),
            times_s=patches.times_s[i] + exposure / 2,
            centres_px=places,
            fade=fade,
            normal=truth[["normal_y", "normal_x"]].to_numpy(dtype=np.float64),
            sigma_px=conditions.psf_sigma_um / conditions.pixel_size_um,
            sigma_z_px=conditions.psf_sigma_z_um / conditions.pixel_size_um,
            read_noise=camera.read_noise_electrons,
            exposure_s=exposure,
            before=max(onset - 4, 3),
            latest=min(onset + 2, len(places) - 2),
            at_once=dye.at_once,
        )
        for c, role in enumerate(patches.roles)
    }
