import shutil

import numpy as np
import pytest

from exovision.curation.annotations import FILE, Annotation, write_annotations
from exovision.curation.events import accept_event, delete_event, relabel_event
from exovision.errors import InputError
from exovision.events.examples import NUMBERS, ROLES
from exovision.events.weighing import CLASSES
from exovision.io.results import movie_folders, open_result
from exovision.nets import weights
from exovision.nets.shipped import weights_used
from exovision.nets.training import fresh_fates
from exovision.pipeline import reanalyse
from exovision.records import Given
from exovision.training.reviewed_moments import reviewed_moments


@pytest.fixture
def results(burst, tmp_path):
    """A copy of the results of a short burst, to review."""
    shutil.copytree(burst, tmp_path / "out")
    return tmp_path / "out"


def endings(stored):
    events = stored.events
    ends = events[events["kind"].isin(["fusion", "loss_unresolved"]).to_numpy(dtype=bool)]
    docked = events.loc[events["kind"] == "docking", "exosome_id"]
    return ends[ends["exosome_id"].isin(docked).to_numpy(dtype=bool)].to_dict("records")


def review(results, stored, annotations):
    write_annotations(annotations, results / "movie" / FILE, n_spots=len(stored.spots))
    return reviewed_moments(movie_folders(results))


def test_what_was_accepted_and_relabelled_becomes_examples_and_the_last_word_counts(results):
    stored = open_result(results / "movie")
    first, second, *_ = [row for row in endings(stored) if row["kind"] == "loss_unresolved"]
    accepted = accept_event(stored.spots, first)
    fused = relabel_event(stored.events, stored.spots, second, "fusion")
    found = review(results, stored, [accepted, *fused])
    assert sorted(found.classes) == ["fused", "rest"]
    assert sorted(found.groups) == ["reviewed_0", "reviewed_1"]
    assert np.isfinite(found.pictures[:, 7, 8, 8]).all()
    gone = relabel_event(stored.events, stored.spots, second, "detachment")
    assert sorted(review(results, stored, [accepted, *fused, *gone]).classes) == ["rest", "rest"]


def test_a_docking_that_was_denied_is_an_example_of_the_rest(results):
    stored = open_result(results / "movie")
    lost = endings(stored)[0]
    dockings = stored.events[stored.events["kind"] == "docking"]
    docking = dockings[dockings["exosome_id"] == lost["exosome_id"]].iloc[-1].to_dict()
    found = review(results, stored, [delete_event(stored.events, stored.spots, docking)])
    assert set(found.classes) == {"rest"}


def test_results_that_nobody_reviewed_are_an_error_that_says_what_to_do(results):
    (results / "movie" / FILE).unlink(missing_ok=True)
    with pytest.raises(InputError, match="review the ends of dockings"):
        reviewed_moments(movie_folders(results))


def test_a_movie_that_is_gone_is_named(burst, results, tmp_path):
    stored = open_result(results / "movie")
    accepted = accept_event(stored.spots, endings(stored)[0])
    write_annotations([accepted], results / "movie" / FILE, n_spots=len(stored.spots))
    moved = burst.parent / "movie.ome.tif"
    moved.rename(tmp_path / "elsewhere.tif")
    try:
        with pytest.raises(InputError, match="the movie is needed to learn from it"):
            reviewed_moments(movie_folders(results))
    finally:
        (tmp_path / "elsewhere.tif").rename(moved)


def test_cells_are_as_they_were_corrected(results, monkeypatch):
    stored = open_result(results / "movie")
    painted = Annotation("paint", {"frame": 4, "runs": [[0, 5, 88]]})
    accepted = accept_event(stored.spots, endings(stored)[0])
    write_annotations([painted, accepted], results / "movie" / FILE, n_spots=len(stored.spots))
    seen = []
    monkeypatch.setattr(
        "exovision.training.reviewed_moments.reanalyse",
        lambda *parts, device: seen.append(parts[2].labels[4]),
    )
    with pytest.raises(InputError):  # Nothing was examined.
        reviewed_moments(movie_folders(results))
    assert (seen[0].ravel()[:5] == 88).all() and (seen[0].ravel()[5:] != 88).all()


def test_a_network_that_the_settings_name_weighs_the_fates_and_is_recorded(results, tmp_path):
    stored = open_result(results / "movie")
    path = tmp_path / "w.safetensors"
    facts = {"told": list(NUMBERS), "temperature": 1.0}
    weights.save(fresh_fates(CLASSES, len(NUMBERS), len(ROLES), (4, 4, 4), 8, 0), path, facts)
    events = stored.settings.events.model_copy(update={"network": "embedded", "weights": str(path)})
    settings = stored.settings.model_copy(update={"events": events})
    given = Given(labels=stored.labels, spots=stored.spots)
    result = reanalyse(stored.movie, settings, given, device="cpu")
    said = result.events["fusion_log_likelihood_ratio"].dropna()
    assert len(said) and (said.abs() < 3).all()  # It knows nothing; the models are sure.
    assert stored.events["fusion_log_likelihood_ratio"].abs().max() > 5
    assert list(weights_used(settings, labels=True)) == ["spots_embedded", "w"]
