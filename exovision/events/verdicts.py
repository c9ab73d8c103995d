"""What was found at one moment of a docking."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import NamedTuple


class Estimate(NamedTuple):
    """A value and the ends of its 95 % interval."""

    value: float
    lo: float
    hi: float


FATES = (
    *("detached", "bleached", "left_focus", "hemifused", "fused", "kiss_and_run", "taken_up", "aggregated"),
    "unresolved",
)
KINDS = {
    "fused": "fusion",
    "hemifused": "hemifusion",
    "kiss_and_run": "kiss_and_run",
    "taken_up": "uptake",
    "aggregated": "aggregation",
    "detached": "detachment",
}
"""The kind of event that a fate makes; the others make none of their own."""


@dataclass(frozen=True)
class Posterior:
    """The fate of an exosome at one moment.

    Attributes
    ----------
    fates : mapping of str to float
        Probability of each of `FATES`; they sum to 1.
    fusion_log_likelihood_ratio : float
        Log-evidence of full fusion less that of everything else.
    best, runner_up : str
        The models of the exosome's light that explain most.
    """

    fates: Mapping[str, float]
    fusion_log_likelihood_ratio: float
    best: str
    runner_up: str


@dataclass(frozen=True)
class Verdict:
    """What was found at one moment.

    Attributes
    ----------
    docking : int
        Number among all dockings.
    ends : bool
        Whether the moment is the end of the docking.
    frame : int
        Last frame before the change.
    time_s : float
        Of that frame.
    posterior : Posterior
    fate : str or None
        What can be said to have happened, None if nothing or if it cannot be told.
    identifiable : bool
    estimates : mapping of str to Estimate
        Of a fusion or hemifusion.
    heir : int or None
        Id of the aggregate that it became a part of.
    """

    docking: int
    ends: bool
    frame: int
    time_s: float
    posterior: Posterior
    fate: str | None
    identifiable: bool
    estimates: Mapping[str, Estimate] = field(default_factory=dict)
    heir: int | None = None
