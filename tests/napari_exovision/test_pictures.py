"""Pictures are drawn for every kind of event and cell, with and without the movie."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from napari_exovision.pictures import chart_pictures, lifeline_picture, strip_picture
from napari_exovision.session import Session

from exovision.errors import InputError


def inked(picture: np.ndarray) -> bool:
    """Tell whether a picture is more than an empty page."""
    return picture.ndim == 3 and picture.shape[2] == 4 and float(np.std(picture[..., :3])) > 5


def test_every_event_has_a_strip(session: Session) -> None:
    for _, event in session.events.iterrows():
        picture = strip_picture(session, event.to_dict())
        assert picture is not None and inked(picture)


def test_without_the_movie_the_strip_shows_distance_and_brightness(folder: Path) -> None:
    record = json.loads((folder / "run.json").read_text())
    record["reading"]["path"] = "gone.tif"
    (folder / "run.json").write_text(json.dumps(record))
    session = Session.open(folder)
    picture = strip_picture(session, session.events.iloc[0].to_dict())
    assert picture is not None and inked(picture) and picture.shape[0] < 300


def test_every_cell_has_a_lifeline(session: Session) -> None:
    for cell in session.fates["cell_id"]:
        assert inked(lifeline_picture(session, int(cell)))
    with pytest.raises(InputError, match="none of this id"):
        lifeline_picture(session, 999)


def test_the_charts_are_those_of_the_report(session: Session) -> None:
    pictures = chart_pictures(session)
    assert "Dockings per cell" in pictures and all(inked(picture) for picture in pictures.values())
