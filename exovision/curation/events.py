"""Corrections of events as annotations, tied to spots so that they outlive a recount of the events."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd

from exovision.curation.annotations import Annotation
from exovision.errors import InputError
from exovision.records import Ruling

INTERVALS = ("docking", "surfing")
"""Kinds of event that a person can add, deny or turn into each other."""
ENDINGS = {
    "detachment": "detached",
    "loss_unresolved": "loss_unresolved",
    "fusion": "fused",
    "hemifusion": "hemifused",
    "kiss_and_run": "kiss_and_run",
    "uptake": "taken_up",
}
"""Kinds of event that end a docking, and the outcome that each stands for."""
AFTER_FRAMES = 10
"""An ending shows at most so many frames after the last docked one, gaps included."""


def add_event(
    spots: pd.DataFrame, exosome_id: int, kind: str, start_frame: int, end_frame: int
) -> Annotation:
    """Say that an exosome docked or surfed from one frame to another.

    Raises
    ------
    InputError
        If the kind cannot be added, or the exosome has no spot in these frames.
    """
    if kind not in INTERVALS:
        raise InputError(f"an event to add must be {' or '.join(INTERVALS)}, got {kind}; choose one of these")
    return _rule(kind, _rows(spots, exosome_id, start_frame, end_frame), holds=True)


def delete_event(events: pd.DataFrame, spots: pd.DataFrame, event: Mapping[str, Any]) -> Annotation:
    """Say that an event is none; a docking goes with its ending.

    Raises
    ------
    InputError
        If it is the ending of a docking, which cannot go alone.
    """
    if event["kind"] in ENDINGS:
        raise InputError(
            f"a {event['kind']} ends a docking and cannot go alone; delete the docking, or relabel the ending"
        )
    return _rule(str(event["kind"]), _event_rows(spots, event), holds=False)


def relabel_event(
    events: pd.DataFrame, spots: pd.DataFrame, event: Mapping[str, Any], kind: str
) -> list[Annotation]:
    """Say that an event is of another kind: docking and surfing change places, and so do the endings.

    Raises
    ------
    InputError
        If the one kind cannot become the other.
    """
    now = str(event["kind"])
    if kind == now:
        raise InputError(f"another kind than {now} was wanted, got the same; accept the event instead")
    if now in ENDINGS and kind in ENDINGS:
        docking = _docking_before(events, event)
        return [_rule("docking", _event_rows(spots, docking), holds=True, ending=ENDINGS[kind])]
    if now in INTERVALS and kind in INTERVALS:
        rows = _event_rows(spots, event)
        return [_rule(now, rows, holds=False), _rule(kind, rows, holds=True)]
    known = ENDINGS if now in ENDINGS else INTERVALS
    raise InputError(f"a {now} can become {' or '.join(k for k in known if k != now)}, got {kind}")


def accept_event(spots: pd.DataFrame, event: Mapping[str, Any]) -> Annotation:
    """Say that an event was looked at and is right."""
    return Annotation("review", {"kind": str(event["kind"]), "spots": _event_rows(spots, event)})


def rulings(spots: pd.DataFrame, annotations: Sequence[Annotation]) -> tuple[Ruling, ...]:
    """Return the rulings that annotations make on these spots.

    Parameters
    ----------
    spots : DataFrame
        Corrected; the index names the rows.
    annotations : sequence of Annotation

    Returns
    -------
    tuple of Ruling
        Those whose spots still exist and belong to one exosome.
    """
    found = []
    for annotation in annotations:
        if annotation.action == "rule" and (place := place_of(spots, annotation)):
            values = annotation.values
            found.append(Ruling(place[0], values["kind"], *place[1:], values["holds"], values.get("ending")))
    return tuple(found)


def review_states(
    events: pd.DataFrame, spots: pd.DataFrame, annotations: Sequence[Annotation]
) -> pd.Series[Any]:
    """Return for every event whether it was "accepted" or "corrected" by a person, else "".

    Parameters
    ----------
    events, spots : DataFrame
        Of the corrected analysis; the index of spots names the rows.
    annotations : sequence of Annotation
    """
    states = pd.Series("", index=events.index, dtype="object")
    for annotation in annotations:
        if not (place := place_of(spots, annotation)):
            continue
        kind, (exosome_id, first, last) = annotation.values["kind"], place
        own = events["exosome_id"] == exosome_id
        met = (
            own & (events["kind"] == kind) & (events["start_frame"] <= last) & (events["end_frame"] >= first)
        )
        if annotation.values.get("ending"):
            met = (
                own
                & events["kind"].isin([*ENDINGS])
                & events["start_frame"].between(last, last + AFTER_FRAMES)
            )
        states[met.fillna(False).astype(bool)] = "accepted" if annotation.action == "review" else "corrected"
    return states


def _rule(kind: str, rows: list[int], *, holds: bool, ending: str | None = None) -> Annotation:
    return Annotation("rule", {"kind": kind, "spots": rows, "holds": holds, "ending": ending})


def _rows(spots: pd.DataFrame, exosome_id: int, start_frame: int, end_frame: int) -> list[int]:
    """Return the rows of the first and the last spot of an exosome in an interval of frames."""
    own = spots[(spots["exosome_id"] == exosome_id).fillna(False).astype(bool)]
    own = own[own["frame"].between(start_frame, end_frame)]
    if not len(own):
        raise InputError(
            f"exosome {exosome_id} must have spots in frames {start_frame} to {end_frame}, it has none; "
            "choose other frames or link spots first"
        )
    return [int(own.index[0]), int(own.index[-1])]


def _event_rows(spots: pd.DataFrame, event: Mapping[str, Any]) -> list[int]:
    ids = (int(event[name]) for name in ("exosome_id", "start_frame", "end_frame"))
    return _rows(spots, *ids)


def _docking_before(events: pd.DataFrame, ending: Mapping[str, Any]) -> dict[str, Any]:
    own = events[(events["exosome_id"] == ending["exosome_id"]) & (events["kind"] == "docking")]
    own = own[own["start_frame"] <= ending["start_frame"]].sort_values("start_frame")
    if not len(own):
        raise InputError("an ending needs a docking before it, there is none; delete or add events instead")
    return {str(name): value for name, value in own.iloc[-1].items()}


def place_of(spots: pd.DataFrame, annotation: Annotation) -> tuple[int, int, int] | None:
    """Return exosome, first and last frame of an event's annotation, None if its spots are gone or parted.

    Parameters
    ----------
    spots : DataFrame
        Corrected; the index names the rows.
    annotation : Annotation
        Any; those that name no spots have no place.
    """
    rows = annotation.values["spots"] if annotation.action in ("rule", "review") else []
    if not rows or not set(rows) <= set(spots.index):
        return None
    first, last = (spots.loc[row] for row in rows)
    if pd.isna(first["exosome_id"]) or first["exosome_id"] != last["exosome_id"]:
        return None
    return int(first["exosome_id"]), int(first["frame"]), int(last["frame"])
