"""One moment of a docking, examined; and what a network sees of it: frames around the change, and numbers."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import logsumexp

from exovision.events.chemistry import Dye
from exovision.events.hypotheses import Fit
from exovision.events.hypothesis_fits import compare
from exovision.events.sequences import PatchSequence, Scenery, survey
from exovision.numerics.release import LOG_D, LOG_GAIN, LOG_TAU, SHARE, START

Floats = NDArray[np.float64]

ROLES = ("exosome", "content")
FRAMES_BEFORE, FRAMES_AFTER = 8, 16
"""Frames up to the last one before the change, and after it."""
SIZE_PX = 17
DIMMEST, BRIGHTEST = -2.0, 8.0
"""Limits of the light, in units of the crest of the spot before the change."""
CONTENT_MODELS = ("stays", "gone", "fades", "defocuses")
MODELS = (
    *("stays", "gone", "fades", "defocuses", "brightens", "dims", "spreads", "half_spreads"),
    *("unexplained", "moves", "joined"),
)
LEAST_EVIDENCE = -60.0
"""Log-evidence, relative to all models together, below which a model is as good as excluded."""
NUMBERS = (
    *("normal_y", "normal_x"),
    *(f"evidence_{name}" for name in MODELS),
    *(f"content_{name}" for name in CONTENT_MODELS),
    *("content", "log_photons", "log_background", "log_snr", "log_interval_s", "log_exposure_s", "sigma_px"),
    *("diffusion", "gain", "tau", "edge", "half_share", "half_gain", "brighter", "darker", "fading_frames"),
    *("delay_frames", "known_before", "known_after", "open_frames", "unmasked", "at_once"),
    *("dye_diffusion", "dye_gain"),
)
"""What the network is told besides the images, in order."""


@dataclass(frozen=True)
class Examined:
    """A moment with all models fitted.

    Attributes
    ----------
    patches : mapping of str to PatchSequence
        By role.
    scenery : Scenery
        Of the exosome's channel.
    fits : mapping of str to Fit
        Of the exosome's channel.
    lumen : Scenery, optional
    content : mapping of str to Fit, optional
        The same of the content's channel, if there is one.
    """

    patches: Mapping[str, PatchSequence]
    scenery: Scenery
    fits: Mapping[str, Fit]
    lumen: Scenery | None = None
    content: Mapping[str, Fit] | None = None


def examine(patches: Mapping[str, PatchSequence], dye: Dye, *, pixel_size_um: float) -> Examined:
    """Fit every hypothesis to the patch sequences of a moment.

    Parameters
    ----------
    patches : mapping of str to PatchSequence
        By role; `exosome` at least.
    dye : Dye
        Priors of spread, gain and release.
    pixel_size_um : float

    Returns
    -------
    Examined
    """
    scenery = survey(patches["exosome"])
    fits = compare(patches["exosome"], scenery, dye, pixel_size_um=pixel_size_um)
    if "content" not in patches:
        return Examined(patches, scenery, fits)
    lumen = survey(patches["content"])
    content = compare(patches["content"], lumen, dye, pixel_size_um=pixel_size_um, names=CONTENT_MODELS)
    return Examined(patches, scenery, fits, lumen, content)


def picture(examined: Examined, dye: Dye, *, pixel_size_um: float) -> NDArray[np.float32]:
    """Return what the network sees of a moment.

    Parameters
    ----------
    examined : Examined
    dye : Dye
    pixel_size_um : float

    Returns
    -------
    ndarray of shape (2 * 24 + 1, 17, 17)
        The light of the exosome's channel, frame by frame, above the background and in units of the crest of
        the spot before the change; that of the content's; NaN where there is no image. The last plane begins
        with `NUMBERS`.
    """
    patch = examined.patches["exosome"]
    change = int(np.searchsorted(patch.times_s, examined.fits["gone"].theta[START], side="right")) - 1
    change = min(max(change, 0), len(patch.times_s) - 1)
    planes = np.full((len(ROLES), FRAMES_BEFORE + FRAMES_AFTER, SIZE_PX, SIZE_PX), np.nan, dtype=np.float32)
    for role, scenery, out in zip(ROLES, (examined.scenery, examined.lumen), planes):
        if scenery is not None:
            _fill(out, _relative(examined.patches[role], scenery), change)
    last = np.zeros(SIZE_PX * SIZE_PX, dtype=np.float32)
    last[: len(NUMBERS)] = _numbers(examined, dye, pixel_size_um, change)
    shape = (1, SIZE_PX, SIZE_PX)
    return np.concatenate([planes.reshape(-1, SIZE_PX, SIZE_PX), last.reshape(shape)])


def _relative(patch: PatchSequence, scenery: Scenery) -> Floats:
    """Return the light above the background in units of the crest of the spot before the change."""
    crest = scenery.n / (2 * np.pi * patch.sigma_px**2)
    light = (patch.photons - scenery.levels[:, None, None] - scenery.base) * patch.mask / crest
    return np.clip(light, DIMMEST, BRIGHTEST)


def _fill(out: NDArray[np.float32], light: Floats, change: int) -> None:
    """Copy the frames around the change."""
    wanted = np.arange(change + 1 - FRAMES_BEFORE, change + 1 + FRAMES_AFTER)
    there = (wanted >= 0) & (wanted < len(light))
    out[there] = light[wanted[there]]


def _numbers(examined: Examined, dye: Dye, pixel_size_um: float, change: int) -> Floats:
    patch, scenery, fits = examined.patches["exosome"], examined.scenery, examined.fits
    content = examined.content
    background = max(float(np.mean(scenery.levels[: patch.before])), 0.1) + patch.read_noise**2
    spread, half = fits["spreads"], fits["half_spreads"]
    middle = patch.mask[:, SIZE_PX // 4 : -SIZE_PX // 4, SIZE_PX // 4 : -SIZE_PX // 4]
    numbers = {
        "normal_y": patch.normal[0],
        "normal_x": patch.normal[1],
        **{f"evidence_{name}": value for name, value in _evidences(fits, MODELS).items()},
        **{f"content_{name}": value for name, value in _evidences(content, CONTENT_MODELS).items()},
        "content": float(content is not None),
        "log_photons": np.log(scenery.n),
        "log_background": np.log(background),
        "log_snr": np.log(scenery.n / np.sqrt(scenery.n + 4 * np.pi * patch.sigma_px**2 * background)),
        "log_interval_s": np.log(patch.interval_s),
        "log_exposure_s": np.log(max(patch.exposure_s, 1e-3)),
        "sigma_px": patch.sigma_px,
        "diffusion": spread.theta[LOG_D] + 2 * np.log(pixel_size_um),
        "gain": spread.theta[LOG_GAIN],
        "tau": spread.theta[LOG_TAU],
        "edge": float(spread.edge),
        "half_share": half.theta[SHARE],
        "half_gain": half.theta[LOG_GAIN],
        "brighter": fits["brightens"].theta[LOG_GAIN],
        "darker": fits["dims"].theta[LOG_GAIN],
        "fading_frames": fits["fades"].theta[LOG_TAU] - np.log(patch.interval_s),
        "delay_frames": np.clip((spread.theta[START] - fits["gone"].theta[START]) / patch.interval_s, -9, 9),
        "known_before": min(change + 1, FRAMES_BEFORE),
        "known_after": min(len(patch.times_s) - 1 - change, FRAMES_AFTER),
        "open_frames": patch.latest - patch.before,
        "unmasked": middle[change:].mean(),
        "at_once": float(patch.at_once),
        "dye_diffusion": np.log(dye.diffusion_um2_s),
        "dye_gain": np.log(dye.gain),
    }
    return np.array([numbers[name] for name in NUMBERS])


def _evidences(fits: Mapping[str, Fit] | None, names: tuple[str, ...]) -> dict[str, float]:
    """Return the log-evidence of some models relative to all of these together, in tens; 0 without fits."""
    if fits is None:
        return dict.fromkeys(names, 0.0)
    values = np.array([fits[name].log_evidence for name in names])
    relative = np.maximum(values - logsumexp(values), LEAST_EVIDENCE) / 10
    return dict(zip(names, relative.tolist()))
