"""What corrections teach: gathered, learned from, judged on others, kept or discarded."""

from __future__ import annotations

import shutil
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import tifffile
from napari_exovision.session import Session
from napari_exovision.taught_cells import CellSchool
from napari_exovision.taught_death import DeathSchool
from napari_exovision.taught_events import EventSchool
from napari_exovision.taught_spots import SpotSchool

from exovision.cells.embedded_segmenter import EmbeddedSegmenter
from exovision.curation.events import accept_event
from exovision.curation.states import rule_state
from exovision.curation.tracks import delete_spots
from exovision.errors import Cancelled, InputError
from exovision.events.examples import NUMBERS, ROLES
from exovision.events.weighing import CLASSES
from exovision.exosomes.probability import COEFFICIENTS, read_model
from exovision.nets import weights
from exovision.nets.cell_judge import CellJudge
from exovision.nets.shipped import weights_used
from exovision.nets.training import fresh_fates
from exovision.settings import CellSettings, Settings
from exovision.training.cells import from_corrections
from exovision.training.death import from_corrections as death_corrections
from exovision.training.events import from_reviews
from exovision.training.labelled_crops import read_labelled


@pytest.fixture
def school(session: Session, monkeypatch: pytest.MonkeyPatch) -> CellSchool:
    """The school beside the session, which simulates next to nothing."""
    short = partial(replace, simulated=1, frame_px=96, batch=2)
    monkeypatch.setattr(
        "napari_exovision.taught_cells.from_corrections", lambda start: short(from_corrections(start))
    )
    return CellSchool.beside(session)


def test_a_frame_is_taken_as_it_is_corrected(session: Session, school: CellSchool) -> None:
    session.array[4, :6, :6] = 88
    name = school.take(session, 4)
    labels = tifffile.imread(school.lessons / f"{name}_labels.tif")
    np.testing.assert_array_equal(labels, session.labels[4])
    assert school.names() == [name]
    school.drop(name)
    assert school.names() == []


def test_training_compares_on_frames_it_never_saw(session: Session, school: CellSchool) -> None:
    for frame in (2, 8, 14):
        school.take(session, frame)
    lesson = school.train(session, steps=2, device="cpu")
    assert (lesson.learned, lesson.held_out) == (2, 1)
    for figures in (lesson.before, lesson.after):
        assert set(figures) == set(CellSchool.figures) and 0 <= figures["ap50"] <= 1
    kept = school.keep(lesson)
    assert kept.is_file() and not lesson.weights.exists()
    movie = session.stored.movie
    assert movie is not None
    segmenter = EmbeddedSegmenter(CellSettings(weights=str(kept)), pixel_size_um=0.108, device="cpu")
    assert segmenter.segment(movie.image(0, "cell")[None], range(1)).shape == (1, *movie.image_shape)


def test_discarded_weights_are_gone(session: Session, school: CellSchool) -> None:
    for frame in (2, 8):
        school.take(session, frame)
    lesson = school.train(session, steps=1, device="cpu")
    school.discard(lesson)
    assert not lesson.weights.exists()


def test_training_can_be_stopped(session: Session, school: CellSchool) -> None:
    for frame in (2, 8):
        school.take(session, frame)

    def stop(stage: str, done: int, total: int) -> None:
        if stage == "training":
            raise Cancelled("stopped")

    with pytest.raises(Cancelled):
        school.train(session, device="cpu", progress=stop)


def test_too_few_frames_or_a_frame_without_cells_are_refused(session: Session, school: CellSchool) -> None:
    with pytest.raises(InputError, match="add some"):
        school.train(session)
    session.array[3] = np.zeros_like(session.array[3])
    with pytest.raises(InputError, match="no cells"):
        school.take(session, 3)


def test_deleted_and_added_spots_teach_what_a_spot_is(session: Session) -> None:
    school = SpotSchool.beside(session)
    for frame in range(2, 12):
        own = session.spots[session.spots["frame"] == frame]
        dim = own.index[own["counts"] < own["counts"].median()]
        session.add(delete_spots(dim.tolist()))
        school.take(session, frame)
    assert school.names() == [f"movie_t{frame:05d}" for frame in range(2, 12)]
    lesson = school.train(session)
    assert (lesson.learned, lesson.held_out) == (6, 4)
    assert lesson.after["precision"] > lesson.before["precision"]
    assert lesson.after["ece"] < lesson.before["ece"]
    kept = school.keep(lesson)
    changed = Settings.from_mapping(school.changes(kept))
    assert read_model(Path(str(changed.exosomes.weights))) != COEFFICIENTS
    assert not lesson.weights.exists()
    school.drop("movie_t00002")
    assert len(school.names()) == 9


