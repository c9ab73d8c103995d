"""What the light says of the end of a docking, brought to bear on what its track says."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from itertools import count

import numpy as np

from exovision.events.dockings import CENSORED, Clock, Docking
from exovision.events.motion import main_cell
from exovision.events.states import Story
from exovision.events.verdicts import KINDS, Verdict

LASTING = ("hemifused", "kiss_and_run")
"""Fates after which a vesicle is still there and may leave or vanish later."""


VISIT_SPOTS = 8
"""A stay in the band of fewer spots says too little of the light before its end."""


def resolve(
    stories: Sequence[Story], visits: Sequence[Docking], verdicts: Sequence[Verdict]
) -> tuple[list[Story], list[Docking]]:
    """Give every docking and visit what was found at its moments, and dockings the outcome that follows.

    Parameters
    ----------
    stories : sequence of Story
    visits : sequence of Docking
    verdicts : sequence of Verdict
        Dockings are numbered through all stories, then the visits.

    Returns
    -------
    list of Story, list of Docking
        A docking that was taken to leave focus but fused is seen to end.
    """
    found: dict[int, list[Verdict]] = {}
    for verdict in verdicts:
        found.setdefault(verdict.docking, []).append(verdict)
    numbers = count()
    resolved = [
        replace(
            story, dockings=[_resolve(docking, found.get(next(numbers), [])) for docking in story.dockings]
        )
        for story in stories
    ]
    return resolved, [_resolve(visit, found.get(next(numbers), [])) for visit in visits]


def _resolve(docking: Docking, verdicts: Sequence[Verdict]) -> Docking:
    if not verdicts:
        return docking
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


def find_visits(stories: Sequence[Story], clock: Clock) -> list[Docking]:
    """Return the stays in the band that end in a loss and are too short or too mobile for a docking.

    Parameters
    ----------
    stories : sequence of Story
    clock : Clock

    Returns
    -------
    list of Docking
        At most one per exosome, from its last tethered spots; a fusion may end it all the same.
    """
    found = []
    for story in stories:
        track = story.track
        if story.dockings and len(track) - story.dockings[-1].stop < VISIT_SPOTS:
            continue
        others = np.flatnonzero(story.states != "tethered")
        start = int(others[-1]) + 1 if len(others) else 0
        if len(track) - start < VISIT_SPOTS or clock.ends(int(track.frames[-1])):
            continue
        part = slice(start, len(track))
        found.append(
            Docking(
                track=track,
                start=start,
                stop=len(track),
                cell_id=main_cell(track.nearest[part], track.distance_um[part]),
                diffusion=track.diffusion(part, exposure_s=clock.exposure_s, axes=1),
                comotion=story.whole,
                probability=1.0,
                censored="none",
                outcome="loss_unresolved",
                over_at=None,
            )
        )
    return found


def final(docking: Docking) -> Verdict | None:
    """Return the verdict that says how the exosome ended, None if none does."""
    calls = [v for v in docking.verdicts if v.fate is not None and v.fate not in LASTING]
    return calls[-1] if calls else None


def kind_of(verdict: Verdict) -> str:
    """Return the kind of event that a verdict makes."""
    return KINDS[verdict.fate] if verdict.fate is not None else "loss_unresolved"
