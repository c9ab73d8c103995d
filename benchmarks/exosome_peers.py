"""What others offer to find and to link spots; those that are not installed are left out.

Every detector is given the width of the PSF, and a few settings of which the benchmark reports the best,
chosen on the scored frames themselves: the peers are shown at an advantage.
"""

from __future__ import annotations

import importlib
import itertools
import logging
import warnings
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import pandas as pd
from scipy import ndimage

Detect = Callable[[Any, float], Any]
"""Takes a frame in photo-electrons, shape (Y, X), and the PSF's width, px; returns (y, x), shape (N, 2)."""
Link = Callable[[pd.DataFrame, float], Any]
"""Takes spots (`frame y_px x_px`) and the largest step, px; returns track numbers, (N,), −1 for none."""

NOISE_LEVELS = (3.5, 4.5, 5.5, 8.0)


def detectors() -> tuple[dict[str, dict[str, Detect]], list[str]]:
    """Return name → setting → detector of what is installed, and the names of what is not."""
    makers: Mapping[str, tuple[str, Callable[[], dict[str, Detect]]]] = {
        "scipy LoG + quadratic": ("scipy", _scipy),
        "skimage blob_log": ("skimage", _blob_log),
        "skimage blob_dog": ("skimage", _blob_dog),
        "trackpy.locate": ("trackpy", _trackpy),
        "picasso MLE": ("picasso.localize", _picasso),
        "photutils DAO": ("photutils", _photutils),
        "sep": ("sep", _sep),
        "big-fish": ("bigfish.detection", _bigfish),
    }
    return _installed(makers)


def linkers() -> tuple[dict[str, dict[str, Link]], list[str]]:
    """Return name → setting → linker of what is installed, and the names of what is not."""
    return _installed({"trackpy.link": ("trackpy", _trackpy_link), "laptrack": ("laptrack", _laptrack)})


def _installed(makers: Mapping[str, tuple[str, Callable[[], Any]]]) -> tuple[dict[str, Any], list[str]]:
    found, missing = {}, []
    for name, (module, make) in makers.items():
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                importlib.import_module(module)
        except ImportError:
            missing.append(name)
        else:
            found[name] = make()
    return found, missing


def _noise(image: Any) -> float:
    """Return the robust standard deviation of an image."""
    return float(1.4826 * np.median(np.abs(image - np.median(image))))


def _scipy() -> dict[str, Detect]:
    def detect(level: float, image: Any, sigma: float) -> Any:
        response = -ndimage.gaussian_laplace(image, sigma)
        peaks = (response == ndimage.maximum_filter(response, 3)) & (response > level * _noise(response))
        y, x = np.nonzero(peaks[1:-1, 1:-1])
        y, x = y + 1, x + 1
        centre = response[y, x]
        up, down = response[y - 1, x], response[y + 1, x]
        left, right = response[y, x - 1], response[y, x + 1]
        dy = (up - down) / (2 * (up - 2 * centre + down) - 1e-12)
        dx = (left - right) / (2 * (left - 2 * centre + right) - 1e-12)
        return np.column_stack([y + np.clip(dy, -0.5, 0.5), x + np.clip(dx, -0.5, 0.5)])

    return {f"{k} sd": lambda image, sigma, k=k: detect(k, image, sigma) for k in NOISE_LEVELS}


def _blob_log() -> dict[str, Detect]:
    from skimage.feature import blob_log

    def detect(level: float, image: Any, sigma: float) -> Any:
        threshold = level * _noise(ndimage.gaussian_laplace(image, sigma) * sigma**2)
        return blob_log(image, min_sigma=sigma, max_sigma=sigma, num_sigma=1, threshold=threshold)[:, :2]

    return {f"{k} sd": lambda image, sigma, k=k: detect(k, image, sigma) for k in NOISE_LEVELS}


def _blob_dog() -> dict[str, Detect]:
    from skimage.feature import blob_dog

    def detect(level: float, image: Any, sigma: float) -> Any:
        low, high = ndimage.gaussian_filter(image, 0.8 * sigma), ndimage.gaussian_filter(image, 1.28 * sigma)
        threshold = level * _noise((low - high) / 0.6)
        return blob_dog(image, min_sigma=0.8 * sigma, max_sigma=1.3 * sigma, threshold=threshold)[:, :2]

    return {f"{k} sd": lambda image, sigma, k=k: detect(k, image, sigma) for k in NOISE_LEVELS}


