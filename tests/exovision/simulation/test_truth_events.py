import numpy as np
import pandas as pd
import pytest

from exovision import schema
from exovision.simulation.fates import Course
from exovision.simulation.particles import Particle
from exovision.simulation.release import Release
from exovision.simulation.truth_events import event_rows

INTERVAL_S, FRAMES = 2.0, 20
TIMES = [INTERVAL_S * t for t in range(FRAMES)]


def _spots(first, last, *, docked_until=None, exosome_id=1, ignored=(), away_um=()):
    """Spots of one exosome, docked up to a frame and free after it."""
    frames = np.arange(first, last + 1)
    docked_until = last if docked_until is None else docked_until
    table = pd.DataFrame(
        {
            "frame": frames,
            "time_s": frames * INTERVAL_S,
            "exosome_id": exosome_id,
            "cell_id": 7,
            "state": np.where(frames <= docked_until, "docked", "free"),
            "y_um": 1.0,
            "x_um": 2.0,
            "membrane_distance_um": [0.05] * (len(frames) - len(away_um)) + list(away_um),
            "ignore": np.isin(frames, ignored),
        }
    )
    return schema.conform(table, schema.TRUTH_SPOTS)


def _rows(dark, spots, *particles):
    scene = dark(imaging={"frames": FRAMES, "frame_interval_s": INTERVAL_S})
    for number, particle in enumerate(particles, start=1):
        particle.exosome_id = number
    return event_rows(spots, particles, TIMES, scene)


def _docked(start_s, end_s, cause="bleached", *, leaves_visibly=False):
    return Particle(
        "docked", 200.0, start_s=start_s, end_s=end_s, cell=0, cause=cause, leaves_visibly=leaves_visibly
    )


def test_a_docking_lasts_from_arrival_to_end_and_its_frames_are_those_in_which_it_was_there(dark):
    table = _rows(dark, _spots(3, 12), _docked(5.5, 25.5))
    docking = table.iloc[0]
    assert list(table.columns) == list(schema.TRUTH_EVENTS)
    assert (docking["kind"], docking["exosome_id"], docking["cell_id"]) == ("docking", 1, 7)
    assert (docking["start_frame"], docking["end_frame"]) == (3, 12)
    assert (docking["start_s"], docking["end_s"], docking["duration_s"]) == (5.5, 25.5, 20.0)
    assert docking["censored"] == "none" and not docking["optional"] and docking["identifiable"]
    assert (docking["y_um"], docking["x_um"], docking["membrane_distance_um"]) == (1.0, 2.0, 0.05)
    assert docking["cause"] == "bleached" and docking["alt_end_frame"] == 12
    assert TIMES[2] < docking["start_s"] <= TIMES[3] and TIMES[12] <= docking["end_s"] < TIMES[13]


@pytest.mark.parametrize(
    ("first", "last", "start_s", "end_s", "censored"),
    [
        (3, 12, 5.5, 25.5, "none"),
        (0, 12, -40.0, 25.5, "left"),
        (3, 19, 5.5, 300.0, "right"),
        (0, 19, -40.0, 300.0, "both"),
        (0, 12, -0.5, 25.5, "left"),
        (3, 19, 5.5, 38.5, "right"),
        (6, 12, 5.5, 25.5, "left"),
        (3, 9, 5.5, 25.5, "right"),
    ],
)
def test_a_docking_is_censored_where_its_end_was_not_in_view(dark, first, last, start_s, end_s, censored):
    table = _rows(dark, _spots(first, last), _docked(start_s, end_s))
    docking = table.iloc[0]
    assert docking["censored"] == censored
    assert docking["start_s"] == (TIMES[first] if censored in ("left", "both") else start_s)
    assert docking["end_s"] == (TIMES[last] if censored in ("right", "both") else end_s)
    ends = table["kind"].tolist()[1:]
    if censored in ("right", "both"):
        assert ends == [] and docking["cause"] == "movie_end"
    else:
        assert ends == ["loss_unresolved"] and docking["cause"] == "bleached"


@pytest.mark.parametrize(("end_s", "optional"), [(15.4, True), (15.6, False)])
def test_dockings_under_ten_seconds_are_optional(dark, end_s, optional):
    assert _rows(dark, _spots(3, int(end_s / 2)), _docked(5.5, end_s)).iloc[0]["optional"] == optional


def test_dockings_under_three_frames_are_optional_in_slow_movies(dark):
    scene = dark(imaging={"frames": FRAMES, "frame_interval_s": 6.0})
    spots = _spots(1, 3)
    spots["time_s"] = spots["frame"].astype(float) * 6.0
    particle = _docked(5.0, 22.9)
    particle.exosome_id = 1
    times = [6.0 * t for t in range(FRAMES)]
    assert event_rows(spots, [particle], times, scene).iloc[0]["optional"]
    particle.end_s = 23.1
    assert not event_rows(spots, [particle], times, scene).iloc[0]["optional"]


def test_dockings_that_could_mostly_not_be_seen_are_optional(dark):
    assert _rows(dark, _spots(3, 12, ignored=range(3, 9)), _docked(5.5, 25.5)).iloc[0]["optional"]
    assert not _rows(dark, _spots(3, 12, ignored=range(3, 8)), _docked(5.5, 25.5)).iloc[0]["optional"]


def test_one_that_is_seen_to_leave_is_detached(dark):
    spots = _spots(3, 15, docked_until=12, away_um=(0.2, 0.4, 0.6))
    table = _rows(dark, spots, _docked(5.5, 25.5, "detached", leaves_visibly=True))
    docking, end = table.iloc[0], table.iloc[1]
    assert (docking["end_frame"], docking["alt_end_frame"]) == (12, 14)
    assert end["kind"] == "detachment" and end["identifiable"] and end["p_detached"] == 1
    assert (end["start_frame"], end["end_frame"], end["start_s"], end["end_s"]) == (12, 12, 25.5, 25.5)
    assert end["duration_s"] == 0 and end["censored"] == "none"


