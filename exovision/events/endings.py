"""What the light says of the end of a docking, brought to bear on what its track says."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from exovision.events.dockings import CENSORED, Docking
from exovision.events.states import Story
from exovision.events.verdicts import KINDS, Verdict

LASTING = ("hemifused", "kiss_and_run", "aggregated")
"""Fates after which a vesicle is still there and may leave or vanish later."""


def resolve(stories: Sequence[Story], verdicts: Sequence[Verdict]) -> list[Story]:
    """Give every docking what was found at its moments, and the outcome that follows.

    Parameters
    ----------
    stories : sequence of Story
    verdicts : sequence of Verdict
        Their dockings are numbered through all stories.

    Returns
    -------
    list of Story
        A docking that was taken to leave focus but fused is seen to end.
    """
    found: dict[int, list[Verdict]] = {}
    for verdict in verdicts:
        found.setdefault(verdict.docking, []).append(verdict)
    resolved, number = [], 0
    for story in stories:
        dockings = []
        for docking in story.dockings:
            mine = found.get(number, [])
            dockings.append(_resolve(docking, mine) if mine else docking)
            number += 1
        resolved.append(replace(story, dockings=dockings))
    return resolved


def _resolve(docking: Docking, verdicts: Sequence[Verdict]) -> Docking:
    calls = [verdict.fate for verdict in verdicts if verdict.fate is not None]
    outcome, censored = docking.outcome, docking.censored
    final = [fate for fate in calls if fate not in LASTING]
    if final:
        outcome = final[-1]
        censored = CENSORED[censored in ("left", "both"), False]
    elif calls and outcome != "detached":
        outcome = calls[-1]
    elif outcome == "loss_unresolved" and any(
        v.ends and v.posterior.best == "gone" and v.posterior.fates["bleached"] > 0.5 for v in verdicts
    ):
        outcome = "bleached"
    return replace(docking, outcome=outcome, censored=censored, verdicts=tuple(verdicts))


def final(docking: Docking) -> Verdict | None:
    """Return the verdict that says how the exosome ended, None if none does."""
    calls = [v for v in docking.verdicts if v.fate is not None and v.fate not in LASTING]
    return calls[-1] if calls else None


def kind_of(verdict: Verdict) -> str:
    """Return the kind of event that a verdict makes."""
    return KINDS[verdict.fate] if verdict.fate is not None else "loss_unresolved"
