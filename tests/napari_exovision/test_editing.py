"""Corrections that need pixels: spots measured where a person points, cells replaced."""

from __future__ import annotations

import numpy as np
import pytest
from napari_exovision.editing import free_cell_id, measure_spot, replace_cell
from napari_exovision.session import Session

from exovision.curation.tracks import delete_spots
from exovision.errors import InputError


def test_a_deleted_spot_is_measured_again_as_it_was(session: Session) -> None:
    bright = session.spots["snr"].idxmax()
    was = session.spots.loc[bright]
    session.add(delete_spots([int(bright)]))
    session.add(measure_spot(session, int(was["frame"]), float(was["y_px"]) + 1, float(was["x_px"]) - 1))
    new = session.spots.loc[len(session.stored.spots)]
    for name in ("y_px", "x_px", "counts", "snr", "time_s", "y_um"):
        assert new[name] == pytest.approx(was[name], rel=1e-3), name
    session.adopt(session.recount(device="cpu"))
    assert session.spots.loc[len(session.stored.spots), "cell_id"] == was["cell_id"]


def test_a_cell_is_given_to_another_in_the_frames_chosen(session: Session) -> None:
    first, second = (int(cell) for cell in session.fates["cell_id"].iloc[:2])
    session.add(*replace_cell(session, first, second, range(3, 6)))
    assert first not in session.labels[4] and second in session.labels[4]
    assert first in session.labels[6]
    assert session.undo() and first in session.labels[4]


def test_a_cell_is_removed(session: Session) -> None:
    cell = int(session.fates["cell_id"].iloc[0])
    session.add(*replace_cell(session, cell, 0, range(session.stored.n_frames)))
    session.adopt(session.recount(device="cpu"))
    assert cell not in set(session.fates["cell_id"])
    assert not any(cell in np.unique(session.labels[t]) for t in range(session.stored.n_frames))


def test_a_new_cell_has_an_id_of_its_own(session: Session) -> None:
    free = free_cell_id(session)
    assert free == int(session.fates["cell_id"].max()) + 1
    session.array[0, :3, :3] = free
    assert free_cell_id(session) == free + 1


@pytest.mark.parametrize(("cell", "by"), [(99, 1), (1, 1), (0, 1)])
def test_cells_that_are_not_there_are_refused(session: Session, cell: int, by: int) -> None:
    with pytest.raises(InputError, match="choose"):
        replace_cell(session, cell, by, range(3))
