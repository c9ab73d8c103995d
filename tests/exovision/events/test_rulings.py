"""Rulings of a person win over what is computed, in every table that follows from events."""

import pytest

from exovision.events.find import find_events
from exovision.records import Ruling
from exovision.settings import EventSettings


def find(w, *rulings):
    spots, exosomes, cells, fates, zones = w.tables()
    return find_events(
        spots,
        exosomes,
        cells,
        fates,
        times_s=w.times,
        drift_um=w.drift,
        pixel_size_um=0.108,
        settings=EventSettings(),
        zone_areas=zones,
        rulings=rulings,
    )


def kinds(tables, exosome_id):
    mine = tables.events[tables.events["exosome_id"] == exosome_id]
    return list(zip(mine["kind"], mine["start_frame"].astype(int), mine["end_frame"].astype(int)))


@pytest.fixture
def docked(world):
    """A world with one clear docking in frames 30–50, and its exosome."""
    w = world(3, seen=1.0)
    return w, w.dock(30, 21, cell=4)


def test_a_denied_docking_leaves_every_table(docked):
    w, exosome = docked
    before, after = find(w), find(w, Ruling(exosome, "docking", 30, 50, holds=False))
    assert ("docking", 30, 50) in kinds(before, exosome)
    assert kinds(after, exosome) == []
    assert before.fates["dockings"].sum() == 1 and after.fates["dockings"].sum() == 0
    assert before.cells["docked_now"].sum() == 21 and after.cells["docked_now"].sum() == 0
    assert after.summary["movie"]["dockings"] == 0
    assert "docked" not in set(after.spots["state"])
    assert after.exosomes["outcome"].isna().all()


def test_an_affirmed_interval_is_a_docking_with_certainty(docked):
    w, _ = docked
    stray = w.stick([5.0, 5.0])
    tables = find(w, Ruling(stray, "docking", 60, 70, holds=True))
    row = tables.events[(tables.events["exosome_id"] == stray) & (tables.events["kind"] == "docking")]
    assert row[["start_frame", "end_frame"]].to_numpy().tolist() == [[60, 70]]
    assert row["probability"].item() == 1.0
    assert tables.summary["movie"]["dockings"] == 2


def test_an_affirmed_interval_takes_the_place_of_the_computed_one(docked):
    w, exosome = docked
    tables = find(w, Ruling(exosome, "docking", 35, 45, holds=True))
    assert [kind for kind in kinds(tables, exosome) if kind[0] == "docking"] == [("docking", 35, 45)]


def test_a_later_ruling_wins(docked):
    w, exosome = docked
    yes, no = (Ruling(exosome, "docking", 30, 50, holds=holds) for holds in (True, False))
    assert kinds(find(w, yes, no), exosome) == []
    assert ("docking", 30, 50) in kinds(find(w, no, yes), exosome)


@pytest.mark.parametrize(
    ("ending", "kind"),
    [
        ("detached", "detachment"),
        ("loss_unresolved", "loss_unresolved"),
        ("fused", "fusion"),
        ("hemifused", "hemifusion"),
        ("kiss_and_run", "kiss_and_run"),
        ("taken_up", "uptake"),
    ],
)
def test_a_person_decides_how_a_docking_ended(docked, ending, kind):
    w, exosome = docked
    tables = find(w, Ruling(exosome, "docking", 30, 50, holds=True, ending=ending))
    end = tables.events[tables.events["kind"] == kind]
    assert len(end) == 1 and end["probability"].item() == 1.0
    assert end["p_detached"].item() == float(ending == "detached")
    fate = "unresolved" if ending == "loss_unresolved" else ending
    assert end[f"p_{fate}"].item() == 1.0
    assert tables.exosomes["outcome"].dropna().tolist() == [ending]


def test_surfing_can_be_added_and_denied(docked):
    w, exosome = docked
    yes = Ruling(exosome, "surfing", 30, 50, holds=True)
    tables = find(w, Ruling(exosome, "docking", 30, 50, holds=False), yes)
    assert kinds(tables, exosome) == [("surfing", 30, 50)]
    assert "surfing" in set(tables.spots["state"])


def test_a_ruling_without_spots_changes_nothing(docked):
    w, exosome = docked
    ruled = find(w, Ruling(exosome, "docking", 120, 130, holds=True), Ruling(99, "docking", 0, 9, holds=True))
    assert kinds(ruled, exosome) == kinds(find(w), exosome)
