"""Pictures whose spots are known: simulated ones in all conditions, and those in which a human clicked."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import tifffile
from numpy.typing import NDArray

from exovision.errors import InputError
from exovision.exosomes.camera import Camera, estimate_camera
from exovision.exosomes.halo import estimate_halo
from exovision.exosomes.spot_finder import NO_HALO, Found, SpotFinder
from exovision.exosomes.width import estimate_sigma_px
from exovision.numerics.peaks import noise_threshold
from exovision.numerics.spot_fits import X, Y
from exovision.scoring.spots import match_spots
from exovision.settings import CameraSettings, ExosomeSettings
from exovision.simulation.scene import Camera as SimulatedCamera
from exovision.simulation.spot_frames import SpotConditions, spot_frames

POINTS_SUFFIX = "_points.csv"
USUAL_SIGMA_PX = 1.3
WIDTH_ERROR = 0.04
"""Relative error of the width that a movie's PSF is estimated with."""

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
    clicked : bool
        Whether a human marked the spots.
    """

    image: NDArray[np.float32]
    truth: pd.DataFrame
    decoys: pd.DataFrame | None
    camera: Camera
    sigma_px: float
    halo: Floats
    clicked: bool

    def finder(self, **options: Any) -> SpotFinder:
        """Return a finder of its spots with the usual false-alarm rate; `options` as of `SpotFinder`."""
        area = float(self.image.size)
        alarms = ExosomeSettings().false_alarms_per_frame * area / REFERENCE_AREA_PX
        threshold = noise_threshold(self.sigma_px, false_alarms=alarms, area_px=area)
        shape = self.image.shape[0], self.image.shape[1]
        return SpotFinder(
            self.camera,
            sigma_px=self.sigma_px,
            threshold=threshold,
            shape=shape,
            halo=self.halo,
            **options,
        )


def verdicts(picture: Picture, found: Found) -> NDArray[np.str_]:
    """Tell of each fitted spot, shape (M,), whether it is a "hit", "false", or "forgiven"."""
    table = pd.DataFrame({"frame": 0, "y_px": found.spots[:, Y], "x_px": found.spots[:, X]})
    return match_spots(picture.truth, table, picture.decoys).verdict


def simulated_picture(seed: Sequence[int], side_px: int) -> Picture:
    """Draw a picture under conditions drawn at random; it depends on the seed alone."""
    rng = np.random.default_rng(list(seed))
    conditions = draw_conditions(rng, side_px)
    made = spot_frames(conditions, 1, seed=int(rng.integers(2**31)))
    simulated = conditions.camera
    camera = Camera(
        simulated.offset_counts, simulated.electrons_per_count, simulated.read_noise_electrons, True
    )
    sigma = conditions.sigma_px * float(np.exp(WIDTH_ERROR * rng.standard_normal()))
    image = made.images[0].astype(np.float32)
    return Picture(image, made.truth, made.decoys, camera, sigma, NO_HALO, clicked=False)


def draw_conditions(rng: np.random.Generator, side_px: int) -> SpotConditions:
    """Draw what a frame holds: density, brightness, PSF, background, membranes, haze and look-alikes."""
    area = side_px**2
    membranes = int(rng.integers(1, 5)) if rng.random() < 0.6 else 0
    background = float(np.exp(rng.uniform(np.log(2), np.log(60))))
    sigma = float(rng.uniform(0.9, 2.2))
    return SpotConditions(
        shape_px=(side_px, side_px),
        spots=int(rng.poisson(area * np.exp(rng.uniform(np.log(1e-4), np.log(4e-3))))),
        snr=float(np.exp(rng.uniform(np.log(1.3), np.log(9)))),
        brightness_spread=float(rng.choice([0.0, 0.3, 0.6])),
        sigma_px=sigma,
        width_spread=float(rng.uniform(0, 0.1)),
        skirt=float(rng.choice([0.0, 0.0, 0.1, 0.2])),
        background=background,
        haze=float(rng.uniform(0, 0.4)),
        membranes=membranes,
        membrane_share=float(rng.uniform(0.3, 1.0)),
        membrane=float(background * np.exp(rng.uniform(np.log(0.15), np.log(6)))),
        membrane_radius_px=float(rng.uniform(25, 110)),
        membrane_sigma_px=float(sigma * rng.uniform(1.0, 1.8)),
        blobs=int(rng.poisson(area * rng.choice([0, 1e-4, 4e-4]))),
        camera=SimulatedCamera(
            hot_pixels=float(rng.choice([0.0, 1e-4, 3e-4])), read_noise_electrons=float(rng.uniform(1, 2.5))
        ),
    )


def clicked_pictures(folder: Path) -> list[Picture]:
    """Read pictures `X.tif` with clicked spots `X_points.csv`, columns `y_px` and `x_px`.

    Raises
    ------
    InputError
        If there is none, or one cannot be read.
    """
    tables = sorted(Path(folder).glob(f"*{POINTS_SUFFIX}"))
    if not tables:
        raise InputError(f"{folder}: training needs pictures X.tif with spots X{POINTS_SUFFIX}, found none")
    return [
        _clicked(table, table.with_name(table.name.removesuffix(POINTS_SUFFIX) + ".tif")) for table in tables
    ]


def _clicked(table: Path, picture: Path) -> Picture:
    try:
        image = np.asarray(tifffile.imread(picture), dtype=np.float32)
        points = pd.read_csv(table)
    except (OSError, ValueError, tifffile.TiffFileError) as error:
        raise InputError(f"{table}: spots and picture must be readable: {error}") from error
    if image.ndim != 2 or not {"y_px", "x_px"} <= set(points.columns):
        raise InputError(
            f"{table}: wanted columns y_px and x_px and a (Y, X) picture, got columns "
            f"{', '.join(points.columns)} and shape {image.shape}"
        )
    camera = estimate_camera(image[None], CameraSettings())
    sigma, _ = estimate_sigma_px(image[None], camera, USUAL_SIGMA_PX)
    sigma_px = USUAL_SIGMA_PX if sigma is None else sigma
    halo = estimate_halo(image[None], camera, sigma_px)
    truth = pd.DataFrame({"frame": 0, "y_px": points["y_px"], "x_px": points["x_px"]})
    return Picture(image, truth, None, camera, sigma_px, halo, clicked=True)
