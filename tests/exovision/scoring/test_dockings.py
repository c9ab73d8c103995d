import pandas as pd
import pytest

from exovision.scoring.dockings import match_dockings
from exovision.scoring.spots import match_spots


def docking(scores):
    return tuple(round(scores[f"docking.{name}"].value, 6) for name in ("precision", "recall", "f1"))


PERFECT = (1.0, 1.0, 1.0)
ONE_MISSED = (1.0, 0.75, round(6 / 7, 6))
ONE_WRONG = (0.75, 0.75, 0.75)


@pytest.mark.parametrize(
    ("exosome_id", "ends", "expected"),
    [
        (4, {"start_frame": 15}, PERFECT),
        (4, {"start_frame": 16}, ONE_WRONG),
        (4, {"end_frame": 27}, PERFECT),
        (4, {"end_frame": 26}, ONE_WRONG),
        (1, {"end_frame": 33}, PERFECT),  # within three frames of alt_end_frame 30
        (1, {"end_frame": 34}, ONE_WRONG),
        (2, {"start_frame": 12, "end_frame": 39}, PERFECT),  # censored ends are not checked
        (2, {"start_frame": 0, "end_frame": 25}, PERFECT),
    ],
)
def test_uncensored_ends_must_lie_within_three_frames_of_an_end_or_its_alternative(
    example, exosome_id, ends, expected
):
    assert docking(example.score(events=example.with_event(exosome_id, **ends))) == expected


@pytest.mark.parametrize(("start", "right"), [(10, True), (11, False)])
def test_ends_of_long_dockings_may_be_off_by_a_tenth_of_the_duration(start, right):
    frames = range(100)
    spots = pd.DataFrame({"frame": frames, "y_px": 5.0, "x_px": 5.0, "exosome_id": 1})
    truth = pd.DataFrame({"kind": ["docking"], "exosome_id": 1, "cell_id": 1})
    truth = truth.assign(start_frame=0, end_frame=99)
    called = truth.assign(start_frame=start)
    match = match_dockings(truth, called, match_spots(spots, spots), None)
    assert (len(match.pairs) == 1) is right


@pytest.mark.parametrize(("kept", "expected"), [(10, PERFECT), (9, ONE_WRONG)])
def test_at_least_half_of_the_true_spots_must_belong_to_the_called_exosome(example, kept, expected):
    spots, mine = example.spots(4)
    spots = spots.drop(spots.index[mine][kept : mine.sum()])
    assert mine.sum() == 19
    assert docking(example.score(spots=spots)) == expected


def test_a_called_docking_on_another_cell_is_wrong(example):
    scores = example.score(events=example.with_event(4, cell_id=2))
    assert docking(scores) == ONE_WRONG
    assert scores["docking.failure.wrong_cell"].value == 1
    assert scores["docking.f1_without_ends"].value == pytest.approx(0.75)


def test_cells_are_compared_by_overlap_not_by_number(example):
    swap = {1: 2, 2: 1}
    labels = example.labels.copy()
    for old, new in swap.items():
        labels[example.labels == old] = new
    events = example.tables["events"].assign(cell_id=lambda t: t["cell_id"].map(swap).astype("Int64"))
    assert docking(example.score(labels=labels, events=events)) == PERFECT


def test_exosomes_are_compared_by_spots_not_by_number(example):
    spots, events = (example.tables[name].copy() for name in ("spots", "events"))
    for table in (spots, events):
        table["exosome_id"] = 20 - table["exosome_id"]
    assert docking(example.score(spots=spots, events=events)) == PERFECT


@pytest.mark.parametrize("called", [True, False])
def test_an_optional_docking_counts_neither_way(example, called):
    events = example.tables["events"] if called else example.without_event(5)
    scores = example.score(events=events)
    assert docking(scores) == PERFECT
    assert scores["docking.recall"].n == scores["docking.precision"].n == 4
    assert scores["docking.true_rate_per_cell_h"].n == 5


def test_a_docking_whose_spots_are_all_ignored_counts_neither_way(example):
    truth, mine = example.spots(4)
    truth.loc[mine, "ignore"] = True
    without = example.score(truth={"spots": truth}, events=example.without_event(4))
    called = example.score(truth={"spots": truth})
    assert docking(without) == docking(called) == PERFECT


def test_a_missed_docking_lowers_recall(example):
    scores = example.score(events=example.without_event(3))
    assert docking(scores) == ONE_MISSED
    assert scores["docking.failure.missed"].value == 1
    assert scores["docking.hits_per_cell_slope"].value == pytest.approx((2 * 2 + 2 * 1) / 8)


def test_a_false_docking_lowers_precision_and_is_named_by_what_it_was(example):
    events = example.add_event(kind="docking", exosome_id=6, cell_id=1, start_frame=10, end_frame=29)
    scores = example.score(events=events)
    assert docking(scores) == (0.8, 1.0, round(8 / 9, 6))
    assert scores["docking.false_on.stuck"].value == 1
    assert scores["docking.false_per_cell_h"].n == 1


def test_one_call_in_two_pieces_is_split(example):
    events = example.with_event(3, end_frame=12)
    extra = example.tables["events"].query("exosome_id == 3 and kind == 'docking'").assign(start_frame=15)
    scores = example.score(events=pd.concat([events, extra], ignore_index=True))
    assert docking(scores) == (0.6, 0.75, round(6 / 9, 6))
    assert scores["docking.failure.split"].value == 1


def test_two_dockings_in_one_call_are_merged(example):
    truth = example.with_event(2, end_frame=18, censored="left")
    second = example.tables["events"].query("exosome_id == 2").assign(start_frame=21, censored="right")
    scores = example.score(truth={"events": pd.concat([truth, second], ignore_index=True)})
    assert scores["docking.failure.merged"].value >= 1


def test_the_dwell_bias_is_relative_and_leaves_out_what_is_censored(example):
    events = example.with_event(4, end_frame=32)
    events = events.assign(censored=events["censored"].mask(events["exosome_id"] == 1, "right"))
    scores = example.score(events=events)
    assert scores["docking.dwell_bias_mean"].n == 2  # exosomes 3 and 4
    assert scores["docking.dwell_bias_mean"].value == pytest.approx((2 / 19) / 2)


def test_rates_are_counts_over_the_cell_hours(example):
    scores = example.score()
    hours = (40 + 40 + 20 + 20 + 20) * 2 / 3600
    assert scores["exposure.cell_h"].value == pytest.approx(hours)
    rate = scores["docking.rate_per_cell_h"]
    assert (rate.value * hours, rate.n) == (pytest.approx(5), 5)
    assert (rate.lo * hours, rate.hi * hours) == pytest.approx((1.623486, 11.668332), abs=1e-5)
