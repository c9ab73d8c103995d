"""What each label shows of each fate of a vesicle at a membrane, from the moment it is sealed."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from exovision.simulation.release import (
    NOTHING,
    Curve,
    Glow,
    Optics,
    Release,
    edge_glow,
    flat_glow,
    vesicle_light,
    volume_glow,
)
from exovision.simulation.scene import Labels

Floats = NDArray[np.float64]

CHEMISTRIES: Mapping[str, Mapping[str, str]] = {
    "lipid_dye": {"exosome": "lipid"},
    "lumen": {"exosome": "lumen"},
    "phluorin": {"exosome": "phluorin"},
    "protein_tag": {"exosome": "protein"},
    "dual": {"exosome": "lipid", "content": "lumen"},
}
"""The label of each channel."""
LEAVING: Mapping[str, Mapping[str, float]] = {
    "lipid": {"fused": 1.0, "hemifused": 0.5},
    "protein": {"fused": 1.0},
    "phluorin": {"fused": 1.0},
    "lumen": {"fused": 1.0, "kiss_and_run": 1.0},
}
"""Share of each label that leaves the vesicle: hemifusion joins the outer leaflets only."""
FOCUS_LOSS_S = 8.0
FOCUS_LOSS_UM = 2.0
LEAST_REMNANT_S = 5.0
PLATEAU_RISE_S = 3.0
DIMMEST_PHOTONS = 0.05
"""Spread label is drawn until its peak falls below this, per pixel."""


@dataclass(frozen=True)
class Course:
    """What happens to the labels of one vesicle after its fate is sealed.

    Attributes
    ----------
    releases : mapping of str to Release
        By channel; a label that stays is not in it.
    remnant_s : float
        How long what is left of the vesicle stays, s.
    plateau_gain, plateau_s : float
        Dequenching in an endosome, and when it begins after the uptake, s.
    dimming, dimming_tau_s : float
        What acid leaves of the light, and how fast it does, s.
    """

    releases: Mapping[str, Release] = field(default_factory=dict)
    remnant_s: float = 0.0
    plateau_gain: float = 1.0
    plateau_s: float = 0.0
    dimming: float = 1.0
    dimming_tau_s: float = 1.0

    def endosome_light(self, age_s: float) -> float:
        """Return the light of a vesicle `age_s` after its uptake; 1 outside."""
        risen = -np.expm1(-max(age_s - self.plateau_s, 0.0) / PLATEAU_RISE_S)
        acid = -np.expm1(-max(age_s, 0.0) / self.dimming_tau_s)
        return float((1 + (self.plateau_gain - 1) * risen) * (1 + (self.dimming - 1) * acid))

    def glow_s(self, photons: float, pixel_size_um: float) -> float:
        """Return for how long label that left a vesicle of this light can be seen, s."""
        return max(
            (
                5 * one.tau_s
                + one.gain * photons * pixel_size_um**2 / (4 * np.pi * one.diffusion_um2_s * DIMMEST_PHOTONS)
                for one in self.releases.values()
            ),
            default=0.0,
        )


def draw_course(rng: np.random.Generator, labels: Labels, cause: str) -> Course:
    """Draw what will happen to the labels of one vesicle whose fate is `cause`."""
    chemistry = CHEMISTRIES[labels.chemistry]
    releases = {
        role: draw_release(rng, labels, label, LEAVING[label][cause])
        for role, label in chemistry.items()
        if cause in LEAVING[label]
    }
    stays = cause in ("hemifused", "kiss_and_run")
    remnant = LEAST_REMNANT_S + rng.exponential(labels.remnant_s) if stays else 0.0
    course = Course(releases, remnant_s=remnant)
    if cause != "taken_up":
        return course
    if chemistry["exosome"] == "phluorin":
        return Course(dimming=labels.acid_dimming, dimming_tau_s=labels.acid_tau_s)
    if chemistry["exosome"] == "lipid" and rng.random() < labels.plateau_share:
        gain = draw_log_uniform(rng, labels.plateau_gain)
        return Course(plateau_gain=gain, plateau_s=rng.exponential(labels.plateau_delay_s))
    return course


def draw_release(rng: np.random.Generator, labels: Labels, label: str, fraction: float) -> Release:
    """Draw how one label leaves one vesicle."""
    quench, diffusion, tau = _limits(labels, label)
    return Release(
        diffusion_um2_s=draw_log_uniform(rng, diffusion),
        quench=float(rng.uniform(*quench)),
        tau_s=draw_log_uniform(rng, tau),
        fraction=fraction,
        at_once=label == "phluorin",
    )


def _limits(labels: Labels, label: str) -> tuple[tuple[float, float], ...]:
    """Return the limits of quench, diffusion and release time of a label."""
    quench = {"lipid": labels.quench, "lumen": labels.lumen_quench, "phluorin": labels.phluorin_quench}
    diffusion = {"lipid": labels.lipid_diffusion_um2_s, "lumen": labels.lumen_diffusion_um2_s}
    return (
        quench.get(label, (0.0, 0.0)),
        diffusion.get(label, labels.protein_diffusion_um2_s),
        labels.lumen_tau_s if label == "lumen" else labels.release_tau_s,
    )


def typical_release(labels: Labels, label: str, fraction: float = 1.0) -> Release:
    """Return how a typical vesicle of the scene releases a label."""
    quench, diffusion, tau = _limits(labels, label)
    return Release(
        diffusion_um2_s=float(np.sqrt(np.prod(diffusion))),
        quench=float(np.mean(quench)),
        tau_s=float(np.sqrt(np.prod(tau))),
        fraction=fraction,
        at_once=label == "phluorin",
    )


def draw_log_uniform(rng: np.random.Generator, limits: tuple[float, float]) -> float:
    """Draw a positive value whose logarithm is uniform between limits."""
    low, high = np.log(limits)
    return float(np.exp(rng.uniform(low, high)))


@dataclass(frozen=True)
class Contact:
    """Where a vesicle touches a membrane.

    Attributes
    ----------
    place_px : ndarray of shape (2,)
    curve : callable or None
        The outline on both sides of it; None where the membrane faces the camera.
    """

    place_px: Floats
    curve: Curve | None = None


def released(
    release: Release | None, age_s: float, optics: Optics, contact: Contact, *, soluble: bool = False
) -> tuple[float, Glow]:
    """Return the light of a vesicle and that of the label which left it, in one exposure.

    Parameters
    ----------
    release : Release or None
        None: nothing leaves.
    age_s : float
        From the opening to the begin of the exposure, s; may be negative.
    optics : Optics
    contact : Contact
    soluble : bool
        Whether the label spreads in a volume.

    Returns
    -------
    float, Glow
        Relative to the intact vesicle.
    """
    if release is None or age_s + optics.exposure_s <= 0:
        return 1.0, NOTHING
    if soluble:
        glow = volume_glow(release, age_s, optics, contact.place_px)
    elif contact.curve is None:
        glow = flat_glow(release, age_s, optics, contact.place_px)
    else:
        glow = edge_glow(release, age_s, optics, contact.curve)
    return vesicle_light(release, age_s, optics), glow


def focus_loss_um(age_s: float) -> float:
    """Return how far a vesicle is out of focus, µm, `age_s` after it began to leave it."""
    return FOCUS_LOSS_UM * max(0.0, age_s) / FOCUS_LOSS_S
