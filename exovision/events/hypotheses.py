"""What may have become of an exosome at a membrane, each as a model of the light in a patch sequence."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import logsumexp

from exovision.events.chemistry import Dye
from exovision.events.sequences import STILL, PatchSequence, Scenery, resting, sequence_likelihood
from exovision.numerics.release import (
    LOG_D,
    LOG_GAIN,
    LOG_N,
    LOG_TAU,
    PARAMETERS,
    SHARE,
    SPEED,
    START,
    draw_light,
)
from exovision.numerics.release_fits import fit_light, spot_ratios

Floats = NDArray[np.float64]

HOPELESS = -1e9
"""Log-evidence of a model that cannot be fitted."""
DARK = -20.0
"""Logarithm of a gain that is as good as zero."""
MOST_STEPS = 25
WIDE = 1e-4
"""Precision of a prior that says nothing."""
FADE_FRAMES, FADE_SD = 4.0, 0.8
FOCUS_UM_S, FOCUS_SD = 0.25, 0.7
"""Median and spread of the logarithm: e-folding of a slow loss, frames; speed out of focus (P)."""
HALF, HALF_SD = 0.5, 0.12
"""Share of the dye in the outer leaflet."""
PLATEAU_GAIN, PLATEAU_SD = 2.0, 0.6
DIM_GAIN, DIM_SD = 0.25, 0.6
SPOT_REACH, JOIN_REACH, SEEN = 4, 5, 0.7
JOINING = (0.4, 0.7, 1.0, 1.5, 2.5)
"""Half-width of a drawn spot, px; how far away another one may join it; how often a spot that moves about is
in the patch; brightness of one that joins, in units of the other (P)."""
FREE_BRIGHTNESS = 2.0
"""An unexplained spot is up to about this many times as bright as before."""
GRID = {LOG_D: (-0.8, 0.8), LOG_GAIN: (0.0, 1.1), LOG_TAU: (-2.5, 0.5)}
"""Start values of spreading models beside the medians, in logarithms."""
PLACES = (0.4,)
"""Where between two frames a change may begin, as tried for start values."""
STARTS = 2
REACH_SD = 3.0
"""Parameters stay within so many standard deviations of their priors."""


@dataclass(frozen=True)
class Hypothesis:
    """One model.

    Attributes
    ----------
    name : str
    free : tuple of int
        Free parameters besides the photons before the change.
    fixed : mapping of int to float
        Values of the others where they differ from a spot at rest.
    spreads : bool
        Whether its light depends on how the membrane is seen.
    """

    name: str
    free: tuple[int, ...]
    fixed: Mapping[int, float]
    spreads: bool = False


HYPOTHESES: Mapping[str, Hypothesis] = {
    h.name: h
    for h in (
        Hypothesis("stays", (), {}),
        Hypothesis("gone", (START,), {SHARE: 1.0, LOG_GAIN: DARK, LOG_TAU: STILL}),
        Hypothesis("fades", (START, LOG_TAU), {SHARE: 1.0, LOG_GAIN: DARK}),
        Hypothesis("defocuses", (START, SPEED), {SPEED: 1.0}),
        Hypothesis("brightens", (START, LOG_GAIN, LOG_TAU), {SHARE: 1.0, LOG_GAIN: 0.7}),
        Hypothesis("dims", (START, LOG_GAIN, LOG_TAU), {SHARE: 1.0, LOG_GAIN: -1.4}),
        Hypothesis("spreads", (START, LOG_D, LOG_GAIN, LOG_TAU), {SHARE: 1.0}, spreads=True),
        Hypothesis("half_spreads", (START, LOG_D, LOG_GAIN, LOG_TAU, SHARE), {SHARE: HALF}, spreads=True),
    )
}


@dataclass(frozen=True)
class Fit:
    """How well one hypothesis explains a patch sequence.

    Attributes
    ----------
    name : str
    edge : bool
        Whether the membrane is taken as seen edge-on.
    theta : ndarray of shape (7,)
    log_likelihood, log_evidence : float
        At the maximum, and averaged over the prior (Laplace).
    """

    name: str
    edge: bool
    theta: Floats
    log_likelihood: float
    log_evidence: float


@dataclass(frozen=True)
class Priors:
    """Normal priors, bounds and fixed numbers of one patch sequence; arrays by parameter."""

    mean: Floats
    precision: Floats
    lowest: Floats
    highest: Floats


def priors(
    hypothesis: Hypothesis, patch: PatchSequence, scenery: Scenery, dye: Dye, pixel_size_um: float
) -> Priors:
    """Return what is known of a hypothesis' parameters before looking at the change."""
    mean, sd = np.zeros(PARAMETERS), np.full(PARAMETERS, 1.0)
    mean[LOG_D], sd[LOG_D] = np.log(dye.diffusion_um2_s / pixel_size_um**2), dye.diffusion_sd
    mean[LOG_GAIN], sd[LOG_GAIN] = np.log(dye.gain), dye.gain_sd
    mean[LOG_TAU], sd[LOG_TAU] = np.log(dye.release_s), dye.release_sd
    mean[SHARE], sd[SHARE] = HALF, HALF_SD
    mean[SPEED], sd[SPEED] = FOCUS_UM_S / pixel_size_um, FOCUS_SD * FOCUS_UM_S / pixel_size_um
    mean[LOG_N], sd[LOG_N] = np.log(scenery.n), 1.0
    if hypothesis.name == "fades":
        mean[LOG_TAU], sd[LOG_TAU] = np.log(FADE_FRAMES * patch.interval_s), FADE_SD
    if hypothesis.name in ("brightens", "dims"):
        mean[LOG_TAU] = np.log(patch.interval_s)
        gain = (PLATEAU_GAIN, PLATEAU_SD) if hypothesis.name == "brightens" else (DIM_GAIN, DIM_SD)
        mean[LOG_GAIN], sd[LOG_GAIN] = np.log(gain[0]), gain[1]
    lowest, highest = mean - REACH_SD * sd, mean + REACH_SD * sd
    lowest[LOG_TAU] = min(np.log(0.01), lowest[LOG_TAU])
    if hypothesis.name == "fades":
        lowest[LOG_TAU] = np.log(0.7 * patch.interval_s)
    lowest[SPEED], lowest[SHARE], highest[SHARE] = 0.0, 0.2, 0.8
    if hypothesis.name == "brightens":
        lowest[LOG_GAIN] = np.log(1.15)
    if hypothesis.name == "dims":
        highest[LOG_GAIN] = np.log(0.85)
    lowest[START], highest[START] = _window(patch)
    precision = np.zeros(PARAMETERS)
    known = [*(p for p in hypothesis.free if p != START), LOG_N]
    precision[known] = 1 / sd[known] ** 2
    return Priors(mean, precision, lowest, highest)


