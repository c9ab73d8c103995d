"""Hypotheses fitted to a patch sequence: the likeliest parameters, and the evidence for each."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray
from scipy.special import logsumexp

from exovision.events.chemistry import Dye
from exovision.events.free_light import elsewhere, unexplained
from exovision.events.hypotheses import (
    HALF,
    HOPELESS,
    HYPOTHESES,
    Fit,
    Hypothesis,
    Priors,
    base,
    priors,
    window,
)
from exovision.events.sequences import PatchSequence, Scenery, sequence_likelihood
from exovision.numerics.release import LOG_D, LOG_GAIN, LOG_N, LOG_TAU, SHARE, START
from exovision.numerics.release_fits import fit_light

Floats = NDArray[np.float64]

MOST_STEPS = 25
GRID = {LOG_D: (-0.8, 0.8), LOG_GAIN: (0.0, 1.1), LOG_TAU: (-2.5, 0.5)}
"""Start values of spreading models beside the medians, in logarithms."""
PLACE = 0.4
"""Where between two frames a change may begin, as tried for start values."""
STARTS = 2


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
        first, last = window(patch)
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
    theta = base(HYPOTHESES["gone"], scenery)
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
    fixed = base(hypothesis, scenery)
    for parameter in hypothesis.free:
        if parameter != SHARE:
            fixed[parameter] = np.clip(
                known.mean[parameter], known.lowest[parameter], known.highest[parameter]
            )
    if START not in hypothesis.free:
        return [fixed]
    if hypothesis.name == "half_spreads" and "spreads" in before:
        whole = before["spreads"].theta.copy()
        whole[SHARE] = HALF
        wider = whole.copy()
        wider[LOG_GAIN] = min(whole[LOG_GAIN] + 0.7, known.highest[LOG_GAIN])
        return [wider, *_on_grid(fixed, hypothesis, patch, scenery, known, edge)[:1]]
    return _on_grid(fixed, hypothesis, patch, scenery, known, edge)


def _on_grid(
    fixed: Floats, hypothesis: Hypothesis, patch: PatchSequence, scenery: Scenery, known: Priors, edge: bool
) -> list[Floats]:
    tried = []
    grid = np.array(np.meshgrid(*[GRID[p] for p in GRID if p in hypothesis.free], indexing="ij"))
    shifts = grid.reshape(len(grid), -1).T if hypothesis.spreads else np.zeros((1, 0))
    shifted = [p for p in GRID if p in hypothesis.free]
    for gap in range(patch.before - 1, patch.latest):
        for shift in shifts:
            theta = fixed.copy()
            theta[START] = _within(patch, gap, PLACE)
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
