"""Simulated pictures in all conditions, from which the spot classifier learns."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from exovision.exosomes.camera import Camera
from exovision.exosomes.halo import estimate_halo
from exovision.exosomes.spot_finder import Found, Judge, SpotFinder
from exovision.numerics.peaks import noise_threshold
from exovision.numerics.spot_fits import X, Y
from exovision.scoring.spots import match_spots
from exovision.settings import ExosomeSettings
from exovision.simulation.scene import Camera as SimulatedCamera
from exovision.simulation.spot_frames import SpotConditions, spot_frames

WIDTH_ERROR = 0.1
"""Relative error of the width of the PSF that a movie is analysed with."""

BLOBS = ((0.3, 0.55), (1.7, 3.0), (2.5, 6.0))
"""Widths of look-alikes over that of the PSF: too narrow, too wide, patches of haze."""

CROWDED_SHARE = 0.4
"""Share of the pictures in which most spots lie on membranes."""

REFERENCE_AREA_PX = 512.0**2
Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Picture:
    """A picture and what is in it.

    Attributes
    ----------
    image : ndarray of shape (Y, X)
        Counts.
    truth, decoys : DataFrame
        As `scoring.spots.match_spots` takes them.
    camera : Camera
    sigma_px : float
        Standard deviation of the PSF, as far as it is known.
    halo : ndarray of shape (R,)
    """

    image: NDArray[np.uint16]
    truth: pd.DataFrame
    decoys: pd.DataFrame
    camera: Camera
    sigma_px: float
    halo: Floats

    def find(self, *, together: bool, judge: Judge | None = None) -> Found:
        """Find the spots with the usual false-alarm rate; see `SpotFinder`."""
        area, shape = float(self.image.size), (self.image.shape[0], self.image.shape[1])
        alarms = ExosomeSettings().false_alarms_per_frame * area / REFERENCE_AREA_PX
        finder = SpotFinder(
            self.camera,
            sigma_px=self.sigma_px,
            threshold=noise_threshold(self.sigma_px, false_alarms=alarms, area_px=area),
            shape=shape,
            halo=self.halo,
            together=together,
            judge=judge,
        )
        return finder.find(self.image.astype(np.float32))

    def verdicts(self, found: Found) -> NDArray[np.str_]:
        """Tell of each fitted spot, shape (M,), whether it is a "hit", "false", or "forgiven"."""
        table = pd.DataFrame({"frame": 0, "y_px": found.spots[:, Y], "x_px": found.spots[:, X]})
        return match_spots(self.truth, table, self.decoys).verdict


def simulated_picture(seed: Sequence[int], side_px: int) -> Picture:
    """Draw a picture under conditions drawn at random; it depends on the seed alone."""
    rng = np.random.default_rng(list(seed))
    conditions = draw_conditions(rng, side_px)
    if rng.random() < CROWDED_SHARE:
        conditions = _crowded(rng, conditions)
    made = spot_frames(conditions, 1, seed=int(rng.integers(2**31)))
    simulated = conditions.camera
    camera = Camera(
        simulated.offset_counts, simulated.electrons_per_count, simulated.read_noise_electrons, True
    )
    sigma = conditions.sigma_px * float(np.exp(WIDTH_ERROR * rng.standard_normal()))
    halo = estimate_halo(made.images.astype(np.float32), camera, sigma)
    return Picture(made.images[0], made.truth, made.decoys, camera, sigma, halo)


def draw_conditions(rng: np.random.Generator, side_px: int) -> SpotConditions:
    """Draw what a frame holds: density, brightness, PSF, background, membranes, haze and look-alikes.

    Half of the PSFs are no Gaussians: skirts, diffraction rings, astigmatism.
    """
    area, background = side_px**2, _log_uniform(rng, 2, 60)
    sigma = float(rng.uniform(0.9, 2.2))
    dimmest, brightest = (1.3, 8.0) if rng.random() < 0.72 else (6.0, 150.0)
    odd = rng.random() < 0.5
    return SpotConditions(
        shape_px=(side_px, side_px),
        spots=int(rng.poisson(area * _log_uniform(rng, 1.5e-4, 6e-3))) if rng.random() < 0.94 else 0,
        snr=_log_uniform(rng, dimmest, brightest),
        brightness_spread=float(rng.choice([0.0, 0.3, 0.6, 1.0])),
        sigma_px=sigma,
        width_spread=float(rng.uniform(0, 0.1)),
        skirt=float(rng.uniform(0, 0.35)) if odd and rng.random() < 0.6 else 0.0,
        ring=float(rng.uniform(0.05, 0.5)) if odd and rng.random() < 0.5 else 0.0,
        ring_ratio=float(rng.uniform(2.4, 4.2)),
        ring_lobes=float(rng.uniform(0, 0.9)),
        elongation=float(rng.uniform(0, 0.5)) if odd and rng.random() < 0.6 else 0.0,
        elongation_angle=float(rng.uniform(0, np.pi)),
        background=background,
        haze=float(rng.uniform(0, 0.4)),
        membranes=int(rng.integers(1, 6)) if rng.random() < 0.65 else 0,
        membrane_share=float(rng.uniform(0.2, 1.0)),
        membrane=background * _log_uniform(rng, 0.2, 7),
        membrane_radius_px=float(rng.uniform(25, 110)),
        membrane_sigma_px=float(sigma * rng.uniform(0.5, 1.8)),
        blob_ratio=BLOBS[rng.choice(len(BLOBS), p=(0.3, 0.5, 0.2))],
        blobs=int(rng.poisson(area * rng.choice([0, 1e-4, 4e-4]))),
        camera=SimulatedCamera(
            hot_pixels=float(rng.choice([0.0, 1e-4, 3e-4])), read_noise_electrons=float(rng.uniform(1, 2.5))
        ),
    )


def _crowded(rng: np.random.Generator, conditions: SpotConditions) -> SpotConditions:
    """Put faint spots onto several bright membranes."""
    area = conditions.shape_px[0] * conditions.shape_px[1]
    return replace(
        conditions,
        membranes=int(rng.integers(2, 7)),
        membrane_share=float(rng.uniform(0.6, 1.0)),
        spots=int(rng.poisson(area * _log_uniform(rng, 5e-4, 4e-3))),
        snr=_log_uniform(rng, 1.5, 5.0),
        brightness_spread=float(rng.choice([0.0, 0.2, 0.5])),
        membrane=conditions.background * _log_uniform(rng, 1, 7),
        membrane_sigma_px=float(conditions.sigma_px * rng.uniform(0.8, 1.6)),
    )


def _log_uniform(rng: np.random.Generator, low: float, high: float) -> float:
    return float(np.exp(rng.uniform(np.log(low), np.log(high))))