def _window(patch: PatchSequence) -> tuple[float, float]:
    """Return between which times the change may begin."""
    return float(patch.times_s[patch.before - 1]), float(patch.times_s[patch.latest])


def compare(
    patch: PatchSequence, scenery: Scenery, dye: Dye, *, pixel_size_um: float, names: tuple[str, ...] = ()
) -> dict[str, Fit]:
    """Fit every hypothesis to a patch sequence.

    Parameters
    ----------
    patch : PatchSequence
    scenery : Scenery
    dye : Dye
        Priors of spread, gain and release.
    pixel_size_um : float
    names : tuple of str
        Hypotheses to fit, `stays` among them; all if empty.

    Returns
    -------
    dict of str to Fit
        By name; besides, "unexplained" is a spot of any brightness in every frame, "moves" one that is
        anywhere in the patch, and "joined" one at rest with another one beside it.
    """
    fits: dict[str, Fit] = {}
    for name in names or HYPOTHESES:
        hypothesis = HYPOTHESES[name]
        known = priors(hypothesis, patch, scenery, dye, pixel_size_um)
        views = (False, True) if hypothesis.spreads else (False,)
        seen = [_fit(hypothesis, patch, scenery, known, edge, fits) for edge in views]
        best = max(seen, key=lambda fit: fit.log_evidence)
        evidence = float(logsumexp([fit.log_evidence for fit in seen])) - np.log(len(seen))
        fits[name] = Fit(name, best.edge, best.theta, best.log_likelihood, evidence)
    fits["unexplained"] = unexplained(patch, scenery)
    fits["moves"], fits["joined"] = elsewhere(patch, scenery)
    return fits


