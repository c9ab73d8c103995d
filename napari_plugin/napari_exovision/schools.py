"""All that can be taught, by name; a new school is one file and one line here."""

from __future__ import annotations

from napari_exovision.taught_cells import CellSchool
from napari_exovision.taught_death import DeathSchool
from napari_exovision.taught_events import EventSchool
from napari_exovision.taught_spots import SpotSchool
from napari_exovision.teaching import School

SCHOOLS: dict[str, type[School]] = {
    one.subject: one for one in (CellSchool, SpotSchool, EventSchool, DeathSchool)
}
