import pandas as pd
import pytest


@pytest.mark.parametrize(("shift", "found"), [(-3, 1.0), (3, 1.0), (4, 0.0), (-4, 0.0)])
def test_a_point_event_must_lie_within_three_frames(example, shift, found):
    events = example.with_event(4, "fusion", start_frame=30 + shift, end_frame=30 + shift)
    scores = example.score(events=events)
    assert scores["fusion.recall"].value == scores["fusion.precision"].value == found


def test_a_point_event_of_another_kind_is_no_hit(example):
    events = example.with_event(4, "fusion", kind="hemifusion")
    scores = example.score(events=events)
    assert scores["fusion.recall"].value == scores["hemifusion.precision"].value == 0.0


def test_a_point_event_on_another_exosome_is_no_hit(example):
    scores = example.score(events=example.with_event(4, "fusion", exosome_id=3))
    assert scores["fusion.f1"].value == 0.0


def test_a_fate_that_nobody_can_identify_may_be_called_rightly_or_left_unresolved(example):
    for identifiable in (False, pd.NA):
        truth = {"events": example.with_event(4, "fusion", identifiable=identifiable)}
        for kind in ("fusion", "loss_unresolved"):
            scores = example.score(truth=truth, events=example.with_event(4, "fusion", kind=kind))
            assert scores["loss_unresolved.precision"].value == 1.0
            assert scores["fusion.false_per_cell_h"].n == 0 if kind == "fusion" else True
        wrong = example.score(truth=truth, events=example.with_event(4, "fusion", kind="detachment"))
        assert wrong["detachment.precision"].value == 0.5


def test_an_identifiable_fate_left_unresolved_is_missed_and_a_false_alarm(example):
    scores = example.score(events=example.with_event(4, "fusion", kind="loss_unresolved"))
    assert scores["fusion.recall"].value == 0.0
    assert scores["loss_unresolved.precision"].value == 0.5


def test_losses_that_cannot_be_identified_should_be_left_unresolved(example):
    name = "loss.unresolved_where_not_identifiable"
    truth = {"events": example.with_event(4, "fusion", identifiable=False)}
    assert example.score(truth=truth)[name].value == 0.5
    assert example.score(truth=truth)[name].n == 2
    called = example.with_event(4, "fusion", kind="loss_unresolved")
    assert example.score(truth=truth, events=called)[name].value == 1.0


def test_an_optional_event_counts_neither_way(example):
    truth = {"events": example.with_event(4, "fusion", optional=True)}
    with_it, without = (
        example.score(truth=truth, events=e)
        for e in (example.tables["events"], example.without_event(4, "fusion"))
    )
    assert "no fusion events" in with_it.absent["fusion.f1"]
    assert with_it["fusion.false_per_cell_h"].n == without["fusion.false_per_cell_h"].n == 0


def test_one_call_serves_one_true_event(example):
    truth = {"events": example.add_event(kind="fusion", exosome_id=4, start_frame=28, identifiable=True)}
    assert example.score(truth=truth)["fusion.recall"].value == 0.5


def test_a_change_after_which_the_exosome_is_still_seen_is_no_loss(example):
    name = "loss.unresolved_where_not_identifiable"
    early = example.add_event(kind="hemifusion", exosome_id=4, start_frame=20, identifiable=False)
    late = example.add_event(kind="hemifusion", exosome_id=4, start_frame=30, identifiable=False)
    assert example.score(truth={"events": early})[name].n == 1
    assert example.score(truth={"events": late})[name].n == 2


def test_precision_of_fusion_is_weighted_to_set_numbers_of_other_events(example):
    perfect = example.score()
    assert perfect["fusion.precision_at_1_to_100"].value == 1.0
    assert perfect["fusion.precision_at_1_to_100"].lo < perfect["fusion.precision_at_1_to_4"].lo < 1
    wrong = example.with_event(3, "loss_unresolved", kind="fusion")
    scores = example.score(events=wrong)
    assert scores["fusion.precision_at_1_to_4"].value == pytest.approx(1 / (1 + 4 * 0.5))
    assert scores["fusion.precision_at_1_to_100"].value == pytest.approx(1 / (1 + 100 * 0.5))


def test_the_confusion_shows_what_each_kind_was_called(example):
    wrong = example.with_event(3, "loss_unresolved", kind="fusion")
    table = example.score(events=wrong).tables["events_confusion"]
    assert table.loc["loss_unresolved", "fusion"] == 1
    assert table.loc["fusion", "fusion"] == 1 and table.loc["detachment", "detachment"] == 1
    assert table.to_numpy().sum() == 3


def test_the_confusion_shows_missed_and_invented_events(example):
    missed = example.score(events=example.without_event(4, "fusion")).tables["events_confusion"]
    assert missed.loc["fusion", "none"] == 1
    more = example.add_event(kind="fusion", exosome_id=2, start_frame=10)
    assert example.score(events=more).tables["events_confusion"].loc["none", "fusion"] == 1


@pytest.mark.parametrize(("low", "high", "covered"), [(0.5, 2.0, 1.0), (1.1, 2.0, 0.0), (0.5, 0.9, 0.0)])
def test_intervals_should_hold_the_truth(example, low, high, covered):
    truth = {"events": example.with_event(4, "fusion", diffusion_um2_s=1.0)}
    limits = {"diffusion_um2_s": 1.0, "diffusion_um2_s_lo": low, "diffusion_um2_s_hi": high}
    scores = example.score(truth=truth, events=example.with_event(4, "fusion", **limits))
    assert scores["coverage.diffusion_um2_s"].value == covered
    assert scores["coverage.diffusion_um2_s"].n == 1
    assert "coverage.dequench_gain" in scores.absent


@pytest.mark.parametrize(("frame", "found"), [(21, 0), (22, 1), (28, 1), (33, 1), (34, 0)])
def test_an_exosome_that_leaves_slowly_may_be_called_until_it_was_last_seen_there(example, frame, found):
    truth = {"events": example.with_event(1, "detachment", alt_end_frame=30)}
    called = example.with_event(1, "detachment", start_frame=frame, end_frame=frame)
    assert example.score(truth=truth, events=called)["detachment.recall"].value == found


def test_a_fusion_is_called_at_its_onset_however_long_its_light_is_seen(example):
    truth = {"events": example.with_event(4, "fusion", alt_end_frame=38)}
    called = example.with_event(4, "fusion", start_frame=34, end_frame=34)
    assert example.score(truth=truth, events=called)["fusion.recall"].value == 0


def test_a_fusion_called_at_another_time_counts_once_per_fusion_whatever_the_other_events(example):
    late = example.add_event(kind="fusion", exosome_id=4, start_frame=20, end_frame=20)
    scores = example.score(events=late)
    assert scores["fusion.precision"].value == 0.5
    assert scores["fusion.precision_at_1_to_4"].value == scores["fusion.precision_at_1_to_100"].value == 0.5
