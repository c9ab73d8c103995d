"""Label that leaves a vesicle: how bright the vesicle still is, and where the label that left it lies."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import erf

Floats = NDArray[np.float64]
Curve = Callable[[Floats], Floats]
"""Gives the points (M, 2), px, that lie so many px (M,) along a membrane from the contact."""

MOMENTS = 4
"""Moments in an exposure whose mean is the integral over it."""
AGES = 12
"""Classes of age, by logarithm and by number, of label that left the vesicle at different times."""
REACH = 4.0
"""Standard deviations of the spread that are drawn."""
STEP_PX = 0.5


@dataclass(frozen=True)
class Release:
    r"""How one label leaves one vesicle, and how bright it is before and after.

    Attributes
    ----------
    diffusion_um2_s : float
        Of the label once it has left.
    quench : float
        Share of the light that the crowded label of an intact vesicle swallows, 0–1.
    tau_s : float
        Time in which 1/e of the leaving label is still there; 0: all leaves at once.
    fraction : float
        Share of the label that leaves; the rest stays.
    at_once : bool
        Whether quenching ends with the opening (pHluorin meets neutral medium) and not with dilution.

    Notes
    -----
    Quenching falls in proportion to the label left in the vesicle, :math:`f = 1 - p(1 - e^{-t/\tau})`, and is
    nil outside. With an intact vesicle as the unit of light, the vesicle shines with

    .. math:: f\,\frac{1 - q f}{1 - q}, \qquad \text{and the label that left with } \frac{1 - f}{1 - q}

    where q is the quench, p the fraction and :math:`1/(1-q)` the gain.
    """

    diffusion_um2_s: float
    quench: float
    tau_s: float
    fraction: float = 1.0
    at_once: bool = False

    @property
    def gain(self) -> float:
        """Light of label outside relative to the same label in the intact vesicle."""
        return 1 / (1 - self.quench)

    def left(self, age_s: Floats) -> Floats:
        """Return the share of the label that is in the vesicle at times (N,) after the opening, s."""
        age = np.maximum(age_s, 0.0)
        gone = 1 - np.exp(-age / self.tau_s) if self.tau_s > 0 else (age > 0).astype(np.float64)
        return np.asarray(1 - self.fraction * gone)

    def vesicle_light(self, age_s: Floats) -> Floats:
        """Return the light of the vesicle at times (N,) after its opening, s; 1 when intact."""
        left = self.left(age_s)
        if self.at_once:
            return np.asarray(np.where(age_s > 0, left * self.gain, 1.0))
        return np.asarray(left * (1 - self.quench * left) * self.gain)

    def ages(self, age_s: float, least_s: float) -> tuple[Floats, Floats]:
        """Sort the label that is outside by the time since it left.

        Parameters
        ----------
        age_s : float
            Time since the opening, s; positive.
        least_s : float
            Differences of age below this do not show, s.

        Returns
        -------
        ndarray of shape (K,), ndarray of shape (K,)
            Ages, s, and the light of each class; an intact vesicle is 1.
        """
        if self.tau_s <= 0:
            return np.array([age_s]), np.array([self.fraction * self.gain])
        shares = np.linspace(0, 1, AGES + 1)
        by_time = age_s * ((1 + age_s / least_s) ** shares - 1) / (age_s / least_s)
        by_number = age_s + self.tau_s * np.log1p(shares[:-1] * np.expm1(-age_s / self.tau_s))
        edges = np.unique(np.clip(np.concatenate([by_time, by_number]), 0, age_s))
        left_since = np.exp(-(age_s - edges) / self.tau_s)
        return (edges[1:] + edges[:-1]) / 2, self.fraction * self.gain * np.diff(left_since)


@dataclass(frozen=True)
class Optics:
    """The widths that matter for spread label.

    Attributes
    ----------
    pixel_size_um : float
    sigma_um, sigma_z_um : float
        Lateral and axial standard deviation of the PSF, µm.
    exposure_s : float
    """

    pixel_size_um: float
    sigma_um: float
    sigma_z_um: float
    exposure_s: float

    def moments_s(self, age_s: float) -> Floats:
        """Return moments of the exposure that begins at this age, s, shape (4,)."""
        return np.asarray(age_s + self.exposure_s * (np.arange(MOMENTS) + 0.5) / MOMENTS)


@dataclass(frozen=True)
class Glow:
    """Light that has spread, as many small Gaussians.

    Attributes
    ----------
    places_px : ndarray of shape (M, 2)
    light : ndarray of shape (M,)
        The light of the intact vesicle is 1.
    sigma_px : ndarray of shape (M,)
    """

    places_px: Floats
    light: Floats
    sigma_px: Floats

    def peak(self) -> float:
        """Return the most light per pixel, that of an intact vesicle being 1, if all were in one place."""
        return float((self.light / (2 * np.pi * self.sigma_px**2)).sum())


NOTHING = Glow(np.zeros((0, 2)), np.zeros(0), np.ones(0))


def vesicle_light(release: Release, age_s: float, optics: Optics) -> float:
    """Return the light of a vesicle in the exposure that begins `age_s` after its opening; 1 when intact."""
    return float(release.vesicle_light(optics.moments_s(age_s)).mean())


def flat_glow(release: Release, age_s: float, optics: Optics, contact_px: Floats) -> Glow:
    r"""Spread label over a membrane that faces the camera, :math:`\sigma^2 = \sigma_0^2 + 2Dt` in both axes.

    Parameters
    ----------
    release : Release
    age_s : float
        From the opening to the begin of the exposure, s; may be negative.
    optics : Optics
    contact_px : ndarray of shape (2,)

    Returns
    -------
    Glow
    """
    variance, light = _classes(release, age_s, optics)
    places = np.repeat(np.asarray(contact_px, dtype=np.float64)[None], variance.size, axis=0)
    return Glow(places, light, np.sqrt(optics.sigma_um**2 + variance) / optics.pixel_size_um)


def volume_glow(release: Release, age_s: float, optics: Optics, contact_px: Floats) -> Glow:
    """Spread label in a volume: like `flat_glow`, but what leaves the focal slice is lost."""
    variance, _ = _classes(release, age_s, optics)
    flat = flat_glow(release, age_s, optics, contact_px)
    return Glow(flat.places_px, flat.light * _in_slice(variance, optics), flat.sigma_px)


def edge_glow(release: Release, age_s: float, optics: Optics, curve: Curve) -> Glow:
    r"""Spread label over a membrane that stands upright on the focal plane.

    Label diffuses along the outline and along the optical axis; of the latter, a Gaussian slice of the PSF's
    axial width is seen, which takes :math:`\sigma_z/\sqrt{\sigma_z^2 + 2Dt}` of the light.

    Parameters
    ----------
    release : Release
    age_s : float
        From the opening to the begin of the exposure, s; may be negative.
    optics : Optics
    curve : callable
        The outline on both sides of the contact.

    Returns
    -------
    Glow
    """
    variance, light = _classes(release, age_s, optics)
    if not variance.size:
        return NOTHING
    light = light * _in_slice(variance, optics)
    spread_px = np.maximum(np.sqrt(variance), 1e-6) / optics.pixel_size_um
    steps = max(1, int(np.ceil(REACH * spread_px.max() / STEP_PX)))
    edges = STEP_PX * (np.arange(2 * steps + 2) - steps - 0.5)
    share = np.diff(0.5 * erf(edges / (np.sqrt(2) * spread_px[:, None])), axis=1)
    middle = (edges[1:] + edges[:-1]) / 2
    sigma = np.full(middle.size, optics.sigma_um / optics.pixel_size_um)
    return Glow(curve(middle), light @ share, sigma)


def _classes(release: Release, age_s: float, optics: Optics) -> tuple[Floats, Floats]:
    """Return the variance by diffusion, µm², and the light of each class of label in one exposure."""
    least_s = optics.sigma_um**2 / (8 * max(release.diffusion_um2_s, 1e-6))
    found = [release.ages(float(t), least_s) for t in optics.moments_s(age_s) if t > 0]
    if not found:
        return np.zeros(0), np.zeros(0)
    ages, light = (np.concatenate(part) for part in zip(*found))
    return 2 * release.diffusion_um2_s * ages, light / MOMENTS


def _in_slice(variance_um2: Floats, optics: Optics) -> Floats:
    return np.asarray(optics.sigma_z_um / np.sqrt(optics.sigma_z_um**2 + variance_um2))


def add_glow(image: NDArray[np.float32], glow: Glow, total: float) -> None:
    """Add spread light to an image of shape (Y, X) in place; `total` is the light of the intact vesicle."""
    if not glow.light.size:
        return
    reach = REACH * glow.sigma_px[:, None]
    low = np.floor((glow.places_px - reach).min(axis=0)).astype(int)
    high = np.ceil((glow.places_px + reach).max(axis=0)).astype(int) + 1
    top, left = np.maximum(low, 0)
    bottom, right = np.minimum(high, image.shape)
    if top < bottom and left < right:
        rows = _profiles(glow.places_px[:, 0], glow.sigma_px, top, bottom)
        columns = _profiles(glow.places_px[:, 1], glow.sigma_px, left, right)
        image[top:bottom, left:right] += (total * glow.light * rows.T) @ columns


def _profiles(centres: Floats, sigma: Floats, first: int, stop: int) -> Floats:
    """Return the integrals of Gaussians over pixels, shape (M, stop − first)."""
    edges = np.arange(first, stop + 1) - 0.5
    scaled = (edges - centres[:, None]) / (np.sqrt(2) * sigma[:, None])
    return np.asarray(0.5 * np.diff(erf(scaled), axis=1))
