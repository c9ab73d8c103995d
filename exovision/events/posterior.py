"""From how well each model explains the light to the probability of each fate."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from scipy.special import logsumexp

from exovision.events.hypotheses import Fit
from exovision.events.verdicts import FATES, KINDS, Posterior

ONE_CHANNEL: Mapping[str, tuple[str, float]] = {
    "stays": ("unresolved", 0.25),
    "gone": ("unresolved", 0.6),
    "fades": ("unresolved", 0.02),
    "dims": ("unresolved", 0.02),
    "brightens": ("unresolved", 0.02),
    "unexplained": ("unresolved", 0.03),
    "moves": ("unresolved", 0.2),
    "joined": ("unresolved", 0.05),
    "defocuses": ("left_focus", 0.05),
    "spreads": ("fused", 1.0),
    "half_spreads": ("hemifused", 0.1),
}
"""Fate and prior of each model of a single channel (P); those of fusion are in units of `fusion_prior`.
Without a second label, exosomes that meet look like half a spread: its prior is smaller."""
TWO_CHANNELS: Mapping[tuple[str, str], tuple[str, float]] = {
    ("stays", "kept"): ("unresolved", 0.25),
    ("stays", "lost"): ("kiss_and_run", 1.0),
    ("gone", "kept"): ("bleached", 0.1),
    ("gone", "lost"): ("unresolved", 0.5),
    ("defocuses", "defocused"): ("left_focus", 0.05),
    ("defocuses", "lost"): ("unresolved", 0.005),
    ("spreads", "lost"): ("fused", 1.0),
    ("spreads", "kept"): ("unresolved", 0.002),
    ("half_spreads", "kept"): ("hemifused", 1.0),
    ("half_spreads", "lost"): ("unresolved", 0.002),
    ("fades", "any"): ("unresolved", 0.02),
    ("dims", "any"): ("unresolved", 0.02),
    ("brightens", "any"): ("unresolved", 0.02),
    ("unexplained", "any"): ("unresolved", 0.03),
    ("moves", "any"): ("unresolved", 0.2),
    ("joined", "any"): ("unresolved", 0.05),
}
"""The same of pairs of what the exosome's and the content's label do."""
LOST = ("gone", "fades")
RARE = ("spreads", "half_spreads")


def judge_fates(
    exosome: Mapping[str, Fit],
    content: Mapping[str, Fit] | None,
    *,
    fusion_prior: float,
    shows: Sequence[str],
) -> Posterior:
    """Weigh models against each other.

    Parameters
    ----------
    exosome : mapping of str to Fit
        All hypotheses of the exosome's channel.
    content : mapping of str to Fit, optional
        Those of the content's.
    fusion_prior : float
        Probability of fusion, and of hemifusion and kiss-and-run each, among docked exosomes.
    shows : sequence of str
        Kinds that label, timing and light can show; what they cannot counts as unresolved.

    Returns
    -------
    Posterior
    """
    terms = _one(exosome, fusion_prior) if content is None else _two(exosome, content, fusion_prior)
    total = float(logsumexp([value for _, _, value, _ in terms]))
    fates = dict.fromkeys(FATES, 0.0)
    weights: dict[str, float] = {}
    for fate, model, value, _ in terms:
        share = float(np.exp(value - total))
        able = fate not in KINDS or KINDS[fate] in shows
        fates[fate if able else "unresolved"] += share
        weights[model] = weights.get(model, 0.0) + share
    ranked = sorted(weights, key=lambda name: -weights[name])
    return Posterior(fates, _ratio(terms), ranked[0], ranked[1])


Term = tuple[str, str, float, float]
"""Fate, model of the exosome's channel, log of prior times evidence, log of the prior."""


def _one(exosome: Mapping[str, Fit], fusion_prior: float) -> list[Term]:
    terms = []
    for model, (fate, prior) in ONE_CHANNEL.items():
        weight = float(np.log(prior * (fusion_prior if model in RARE else 1.0)))
        terms.append((fate, model, exosome[model].log_evidence + weight, weight))
    return terms


def _two(exosome: Mapping[str, Fit], content: Mapping[str, Fit], fusion_prior: float) -> list[Term]:
    lumen = {
        "kept": content["stays"].log_evidence,
        "lost": float(
            np.logaddexp(
                content["gone"].log_evidence + np.log(0.7), content["fades"].log_evidence + np.log(0.3)
            )
        ),
        "defocused": content["defocuses"].log_evidence,
        "any": float(logsumexp([fit.log_evidence for fit in content.values()])) - np.log(len(content)),
    }
    terms = []
    for (model, cargo), (fate, prior) in TWO_CHANNELS.items():
        rare = fate in ("fused", "hemifused", "kiss_and_run")
        weight = float(np.log(prior * (fusion_prior if rare else 1.0)))
        terms.append((fate, model, exosome[model].log_evidence + lumen[cargo] + weight, weight))
    return terms


def _ratio(terms: list[Term]) -> float:
    """Return the log of the mean evidence for fusion over that of the alternatives, by their priors."""
    mine = [(value, prior) for fate, _, value, prior in terms if fate == "fused"]
    rest = [(value, prior) for fate, _, value, prior in terms if fate != "fused"]
    sides = [
        float(logsumexp([v for v, _ in side]) - logsumexp([p for _, p in side])) for side in (mine, rest)
    ]
    return sides[0] - sides[1]
