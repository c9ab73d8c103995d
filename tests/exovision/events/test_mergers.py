from types import SimpleNamespace

import numpy as np
import pytest

from exovision.events.judge import Judge
from exovision.events.mergers import Mergers
from exovision.events.motion import Track
from exovision.settings import EventSettings

SIGMA_UM = 0.13
FADING = 0.995 ** np.arange(200)
LOST, STAYS = 400.0, 700.0


def track(exosome_id, frames, at_um, light, d_um2_s=0.02):
    """A track at (0, `at_um`) of a place that diffuses, the same for all; `light` before bleaching."""
    n, rng = len(frames), np.random.default_rng(exosome_id)
    steps = np.random.default_rng(0).normal(0, np.sqrt(2 * d_um2_s * 0.1), (200, 2))
    at = np.stack([np.zeros(n), np.broadcast_to(at_um, n)], axis=1) + rng.normal(0, 0.02, (n, 2))
    at += np.cumsum(steps, axis=0)[frames]
    counts = light * FADING[frames] * (1 + 0.05 * rng.standard_normal(n))
    blank = dict.fromkeys(Track.__dataclass_fields__)
    known = {"exosome_id": exosome_id, "frames": frames, "times_s": 0.1 * frames}
    held = {"cell_um": at, "se_um": np.full(n, 0.02), "slid_um2": np.zeros(n)}
    return Track(**(blank | known | held | {"stage_um": at, "counts": counts}))


def found(docking, *tracks):
    return Mergers(tracks, FADING, sigma_um=SIGMA_UM).find(docking)


def met(*, gain=LOST, until=100, away_um=1.2, d_um2_s=0.02, others=()):
    """The merger found where one exosome comes from `away_um` to 0.3 µm and vanishes at frame `until`."""
    own_frames, frames = np.arange(until + 1), np.arange(200)
    way = np.interp(own_frames, [0, until - 50, until], [away_um, away_um, 0.3])
    own = track(1, own_frames, way, LOST, d_um2_s)
    other = track(2, frames, 0.0, np.where(frames > until, STAYS + gain, STAYS), d_um2_s)
    docking = SimpleNamespace(track=own, stop=len(own))
    return found(docking, own, other, *others)


def test_one_that_approaches_and_leaves_its_light_to_the_other_has_merged():
    merger = met()
    assert merger.partner == 2 and merger.probability > 0.95
    assert merger.frame == pytest.approx(100 + 0.3 / (0.9 / 50), abs=5)
    assert merger.time_s == pytest.approx(0.1 * merger.frame)


@pytest.mark.parametrize("gain", [0.0, -0.3 * STAYS, 2.5 * LOST])
def test_without_a_gain_of_just_the_lost_light_it_went_another_way(gain):
    assert met(gain=gain).probability < 0.5


def test_neighbours_that_do_not_approach_each_other_do_not_merge():
    assert met(away_um=0.3) is None


def test_one_that_vanishes_far_from_the_other_has_not_merged():
    own_frames = np.arange(101)
    own = track(1, own_frames, np.interp(own_frames, [0, 100], [3.0, 1.0]), LOST)
    other = track(2, np.arange(200), 0.0, np.where(np.arange(200) > 100, STAYS + LOST, STAYS))
    docking = SimpleNamespace(track=own, stop=len(own))
    assert found(docking, own, other) is None


def test_spots_that_part_again_were_only_taken_for_one():
    assert met(others=[track(3, np.arange(110, 140), 0.3, LOST)]) is None
    assert met(others=[track(3, np.arange(110, 140), 2.0, LOST)]).probability > 0.9


@pytest.mark.parametrize(("until", "d_um2_s"), [(100, 0.0005), (190, 0.02)], ids=["at rest", "seen briefly"])
def test_one_spot_is_one_exosome_only_if_two_would_have_parted(until, d_um2_s):
    assert met(until=until, d_um2_s=d_um2_s).probability < 0.7


def test_what_was_seen_long_after_its_docking_did_not_end_it_by_merging():
    own_frames, frames = np.arange(101), np.arange(200)
    own = track(1, own_frames, np.interp(own_frames, [0, 50, 100], [1.2, 1.2, 0.3]), LOST)
    other = track(2, frames, 0.0, np.where(frames > 100, STAYS + LOST, STAYS))
    docking = SimpleNamespace(track=own, stop=60)
    assert found(docking, own, other) is None


def test_a_partner_that_ends_with_it_says_nothing():
    own_frames = np.arange(101)
    own = track(1, own_frames, np.interp(own_frames, [0, 50, 100], [1.2, 1.2, 0.3]), LOST)
    other = track(2, np.arange(103), 0.0, STAYS)
    docking = SimpleNamespace(track=own, stop=len(own))
    assert found(docking, own, other) is None


def test_a_new_track_may_be_what_both_became():
    frames = np.arange(101)
    own = track(1, frames, np.interp(frames, [0, 50, 100], [1.2, 1.2, 0.3]), LOST)
    other = track(2, np.arange(103), 0.0, STAYS)
    both = track(3, np.arange(98, 200), 0.1, STAYS + LOST)
    docking = SimpleNamespace(track=own, stop=len(own))
    merger = found(docking, own, other, both)
    assert (merger.partner, merger.heir) == (2, 3) and merger.probability > 0.9
    dim = track(3, np.arange(98, 200), 0.1, STAYS)
    assert found(docking, own, other, dim).probability < 0.5


def judged(outcome):
    """The verdicts on two dockings whose exosomes end as one new track."""
    frames = np.arange(101)
    one = track(1, frames, np.interp(frames, [0, 50, 100], [1.2, 1.2, 0.3]), LOST)
    two = track(2, np.arange(103), 0.0, STAYS)
    both = track(3, np.arange(98, 200), 0.1, STAYS + LOST)
    dockings = [
        SimpleNamespace(track=own, stop=len(own), end_told=False, outcome=outcome) for own in (one, two)
    ]
    microscope = SimpleNamespace(sigma_px=SIGMA_UM / 0.1, pixel_size_um=0.1)
    judge = SimpleNamespace(microscope=microscope, fading=FADING, settings=EventSettings())
    return Judge._with_mergers(judge, dockings, [], [one, two, both])


def test_two_that_merge_into_a_new_track_are_one_merger():
    verdicts = judged("loss_unresolved")
    assert [(verdict.docking, verdict.fate, verdict.heir) for verdict in verdicts] == [(0, "aggregated", 3)]


@pytest.mark.parametrize("outcome", ["detached", "movie_end"])
def test_one_that_was_seen_to_leave_or_to_stay_has_not_merged(outcome):
    assert judged(outcome) == []