def _fit(
    hypothesis: Hypothesis,
    patch: PatchSequence,
    scenery: Scenery,
    known: Priors,
    edge: bool,
    before: Mapping[str, Fit],
) -> Fit:
    if hypothesis.name == "gone":
        return _gone(patch, scenery, known)
    free = np.array([*hypothesis.free, LOG_N], dtype=np.int64)
    found = [
        maximise(patch, scenery, start, free, known, edge)
        for start in _starts(hypothesis, patch, scenery, known, edge, before)
    ]
    theta, likelihood, posterior, information = max(found, key=lambda result: result[2])
    evidence = _laplace(free, posterior, information, known, patch)
    return Fit(hypothesis.name, edge, theta, likelihood, evidence)


def maximise(
    patch: PatchSequence,
    scenery: Scenery,
    start: Floats,
    free: NDArray[np.int64],
    known: Priors,
    edge: bool,
    most_steps: int = MOST_STEPS,
) -> tuple[Floats, float, float, Floats]:
    """Return parameters, log-likelihood, log-posterior and information, as `fit_light` does."""
    found: tuple[Floats, float, float, Floats] = fit_light(
        scenery.photons, patch.mask, scenery.base, patch.fade, patch.times_s, patch.centres_px,
        patch.optics(scenery.level_precision), edge, scenery.levels.copy(), scenery.levels, 0, start, free,
        known.mean, known.precision, known.lowest, known.highest, most_steps,
    )  # fmt: skip
    return found


def _laplace(
    free: NDArray[np.int64], posterior: float, information: Floats, known: Priors, patch: PatchSequence
) -> float:
    r"""Return the log-evidence, :math:`\ln L p + \frac{m}{2}\ln 2\pi - \frac12\ln|H|`, at the maximum."""
    precision = known.precision[free].copy()
    constants = 0.5 * np.sum(np.log(precision[precision > 0] / (2 * np.pi)))
    timed = free == START
    if timed.any():
        first, last = _window(patch)
        constants -= np.log(max(last - first, patch.interval_s))
        precision[timed] = 12 / patch.interval_s**2
    _, determinant = np.linalg.slogdet(information + np.diag(precision))
    evidence = float(posterior + constants + 0.5 * len(free) * np.log(2 * np.pi) - 0.5 * determinant)
    return evidence if np.isfinite(evidence) else HOPELESS


def _gone(patch: PatchSequence, scenery: Scenery, known: Priors) -> Fit:
    """Return the fit of a spot that is there in one frame and not in the next; every gap is tried.

    Notes
    -----
    A spot may also go during an exposure: half of its light, on average, is then in that frame.
    """
    gaps = np.arange(patch.before - 1, patch.latest)
    during = min(patch.exposure_s / patch.interval_s, 0.9)
    between = (patch.times_s[gaps] + patch.times_s[gaps + 1]) / 2
    starts = np.concatenate([between, patch.times_s[gaps + 1][:-1]])
    weight = np.concatenate([np.full(len(gaps), 1 - during), np.full(len(gaps) - 1, max(during, 1e-9))])
    theta = _base(HYPOTHESES["gone"], scenery)
    totals = np.empty(len(starts))
    for i, start in enumerate(starts):
        theta[START] = start
        totals[i] = sequence_likelihood(patch, scenery, theta, edge=False)[0] + np.log(weight[i])
    best = int(np.argmax(totals))
    theta[START] = starts[best]
    free = np.array([LOG_N], dtype=np.int64)
    theta, likelihood, posterior, information = maximise(patch, scenery, theta, free, known, False)
    evidence = _laplace(free, posterior, information, known, patch)
    evidence += float(logsumexp(totals - totals[best])) + float(np.log(weight[best] / len(gaps)))
    return Fit("gone", False, theta, likelihood, evidence)


