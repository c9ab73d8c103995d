"""From examined moments to the probability of each fate: what models say, and a network if there is one."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Protocol

import numpy as np
from numpy.typing import NDArray
from scipy.special import logsumexp

from exovision.events.chemistry import Chemistry
from exovision.events.examples import Examined, picture
from exovision.events.posterior import judge_fates
from exovision.events.verdicts import FATES, KINDS, Posterior

SPECIAL = ("fused", "hemifused", "kiss_and_run")
"""Fates that the network tells from all the rest."""
REST = "rest"
CLASSES = (*SPECIAL, REST)


class FateNetwork(Protocol):
    """Tells special fates from all the rest by what a moment looks like."""

    def log_likelihoods(self, pictures: NDArray[np.float32]) -> NDArray[np.float64]:
        """Return how likely moments are under each of `CLASSES`.

        Parameters
        ----------
        pictures : ndarray of shape (N, F, P, P)
            As `exovision.events.examples.picture` makes them.

        Returns
        -------
        ndarray of shape (N, 4)
            Log-likelihoods up to a constant per moment.
        """


def weigh(
    moments: Sequence[Examined],
    chemistry: Chemistry,
    *,
    shows: Sequence[str],
    fusion_prior: float,
    pixel_size_um: float,
    network: FateNetwork | None = None,
) -> list[Posterior]:
    """Return the probability of each fate at every moment.

    Parameters
    ----------
    moments : sequence of Examined
    chemistry : Chemistry
    shows : sequence of str
        Kinds that label, timing and light can show; what they cannot counts as unresolved.
    fusion_prior : float
        Probability of fusion, and of hemifusion and kiss-and-run each, among docked exosomes.
    pixel_size_um : float
    network : FateNetwork, optional
        Sees the images and all that the models say of them; what it holds likely of the special fates then
        counts, and the models tell the rest apart. Without one the models decide alone.

    Returns
    -------
    list of Posterior
    """
    posteriors = [
        judge_fates(moment.fits, moment.content, fusion_prior=fusion_prior, shows=shows) for moment in moments
    ]
    if network is None or not moments:
        return posteriors
    seen = np.stack([picture(moment, chemistry.dye, pixel_size_um=pixel_size_um) for moment in moments])
    likely = network.log_likelihoods(seen)
    return [
        _joined(posterior, row, fusion_prior=fusion_prior, shows=shows)
        for posterior, row in zip(posteriors, likely)
    ]


def log_prior(fusion_prior: float) -> NDArray[np.float64]:
    """Return the log-probability of each of `CLASSES` (4,) before anything is seen."""
    prior: NDArray[np.float64] = np.log([fusion_prior] * len(SPECIAL) + [1 - len(SPECIAL) * fusion_prior])
    return prior


def model_ratio(moment: Examined) -> float:
    """Return the log-likelihood ratio of fusion that the models of the light give alone."""
    posterior = judge_fates(moment.fits, moment.content, fusion_prior=0.5, shows=())
    return posterior.fusion_log_likelihood_ratio


def _joined(
    posterior: Posterior, likely: NDArray[np.float64], *, fusion_prior: float, shows: Sequence[str]
) -> Posterior:
    """Return the posterior with the special fates as the network weighs them."""
    prior = log_prior(fusion_prior)
    shares = dict(zip(CLASSES, np.exp(prior + likely - logsumexp(prior + likely))))
    others = {name: posterior.fates[name] for name in FATES if name not in SPECIAL}
    known = sum(others.values())
    fates = dict.fromkeys(FATES, 0.0)
    for name, value in others.items():
        fates[name] = float(shares[REST] * (value / known if known > 0 else name == "unresolved"))
    for name in SPECIAL:
        fates[name if KINDS[name] in shows else "unresolved"] += float(shares[name])
    against = logsumexp(prior[1:] + likely[1:]) - logsumexp(prior[1:])
    return replace(posterior, fates=fates, fusion_log_likelihood_ratio=float(likely[0] - against))
