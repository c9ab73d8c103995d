"""Corrections of spots and tracks as annotations: each says which rows change and to what."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pandas as pd

from exovision import schema
from exovision.curation.annotations import Annotation
from exovision.errors import InputError


def split_track(spots: pd.DataFrame, exosome_id: int, frame: int) -> Annotation:
    """Cut a track in two: what lies in `frame` and after becomes a new exosome.

    Raises
    ------
    InputError
        If the track has no spot before the frame, or none from it on.
    """
    track = _track(spots, exosome_id)
    later = track.index[track["frame"] >= frame]
    if not len(later) or len(later) == len(track):
        first, last = int(track["frame"].min()), int(track["frame"].max())
        raise InputError(
            f"exosome {exosome_id} can be split in frames {first + 1} to {last}, got {frame}; "
            "go to a frame inside the track"
        )
    return _link(later, _new_id(spots))


def merge_tracks(spots: pd.DataFrame, keep: int, other: int) -> Annotation:
    """Make two tracks one; the first keeps its id.

    Raises
    ------
    InputError
        If they are the same, one does not exist, or both have spots in one frame.
    """
    if keep == other:
        raise InputError(f"two exosomes are needed to merge, got {keep} twice; choose another")
    rows = _track(spots, other)
    _check_free(_track(spots, keep), rows, keep)
    return _link(rows.index, keep)


def link_spots(spots: pd.DataFrame, rows: Sequence[int], exosome_id: int | None) -> Annotation:
    """Give spots to a track, or to none; an id of 0 starts a new track.

    Raises
    ------
    InputError
        If no spots are given, they share a frame, or the track has a spot in one of their frames.
    """
    if not len(rows):
        raise InputError("spots are needed to link, got none; select some in the layer of spots")
    chosen = spots.loc[list(rows)]
    if exosome_id is None:
        return _link(chosen.index, None)
    if chosen["frame"].duplicated().any():
        raise InputError("one spot a frame is needed for a track, got several; select fewer")
    if exosome_id == 0:
        return _link(chosen.index, _new_id(spots))
    own = _track(spots, exosome_id)
    _check_free(own[~own.index.isin(chosen.index)], chosen, exosome_id)
    return _link(chosen.index, exosome_id)


def delete_spots(rows: Sequence[int]) -> Annotation:
    """Take spots away.

    Raises
    ------
    InputError
        If none are given.
    """
    if not len(rows):
        raise InputError("spots are needed to delete, got none; select some in the layer of spots")
    return Annotation("delete", {"spots": [int(row) for row in rows]})


def add_spot(measured: pd.DataFrame, exosome_id: int | None = None) -> Annotation:
    """Add a spot that was measured in the movie; one row with the columns of `exovision.schema.SPOTS`."""
    row = schema.conform(measured, schema.SPOTS).iloc[0]
    known: dict[str, Any] = {str(name): _plain(value) for name, value in row.items() if pd.notna(value)}
    return Annotation("add", {"spot": {**known, "exosome_id": exosome_id}})


def corrected_spots(spots: pd.DataFrame, annotations: Sequence[Annotation]) -> pd.DataFrame:
    """Replay annotations over the analysed spots.

    Parameters
    ----------
    spots : DataFrame
        Columns of `exovision.schema.SPOTS`; the index is 0, 1, ….
    annotations : sequence of Annotation

    Returns
    -------
    DataFrame
        Sorted by frame; the index names the rows as annotations do. Every spot's place on the membrane and
        state are still those of the analysis.
    """
    table = spots.copy()
    following = len(spots)
    for annotation in annotations:
        values = annotation.values
        if annotation.action == "link":
            table.loc[table.index.isin(values["spots"]), "exosome_id"] = _id(values["exosome_id"])
        elif annotation.action == "delete":
            table = table[~table.index.isin(values["spots"])]
        elif annotation.action == "add":
            new = schema.conform(pd.DataFrame([values["spot"]]), schema.SPOTS).set_axis([following])
            table = pd.concat([table, new.reindex(columns=table.columns)])
            following += 1
    return table.sort_values("frame", kind="stable")


def _id(exosome_id: int | None) -> Any:
    return pd.NA if exosome_id is None else int(exosome_id)


def _track(spots: pd.DataFrame, exosome_id: int) -> pd.DataFrame:
    track = spots[(spots["exosome_id"] == exosome_id).fillna(False).astype(bool)]
    if not len(track):
        raise InputError(f"exosome {exosome_id} was wanted, there is none of this id; choose another")
    return track


def _check_free(own: pd.DataFrame, new: pd.DataFrame, exosome_id: int) -> None:
    shared = sorted({*own["frame"]} & {*new["frame"]})
    if shared:
        raise InputError(
            f"exosome {exosome_id} may have one spot a frame, both have one in {len(shared)} frame(s), the "
            f"first is {int(shared[0])}; split one of them first"
        )


def _new_id(spots: pd.DataFrame) -> int:
    largest = spots["exosome_id"].max()
    return 1 if pd.isna(largest) else int(largest) + 1


def _link(rows: Any, exosome_id: int | None) -> Annotation:
    return Annotation("link", {"spots": [int(row) for row in rows], "exosome_id": exosome_id})


def _plain(value: Any) -> Any:
    return value.item() if hasattr(value, "item") else value