def _trackpy() -> dict[str, Detect]:
    import trackpy

    trackpy.quiet()

    def detect(separation: int, level: float, image: Any, sigma: float) -> Any:
        diameter = 2 * round(2.5 * sigma) + 1
        mass = level * _noise(ndimage.uniform_filter(image, diameter)) * diameter**2
        found = trackpy.locate(image, diameter, minmass=mass, separation=separation, engine="numba")
        return found[["y", "x"]].to_numpy()

    return {
        f"separation {s}, {k} sd": lambda image, sigma, s=s, k=k: detect(s, k, image, sigma)
        for s, k in itertools.product((3, 5, 7), (0.7, 1.2, 2.0))
    }


def _picasso() -> dict[str, Detect]:
    from picasso import localize

    camera = {"Baseline": 0, "Sensitivity": 1, "Gain": 1, "Qe": 1, "Pixelsize": 100}

    def detect(gradient: float, image: Any, sigma: float) -> Any:
        movie, box = image[None].astype(np.float32).view(np.memmap), 2 * round(2.2 * sigma) + 1
        level = gradient * _noise(image) * 30
        spots = localize.identify(movie, level, box, threaded=False, return_info=False)
        if not len(spots):
            return np.empty((0, 2))
        found, _ = localize.fit(
            movie,
            camera_info=camera,
            identifications=spots,
            box=box,
            fitting_method="gaussmle-spherical",
            multiprocess=False,
        )
        return found[["y", "x"]].to_numpy()

    return {f"gradient {k}": lambda image, sigma, k=k: detect(k, image, sigma) for k in (0.7, 1.0, 1.4, 2.0)}


def _photutils() -> dict[str, Detect]:
    from photutils.detection import DAOStarFinder

    def detect(level: float, image: Any, sigma: float) -> Any:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            found = DAOStarFinder(level * _noise(image), 2.355 * sigma)(image - np.median(image))
        if found is None:
            return np.empty((0, 2))
        names = ("y_centroid", "x_centroid") if "y_centroid" in found.colnames else ("ycentroid", "xcentroid")
        return np.column_stack([np.asarray(found[name]) for name in names])

    return {f"{k} sd": lambda image, sigma, k=k: detect(k, image, sigma) for k in (2.5, 3.5, 5.0, 8.0)}


def _sep() -> dict[str, Detect]:
    import sep

    def detect(level: float, image: Any, sigma: float) -> Any:
        data = np.ascontiguousarray(image, dtype=np.float32)
        background = sep.Background(data)
        offsets = np.arange(-3, 4)
        kernel = np.exp(-(offsets[:, None] ** 2 + offsets**2) / (2 * sigma**2))
        found = sep.extract(
            data - background.back(),
            level,
            err=background.globalrms,
            minarea=3,
            filter_kernel=kernel,
            deblend_cont=0.0005,
        )
        return np.column_stack([found["y"], found["x"]])

    return {f"{k} sd": lambda image, sigma, k=k: detect(k, image, sigma) for k in (0.7, 1.2, 2.0, 3.0)}


def _bigfish() -> dict[str, Detect]:
    from bigfish import detection

    def detect(level: float, image: Any, sigma: float) -> Any:
        threshold = level * _noise(ndimage.gaussian_laplace(image, sigma))
        return detection.detect_spots(
            image,
            threshold=threshold,
            log_kernel_size=(sigma, sigma),
            minimum_distance=(sigma, sigma),
        )

    return {f"{k} sd": lambda image, sigma, k=k: detect(k, image, sigma) for k in NOISE_LEVELS}


def _trackpy_link() -> dict[str, Link]:
    import trackpy

    trackpy.quiet()

    def link(memory: int, spots: pd.DataFrame, reach: float) -> Any:
        table = pd.DataFrame({"frame": spots["frame"], "y": spots["y_px"], "x": spots["x_px"]})
        table["row"] = np.arange(len(table))
        found = trackpy.link(table, reach, memory=memory)
        return found.sort_values("row")["particle"].to_numpy()

    return {f"memory {m}": lambda spots, reach, m=m: link(m, spots, reach) for m in (0, 2, 4)}


def _laptrack() -> dict[str, Link]:
    from laptrack import LapTrack

    logging.getLogger("laptrack").setLevel(logging.ERROR)

    def link(spots: pd.DataFrame, reach: float) -> Any:
        table = pd.DataFrame({"frame": spots["frame"], "y": spots["y_px"], "x": spots["x_px"]})
        table["row"] = np.arange(len(table))
        tracker = LapTrack(cutoff=reach**2, gap_closing_cutoff=reach**2, gap_closing_max_frame_count=2)
        found, _, _ = tracker.predict_dataframe(
            table, ["y", "x"], frame_col="frame", only_coordinate_cols=False
        )
        return found.sort_values("row")["track_id"].to_numpy()

    return {"gap closing 2": link}
