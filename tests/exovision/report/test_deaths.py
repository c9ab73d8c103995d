import numpy as np
import pandas as pd
import pytest

from exovision import schema
from exovision.report import wording
from exovision.report.deaths import draw_deaths, draw_dying, draw_raster, pick_deaths

STATES = ["live"] * 20 + ["early_apoptotic"] * 5 + ["late_apoptotic"] * 35
SUMMARY = {
    "told_by": ["morphology", "annexin"],
    "deaths": 1,
    "divisions": 0,
    "cell_hours": 8.0,
    "modes": {"apoptotic": 1},
    "expected_false": 0.02,
    "expected_false_per_1000_cell_h": 2.5,
    "expected_missed": 0.1,
    "calls": [
        {
            "cell_id": 1,
            "mode": "apoptotic",
            "probability": 0.98,
            "apoptotic_probability": 0.99,
            "onset_h": 0.011,
            "call_h": 0.0125,
            "signs_h": {"annexin": 0.0123, "area": 0.0117},
        }
    ],
}


@pytest.fixture(scope="module")
def dead(small):
    """The cells and fates of the small movie, whose first cell dies at 40 s."""
    cells = small.tables.cells.assign(area_um2=28.0)
    state = np.where(cells["cell_id"] == 1, np.array(STATES)[cells["frame"].to_numpy(dtype=int)], "live")
    fates = small.tables.fates.assign(entry="start", exit="movie_end")
    facts = {"exit": "died", "death_mode": "apoptotic", "death_probability": 0.98}
    facts |= {"onset_s": 39.0, "onset_s_lo": 38.0, "onset_s_hi": 40.0}
    for name, value in facts.items():
        fates.loc[fates["cell_id"] == 1, name] = value
    return schema.conform(cells.assign(state=state), schema.CELLS), schema.conform(fates, schema.FATES)


def test_a_strip_shows_the_dying_cell_from_before_its_onset(small, dead):
    cells, fates = dead
    (strip,) = pick_deaths(cells, fates, 6, pixel_size_um=small.movie.pixel_size_um)
    assert strip.fate["cell_id"] == 1 and set(strip.track["cell_id"]) == {1}
    assert strip.track["time_s"].min() < 39.0 < strip.track["time_s"].max()
    figure = draw_deaths(small.movie, small.labels, cells, fates, n=6)
    shown = [axes for part in figure.subfigs for axes in part.axes if axes.get_visible()]
    assert len(shown) == len(strip.track) == 10
    assert all(len(axes.lines) == 1 and len(axes.lines[0].get_xdata()) > 10 for axes in shown)


def test_the_raster_has_a_line_per_cell_and_a_colour_per_state(dead):
    figure = draw_raster(*dead)
    (axes,) = figure.axes
    assert len(axes.patches) == len(dead[0])
    names = [text.get_text() for text in figure.legends[0].get_texts()]
    assert names == ["live", "early apoptotic", "late apoptotic"]


def test_the_share_that_dies_rises_at_the_onset(dead):
    (axes,) = draw_dying(*dead).axes
    times, share = axes.lines[0].get_data()
    np.testing.assert_allclose(times[1], 39.0 / 3600)
    np.testing.assert_allclose(share, [0.0, 0.5, 0.5])


def test_without_states_or_deaths_nothing_is_drawn(small):
    cells, fates = small.tables.cells, small.tables.fates
    unknown = schema.conform(cells.assign(state="unknown"), schema.CELLS)
    assert draw_raster(unknown, fates) is None and draw_dying(cells, fates) is None
    assert draw_deaths(small.movie, small.labels, cells, fates, n=6) is None


def test_the_page_tells_of_deaths(small, dead, tmp_path):
    cells, fates = dead
    page = small.write(tmp_path / "out", cells=cells, fates=fates, summary=small.summary | {"death": SUMMARY})
    assert "1 death (1 apoptotic) and 0 divisions in 8 cell-hours, told by morphology, annexin" in page
    assert "2.50 false per 1,000 cell-hours" in page and "area 0.0117, annexin 0.0123" in page
    for name in ("deaths", "cell_states", "dying"):
        assert (tmp_path / "out" / "figures" / f"{name}.png").is_file()


def test_what_cannot_be_told_is_said():
    assert "cannot be told" in wording.deaths_in_words({"told_by": []})


def test_a_death_is_titled_with_its_interval(dead):
    from exovision.report.deaths import death_title

    row = dead[1].iloc[0].to_dict()
    assert death_title(row) == "Cell 1: apoptotic, onset 39 s (38 s to 40 s); probability 0.98"
    assert "permeable from 50 s" in death_title(row | {"permeable_s": 50.0})
    assert pd.isna(row["permeable_s"])