def test_spots_need_two_frames_with_an_image(session: Session) -> None:
    school = SpotSchool.beside(session)
    with pytest.raises(InputError, match="at least 2 taught frames"):
        school.train(session)
    session.stored = replace(session.stored, movie=None, problem="gone")
    with pytest.raises(InputError, match="gone"):
        school.take(session, 2)


def say(session: Session, cell_id: int, state: str, first: int, last: int) -> None:
    session.add(rule_state(session.fates, session.annotations, cell_id, state, first, last))


def test_corrected_states_teach_what_cells_look_like(
    session: Session, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        "napari_exovision.taught_death.from_corrections",
        lambda start: replace(death_corrections(start), simulated=0, averaging=0.0, learning_rate=2e-3),
    )
    school = DeathSchool.beside(session)
    with pytest.raises(InputError, match="states decided by a person"):
        school.take(session, 0)
    ids = session.fates["cell_id"].tolist()[:2]
    for cell_id in ids:
        say(session, cell_id, "lytic", 5, 15)
    assert school.take(session, 0) == "movie"
    assert school.names() == ["movie"]
    crops = read_labelled(school.lessons)
    assert len(crops) == 22 and set(crops.labels) == {"lytic"}
    assert sorted(set(crops.movies)) == [f"movie cell {cell_id}" for cell_id in ids]
    lesson = school.train(session, steps=20, device="cpu")
    assert (lesson.learned, lesson.held_out) == (1, 1)
    assert lesson.after["probability"] > lesson.before["probability"]
    kept = school.keep(lesson)
    settings = Settings.from_mapping(school.changes(kept)).death
    assert settings.morphology == "embedded"
    assert "cell" in CellJudge(Path(str(settings.weights)), device="cpu").needs


def test_one_corrected_cell_is_too_few_to_judge_by(session: Session) -> None:
    say(session, int(session.fates["cell_id"].iloc[0]), "live", 0, 3)
    school = DeathSchool.beside(session)
    school.take(session, 0)
    with pytest.raises(InputError, match="at least 2 cells are needed to teach, got 1"):
        school.train(session)


def test_reviewed_ends_teach_what_fusion_looks_like(
    burst: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shutil.copytree(burst, tmp_path / "out")
    session = Session.open(tmp_path / "out" / "movie")
    present = tmp_path / "w.safetensors"
    facts = {"told": list(NUMBERS), "temperature": 1.0}
    weights.save(fresh_fates(CLASSES, len(NUMBERS), len(ROLES), (4, 4, 4), 8, 0), present, facts)
    events = session.stored.settings.events.model_copy(update={"weights": str(present)})
    settings = session.stored.settings.model_copy(update={"events": events})
    session.stored = replace(session.stored, settings=settings)
    monkeypatch.setattr(
        "napari_exovision.taught_events.from_reviews",
        lambda start: replace(from_reviews(start), sets=1, learning_rate=1e-2, averaging=0.0),
    )
    school = EventSchool.beside(session)
    with pytest.raises(InputError, match="accepted or relabelled"):
        school.take(session, 0)
    ended = session.events["kind"].isin(["fusion", "loss_unresolved"]).to_numpy(dtype=bool)
    ends = session.events[ended].to_dict("records")
    session.add(accept_event(session.spots, ends[0]))
    assert school.take(session, 0) == "movie" and school.names() == ["movie"]
    with pytest.raises(InputError, match="at least 6 reviewed events are needed to teach, got 1"):
        school.train(session)
    for row in ends[1:]:
        session.add(accept_event(session.spots, row))
    lesson = school.train(session, steps=60, device="cpu")
    assert lesson.learned + lesson.held_out == len(ends) and lesson.held_out == 1
    assert lesson.after["probability"] > lesson.before["probability"]
    kept = school.keep(lesson)
    settings = Settings.from_mapping(school.changes(kept))
    assert list(weights_used(settings, labels=True)) == ["spots_embedded", kept.stem]
    school.drop("movie")
    assert school.names() == []
