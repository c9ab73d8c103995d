"""Which true events anybody could tell from their look-alikes, decided by the ideal observer."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from exovision.simulation.fates import (
    CHEMISTRIES,
    LEAVING,
    Contact,
    Course,
    focus_loss_um,
    released,
    typical_release,
)
from exovision.simulation.ideal_observer import ideal_auc, verdict
from exovision.simulation.release import NOTHING, Glow, Optics, Release, add_glow
from exovision.simulation.scene import Labels

Floats = NDArray[np.float64]

LOOK_ALIKES: Mapping[str, Sequence[str]] = {
    "fused": ("bleached", "left_focus", "hemifused", "kiss_and_run"),
    "hemifused": ("unchanged", "bleached", "left_focus", "fused", "kiss_and_run"),
    "kiss_and_run": ("unchanged", "bleached", "left_focus", "fused", "hemifused"),
}
"""What each fate is told from; an unseen detachment looks like bleaching."""
HALF_WIDTH_PX = 20
STAGES = (4, 12, 40)
"""Frames after the event that are looked at, more and more until it is plain."""
PLAIN = 0.9995


@dataclass(frozen=True)
class View:
    """How one vesicle is seen.

    Attributes
    ----------
    optics : Optics
    ages_s : ndarray of shape (T,)
        From the event to the begin of each later exposure, s.
    electrons, background : mapping of str to float
        Light of the vesicle when its fate is sealed, and of each pixel, photo-electrons by channel.
    read_noise : float
        Photo-electrons, rms.
    flat : bool
        Whether the membrane faces the camera; else it stands upright and is straight.
    """

    optics: Optics
    ages_s: Floats
    electrons: Mapping[str, float]
    background: Mapping[str, float]
    read_noise: float
    flat: bool = False

    def contact(self) -> Contact:
        """Return the contact in the middle of a patch."""
        middle = np.full(2, HALF_WIDTH_PX + 0.25)
        upright = None if self.flat else lambda along: middle + np.outer(along, [1.0, 0.0])
        return Contact(middle, upright)


def identifiable(cause: str, course: Course, labels: Labels, view: View) -> bool | None:
    """Return whether a fate could be told from all its look-alikes; None where it is not to be scored.

    Parameters
    ----------
    cause : str
        The fate.
    course : Course
        What became of the labels.
    labels : Labels
    view : View

    Returns
    -------
    bool or None
        Hemifusion without a lumen label is None at best: no lipid dye parts it from a fusion that stops.
    """
    if cause == "taken_up":
        return True if labels.chemistry == "phluorin" and not view.flat else None
    if not view.ages_s.size:
        return None
    told = verdict(min(look_alike_aucs(cause, course, labels, view).values()))
    if cause == "hemifused" and told and "lumen" not in CHEMISTRIES[labels.chemistry].values():
        return None
    return told


def look_alike_aucs(cause: str, course: Course, labels: Labels, view: View) -> dict[str, float]:
    """Return the ideal observer's area under the curve between a fate and each of its look-alikes."""
    return {other: fate_auc(cause, other, course, labels, view) for other in LOOK_ALIKES[cause]}


def fate_auc(cause: str, other: str, course: Course, labels: Labels, view: View) -> float:
    """Return the ideal observer's area under the curve between two fates of one vesicle."""
    auc = 0.5
    for stage in STAGES:
        seen = replace(view, ages_s=view.ages_s[:stage])
        images = [expected(fate, course, labels, seen) for fate in (cause, other)]
        auc = ideal_auc(*images, read_noise=view.read_noise)
        if auc > PLAIN or seen.ages_s.size == view.ages_s.size:
            break
    return auc


def expected(cause: str, course: Course, labels: Labels, view: View) -> Floats:
    """Return the expected photo-electrons of a patch, shape (C, T, Y, X), if the fate were `cause`."""
    size = 2 * HALF_WIDTH_PX + 1
    chemistry = CHEMISTRIES[labels.chemistry]
    images = np.zeros((len(chemistry), view.ages_s.size, size, size), dtype=np.float32)
    contact = view.contact()
    for channel, (role, label) in enumerate(chemistry.items()):
        light = view.electrons[role]
        release = course.releases.get(role) or typical_release(labels, label)
        fraction = LEAVING[label].get(cause)
        leaving = None if fraction is None else replace(release, fraction=fraction)
        for image, age in zip(images[channel], view.ages_s):
            core, glow = _appearance(cause, leaving, float(age), view, contact, soluble=label == "lumen")
            add_glow(image, _spot(contact, view.optics, 0.0, core), light)
            add_glow(image, glow, light)
        images[channel] += view.background[role]
    return images.astype(np.float64)


def _appearance(
    cause: str, release: Release | None, age_s: float, view: View, contact: Contact, *, soluble: bool
) -> tuple[float, Glow]:
    if cause == "bleached":
        return 0.0, NOTHING
    if cause == "left_focus":
        return 0.0, _spot(contact, view.optics, focus_loss_um(age_s), 1.0)
    return released(release, age_s, view.optics, contact, soluble=soluble)


def _spot(contact: Contact, optics: Optics, z_um: float, light: float) -> Glow:
    sigma = optics.sigma_um / optics.pixel_size_um * np.sqrt(1 + (z_um / optics.sigma_z_um) ** 2)
    return Glow(contact.place_px[None], np.array([light]), np.array([sigma]))


def merger_identifiable(own: float, partner: float, view: View) -> bool | None:
    """Return whether a merger (intensities add) could be told from one of the two going dark."""
    spot = np.zeros((view.ages_s.size, 2 * HALF_WIDTH_PX + 1, 2 * HALF_WIDTH_PX + 1), dtype=np.float32)
    for image in spot:
        add_glow(image, _spot(view.contact(), view.optics, 0.0, 1.0), 1.0)
    background = view.background["exosome"]
    both, one = (background + light * spot.astype(np.float64) for light in (own + partner, partner))
    return verdict(ideal_auc(both, one, read_noise=view.read_noise))
