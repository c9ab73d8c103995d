"""Finds exosomes as spots of light: matched filter, sparse peaks, maximum-likelihood fits, probabilities."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from exovision.calibration import um_to_px
from exovision.errors import InputError
from exovision.exosomes.camera import Camera, estimate_camera
from exovision.exosomes.halo import estimate_halo
from exovision.exosomes.probability import Probability
from exovision.exosomes.spot_finder import NO_HALO, Found, SpotFinder
from exovision.exosomes.width import estimate_sigma_px
from exovision.nets.shipped import SPOTS, shipped_or_own
from exovision.nets.spot_classifier import SpotJudge
from exovision.numerics.peaks import noise_threshold
from exovision.numerics.spot_evidence import BACKGROUND_SE, TOTAL_SE, WIDTH, WIDTH_SE, X_SE, Y_SE
from exovision.numerics.spot_fits import BACKGROUND, SIGMA, TOTAL, X, Y
from exovision.settings import CameraSettings, ExosomeSettings

USUAL_SIGMA_UM = 0.13
"""PSF standard deviation of a high-aperture objective in green to red light."""

REFERENCE_AREA_PX = 512.0**2
SAME_PLACE_SIGMAS, FAINT = 3.0, 2.0
"""A spot that a person points at lies within this many widths of the PSF, and its peak rises by at least this
many standard deviations of the filtered noise (P)."""
LEAST_PROBABILITY = 0.02
"""Peaks below are noise beyond doubt; those above may be borne out by their tracks."""

COLUMNS = (
    *("frame", "y_px", "x_px", "y_se_px", "x_se_px"),
    *("counts", "photons", "background", "sigma_px", "snr", "probability"),
    *("counts_se", "background_se", "sigma_se_px"),
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
        self._judge = SpotJudge(shipped_or_own(SPOTS, settings.weights))
        self._finder: SpotFinder | None = None

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
            = A/√(A + b + r²); `probability`; standard errors of `counts`, `background` and `sigma_px`.

        Raises
        ------
        InputError
            If `prepare` was not called, or the numbers of images and frames differ.
        """
        if self.camera is None:
            raise InputError("the detector must know camera and PSF: call prepare() with the first frames")
        if images.ndim != 3 or len(images) != len(frames):
            raise InputError(f"images must be ({len(frames)}, Y, X), got shape {images.shape}")
        chance = Probability(self._judge, self.camera, self.sigma_px)
        finder = self._finder_for((images.shape[1], images.shape[2]), chance)
        judge = chance.together if finder.together else chance.alone
        tables = [
            _rows(finder.find(image), frame, self.camera, judge) for image, frame in zip(images, frames)
        ]
        values = np.concatenate(tables) if tables else np.empty((0, len(COLUMNS)))
        return pd.DataFrame(values, columns=list(COLUMNS)).astype({"frame": np.int64})

    def measure_at(
        self, image: NDArray[np.float32], frame: int, place_px: tuple[float, float]
    ) -> pd.DataFrame:
        """Measure the spot at a place that a person pointed at, also one too faint to be found.

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
        for find in (self.detect, self._detect_faint):
            table = find(image[None], range(frame, frame + 1))
            gaps = np.hypot(table["y_px"] - place_px[0], table["x_px"] - place_px[1])
            if len(table) and gaps.min() <= SAME_PLACE_SIGMAS * self.sigma_px:
                return table.iloc[[int(gaps.argmin())]].reset_index(drop=True)
        at = f"({place_px[0]:.1f}, {place_px[1]:.1f})"
        raise InputError(f"a spot of light was wanted at {at} px in frame {frame}, there is none to fit")

    def _detect_faint(self, images: NDArray[np.float32], frames: range) -> pd.DataFrame:
        """Return every peak that can be fitted by itself, however improbable."""
        assert self.camera is not None
        shape = (images.shape[1], images.shape[2])
        finder = SpotFinder(
            self.camera, sigma_px=self.sigma_px, threshold=FAINT, shape=shape, halo=self._halo, together=False
        )
        chance = Probability(self._judge, self.camera, self.sigma_px, float(shape[0] * shape[1]))

        def judge(found: Found) -> NDArray[np.float32]:
            return np.maximum(chance.alone(found), np.float32(LEAST_PROBABILITY))

        values = _rows(finder.find(images[0]), frames[0], self.camera, judge)
        return pd.DataFrame(values, columns=list(COLUMNS)).astype({"frame": np.int64})

    def _finder_for(self, shape: tuple[int, int], chance: Probability) -> SpotFinder:
        """Return the finder of frames of this shape; its working memory is kept."""
        if self._finder is None or self._finder.shape != shape:
            assert self.camera is not None
            self._finder = SpotFinder(
                self.camera,
                sigma_px=self.sigma_px,
                threshold=self._threshold(shape),
                shape=shape,
                halo=self._halo,
                together=self.settings.fits == "together",
                judge=chance.alone,
            )
        return self._finder

    def _threshold(self, shape: tuple[int, int]) -> float:
        area = float(shape[0] * shape[1])
        return noise_threshold(
            self.sigma_px,
            false_alarms=self.settings.false_alarms_per_frame * area / REFERENCE_AREA_PX,
            area_px=area,
        )


def _rows(
    found: Found, frame: int, camera: Camera, judge: Callable[[Found], NDArray[np.float32]]
) -> NDArray[np.float64]:
    """Return the spots of one frame that are not noise beyond doubt, shape (M, C), columns as `COLUMNS`."""
    likely = judge(found)
    kept = likely >= LEAST_PROBABILITY
    spots, evidence = found.spots[kept], found.evidence[kept]
    gain, noise = camera.photons_per_count, camera.read_noise_photons**2
    peak = spots[:, TOTAL] / (2 * math.pi * spots[:, SIGMA] ** 2)
    return np.column_stack(
        [
            np.full(len(spots), frame, dtype=np.float64),
            spots[:, [Y, X]],
            evidence[:, [Y_SE, X_SE]],
            spots[:, TOTAL] / gain,
            spots[:, TOTAL] if camera.gain_known else np.full(len(spots), math.nan),
            spots[:, BACKGROUND] / gain,
            evidence[:, WIDTH],
            peak / np.sqrt(peak + np.maximum(spots[:, BACKGROUND], 0.0) + noise),
            likely[kept],
            evidence[:, [TOTAL_SE, BACKGROUND_SE]] / gain,
            evidence[:, WIDTH] * evidence[:, WIDTH_SE],
        ]
    )
