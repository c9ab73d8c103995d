"""Cells taught by corrected frames: gathered, learned from, judged on others, kept or discarded."""

from __future__ import annotations

from dataclasses import replace
from functools import partial

import numpy as np
import pytest
import tifffile
from napari_exovision.session import Session
from napari_exovision.teaching import School

from exovision.cells.embedded_segmenter import EmbeddedSegmenter
from exovision.errors import Cancelled, InputError
from exovision.settings import CellSettings
from exovision.training.cells import from_corrections


@pytest.fixture
def school(session: Session, monkeypatch: pytest.MonkeyPatch) -> School:
    """The school beside the session, which simulates next to nothing."""
    short = partial(replace, simulated=1, frame_px=96, batch=2)
    monkeypatch.setattr(
        "napari_exovision.teaching.from_corrections", lambda start: short(from_corrections(start))
    )
    return School.beside(session)


def test_a_frame_is_taken_as_it_is_corrected(session: Session, school: School) -> None:
    session.array[4, :6, :6] = 88
    name = school.take(session, 4)
    labels = tifffile.imread(school.folder / "pictures" / f"{name}_labels.tif")
    np.testing.assert_array_equal(labels, session.labels[4])
    assert school.names() == [name]
    school.drop(name)
    assert school.names() == []


def test_training_compares_on_frames_it_never_saw(session: Session, school: School) -> None:
    for frame in (2, 8, 14):
        school.take(session, frame)
    lesson = school.train(session, steps=2, device="cpu")
    assert (lesson.learned, lesson.held_out) == (2, 1)
    for figures in (lesson.before, lesson.after):
        assert sum(values["images"] for values in figures.values()) == 1
        assert all(0 <= values["ap50"] <= 1 for values in figures.values())
    kept = school.keep(lesson)
    assert kept.is_file() and not lesson.weights.exists()
    movie = session.stored.movie
    assert movie is not None
    segmenter = EmbeddedSegmenter(CellSettings(weights=str(kept)), pixel_size_um=0.108, device="cpu")
    assert segmenter.segment(movie.image(0, "cell")[None], range(1)).shape == (1, *movie.image_shape)


def test_discarded_weights_are_gone(session: Session, school: School) -> None:
    for frame in (2, 8):
        school.take(session, frame)
    lesson = school.train(session, steps=1, device="cpu")
    school.discard(lesson)
    assert not lesson.weights.exists()


def test_training_can_be_stopped(session: Session, school: School) -> None:
    for frame in (2, 8):
        school.take(session, frame)

    def stop(stage: str, done: int, total: int) -> None:
        if stage == "training":
            raise Cancelled("stopped")

    with pytest.raises(Cancelled):
        school.train(session, device="cpu", progress=stop)


def test_too_few_frames_or_a_frame_without_cells_are_refused(session: Session, school: School) -> None:
    with pytest.raises(InputError, match="add some"):
        school.train(session)
    session.array[3] = np.zeros_like(session.array[3])
    with pytest.raises(InputError, match="no cells"):
        school.take(session, 3)
