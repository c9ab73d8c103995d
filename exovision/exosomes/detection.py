"""Finds exosomes as spots of light: matched filter, sparse peaks, maximum-likelihood fits, probabilities."""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from exovision.calibration import um_to_px
from exovision.errors import InputError
from exovision.exosomes.camera import Camera, estimate_camera
from exovision.exosomes.halo import estimate_halo
from exovision.exosomes.probability import describe, inputs, probability, read_model
from exovision.exosomes.spot_finder import NO_HALO, NOWHERE, Found, SpotFinder
from exovision.exosomes.width import estimate_sigma_px
from exovision.nets.shipped import NETWORK_SUFFIX, shipped_file
from exovision.nets.spot_judge import SpotJudge
from exovision.numerics.peaks import noise_threshold
from exovision.numerics.spot_evidence import WIDTH, WIDTH_SE, X_SE, Y_SE
from exovision.numerics.spot_fits import BACKGROUND, SIGMA, TOTAL, X, Y
from exovision.settings import CameraSettings, ExosomeSettings

USUAL_SIGMA_UM = 0.13
"""PSF standard deviation of a high-aperture objective in green to red light."""

REFERENCE_AREA_PX = 512.0**2
SAME_PLACE_SIGMAS = 3.0
"""A spot that a person points at lies within this many widths of the PSF (P)."""
LEAST_PROBABILITY = 0.02
"""Peaks below are noise beyond doubt; those above may be borne out by their tracks."""

UNPREPARED = "the detector must know camera and PSF: call prepare() with the first frames"

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
    device : str
        Of the network that judges spots: "auto", "cpu", "cuda", "cuda:N" or "mps".

    Raises
    ------
    InputError
        If the weights are missing or damaged.
    SettingsError
        If the device does not exist.

    Attributes
    ----------
    camera : Camera or None
        Set by `prepare`.
    sigma_px : float
        Standard deviation of the PSF, px; NaN before `prepare`.
    notes : tuple of str
        What had to be assumed, one line each, for the report.
    """

    def __init__(
        self,
        settings: ExosomeSettings,
        camera: CameraSettings,
        *,
        pixel_size_um: float,
        device: str = "cpu",
    ) -> None:
        self.settings = settings
        self.camera_settings = camera
        self.pixel_size_um = pixel_size_um
        self.camera: Camera | None = None
        self.sigma_px = math.nan
        self.notes: tuple[str, ...] = ()
        self._halo = NO_HALO
        self._judge, self._coefficients = _model(settings, device, self._note)
        self._finder: SpotFinder | None = None

    def _note(self, note: str) -> None:
        self.notes += (note,)

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
        self._finder = None

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
            raise InputError(UNPREPARED)
        if images.ndim != 3 or len(images) != len(frames):
            raise InputError(f"images must be ({len(frames)}, Y, X), got shape {images.shape}")
        rows = [self._frame(image, frame) for image, frame in zip(images, frames)]
        values = np.concatenate([np.empty((0, len(COLUMNS))), *rows])
        return _table(values)

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
            raise InputError(UNPREPARED)
        finder = self._finder_for(image)
        for wanted in (NOWHERE, np.array([place_px], dtype=np.float64)):
            found = finder.find(image, wanted)
            gaps = np.hypot(found.spots[:, Y] - place_px[0], found.spots[:, X] - place_px[1])
            if len(gaps) and gaps.min() <= SAME_PLACE_SIGMAS * self.sigma_px:
                row = self._rows(found, frame, image.size)[[int(gaps.argmin())]]
                return _table(row)
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
            `y_px x_px logit width_ratio width_se` as in `exovision.exosomes.probability.features`, a row per
            peak, also improbable ones.

        Raises
        ------
        InputError
            If `prepare` was not called.
        """
        if self.camera is None:
            raise InputError(UNPREPARED)
        found = self._finder_for(image).find(image)
        places = {"y_px": found.spots[:, Y], "x_px": found.spots[:, X]}
        return pd.DataFrame(places | self._evidence(found, image.size))

    def _evidence(self, found: Found, area_px: float) -> dict[str, NDArray[np.float64]]:
        """Return what `probability` is told, by name."""
        assert self.camera is not None
        told = describe(found, camera=self.camera, sigma_px=self.sigma_px, area_px=area_px)
        return {
            "logit": self._judge(told, together=found.together).astype(np.float64),
            "width_ratio": found.evidence[:, WIDTH] / self.sigma_px,
            "width_se": found.evidence[:, WIDTH_SE],
        }

    def _probability(self, found: Found, area_px: float) -> NDArray[np.float64]:
        return probability(**self._evidence(found, area_px), coefficients=self._coefficients)

    def _finder_for(self, image: NDArray[np.float32]) -> SpotFinder:
        """Return the finder of frames of this shape; its working memory is kept."""
        assert self.camera is not None
        shape, area = (image.shape[0], image.shape[1]), float(image.size)
        if self._finder is None or self._finder.shape != shape:
            alarms = self.settings.false_alarms_per_frame * area / REFERENCE_AREA_PX
            self._finder = SpotFinder(
                self.camera,
                sigma_px=self.sigma_px,
                threshold=noise_threshold(self.sigma_px, false_alarms=alarms, area_px=area),
                shape=shape,
                halo=self._halo,
                together=self.settings.fits == "together",
                judge=lambda found: self._probability(found, area),
            )
        return self._finder

    def _frame(self, image: NDArray[np.float32], frame: int) -> NDArray[np.float64]:
        rows = self._rows(self._finder_for(image).find(image), frame, image.size)
        return rows[rows[:, COLUMNS.index("probability")] >= LEAST_PROBABILITY]

    def _rows(self, found: Found, frame: int, area_px: float) -> NDArray[np.float64]:
        """Return the spots of one frame, shape (M, C), columns as `COLUMNS`."""
        assert self.camera is not None
        spots, evidence = found.spots, found.evidence
        gain, noise = self.camera.photons_per_count, self.camera.read_noise_photons**2
        peak = spots[:, TOTAL] / (2 * math.pi * spots[:, SIGMA] ** 2)
        return np.column_stack(
            [
                np.full(len(spots), frame, dtype=np.float64),
                spots[:, [Y, X]],
                evidence[:, [Y_SE, X_SE]],
                spots[:, TOTAL] / gain,
                spots[:, TOTAL] if self.camera.gain_known else np.full(len(spots), math.nan),
                spots[:, BACKGROUND] / gain,
                evidence[:, WIDTH],
                peak / np.sqrt(peak + np.maximum(spots[:, BACKGROUND], 0.0) + noise),
                self._probability(found, area_px),
            ]
        )


def _table(values: NDArray[np.float64]) -> pd.DataFrame:
    """Return rows of `COLUMNS`, shape (M, C), as a table."""
    columns = dict(zip(COLUMNS, np.ascontiguousarray(values.T)))
    return pd.DataFrame({**columns, "frame": columns["frame"].astype(np.int64)})


def _model(
    settings: ExosomeSettings, device: str, note: Callable[[str], None]
) -> tuple[SpotJudge, tuple[float, ...]]:
    """Return the network and the coefficients that weigh its word: the user's own or those shipped."""
    own = None if settings.weights is None else Path(settings.weights)
    is_network = own is not None and own.suffix == NETWORK_SUFFIX
    path = own if own is not None and is_network else shipped_file(ExosomeSettings)
    judge = SpotJudge(path, inputs=(inputs(1), inputs(2)), device=device, note=note)
    return judge, read_model(None if is_network else own)
