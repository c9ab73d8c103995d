"""Finds exosomes as spots of light: matched filter, sparse peaks, maximum-likelihood fits, probabilities."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from exovision.calibration import um_to_px
from exovision.errors import InputError
from exovision.exosomes.camera import Camera, estimate_camera
from exovision.exosomes.halo import estimate_halo
from exovision.exosomes.probability import COEFFICIENTS, probability, read_model
from exovision.exosomes.spot_finder import NO_HALO, NOWHERE, Found, find_spots
from exovision.exosomes.width import estimate_sigma_px
from exovision.numerics.peaks import noise_threshold
from exovision.numerics.spot_evidence import OVER_RIDGE, WIDTH, WIDTH_SE, X_SE, Y_SE
from exovision.numerics.spot_fits import BACKGROUND, SIGMA, TOTAL, X, Y
from exovision.settings import CameraSettings, ExosomeSettings

USUAL_SIGMA_UM = 0.13
"""PSF standard deviation of a high-aperture objective in green to red light."""

REFERENCE_AREA_PX = 512.0**2
SAME_PLACE_SIGMAS = 3.0
"""A spot that a person points at lies within this many widths of the PSF (P)."""
LEAST_PROBABILITY = 0.02
"""Peaks below are noise beyond doubt; those above may be borne out by their tracks."""

COLUMNS = (
    *("frame", "y_px", "x_px", "y_se_px", "x_se_px"),
    *("counts", "photons", "background", "sigma_px", "snr", "probability"),
)


class Detector:
    """Finds and measures exosomes, one frame at a time.

    Parameters
    ----------
    settings : ExosomeSettings
        PSF width and false-alarm rate.
    camera : CameraSettings
        Known gain, offset and read noise.
    pixel_size_um : float
        µm.

    Attributes
    ----------
    camera : Camera or None
        Set by `prepare`.
    sigma_px : float
        Standard deviation of the PSF, px; NaN before `prepare`.
    notes : tuple of str
        What had to be assumed, one line each, for the report.
    """

    def __init__(self, settings: ExosomeSettings, camera: CameraSettings, *, pixel_size_um: float) -> None:
        self.settings = settings
        self.camera_settings = camera
        self.pixel_size_um = pixel_size_um
        self.camera: Camera | None = None
        self.sigma_px = math.nan
        self.notes: tuple[str, ...] = ()
        self._halo = NO_HALO
        weights = settings.weights
        self._coefficients = read_model(None if weights is None else Path(weights))

    def prepare(self, images: NDArray[np.float32]) -> None:
        """Estimate the camera and the width of the PSF; call it once, before `detect`.

        Parameters
        ----------
        images : ndarray of shape (N, Y, X)
            Counts of the first frames of the movie; the results depend on them and on nothing else.

        Raises
        ------
        InputError
            If `images` is not a stack of at least one frame.
        """
        self.camera = estimate_camera(images, self.camera_settings)
        self.notes = self.camera.notes
        usual = um_to_px(USUAL_SIGMA_UM, self.pixel_size_um)
        if self.settings.psf_sigma_um is not None:
            self.sigma_px = um_to_px(self.settings.psf_sigma_um, self.pixel_size_um)
        else:
            sigma, spots = estimate_sigma_px(images, self.camera, usual)
            self.sigma_px = usual if sigma is None else sigma
            if sigma is None:
                self.notes += (
                    f"PSF width assumed to be {USUAL_SIGMA_UM} µm: "
                    f"only {spots} bright isolated spots to measure it",
                )
        self._halo = estimate_halo(images, self.camera, self.sigma_px)

    def detect(self, images: NDArray[np.float32], frames: range) -> pd.DataFrame:
        """Find the spots of a chunk of frames.

        Parameters
        ----------
        images : ndarray of shape (N, Y, X)
            Counts.
        frames : range
            The N frame numbers.

        Returns
        -------
        DataFrame
            One row a spot, by frame and y: `frame`; `y_px`, `x_px` and their standard errors; `counts`
            integrated over the spot without background; `photons`, NaN unless the gain was given;
            `background` in counts per pixel above the camera's offset; `sigma_px`, fitted freely; `snr`
            = A/√(A + b + r²); `probability`.

        Raises
        ------
        InputError
            If `prepare` was not called, or the numbers of images and frames differ.
        """
        if self.camera is None:
            raise InputError("the detector must know camera and PSF: call prepare() with the first frames")
        if images.ndim != 3 or len(images) != len(frames):
            raise InputError(f"images must be ({len(frames)}, Y, X), got shape {images.shape}")
        threshold = self._threshold(images.shape[1:])
        tables = [self._frame(image, frame, threshold, self.camera) for image, frame in zip(images, frames)]
        tables = tables or [_table(Found.none(), 0, None, 1.0, COEFFICIENTS)]
        return pd.concat(tables, ignore_index=True)

    def measure_at(
        self, image: NDArray[np.float32], frame: int, place_px: tuple[float, float]
    ) -> pd.DataFrame:
        """Measure the spot at a place that a person pointed at, however faint it is.

        Parameters
        ----------
        image : ndarray of shape (Y, X)
            Counts.
        frame : int
        place_px : tuple of float
            (y, x).

        Returns
        -------
        DataFrame
            One row, columns as from `detect`.

        Raises
        ------
        InputError
            If `prepare` was not called, or no spot can be fitted within three widths of the PSF.
        """
        if self.camera is None:
            raise InputError("the detector must know camera and PSF: call prepare() with the first frames")
        pixel = np.clip(np.round(place_px), 0, np.array(image.shape) - 1).astype(np.int64)[None]
        for wanted in (NOWHERE, pixel):
            found = find_spots(
                image,
                self.camera,
                sigma_px=self.sigma_px,
                threshold=self._threshold(image.shape),
                halo=self._halo,
                wanted=wanted,
            )
            table = _table(found, frame, self.camera, self.sigma_px, self._coefficients)
            gaps = np.hypot(table["y_px"] - place_px[0], table["x_px"] - place_px[1])
            if len(table) and gaps.min() <= SAME_PLACE_SIGMAS * self.sigma_px:
                return table.iloc[[int(gaps.argmin())]].reset_index(drop=True)
        at = f"({place_px[0]:.1f}, {place_px[1]:.1f})"
        raise InputError(f"a spot of light was wanted at {at} px in frame {frame}, there is none to fit")

    def evidence(self, image: NDArray[np.float32]) -> pd.DataFrame:
        """Return what the probability of every fitted peak of a frame rests on.

        Parameters
        ----------
        image : ndarray of shape (Y, X)
            Counts.

        Returns
        -------
        DataFrame
            `y_px x_px over_ridge width_ratio width_se` as in `exovision.exosomes.probability.features`, a row
            per peak, also improbable ones.

        Raises
        ------
        InputError
            If `prepare` was not called.
        """
        if self.camera is None:
            raise InputError("the detector must know camera and PSF: call prepare() with the first frames")
        threshold = self._threshold(image.shape)
        found = find_spots(image, self.camera, sigma_px=self.sigma_px, threshold=threshold, halo=self._halo)
        columns = {
            "y_px": found.spots[:, Y],
            "x_px": found.spots[:, X],
            "over_ridge": found.evidence[:, OVER_RIDGE],
            "width_ratio": found.evidence[:, WIDTH] / self.sigma_px,
            "width_se": found.evidence[:, WIDTH_SE],
        }
        return pd.DataFrame(columns)

    def _threshold(self, shape: tuple[int, ...]) -> float:
        area = float(shape[0] * shape[1])
        return noise_threshold(
            self.sigma_px,
            false_alarms=self.settings.false_alarms_per_frame * area / REFERENCE_AREA_PX,
            area_px=area,
        )

    def _frame(
        self, image: NDArray[np.float32], frame: int, threshold: float, camera: Camera
    ) -> pd.DataFrame:
        found = find_spots(image, camera, sigma_px=self.sigma_px, threshold=threshold, halo=self._halo)
        table = _table(found, frame, camera, self.sigma_px, self._coefficients)
        return table[table["probability"] >= LEAST_PROBABILITY].reset_index(drop=True)


def _table(
    found: Found, frame: int, camera: Camera | None, sigma_px: float, coefficients: Sequence[float]
) -> pd.DataFrame:
    """Return the spots of one frame as contract columns."""
    spots, evidence = found.spots, found.evidence
    gain = camera.photons_per_count if camera else 1.0
    noise = camera.read_noise_photons**2 if camera else 0.0
    likely = probability(
        evidence[:, OVER_RIDGE],
        evidence[:, WIDTH] / sigma_px,
        evidence[:, WIDTH_SE],
        coefficients=coefficients,
    )
    peak = spots[:, TOTAL] / (2 * math.pi * spots[:, SIGMA] ** 2)
    columns = (
        np.full(len(spots), frame, dtype=np.int64),
        *(spots[:, Y], spots[:, X], evidence[:, Y_SE], evidence[:, X_SE]),
        spots[:, TOTAL] / gain,
        spots[:, TOTAL] if camera and camera.gain_known else np.full(len(spots), math.nan),
        spots[:, BACKGROUND] / gain,
        evidence[:, WIDTH],
        peak / np.sqrt(peak + np.maximum(spots[:, BACKGROUND], 0.0) + noise),
        likely,
    )
    return pd.DataFrame(dict(zip(COLUMNS, columns)))