def _base(hypothesis: Hypothesis, scenery: Scenery) -> Floats:
    theta = resting()
    theta[LOG_N] = np.log(scenery.n)
    for parameter, value in hypothesis.fixed.items():
        theta[parameter] = value
    return theta


def _within(patch: PatchSequence, gap: int, place: float) -> float:
    """Return a time between frame `gap` and the next."""
    first, last = patch.times_s[gap], patch.times_s[gap + 1]
    return float(first + place * (last - first))


def _starts(
    hypothesis: Hypothesis,
    patch: PatchSequence,
    scenery: Scenery,
    known: Priors,
    edge: bool,
    before: Mapping[str, Fit],
) -> list[Floats]:
    """Return the most promising start values on a coarse grid."""
    base = _base(hypothesis, scenery)
    for parameter in hypothesis.free:
        if parameter != SHARE:
            base[parameter] = np.clip(
                known.mean[parameter], known.lowest[parameter], known.highest[parameter]
            )
    if START not in hypothesis.free:
        return [base]
    if hypothesis.name == "half_spreads" and "spreads" in before:
        whole = before["spreads"].theta.copy()
        whole[SHARE] = HALF
        wider = whole.copy()
        wider[LOG_GAIN] = min(whole[LOG_GAIN] + 0.7, known.highest[LOG_GAIN])
        return [wider, *_on_grid(base, hypothesis, patch, scenery, known, edge)[:1]]
    return _on_grid(base, hypothesis, patch, scenery, known, edge)


def _on_grid(
    base: Floats, hypothesis: Hypothesis, patch: PatchSequence, scenery: Scenery, known: Priors, edge: bool
) -> list[Floats]:
    tried = []
    grid = np.array(np.meshgrid(*[GRID[p] for p in GRID if p in hypothesis.free], indexing="ij"))
    shifts = grid.reshape(len(grid), -1).T if hypothesis.spreads else np.zeros((1, 0))
    shifted = [p for p in GRID if p in hypothesis.free]
    for gap in range(patch.before - 1, patch.latest):
        for place in PLACES:
            for shift in shifts:
                theta = base.copy()
                theta[START] = _within(patch, gap, place)
                if len(shift):
                    theta[shifted] = np.clip(
                        theta[shifted] + shift, known.lowest[shifted], known.highest[shifted]
                    )
                tried.append(theta)
    scores = [
        sequence_likelihood(patch, scenery, theta, edge=edge, first=patch.before - 1)[0] for theta in tried
    ]
    order = np.argsort(scores)[::-1]
    chosen = [tried[order[0]]]
    for i in order[1:]:
        if len(chosen) == STARTS:
            break
        if all(abs(tried[i][START] - other[START]) > 0.6 * patch.interval_s for other in chosen):
            chosen.append(tried[i])
    return chosen


def unexplained(patch: PatchSequence, scenery: Scenery) -> Fit:
    """Return the fit of a spot that may have any brightness in each frame after the change.

    Notes
    -----
    Brightness has a normal prior around none, with a deviation of twice that before; the evidence of each
    frame is exact for a normal likelihood.
    """
    light = np.zeros_like(patch.photons)
    draw_light(resting(), patch.times_s, patch.centres_px, patch.optics(), False, 0, light)
    _, steady = sequence_likelihood(patch, scenery, _base(HYPOTHESES["stays"], scenery), edge=False)
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
    theta = _base(HYPOTHESES["stays"], scenery)
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
    stays = _base(HYPOTHESES["stays"], scenery)
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
