"""Explanations that leave the light after a change free: any brightness, any place, another one beside."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.special import logsumexp

from exovision.events.hypotheses import HOPELESS, HYPOTHESES, Fit, base
from exovision.events.sequences import PatchSequence, Scenery, resting, sequence_likelihood
from exovision.numerics.release import START, draw_light
from exovision.numerics.release_fits import spot_ratios

Floats = NDArray[np.float64]

SPOT_REACH, JOIN_REACH, SEEN = 4, 5, 0.7
JOINING = (0.4, 0.7, 1.0, 1.5, 2.5)
"""Half-width of a drawn spot, px; how far away another one may join it; how often a spot that moves about is
in the patch; brightness of one that joins, in units of the other (P)."""
FREE_BRIGHTNESS = 2.0
"""An unexplained spot is up to about this many times as bright as before."""


def unexplained(patch: PatchSequence, scenery: Scenery) -> Fit:
    """Return the fit of a spot that may have any brightness in each frame after the change.

    Notes
    -----
    Brightness has a normal prior around none, with a deviation of twice that before; the evidence of each
    frame is exact for a normal likelihood.
    """
    light = np.zeros_like(patch.photons)
    draw_light(resting(), patch.times_s, patch.centres_px, patch.optics(), False, 0, light)
    _, steady = sequence_likelihood(patch, scenery, base(HYPOTHESES["stays"], scenery), edge=False)
    free = [_any_brightness(patch, scenery, light[k], k) for k in range(patch.before, len(light))]
    return _from_some_frame("unexplained", patch, scenery, steady, np.array(free)[:, None])


def _from_some_frame(name: str, patch: PatchSequence, scenery: Scenery, steady: Floats, later: Floats) -> Fit:
    """Return the fit of a spot at rest that looks otherwise from some frame on.

    `later` has the log-evidence of each frame after those before, in as many equally likely ways, (K', W).
    """
    gained = later - steady[patch.before :, None]
    after = np.cumsum(gained[::-1], axis=0)[::-1][: patch.latest + 1 - patch.before]
    # As in the other models, the photons before the change are known no better than they were measured.
    evidence = float(steady.sum() + logsumexp(after) - np.log(after.size) + np.log(scenery.log_n_error))
    theta = base(HYPOTHESES["stays"], scenery)
    first = int(np.argmax(after.max(axis=1)))
    theta[START] = patch.times_s[patch.before + first] - 0.5 * patch.interval_s
    likelihood = float(steady.sum() + after.max())
    return Fit(name, False, theta, likelihood, evidence if np.isfinite(evidence) else HOPELESS)


def elsewhere(patch: PatchSequence, scenery: Scenery) -> tuple[Fit, Fit]:
    """Return the fits of a spot that moves about after the change, and of one that is joined by another.

    Notes
    -----
    The moving spot is anywhere in the patch, or out of it, in each frame anew; the one that joins keeps its
    place and brightness. Places and brightnesses are averaged over, so that all freedom is paid for.
    """
    stays = base(HYPOTHESES["stays"], scenery)
    _, steady = sequence_likelihood(patch, scenery, stays, edge=False)
    light = np.zeros_like(patch.photons)
    draw_light(resting(), patch.times_s, patch.centres_px, patch.optics(), False, 0, light)
    grid = np.arange(-SPOT_REACH, SPOT_REACH + 1)
    spot = np.exp(-(grid[:, None] ** 2 + grid[None, :] ** 2) / (2 * patch.sigma_px**2))
    spot *= scenery.n / spot.sum()
    later, whole = range(patch.before, len(light)), patch.photons.shape[1] // 2
    moving = []
    for k in later:
        out, there = _with_spot(patch, scenery, k, 0.0 * light[k], spot, whole)
        seen = np.log(SEEN) + logsumexp(there) - np.log(there.size)
        moving.append(np.logaddexp(seen, out + np.log(1 - SEEN)))
    beside = [
        np.stack(
            [
                _with_spot(patch, scenery, k, scenery.n * light[k], share * spot, JOIN_REACH)[1]
                for share in JOINING
            ]
        ).ravel()
        for k in later
    ]
    return (
        _from_some_frame("moves", patch, scenery, steady, np.array(moving)[:, None]),
        _from_some_frame("joined", patch, scenery, steady, np.stack(beside)),
    )


def _with_spot(
    patch: PatchSequence, scenery: Scenery, k: int, own: Floats, spot: Floats, reach: int
) -> tuple[float, Floats]:
    """Return the log-likelihood of a frame without a further spot, and with one at every place."""
    mask, photons = patch.mask[k], scenery.photons[k]
    expected = np.maximum(scenery.levels[k] + scenery.base + own + patch.read_noise**2, 0.5)
    without = float(np.sum(mask * (photons * np.log(expected) - expected)))
    ratios = np.zeros((2 * reach + 1, 2 * reach + 1))
    spot_ratios(photons, mask, expected, spot, reach, ratios)
    return without, without + ratios


def _any_brightness(patch: PatchSequence, scenery: Scenery, spot: Floats, k: int) -> float:
    """Return the log-evidence of one frame with a spot of unknown brightness."""
    noise = patch.read_noise**2
    z, mask, precision = scenery.photons[k], patch.mask[k] > 0, scenery.level_precision
    spread = FREE_BRIGHTNESS * scenery.n
    level, n = scenery.levels[k], 0.0
    for _ in range(6):
        expected = np.maximum(level + scenery.base + n * spot + noise, 0.5)[mask]
        inner, w = spot[mask], 1 / expected
        residual = z[mask] * w - 1
        at_level = residual.sum() - precision * (level - scenery.levels[k])
        slope = np.array([at_level, np.sum(residual * inner) - n / spread**2])
        bend = np.array(
            [[w.sum() + precision, np.sum(w * inner)], [np.sum(w * inner), np.sum(w * inner**2) + spread**-2]]
        )
        move = np.linalg.solve(bend, slope)
        level, n = level + move[0], n + move[1]
    expected = np.maximum(level + scenery.base + n * spot + noise, 1e-3)[mask]
    total = np.sum(z[mask] * np.log(expected) - expected) - 0.5 * precision * (level - scenery.levels[k]) ** 2
    left = (bend[1, 1] - bend[0, 1] ** 2 / bend[0, 0]) * spread**2
    return float(total - 0.5 * (n / spread) ** 2 - 0.5 * np.log(left))