@pytest.mark.parametrize("cause", ["detached", "bleached", "left_focus"])
def test_a_loss_that_could_have_many_causes_is_not_identifiable(dark, cause):
    end = _rows(dark, _spots(3, 12), _docked(5.5, 25.5, cause)).iloc[1]
    assert end["kind"] == "loss_unresolved" and not end["identifiable"]
    assert end["cause"] == cause and end[f"p_{cause}"] == 1


def test_tethered_exosomes_make_no_events(dark):
    spots = _spots(3, 12).assign(state="tethered")
    particle = Particle("tethered", 200.0, start_s=5.5, end_s=25.5, cell=0, cause="detached")
    table = _rows(dark, spots, particle)
    assert table.empty and list(table.columns) == list(schema.TRUTH_EVENTS)


def test_events_are_numbered_in_order_of_time(dark):
    spots = pd.concat([_spots(8, 15), _spots(2, 10, exosome_id=2)], ignore_index=True)
    table = _rows(dark, spots, _docked(15.5, 31.5), _docked(3.5, 21.5))
    assert table["event_id"].tolist() == [1, 2, 3, 4]
    assert table["exosome_id"].tolist() == [2, 1, 2, 1]
    assert table["start_frame"].is_monotonic_increasing


RELEASE = Release(diffusion_um2_s=0.5, quench=0.75, tau_s=0.2)


def _burst(dark, spots, *particles):
    scene = dark(imaging={"frames": 300, "frame_interval_s": 0.1})
    spots = spots.assign(photons=200.0, background=10.0, time_s=spots["frame"].astype(float) * 0.1)
    for number, particle in enumerate(particles, start=1):
        particle.exosome_id = number
    return event_rows(spots, particles, [0.1 * t for t in range(300)], scene)


def test_a_fusion_is_an_event_with_its_true_numbers_and_ends_the_docking(dark):
    particle = _docked(2.95, 20.05, "fused")
    particle.course = Course({"exosome": RELEASE})
    spots = _spots(30, 215)
    docking, fusion = _burst(dark, spots, particle).iloc[:2].to_dict("records")
    assert (docking["end_frame"], docking["cause"], docking["alt_end_frame"]) == (200, "fused", 215)
    assert (fusion["kind"], fusion["start_frame"], fusion["start_s"]) == ("fusion", 200, 20.05)
    assert (fusion["p_fused"], fusion["censored"], fusion["duration_s"]) == (1.0, "none", 0.0)
    facts = ("diffusion_um2_s", "dequench_gain", "release_tau_s", "spread_fraction")
    assert [fusion[name] for name in facts] == [0.5, 4.0, 0.2, 1.0]
    assert fusion["identifiable"]


@pytest.mark.parametrize(
    ("cause", "kind"),
    [("hemifused", "hemifusion"), ("kiss_and_run", "kiss_and_run")],
)
def test_what_a_change_leaves_is_lost_later(dark, cause, kind):
    particle = _docked(2.95, 15.05, cause)
    particle.course = Course({"exosome": RELEASE} if cause == "hemifused" else {}, remnant_s=6.0)
    table = _burst(dark, _spots(30, 210), particle)
    assert table["kind"].tolist() == ["docking", kind, "loss_unresolved"]
    assert table["start_frame"].tolist() == [30, 150, 210]
    assert table["end_s"].tolist() == pytest.approx([15.05, 15.05, 21.05])
    assert not table.iloc[2]["identifiable"] and table.iloc[2]["cause"] == "bleached"
    unfinished = _docked(2.95, 15.05, cause)
    unfinished.course = Course(remnant_s=60.0)
    assert "loss_unresolved" not in _burst(dark, _spots(30, 299), unfinished)["kind"].tolist()


def test_exosomes_on_membrane_that_faces_the_camera_fuse_without_a_docking(dark):
    particle = _docked(2.95, 20.05, "fused")
    particle.flat, particle.course = True, Course({"exosome": RELEASE})
    table = _burst(dark, _spots(30, 215).assign(state="under_projection"), particle)
    assert table["kind"].tolist() == ["fusion"] and table.iloc[0]["start_frame"] == 200


def test_surfing_is_an_event_up_to_the_docking(dark):
    particle = _docked(12.0, 100.0)
    particle.path_um, particle.speed_um_s = 1.2, 0.12
    spots = _spots(1, 19)
    spots["state"] = ["surfing"] * 5 + ["docked"] * 14
    table = _rows(dark, spots, particle)
    surfing, docking = table.iloc[0], table.iloc[1]
    assert (surfing["kind"], surfing["start_frame"], surfing["end_frame"]) == ("surfing", 1, 5)
    assert surfing["start_s"] == pytest.approx(2.0) and surfing["end_s"] == 12.0
    assert surfing["optional"] and docking["start_frame"] == 6 and docking["censored"] == "right"


def test_recycling_is_the_moment_of_return_and_no_docking(dark):
    particle = Particle("recycled", 200.0, start_s=12.0, cell=0, speed_um_s=0.2, path_um=2.0)
    table = _rows(dark, _spots(1, 19).assign(state="inside"), particle)
    assert table["kind"].tolist() == ["recycling"]
    assert (table.iloc[0]["start_frame"], table.iloc[0]["end_frame"]) == (5, 5)
    assert _rows(dark, _spots(1, 5).assign(state="inside"), particle).empty
