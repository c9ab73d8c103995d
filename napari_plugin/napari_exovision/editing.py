"""Corrections that need pixels: a spot measured where a person pointed, cells replaced; no Qt."""

from __future__ import annotations

import numpy as np
import pandas as pd

from exovision.curation.annotations import Annotation
from exovision.curation.labels import changed_runs
from exovision.curation.tracks import add_spot
from exovision.errors import InputError
from exovision.sweep import prepared_detector
from napari_exovision.session import Session


def measure_spot(session: Session, frame: int, y_px: float, x_px: float) -> Annotation:
    """Measure the spot nearest to a place, as the analysis measures spots, and add it.

    Raises
    ------
    InputError
        If the movie is not there, has no exosome channel, or there is nothing to fit.
    """
    movie = session.stored.movie
    if movie is None or "exosome" not in movie.roles or not movie.acquired(frame, "exosome"):
        why = session.stored.problem or f"there is no exosome image in frame {frame}"
        raise InputError(f"an image of the exosome channel is needed to measure a spot: {why}")
    detector = prepared_detector(movie, session.stored.settings)
    row = detector.measure_at(movie.image(frame, "exosome"), frame, (y_px, x_px))
    return add_spot(
        row.assign(
            time_s=movie.role_times_s("exosome")[frame],
            y_um=row["y_px"] * movie.pixel_size_um,
            x_um=row["x_px"] * movie.pixel_size_um,
        )
    )


def replace_cell(session: Session, cell_id: int, by: int, frames: range) -> list[Annotation]:
    """Give the pixels of a cell to another, or to the background (0), in some frames.

    Raises
    ------
    InputError
        If the cell is in none of the frames, or the ids are the same.
    """
    if cell_id == by or cell_id < 1 or by < 0:
        raise InputError(f"two different cells are needed, got {cell_id} and {by}; choose others")
    found = []
    for t in frames:
        before = session.labels[t]
        runs = changed_runs(before, np.where(before == cell_id, by, before).astype(np.int32))
        if runs:
            found.append(Annotation("paint", {"frame": t, "runs": runs}))
    if not found:
        raise InputError(f"cell {cell_id} was wanted, it is in none of these frames; choose another")
    return found


def free_cell_id(session: Session) -> int:
    """Return a cell id that nothing has yet, painted cells included."""
    known = [int(session.labels[t].max(initial=0)) for t in session.labels.frames]
    largest = session.fates["cell_id"].max()
    return 1 + max([0 if pd.isna(largest) else int(largest), *known])
